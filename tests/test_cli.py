"""The command line as its user meets it: arguments, standard output, standard error, exit code."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import logscan
from logscan.catalogue import causes
from logscan.cli import app
from logscan.schema import EVENTS
from logscan.store import Store

SAMPLES = Path(__file__).parent.parent / "sample_logs"
ISO = SAMPLES / "mx1-iso.log"
BOUNCE = (
    "2026-11-{day:02}T{hour:02}:00:00+00:00 mx postfix/smtp[1]: A{number:09}: to=<{name}@{domain}>, "
    "relay=mx.{domain}[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
    "(host mx.{domain}[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command))\n"
)
SENT = (
    "2026-11-23T12:00:00+00:00 mx postfix/smtp[1]: B000000001: to=<c@a.example>, relay=mx.a.example[192.0.2.1]:25, "
    "delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued)\n"
)


class Ended(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path, stdin: bytes | None = None) -> Ended:
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def command(*arguments: str | Path, **env: str) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    words = [sys.executable, "-m", "logscan", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env})


def bounce(number: int, day: int = 23, hour: int = 8, name: str = "a", domain: str = "a.example") -> str:
    return BOUNCE.format(number=number, day=day, hour=hour, name=name, domain=domain)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten bounces at a.example on the 22nd, one below it and one at b.example on the 23rd, one delivery."""
    path = tmp_path / "mail.log"
    lines = [bounce(i, day=22) for i in range(10)]
    lines += [bounce(10, domain="sub.a.example"), bounce(11, hour=11, domain="b.example"), SENT]
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        pytest.param([], "12 of 13", id="everything"),
        pytest.param(["--since", "2026-11-23"], "2 of 3", id="since a day"),
        pytest.param(["--until", "2026-11-23T00:00Z"], "10 of 10", id="until a time with its zone"),
        pytest.param(["--since", "2026-11-23T18:00", "--tz", "Asia/Bangkok"], "1 of 2", id="since a time in a zone"),
        pytest.param(["--last", "90m"], "1 of 2", id="last: back from the newest event"),
        pytest.param(["--last", "1d"], "2 of 3", id="last day"),
        pytest.param(["--last", "99999w"], "12 of 13", id="all time"),
        pytest.param(["--domain", "A.example."], "10 of 11", id="domain"),
        pytest.param(["--domain", "*.a.example"], "1 of 1", id="domains below"),
        pytest.param(["--domain", "*.a.example", "--domain", "b.example"], "2 of 2", id="two domains: either"),
        pytest.param(["--code", "550"], "12 of 12", id="code"),
        pytest.param(["--code", "2XX"], "0 of 1", id="class"),
        pytest.param(["--code", "5.1.1"], "12 of 12", id="enhanced code"),
        pytest.param(["--cause", "user-unknown"], "12 of 12", id="cause"),
        pytest.param(["--cause", "mailbox-full"], "0 of 0", id="a cause that nothing has"),
        pytest.param(["--code", "550", "--domain", "b.example"], "1 of 1", id="code and domain: both"),
    ],
)
def test_the_part_that_is_wanted(log: Path, tmp_path: Path, arguments: list[str], shown: str) -> None:
    table = tmp_path / "events.parquet"
    ended = run("report", log, "--tz", "UTC", "-o", table, *arguments)
    assert ended.code == 0
    events = pq.read_table(table)
    counts = Counter(events["action"].to_pylist())
    assert f"{counts['bounced']} of {len(events)}" == shown
    assert ended.err == f"logscan: wrote {table}\n"


def test_the_first_screen() -> None:
    ended = run("report", SAMPLES, "--tz", "UTC")
    assert (ended.code, ended.err) == (0, "")
    assert "2,310 lines, 100 % understood" in ended.out
    assert "2016-04-16 22:27:42 to 2026-11-23 21:30:33" in ended.out
    for heading in ("Causes (", "Domains (", "Codes (", "Refused by us ("):
        assert heading in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "\x1b" not in ended.out


