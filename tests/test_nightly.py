"""`logscan nightly` as cron runs it: what it reads, writes, mails and tells, and what it does not do twice."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import socketserver
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from logscan.cli import app
from logscan.config import parse
from logscan.nightly import Night, nightly
from logscan.store import Store

DAY = datetime(2026, 11, 23, tzinfo=UTC)
NIGHT = DAY + timedelta(days=1, minutes=20)
STUB = "import sys; open({out!r}, 'ab').write(repr(sys.argv[1:]).encode() + b'\\n' + sys.stdin.buffer.read())\n"
RULES = """
[[alerts.rule]]
name = "refused"
watch = "failure-rate"
by = "domain"
above = 0.5
[[alerts.rule]]
name = "on a list"
watch = "blocklisted"
[[alerts.rule]]
name = "quiet host"
watch = "silent"
window = "24h"
"""


def line(time: datetime, number: int, domain: str, said: str | None = None, host: str = "mx") -> str:
    state, dsn = ("bounced", "5.7.1") if said else ("sent", "2.0.0")
    reply = f"host mx.{domain}[192.0.2.1] said: {said} (in reply to RCPT TO command)" if said else "250 2.0.0 Ok"
    return (
        f"{time.isoformat()} {host} postfix/smtp[1]: {number:012X}: to=<x@{domain}>, relay=mx.{domain}[192.0.2.1]:25, "
        f"delay=1, delays=0/0/0/1, dsn={dsn}, status={state} ({reply})\n"
    )


LISTED = "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org"


def month(hostile: str = "") -> Iterator[str]:
    """Four weeks and a day in which all goes well, but for one bounce a day; on the last day big.example blocks us."""
    number = 0
    for back in range(28, -1, -1):
        for i in range(60):
            time = DAY - timedelta(days=back) + timedelta(minutes=20 * i)
            for domain in ("big.example", "other.example"):
                number += 1
                bad = domain == "big.example" and not back
                said = LISTED + hostile if bad else "550 5.1.1 No such user" if not i else None
                yield line(time, number, domain, said)


class Site(NamedTuple):
    """A site under a folder."""

    folder: Path
    config: Path

    def mails(self) -> list[EmailMessage]:
        """The mails that the sendmail stub got."""
        out = self.folder / "mail.out"
        parts = re.split(rb"(?m)^\[.*\]\n", out.read_bytes())[1:] if out.exists() else []
        policy = email.policy.default
        return [email.message_from_bytes(part, policy=policy) for part in parts]  # type: ignore[arg-type]

    def night(self, more: str = "", **options: Any) -> Night:
        text = self.config.read_text(encoding="utf-8")
        return nightly(parse(text + more), **{"now": NIGHT} | options)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made(tmp_path)


def made(folder: Path, hostile: str = "", mail: str = 'to = ["a@b.example", "c@d.example"]') -> Site:
    (folder / "mail.log").write_text("".join(month(hostile)), encoding="utf-8")
    stub = folder / "sendmail"
    stub.write_text(f"#!{sys.executable}\n" + STUB.format(out=str(folder / "mail.out")))
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    config = folder / "logscan.toml"
    config.write_text(
        f"[sources]\npaths = ['{folder / 'mail.log'}']\nworkers = 1\n[store]\npath = '{folder / 'store'}'\n"
        f"[report]\ntz = 'UTC'\nhost = 'mx1'\noutput = '{folder}/{{day}}.html'\n"
        f"[mail]\n{mail}\nsender = 'logscan@b.example'\nsendmail = '{stub}'\n",
        encoding="utf-8",
    )
    config.chmod(0o600)
    return Site(folder, config)


posix = pytest.mark.skipif(os.name != "posix", reason="the stub of sendmail is a script with #!")


@posix
def test_a_night(site: Site) -> None:
    night = site.night()
    assert {(one.kind, one.name, one.change) for one in night.changed} == {
        ("cause", "blocklisted", "new"),
        ("code", "554 5.7.1", "new"),
        ("domain", "big.example", "spiking"),
    }
    assert night.problems == []
    assert night.findings.summary.deliveries == 120
    assert "What changed" in (site.folder / "2026-11-23.html").read_text(encoding="utf-8")
    [mail] = site.mails()
    assert mail["Subject"] == (
        "[logscan] mx1 2026-11-23: 50.8 % of 120 deliveries failed, 1 new cause, 1 new code, 1 spiking domain"
    )
    assert (mail["From"], mail["To"]) == ("logscan@b.example", "a@b.example, c@d.example")
    assert (
        (site.folder / "mail.out")
        .read_bytes()
        .startswith(b"['-i', '-f', 'logscan@b.example', 'a@b.example', 'c@d.example']\n")
    )
    text, html = (part.get_content() for part in mail.iter_parts())
    assert text.startswith("What changed: 1 ")
    assert max(map(len, text.splitlines())) <= 78
    for words in ("new cause", "blocklisted", "our postmaster"):
        assert words in text and words in html
    assert "blocked using zen.spamhaus.org" in html
    assert len(mail.as_bytes()) < 100_000
    [weeks] = [one.answer.table for one in night.findings.findings if one.report.name == "weeks"]
    assert weeks["messages"].to_pylist() == [120] * 29
    assert weeks["failed"].to_pylist() == [2] * 28 + [61]
    assert not re.search(r"<script|<img|https?://(?!www\.w3)|url\(", html)


@posix
def test_a_second_run_tells_nothing_twice(site: Site) -> None:
    site.night(RULES)
    assert len(site.mails()) == 1
    again = site.night(RULES)
    assert (again.turned, len(site.mails())) == ([], 1)
    assert again.findings.summary.deliveries == 120
    assert again.findings.run.tally.lines == 29 * 120
    site.night(RULES, day=DAY.date())
    assert len(site.mails()) == 2, "a day that is named is mailed again"


@posix
def test_a_dull_day_is_silent(site: Site) -> None:
    dull = site.night(now=NIGHT - timedelta(days=1))
    assert (dull.changed, dull.news, site.mails()) == ([], False, [])
    site.night("", now=NIGHT - timedelta(days=2), to=["x@y.example"])
    assert site.mails() == []
    always = parse(site.config.read_text() + 'send = "always"\n')
    nightly(always, now=NIGHT - timedelta(days=3))
    assert len(site.mails()) == 1


@posix
def test_a_rate_may_be_news(site: Site) -> None:
    text = site.config.read_text() + "rate = 0.01\nleast = 2\n"
    assert nightly(parse(text), now=NIGHT - timedelta(days=1)).news
    assert not nightly(parse(text.replace("least = 2", "least = 3")), now=NIGHT - timedelta(days=1)).news


def test_a_dry_run_leaves_everything_as_it_is(tmp_path: Path) -> None:
    site = made(tmp_path)
    with pytest.raises(Exception, match="is not a store"):
        site.night(dry_run=True)
    site.night(to=(), now=NIGHT - timedelta(days=1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    night = site.night(RULES, dry_run=True)
    assert any(done.startswith("mail a@b.example, c@d.example: [logscan] mx1") for done in night.done)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@posix
def test_hostile_text_stays_text(tmp_path: Path) -> None:
    site = made(tmp_path, hostile="<script>alert(1)</script>\u202e\x1b[31m=cmd()")
    site.night()
    [mail] = site.mails()
    text, html = (part.get_content() for part in mail.iter_parts())
    page = (tmp_path / "2026-11-23.html").read_text(encoding="utf-8")
    for shown in (text, html, page):
        assert not re.search(r"<script>alert|[\u202e\x1b]", shown)
    assert (text + html).count("<script>") == text.count("<script>")
    assert "&lt;script&gt;" in html


NOBODY = "zq7annsmith"


def peopled(hostile: str) -> Iterator[str]:
    """A month of mail in which people are named wherever a log names them."""
    reply = f"{LISTED} for <{NOBODY}@big.example> ({NOBODY}{hostile})"
    for one in month():
        yield one.replace("to=<x@", f"to=<{NOBODY}@").replace(LISTED, reply)
    at = DAY.isoformat()
    yield f"{at} mx postfix/smtpd[2]: 0F00F: client={NOBODY}-pc.isp.example[192.0.2.8], sasl_username={NOBODY}\n"
    yield f"{at} mx postfix/cleanup[2]: 0F00F: message-id=<{NOBODY}.1@pc.example>\n"
    yield f"{at} mx postfix/qmgr[2]: 0F00F: from=<{NOBODY}@b.example>, size=1, nrcpt=1 (queue active)\n"
    late = line(DAY, 0xF00F, "big.example", f"451 4.7.1 {NOBODY}: greylisted").replace("bounced", "deferred")
    yield late.replace(f"{0xF00F:012X}", "0F00F")
    yield f"{at} mx postfix/smtpd[2]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: {NOBODY}\n"
    yield f"{at} mx postfix/smtp[2]: an odd line about {NOBODY}@b.example\n" * 2000


@posix
@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("way", ["keyed", "domain"])
def test_no_name_in_anything_that_a_private_night_leaves(
    tmp_path: Path, way: str, language: str, hook: tuple[str, type[_Hook]], capfd: pytest.CaptureFixture[str]
) -> None:
    url, handler = hook
    site = made(tmp_path)
    logs, out = tmp_path / NOBODY, tmp_path / "alert.json"
    logs.mkdir()
    (tmp_path / "mail.log").unlink()
    (logs / "mail.log").write_text("".join(peopled("+a")), encoding="utf-8")
    (logs / f"{NOBODY}@b.example.log").write_text(f"hello {NOBODY}\n")
    stub = f"import sys; open('{out}', 'a').write(sys.stdin.read())"
    text = site.config.read_text().replace(f"'{tmp_path / 'mail.log'}'", f"'{logs}'")
    text = text.replace("[report]", f"anonymize = '{way}'\n" + "key = 'KEY'\n" * (way == "keyed") + "[report]")
    text = text.replace("KEY", str(tmp_path / "key")).replace("[mail]", f"language = '{language}'\n[mail]")
    text = text.replace(".html'", "'").replace("sender =", "to = ['a@b.example']\nsend = 'always'\nsender =", 1)
    text = re.sub(r"(?m)^to = \[.*\]\n", "", text, count=1)
    text += (
        f"[alerts]\nto = ['oncall@b.example']\nwebhook = '{url}'\ncommand = ['{sys.executable}', '-c', \"{stub}\"]\n"
    )
    text += f"textfile = '{tmp_path / 'logscan.prom'}'\n" + RULES
    text += "[[alerts.rule]]\nname = 'odd'\nwatch = 'coverage'\nabove = 0.1\n"
    site.config.write_text(text, encoding="utf-8")
    code, said, problems = run("nightly", "--config", site.config, "--date", "2026-11-23")
    assert code in (1, 3), problems
    code, shown, more = run("nightly", "--config", site.config, "--date", "2026-11-23", "--dry-run")
    assert "would mail a@b.example" in shown
    mails = site.mails()
    assert [mail["To"] for mail in mails] == ["a@b.example", "oncall@b.example"]
    parts = [part.get_content() for mail in mails for part in mail.walk() if not part.is_multipart()]
    told = [said, problems, shown, more, str(handler.got), *parts, *(str(mail["Subject"]) for mail in mails)]
    assert any("odd" in one for one in told) and len(handler.got) == 1
    for one in [*told, *capfd.readouterr()]:
        assert NOBODY not in one.lower()
    files = [
        path for path in tmp_path.rglob("*") if path.is_file() and logs not in path.parents and path != site.config
    ]
    assert len(files) > 40
    assert [path for path in files if NOBODY.encode() in path.read_bytes().lower()] == []
    for path in tmp_path.rglob("*.parquet"):
        assert NOBODY not in str(pq.read_table(path, partitioning=None).to_pylist()).lower()
    with sqlite3.connect(tmp_path / "store" / "ledger.db") as ledger:
        assert NOBODY not in "\n".join(ledger.iterdump())
    ledger.close()
    if way == "keyed":
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_store_of_another_kind_is_not_mixed(tmp_path: Path) -> None:
    site = made(tmp_path, mail="")
    site.night()
    text = site.config.read_text().replace("[report]", "anonymize = 'domain'\n[report]")
    (tmp_path / "mail.log").write_text(line(DAY, 7, "new.example", "550 5.1.1 no"), encoding="utf-8")
    site.config.write_text(text)
    code, _, said = run("nightly", "--config", site.config)
    assert code == 2
    assert "the store holds addresses as they are" in said and "store.anonymize" in said


class _Hook(BaseHTTPRequestHandler):
    got: list[Any]
    answer = 200

    def do_POST(self) -> None:
        type(self).got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hook() -> Iterator[tuple[str, type[_Hook]]]:
    handler = type("Hook", (_Hook,), {"got": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", handler
        server.shutdown()


def test_alerts_begin_and_end_once(tmp_path: Path, hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    site = made(tmp_path, mail="")
    out, prom = tmp_path / "alert.json", tmp_path / "logscan.prom"
    program = f"['{sys.executable}', '-c', 'import sys; open(sys.argv[1], \"a\").write(sys.stdin.read())', '{out}']"
    ways = f"[alerts]\nwebhook = '{url}'\ncommand = {program}\ntextfile = '{prom}'\n" + RULES
    first = site.night(ways, now=NIGHT - timedelta(days=1))
    assert (first.on, first.turned, handler.got) == ([], [], [])
    began = site.night(ways)
    assert [(one.rule, one.about) for one in began.turned] == [
        ("refused", "big.example"),
        ("on a list", "list: Spamhaus ZEN"),
    ]
    assert [one["ended"] for one in handler.got[0]["alerts"]] == [None, None]
    assert json.loads(out.read_text()) == handler.got[0]
    assert 'logscan_alert{rule="refused",about="big.example"} 1\n' in prom.read_text()
    assert 'logscan_alert{rule="quiet host",about=""} 0\n' in prom.read_text()
    assert "logscan_failure_rate 0.5083333333\n" in prom.read_text()
    still = site.night(ways, now=NIGHT + timedelta(hours=1))
    assert (len(still.on), still.turned, len(handler.got)) == (2, [], 1)
    assert still.on[0].began == began.on[0].began
    # Two days later the host has long been silent: the others end.
    ended = site.night(ways, now=NIGHT + timedelta(days=2))
    assert sorted((one.rule, bool(one.ended)) for one in ended.turned) == [
        ("on a list", True),
        ("quiet host", False),
        ("refused", True),
    ]
    assert len(handler.got) == 2


def test_what_nobody_took_is_told_again(tmp_path: Path, hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    site = made(tmp_path, mail="")
    ways = f"[alerts]\nwebhook = '{url}'\n" + RULES
    handler.answer = 500
    failed = site.night(ways)
    assert [problem.source for problem in failed.problems] == ["alerts.webhook"]
    handler.answer = 200
    assert len(site.night(ways).turned) == 2
    assert site.night(ways).turned == []


@posix
def test_a_mail_that_is_not_taken_is_a_problem_and_tried_again(site: Site) -> None:
    stub = site.folder / "sendmail"
    good = stub.read_text()
    stub.write_text(f"#!{sys.executable}\nimport sys; sys.exit('no room')\n")
    ended = CliRunner().invoke(app, ["nightly", "--config", str(site.config), "--date", "2026-11-23"])
    assert ended.exit_code == 1
    assert re.search(r"mail: failed: .*sendmail: no room; it is tried again", ended.stderr)
    stub.write_text(good)
    site.night()
    assert len(site.mails()) == 1


class _Smtp(socketserver.StreamRequestHandler):
    got: list[bytes]

    def handle(self) -> None:
        self.wfile.write(b"220 mx ESMTP\r\n")
        while words := self.rfile.readline():
            type(self).got.append(words)
            if words.upper().startswith(b"EHLO"):
                self.wfile.write(b"250-mx\r\n250 8BITMIME\r\n")
            elif words.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                while (words := self.rfile.readline()) != b".\r\n":
                    type(self).got.append(words)
                self.wfile.write(b"250 taken\r\n")
            elif words.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@pytest.mark.parametrize("security", ["none", "starttls"])
def test_smtp(tmp_path: Path, security: str) -> None:
    handler = type("Smtp", (_Smtp,), {"got": []})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        way = f'transport = "smtp"\nsmtp_host = "127.0.0.1"\nsmtp_port = {port}\nsmtp_security = "{security}"'
        night = made(tmp_path, mail=f'to = ["a@b.example"]\n{way}').night()
        server.shutdown()
    if security == "none":
        assert night.problems == []
        assert b"rcpt TO:<a@b.example>\r\n" in handler.got
        assert any(words.startswith(b"Subject: [logscan] mx1 2026-11-23") for words in handler.got)
    else:
        # A server that offers no TLS gets no mail, rather than mail in the clear.
        assert [problem.source for problem in night.problems] == ["mail"]
        assert not any(words.upper().startswith((b"MAIL", b"RCPT", b"DATA")) for words in handler.got)


def test_old_days_are_dropped(tmp_path: Path) -> None:
    site = made(tmp_path, mail="")
    site.night("[retention]\ndays = 30\n")
    store = Store.open(tmp_path / "store")
    assert len(store.days()) == 29
    site.night("[retention]\ndays = 10\n", dry_run=True)
    assert len(store.days()) == 29
    assert site.night("[retention]\ndays = 10\n").done[-1] == "drop days before 2026-11-14"
    assert store.days()[0] == date(2026, 11, 14)
    assert (len(store.days()), store.check()) == (10, [])


def run(*arguments: str | Path) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


def test_the_command(tmp_path: Path) -> None:
    site = made(tmp_path, mail="")
    asked = ("nightly", "--config", site.config, "--date")
    code, out, err = run(*asked, "2026-11-22")
    assert (code, out, err) == (0, "", ""), "nothing to say"
    code, out, err = run(*asked, "2026-11-23")
    assert code == 3
    assert out.startswith("What changed: ")
    assert err == ""
    code, out, _ = run(*asked, "2026-11-22", "--dry-run")
    assert code == 0
    assert "Nothing changed against the last weeks." in " ".join(out.split())
    assert "would write" in out
    assert run(*asked, "yesterday")[0] == 2


def test_lines_for_cron_and_systemd(tmp_path: Path) -> None:
    site = made(tmp_path)
    code, out, _ = run("nightly", "--config", site.config, "--print-cron")
    assert code == 0
    assert re.fullmatch(r"20 0 \* \* \*  .* nightly --config .*logscan\.toml\"?\n", out)
    code, out, _ = run("nightly", "--config", site.config, "--print-systemd")
    assert re.search(r"(?m)^ExecStart=.* nightly --config .*logscan\.toml", out)
    assert "SuccessExitStatus=3\n" in out
    assert re.search(r"(?m)^OnCalendar=", out)


def test_config_commands(tmp_path: Path) -> None:
    site = made(tmp_path)
    assert run("config", "check", site.config)[:2][0] == 0
    code, out, err = run("config", "example")
    assert (code, err) == (0, "")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(out.replace("[store]", "[stoer]"))
    wrong.chmod(0o600)
    code, out, err = run("config", "check", wrong)
    assert code == 2
    assert "stoer: no such key; did you mean store?" in err
    assert "Traceback" not in err
