"""The page in a browser: nothing sticks out at the width of a phone or of a desk, and nothing but our script runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64encode
from datetime import date
from hashlib import sha256
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from logscan.changes import Change, Series, by_day
from logscan.parser import Tally
from logscan.publish import gather
from logscan.publish.night import of_night
from logscan.publish.page import page
from logscan.report import Asked
from logscan.run import Problem, Run, SourceRead

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=5000", "--dump-dom"),
)
LONG = "x" * 5000


@pytest.fixture(scope="module")
def made() -> str:
    """A page with long words, wide tables and all sections."""
    failure = {
        "direction": "outbound",
        "reply": f"550 {LONG}",
        "enhanced": "5.7.26",
        "provider": "google",
        "code": 550,
        "source": f"/var/log/{LONG}",
        "offset": 10**12,
        "code_class": "5xx",
        "cause": "authentication-policy",
    }
    events = [
        {**failure, "action": action, "recipient_domain": f"{i}.{LONG}.example", "time": (1_790_000_000 + i) * 10**6}
        for i in range(40)
        for action in ("bounced", "deferred", "expired", "delivered")
    ]
    events += [{**failure, "action": "rejected", "direction": "inbound", "remote_ip": LONG, "cause": LONG}] * 3
    read = SourceRead(f"/var/log/{LONG}", "postfix", 1.0, 1, Tally(unread=9, samples=((1, LONG), (2, "a b"))), 1)
    findings = gather(Asked.of(*events).events, Run((read,), (Problem(LONG, LONG, LONG),)))
    changed = [
        Change("domain", f"0.{LONG}.example", "new", 10**6, 10**7, 0.1, 0, (1, 2, 3, 4), 0.0),
        Change("cause", "authentication-policy", "spiking", 40, 90, 2.5, 3, (1, 2, 3, 4), 0.0),
        Change("code", "550 5.7.26", "vanished", 0, 90, 52.5, 50, (51, 52, 53, 54), 0.0),
    ]
    counts = np.arange(29)[None, :]
    weeks = by_day({"domain": Series.of([LONG], counts, counts * 1000)}, date(2026, 11, 23))
    return page(of_night(findings, changed, weeks))


def test_the_page_asks_no_network_and_lets_no_script_run_but_its_own(made: str) -> None:
    [script] = re.findall(r"<script>(.*?)</script>", made, re.S)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    own = b64encode(sha256(script.encode()).digest()).decode()
    assert policy and policy[1].startswith(
        f"default-src 'none'; script-src 'sha256-{own}'; style-src 'unsafe-inline'; img-src data:;"
    )
    assert made.index("Content-Security-Policy") < made.index("<style>") < made.index("<script>")
    assert made.count("<script") == 1
    assert "\r" not in script
    assert not re.search(r'(?:src|href|action)="(?!#)', made)
    assert not re.search(r"@import|url\((?!#)", made)


def test_the_page_can_be_read_without_eyes(made: str) -> None:
    assert '<html lang="en">' in made
    assert len(re.findall(r"<h1[ >]", made)) == 1
    assert made.count("<table>") == made.count("<caption>")
    assert not re.search(r"<th(?! scope=| ?ead)", made.replace("<thead", ""))
    assert all('role="img"' in svg and "aria-label=" in svg for svg in re.findall(r"<svg [^>]*>", made))
    ids = re.findall(r' id="([^"]+)"', made)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', made)) <= set(ids)


def dumped(outer: Path, folder: Path, *flags: str) -> str:
    """A page as Chromium has it after its scripts have run."""
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", outer.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout


def in_browser(made: str, script: str, folder: Path) -> str:
    """What a script says that looks at the page from outside: the page's own policy holds within."""
    inner, outer = folder / "page.html", folder / "frame.html"
    inner.write_text(made, encoding="utf-8")
    outer.write_text(
        f"<meta charset=utf-8><pre id=told></pre><iframe src='{inner.as_uri()}' style='width:1400px;height:800px'>"
        "</iframe><script>onload = () => { const page = document.querySelector('iframe').contentDocument;"
        f"document.getElementById('told').textContent = (() => {{ {script} }})(); }}</script>",
        encoding="utf-8",
    )
    told = re.search(r'<pre id="told">(.*?)</pre>', dumped(outer, folder, "--allow-file-access-from-files"), re.S)
    assert told
    return unescape(told[1])


def sticks_out(made: str, width: int, folder: Path) -> tuple[int, int]:
    """Width of the window, and how far the page reaches beyond what is seen of it, in pixels."""
    # The page's own policy would keep our measuring script from running, as it should.
    page = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", made)
    tell = (
        "const e = document.documentElement; parent.postMessage(`${innerWidth} ${e.scrollWidth - e.clientWidth}`, '*')"
    )
    inner = folder / "page.html"
    inner.write_text(page.replace("</body>", f"<script>{tell}</script></body>"), encoding="utf-8")
    outer = folder / "frame.html"
    outer.write_text(
        f"<p id=told></p><script>onmessage = e => document.getElementById('told').textContent = e.data</script>"
        f'<iframe src="{inner.as_uri()}" style="width:{width}px;height:800px;border:0"></iframe>',
        encoding="utf-8",
    )
    told = re.search(r'id="told">(\d+) (\d+)<', dumped(outer, folder))
    assert told
    return int(told[1]), int(told[2])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to look at the page with")