def test_top_and_by(log: Path, tmp_path: Path) -> None:
    assert "(2 of " in run("report", SAMPLES, "--top", "2").out
    page = {}
    for by in ("day", "hour"):
        assert run("report", log, "--by", by, "-o", tmp_path / f"{by}.json").code == 0
        page[by] = json.loads((tmp_path / f"{by}.json").read_text(encoding="utf-8"))
    assert page["day"] != page["hour"]


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ("r.html", ["r.html"]),
        ("r.csv", ["r.csv"]),
        ("r.json", ["r.json"]),
        ("r.parquet", ["r.parquet"]),
        (
            "all/",
            ["all/report.html", "all/report.csv", "all/report.json", "all/events.parquet", "all/tables/causes.csv"],
        ),
    ],
)
def test_a_report_is_written(log: Path, tmp_path: Path, monkeypatch: Any, output: str, files: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("report", log, "-o", output)
    assert ended.code == 0
    for file in files:
        assert f"wrote {file}" in ended.err
        data = (tmp_path / file).read_bytes()
        if file.endswith(".parquet"):
            assert pq.read_schema(tmp_path / file).equals(EVENTS)
        elif file.endswith(".json"):
            assert json.loads(data)
        elif file.endswith(".csv"):
            assert len(list(csv.reader(data.decode("utf-8-sig").splitlines()))) > 1
        else:
            assert b"user-unknown" in data


NOT_DONE = [
    pytest.param(["report"], "name log files, or a store with --store", id="nothing to report on"),
    pytest.param(["report", "LOG", "--store", "x"], "log files or --store: one of them", id="both"),
    pytest.param(["scan"], "name the logs to scan: files, folders, globs, or -", id="nothing to scan"),
    pytest.param(["report", "LOG", "--since", "yesterday"], "--since yesterday: not a time", id="since"),
    pytest.param(["report", "LOG", "--until", "2026-13-01"], "--until 2026-13-01: not a time", id="until"),
    pytest.param(["report", "LOG", "--last", "7x"], "--last 7x: not a span; write 7d, 24h or 90m", id="last"),
    pytest.param(["report", "LOG", "--since", "0001-01-01", "--tz", "Asia/Tokyo"], "not a time", id="before time"),
    pytest.param(["report", "LOG", "--last", "9" * 30 + "d"], "not a span", id="longer than time"),
    pytest.param(["report", "LOG", "-o", "nowhere/x.html"], "logscan: nowhere: no such folder", id="report's folder"),
    pytest.param(["scan", "LOG", "--tally-json", "nowhere/x"], "nowhere: no such folder", id="tally's folder"),
    pytest.param(["report", "LOG", "--code", "55"], "--code 55: write a reply code (550)", id="code"),
    pytest.param(["report", "LOG", "--cause", "blocklistd"], "did you mean blocklisted?", id="cause, nearly"),
    pytest.param(["report", "LOG", "--cause", "zzzzzz"], "`logscan causes` lists them", id="cause, not at all"),
    pytest.param(["report", "LOG", "--format", "postfx"], "--format postfx: no such format; there are: ", id="format"),
    pytest.param(["scan", "LOG", "--tz", "Mars"], "--tz Mars: no such time zone", id="zone"),
    pytest.param(["report", "LOG", "-o", "x.pdf"], "cannot write x.pdf: it must end in .html", id="report's suffix"),
    pytest.param(["scan", "LOG", "-o", "x.csv"], "-o x.csv: .csv is nothing that a scan writes", id="scan's suffix"),
    pytest.param(["report", "--store", "nowhere"], "nowhere: is not a store", id="no store"),
    pytest.param(["scan", "LOG", "-o", "FOLDER"], "is not a store; name a new or empty folder", id="not a store"),
    pytest.param(["scan", "LOG", "-o", "nowhere/x.parquet"], "logscan: nowhere: no such folder", id="no such folder"),
    pytest.param(["report", "mail.lgo"], "mail.lgo: does not exist; did you mean mail.log?", id="no such file"),
    pytest.param(["report", "LOG", "--by", "week"], "'week' is not one of", id="by"),
    pytest.param(["report", "LOG", "--top", "0"], "not in the range 1<=x", id="top"),
    pytest.param(["scan", "LOG", "--workers", "0"], "not in the range x>=1", id="workers"),
    pytest.param(["scan", "LOG", "--year", "26"], "not in the range 1970<=x", id="year"),
    pytest.param(["causes", "blocklist"], "blocklist: no such cause; did you mean blocklisted?", id="cause to tell"),
    pytest.param(["repot", "LOG"], "'report'", id="command"),
    pytest.param(["report", "LOG", "--dmain", "x"], "--domain", id="option"),
]


@pytest.mark.parametrize(("arguments", "told"), NOT_DONE)
def test_what_cannot_be_is_said_in_a_line(log: Path, monkeypatch: Any, arguments: list[str], told: str) -> None:
    monkeypatch.chdir(log.parent)
    before = sorted(log.parent.rglob("*"))
    ended = run(*({"LOG": "mail.log", "FOLDER": "."}.get(word, word) for word in arguments))
    assert ended.code == 2
    assert told in ended.err
    assert ended.out == "" or arguments[1] == "mail.lgo", "it is said before the logs are read"
    assert sorted(log.parent.rglob("*")) == before


def test_a_file_that_cannot_be_read_whole_costs_only_itself(log: Path) -> None:
    torn = log.with_name("mail.log.1.gz")
    torn.write_bytes(gzip.compress(bounce(99, day=21).encode() * 500)[:-20])
    ended = run("report", log, torn)
    assert ended.code == 1
    assert f"logscan: {torn}: byte " in ended.err
    assert "bounced" in ended.out


def test_files_beside_the_logs_are_a_note(log: Path) -> None:
    log.with_name("dpkg.log").write_text("2026-11-23 08:00:00 startup archives unpack\n")
    log.with_name("README").write_text("Read me.\n")
    ended = run("scan", log.parent)
    assert ended.code == 0
    assert "dpkg.log: is no log that I know" in ended.err
    assert "README" not in ended.err
    assert run("scan", log.with_name("dpkg.log")).code == 2


def test_strict(log: Path) -> None:
    assert run("report", log, "--strict").code == 0
    with log.open("a") as file:
        file.write("2026-11-23T12:00:00+00:00 mx postfix/smtp[1]: words that no Postfix ever wrote\n")
    ended = run("report", log)
    assert ended.code == 0
    assert "1 of 14 lines not understood (92.86 % understood)" in ended.err
    assert "words that no Postfix ever wrote" in ended.err
    assert run("report", log, "--strict").code == 2
    assert run("scan", log, "--strict").code == 2


def test_hostile_words_do_not_reach_the_terminal(log: Path) -> None:
    with log.open("a") as file:
        file.write("2026-11-23T12:00:00+00:00 mx postfix/smtp[1]: \x1b]0;owned\x07 no such line\n")
    ended = run("report", log)
    assert "owned" in ended.err
    assert "\x1b" not in ended.out + ended.err
    assert "\x07" not in ended.out + ended.err


def test_scan_to_json_lines(log: Path, tmp_path: Path) -> None:
    ended = run("scan", log)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert (ended.code, ended.err, len(rows)) == (0, "", 13)
    assert list(rows[0]) == EVENTS.names
    assert rows[0]["time"] == "2026-11-22T08:00:00+00:00"
    assert run("scan", log, "-o", "-").out == ended.out
    assert run("scan", log, "-o", tmp_path / "e.jsonl") == Ended(0, "", "")
    assert (tmp_path / "e.jsonl").read_text(encoding="utf-8") == ended.out
    assert run("scan", "-", stdin=log.read_bytes()).out == ended.out.replace(str(log), "-")


def test_scan_to_parquet(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "e.parquet"
    tally = tmp_path / "tally.json"
    assert run("scan", log, "-o", file, "--tally-json", tally) == Ended(0, "", "")
    assert pq.read_table(file).to_pylist() == logscan.scan(log).to_pylist()
    assert json.loads(tally.read_text()) == {"lines": 13, "understood": 13, "known": 0, "other": 0, "unread": 0}


def test_scan_to_a_store_adds_what_is_new_once(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"

    def stored() -> int:
        return int(Store.open(folder).dataset().count_rows())

    assert run("scan", log, "-o", f"{folder}/") == Ended(0, "", "")
    assert stored() == 13
    assert run("scan", log, "-o", folder) == Ended(0, "", "")
    assert stored() == 13
    with log.open("a") as file:
        file.write(bounce(20, hour=13) + bounce(21, hour=14)[:-20])
    run("scan", log, "-o", folder)
    assert stored() == 14, "an unfinished line waits for its end"
    with log.open("a") as file:
        file.write(bounce(21, hour=14)[-20:])
    log.rename(log.with_name("mail.log.1"))
    log.write_text(bounce(22, hour=15))
    run("scan", log.parent / "mail.log*", "-o", folder)
    assert stored() == 16, "a rotated log is known again"
    ended = run("report", "--store", folder, "--last", "3h", "-o", tmp_path / "last.parquet")
    assert ended.code == 0
    assert pq.read_table(tmp_path / "last.parquet")["time"].to_pylist() == [
        datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in (13, 14, 15)
    ]


@pytest.mark.parametrize("kind", ["pipe", "gzip"])
def test_what_cannot_grow_goes_into_a_store_to_its_last_byte(kind: str, log: Path, tmp_path: Path) -> None:
    """Only a plain file's unfinished last line waits; a pipe or a compressed file has nothing more to come."""
    folder, data = tmp_path / "store", log.read_bytes().rstrip(b"\n")
    if kind == "pipe":
        assert run("scan", "-", "-o", folder, stdin=data) == Ended(0, "", "")
    else:
        packed = tmp_path / "mail.log.gz"
        packed.write_bytes(gzip.compress(data))
        assert run("scan", packed, "-o", folder) == Ended(0, "", "")
        assert run("scan", packed, "-o", folder) == Ended(0, "", ""), "and adds nothing the second time"
    assert Store.open(folder).dataset().count_rows() == 13


def test_a_scan_of_nothing_leaves_no_store(tmp_path: Path) -> None:
    ended = run("scan", tmp_path / "nofile", "-o", tmp_path / "new")
    assert ended.code == 2
    assert "does not exist" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_store_commands(log: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "store", tmp_path / "other.log"
    other.write_text(bounce(50, day=24))
    run("scan", log, other, "-o", folder)
    assert run("store", "check", folder) == Ended(
        0, "3 days, 2026-11-22 to 2026-11-24; 14 events; all as written\n", ""
    )
    assert run("store", "forget", folder, other) == Ended(0, "1 events taken out\n", "")
    assert Store.open(folder).dataset().count_rows() == 13
    assert "has read no" in run("store", "forget", folder, other).err
    run("scan", log, other, "-o", folder)
    assert Store.open(folder).dataset().count_rows() == 14
    assert run("store", "compact", folder).code == 0
    assert run("store", "prune", folder, "--keep", "99999d").out == "0 days taken out\n"
    assert "write days or weeks" in run("store", "prune", folder, "--keep", "1y").err
    (day,) = (folder / "data").glob("*22/*")
    next(file for file in (folder / "files").iterdir() if file.samefile(day)).write_bytes(b"harmed")
    ended = run("store", "check", folder)
    assert ended.code == 2
    assert "is not as it was written" in ended.err


def test_forgetting_needs_all_names_of_a_log(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    run("scan", log, "-o", folder)
    with log.open("a") as file:
        file.write(bounce(20, hour=13))
    moved = log.rename(log.with_name("mail.log.1"))
    run("scan", moved, "-o", folder)
    assert f"has read the same log as {moved} too; name both" in run("store", "forget", folder, log).err
    assert run("store", "forget", folder, log, moved).out == "14 events taken out\n"


def test_a_second_scan_waits_or_says_who_holds_the_store(log: Path, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    with store.commit():
        ended = run("scan", log, "-o", store.path)
        assert ended.code == 2
        assert f"held by process {os.getpid()}; try again when that has ended" in ended.err
        waiting = command("scan", log, "-o", store.path, "--wait", "60")
    assert waiting.communicate(timeout=60)[1] == b""
    assert waiting.returncode == 0
    assert store.dataset().count_rows() == 13


def test_formats(log: Path) -> None:
    ended = run("formats")
    assert (ended.code, ended.err) == (0, "")
    assert "\npostfix    Postfix: " in "\n" + ended.out
    ended = run("formats", log)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{log}: postfix (100 % sure)\n")
    other = log.with_name("access.log")
    other.write_text('192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /" 200 5\nwhat?\n')
    ended = run("formats", other, log)
    assert (ended.code, ended.err) == (1, "")
    assert (
        f'{other}: unknown; it looks like a web server\'s access log, but line 2 does not fit: "what?"\n' in ended.out
    )
    assert f"{log}: postfix (100 % sure)\n" in ended.out
    assert run("formats", log.parent).code == 0, "in a folder, other files are no news"
    ended = run("formats", log, "no.log")
    assert ended.code == 1
    assert ended.err == "logscan: no.log: does not exist; check the path\n"


def test_causes() -> None:
    ended = run("causes")
    assert [line.split()[0] for line in ended.out.splitlines()] == list(causes())
    assert "The recipient's mailbox is over its quota." in ended.out
    told = run("causes", "mailbox-full").out
    assert "Who acts    the recipient" in told
    assert all(step in " ".join(told.split()) for step in causes()["mailbox-full"].steps)


def test_version() -> None:
    assert run("--version") == Ended(0, f"logscan {logscan.__version__}\n", "")
    process = command("--version")
    assert process.communicate() == (
        f"logscan {logscan.__version__}\n".encode().replace(b"\n", os.linesep.encode()),
        b"",
    )


def test_no_arguments_show_the_help() -> None:
    ended = run()
    assert "Usage: logscan" in ended.out + ended.err
    assert "Ends with 0: done." in ended.out + ended.err


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["report", "-h"], ["scan", "--help"], ["formats", "-h"]])
def test_help(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 0
    assert "Usage: logscan" in ended.out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["a terminal", "NO_COLOR"])
def test_colour(log: Path, env: dict[str, str], coloured: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = (
        {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")} | {"TERM": "xterm"} | env
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "logscan", "report", str(log)], stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    out = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(ours)
    assert process.wait() == 0
    assert b"user-unknown" in out
    colours = [part for part in out.split(b"\x1b[")[1:] if part[:1] == b"3" or b";3" in part[:6]]
    assert bool(colours) is coloured


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a pipe in its own way")
@pytest.mark.parametrize("name", ["scan", "report", "causes", "formats"])
def test_a_reader_that_goes_away(name: str, tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    arguments = {"scan": [SAMPLES], "report": [SAMPLES, "-o", output]}
    process = command(name, *arguments.get(name, []))
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    wrote = f"logscan: wrote {output}\n".encode() if name == "report" else b""
    assert (process.wait(), err, output.exists()) == (0, wrote, name == "report")


# ---- classify, rules ----


def test_classify_takes_lines(tmp_path: Path) -> None:
    texts = "550 5.1.1 No such user\n\n999 go away\n552 Mailbox full\n"
    ended = run("classify", "-", stdin=texts.encode())
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [(row["id"], row["code"], row["cause"]) for row in rows] == [
        (1, 550, "user-unknown"),
        (2, None, "other"),
        (3, 999, "other"),
        (4, 552, "mailbox-full"),
    ]
    assert list(rows[0]) == ["id", "code", "enhanced", "code_class", "cause", "confidence", "rule", "detail"]
    file = tmp_path / "replies.txt"
    file.write_text(texts)
    assert run("classify", file).out == ended.out


def test_classify_takes_json_lines() -> None:
    cases = [{"id": "a", "text": "Sorry", "stage": "auth", "code": 535}, {"id": 7, "text": "550 User unknown", "x": 1}]
    ended = run("classify", stdin="".join(json.dumps(case) + "\n" for case in cases).encode())
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [(row["id"], row["cause"]) for row in rows] == [("a", "auth-failed"), (7, "user-unknown")]


def test_classify_tells_of_lines_that_are_no_case() -> None:
    ended = run("classify", stdin=b'{"text": "550 User unknown"}\n{"text": \n{"id": 1}\n')
    assert (ended.code, len(ended.out.splitlines())) == (1, 1)
    assert "line 2 is no JSON object" in ended.err
    assert "line 3 is no JSON object" in ended.err


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\x00\x01\x02",
        b"550 \x1b]0;owned\x07\x1b[31m user unknown",
        b"550 Empf\xe4nger unbekannt",
        b"550 \xe6\x97\xa0\xff\xfe",
        "550 \u202e\u2028\x85\x9b31m".encode(),
        b"550 " + b"a" * 1_000_000,
        b'{"text": "550 \\ud800 user unknown"}',
        b'{"text": "550 no", "code": "x", "stage": 7}',
        b"{" * 100_000,
    ],
    ids=lambda line: repr(line[:24]),
)
def test_classify_answers_anything_and_prints_nothing_raw(line: bytes) -> None:
    ended = run("classify", "--why", stdin=line + b"\n")
    assert ended.code == 0
    (row,) = map(json.loads, ended.out.splitlines())
    assert row["cause"] in causes()
    assert all(32 <= ord(character) < 127 for character in ended.out.rstrip("\n"))


def test_classify_shows_why() -> None:
    ended = run("classify", "--why", stdin=b"554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org\n")
    row = json.loads(ended.out)
    assert (row["detail"], row["why"]) == ("list: Spamhaus ZEN", ["zen.spamhaus.org"])


def test_classify_of_a_missing_file() -> None:
    ended = run("classify", "nowhere.txt")
    assert (ended.code, ended.err) == (2, "logscan: nowhere.txt: No such file or directory\n")


SITE = "[[rule]]\nid = 'mine'\ncause = 'policy'\ntext = 'user'\nmatch = [{}]\n"


def test_rules_are_tried_and_used(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(SITE.format("'550 user unknown'"))
    assert run("rules", "test", rules) == (0, f"{rules}: 1 rule, 1 example, 0 providers: all good\n", "")
    assert json.loads(run("classify", "--rules", rules, stdin=b"550 User unknown\n").out)["rule"] == "mine"
    log = tmp_path / "mail.log"
    log.write_text(bounce(1))
    ended = run("scan", log, "--rules", rules)
    assert json.loads(ended.out)["rule"] == "mine"


def test_rules_that_fail_are_told_with_their_line(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(SITE.format("\n'550 mailbox full'"))
    ended = run("rules", "test", rules)
    assert ended.code == 2
    assert ended.out.startswith(f"{rules}:6: rule 'mine' does not hold for its example")


@pytest.mark.parametrize("command", [("scan", ISO), ("report", ISO), ("classify",), ("rules", "test")])
def test_broken_rules_are_one_line_and_exit_2(tmp_path: Path, command: tuple[str | Path, ...]) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rule]\n")
    words = (*command, rules) if command[0] == "rules" else (*command, "--rules", rules)
    ended = run(*words, stdin=b"")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"logscan: {rules}:1: is no TOML")
