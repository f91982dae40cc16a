"""The page in a browser: nothing sticks out at the width of a phone or of a desk, and nothing is fetched or run."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
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


def test_the_page_asks_no_network_and_runs_no_script(made: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert policy and policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "<script" not in made
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
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", outer.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    told = re.search(r'id="told">(\d+) (\d+)<', dumped.stdout)
    assert told, dumped.stderr[-2000:]
    return int(told[1]), int(told[2])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to look at the page with")
class TestInABrowser:
    @pytest.mark.parametrize("width", [360, 1400])
    def test_nothing_sticks_out(self, made: str, width: int, tmp_path: Path) -> None:
        assert sticks_out(made, width, tmp_path) == (width, 0)

    def test_what_sticks_out_is_seen(self, made: str, tmp_path: Path) -> None:
        wide = made.replace("</main>", '<div style="width:2000px">x</div></main>')
        assert sticks_out(wide, 360, tmp_path)[1] > 1000


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