class TestInABrowser:
    @pytest.mark.parametrize("width", [360, 1400])
    def test_nothing_sticks_out(self, made: str, width: int, tmp_path: Path) -> None:
        assert sticks_out(made, width, tmp_path) == (width, 0)

    def test_what_sticks_out_is_seen(self, made: str, tmp_path: Path) -> None:
        wide = made.replace("</main>", '<div style="width:2000px">x</div></main>')
        assert sticks_out(wide, 360, tmp_path)[1] > 1000

    def test_a_click_sorts_a_table(self, tmp_path: Path) -> None:
        counts = {"a10.example": 9, "a9.example": 10, "b.example": 1200, "c.example": 1}
        bounce = {"direction": "outbound", "action": "bounced", "cause": "policy", "code": 550, "reply": "550 no"}
        events = [
            {**bounce, "recipient_domain": name, "cause": f"c-{name}"} for name, n in counts.items() for _ in range(n)
        ]
        events += [{**bounce, "action": "delivered", "recipient_domain": "c.example"}] * 5000
        reads = tuple(
            SourceRead(f"log{i}", "postfix", 1.0, 1, Tally(understood=n), n) for i, n in enumerate((5, 40, 7))
        )
        page_of = page(gather(Asked.of(*events).events, Run(reads, ())))
        script = """
            const told = [], name = (row) => row.cells[0].textContent.trim();
            const rows = (id) => page.getElementById(id).closest("section").querySelectorAll("tr:has(th[scope=row])");
            const order = (id) => [...rows(id)].map(name).join(" ");
            const click = (id, column) => {
                const head = page.getElementById(id).closest("section").querySelectorAll("thead th")[column];
                head.querySelector("button").click();
                told.push(`${id} ${column} ${head.ariaSort}: ${order(id)}`);
            };
            for (const column of [1, 1, 0, 0, 3]) click("domains", column);
            click("sources", 2);
            click("causes", 0);
            const below = [...page.querySelectorAll("[aria-labelledby=causes] tbody")]
                .every((body) => body.rows.length === 2 && body.rows[1].className === "below");
            const sorted = page.querySelectorAll("[aria-labelledby=domains] [aria-sort]").length;
            told.push(`below ${below}`, `sorted ${sorted}`);
            return told.join("\\n");
        """
        assert in_browser(page_of, script, tmp_path).splitlines() == [
            "domains 1 descending: b.example a9.example a10.example c.example",
            "domains 1 ascending: c.example a10.example a9.example b.example",
            "domains 0 ascending: a9.example a10.example b.example c.example",
            "domains 0 descending: c.example b.example a10.example a9.example",
            "domains 3 descending: b.example a9.example a10.example c.example",
            "sources 2 descending: log1 log2 log0",
            "causes 0 ascending: c-a9.example c-a10.example c-b.example c-c.example",
            "below true",
            "sorted 1",
        ]

    def test_no_script_of_theirs_runs_even_where_it_got_in(self, made: str, tmp_path: Path) -> None:
        got_in = (
            "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
            "<svg onload=\"document.title='owned'\"></svg>"
            "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>"
            "<a id=link href=\"javascript:document.title='owned'\">x</a>"
        )
        hit = made.replace("<main>", f"<main>{got_in}")
        script = (
            "page.getElementById('link').click(); return page.title + ' ' + page.querySelectorAll('th button').length"
        )
        title, buttons = in_browser(hit, script, tmp_path).rsplit(" ", 1)
        assert "owned" not in title
        assert int(buttons) > 10, "ours has run"
        lawless = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", hit)
        assert in_browser(lawless, script, tmp_path).startswith("owned"), "without the policy it would have run"

    def test_without_scripts_the_page_is_whole(self, made: str, tmp_path: Path) -> None:
        none = re.sub(r"script-src '[^']*';", "", made)
        script = "return [page.querySelectorAll('button').length, page.querySelectorAll('table').length].join(' ')"
        assert in_browser(none, script, tmp_path) == f"0 {made.count('<table>')}"


def test_what_changed_stands_first(made: str) -> None:
    first = made.index('<h2 id="changes">What changed</h2>')
    assert first == made.index("<h2 id=", made.index("<main>"))
    section = made[first : made.index("</section>", first)]
    for words in ("new domain", "spiking cause", "vanished code", "1,000,000", "our postmaster", "550 xxx", "<li>"):
        assert words in section
    note = section[section.index('<p class="note">') : section.index("</p>")]
    assert note.endswith("of its mail."), "the method is told whole"
    assert "What changed: 1 new domain" in made[: made.index("</h1>")]
    weeks = made.index('<h2 id="weeks">')
    assert "Columns of failed by time, the largest of 29: 2026-11-23 28" in made[weeks:]
