"""Logs as they should not be, through the command: what is said, how it ends, and that the good lines still count."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from logscan import correlate
from logscan.parser import Block
from logscan_parsers.postfix import parser

GOOD = (
    b"Oct 26 18:13:50 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <c@d.example>: "
    b"Relay access denied; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>\n"
)
DONE, PARTLY, NOT_DONE = 0, 1, 2


def logscan(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, list[dict[str, object]], list[str]]:
    """Exit code, events and the lines on stderr of `logscan scan`."""
    command = [sys.executable, "-m", "logscan", "scan", "--tz", "UTC", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert not any(ord(c) < 32 and c != "\n" for c in said), "what a log says never reaches the terminal raw"
    return done.returncode, [json.loads(line) for line in done.stdout.decode().splitlines()], said.splitlines()


BAD: dict[str, tuple[bytes, int, int, str]] = {
    # what stands before and after a good line; how it ends, how many events, what is said
    "nothing bad": (b"", DONE, 2, ""),
    "a line of words": (b"hello\n", DONE, 2, "1 of 3 lines not understood"),
    "a truncated line": (GOOD[:20] + b"\n", DONE, 2, "1 of 3 lines not understood"),
    "random bytes": (
        random.Random(1).randbytes(9000).replace(b"\n", b"") + b"\n",
        DONE,
        2,
        "1 of 3 lines not understood",
    ),
    "ten megabytes without an end": (b"x" * 10_000_000 + b"\n", DONE, 2, "1 of 3 lines not understood"),
    "ten megabytes that begin well": (GOOD[:-1] + b"x" * 10_000_000 + b"\n", DONE, 2, "1 of 3 lines not understood"),
    "nothing but line ends": (b"\n" * 1000 + b"\r\n" * 1000, DONE, 2, ""),
    "a hole of NUL": (b"\0" * 4096, DONE, 2, ""),
    "terminal escapes": (b"\x1b]0;owned\x07\x1b[31m\x9b31m\n", DONE, 2, r"\x1b]0;owned\x07\x1b[31m\x9b31m"),
    "a bidirectional trick": ("\u202email\n".encode(), DONE, 2, r"\u202email"),
}


@pytest.mark.parametrize(("bad", "code", "count", "said"), BAD.values(), ids=BAD)
def test_bad_lines_among_good_ones(tmp_path: Path, bad: bytes, code: int, count: int, said: str) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(GOOD + bad + GOOD)
    ended, events, stderr = logscan(path)
    assert (ended, len(events)) == (code, count)
    assert said in "\n".join(stderr)
    assert bool(said) == bool(stderr)


def test_standard_input() -> None:
    assert [event["code"] for event in logscan("-", stdin=GOOD)[1]] == [554]
    ended, events, stderr = logscan("-", stdin=b"")
    assert events == []
    assert "empty" in stderr[0]
    assert ended == DONE


def beside(tmp_path: Path) -> Path:
    path = tmp_path / "good.log"
    path.write_bytes(GOOD)
    return path


def test_an_empty_file_beside_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "empty.log")
    assert (ended, len(events), len(stderr)) == (DONE, 1, 1)
    assert "empty.log: is empty" in stderr[0]


def test_a_folder_without_logs(tmp_path: Path) -> None:
    ended, events, stderr = logscan(tmp_path)
    assert (ended, events, len(stderr)) == (NOT_DONE, [], 1)


def test_no_such_file(tmp_path: Path) -> None:
    ended, events, stderr = logscan(tmp_path / "nowhere.log")
    assert (ended, events, len(stderr)) == (NOT_DONE, [], 1)
    assert "nowhere.log: does not exist" in stderr[0]
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "nowhere.log")
    assert (ended, len(events), len(stderr)) == (PARTLY, 1, 1)


def test_a_file_that_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "picture.log").write_bytes(b"\x89PNG\r\n" + random.Random(2).randbytes(5000))
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "picture.log")
    assert (ended, len(events), len(stderr)) == (PARTLY, 1, 1)
    assert "it looks like binary data" in stderr[0]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_bytes(GOOD)
    (tmp_path / "secret.log").chmod(0)
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "secret.log")
    assert (ended, len(events), len(stderr)) == (PARTLY, 1, 1)
    assert "may not be read" in stderr[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.log")
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "fifo.log")
    assert (ended, len(events), len(stderr)) == (PARTLY, 1, 1)
    assert "FIFO" in stderr[0]
    ended, events, stderr = logscan(tmp_path)
    assert len(events) == 1


@pytest.mark.parametrize("cut", [5, 60, -4], ids=["in the header", "in the data", "in the checksum"])
def test_a_broken_gz(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(GOOD * 400, mtime=0)
    (tmp_path / "broken.log.gz").write_bytes(whole[:cut])
    ended, events, stderr = logscan(beside(tmp_path), tmp_path / "broken.log.gz")
    assert ended == PARTLY
    assert len(stderr) == 1
    assert "broken.log.gz: " in stderr[0]
    assert len(events) == (401 if cut < 0 else len(events))
    assert len(events) >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_loop_of_folders(tmp_path: Path) -> None:
    beside(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    ended, events, _ = logscan(tmp_path)
    assert (ended, len(events)) == (DONE, 1)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--format", "sendmale"], "no such format"),
        (["--tz", "Europe/Atlantis"], "no such time zone"),
        (["--tz", "../../etc/passwd"], "no such time zone"),
        (["-o", "x.docx"], "x.docx"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, option: list[str], said: str) -> None:
    ended, events, stderr = logscan(beside(tmp_path), *option)
    assert (ended, events) == (NOT_DONE, [])
    assert said in "\n".join(stderr)


def test_strict(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(GOOD * 2 + b"hello\n")
    assert logscan(path, "--strict")[0] == NOT_DONE
    assert logscan(beside(tmp_path), "--strict")[0] == DONE


# Mutations

REAL = [
    line
    for path in sorted((Path(__file__).parents[2] / "sample_logs").glob("mx1-iso.log"))
    for line in path.read_bytes().splitlines(keepends=True)
]
WORDS = [
    b"to=<",
    b">, ",
    b"status=sent (",
    b"; from=<",
    b" said: ",
    b"(in reply to ",
    b" from ",
    b"[",
    b"]: ",
    b'"',
    b"\\",
    b"\0",
    b"\xff",
    b"550-",
    b" 550 ",
    b"\r",
    "\u2028".encode(),
    b"{",
    b"<22>1 ",
    b"message repeated 2 times: [ ",
    b"proto=",
    b"helo=<",
    b": ",
    b"((",
    b"NOQUEUE: ",
]


def mutated(line: bytes, choose: random.Random) -> bytes:
    body = bytearray(line[:-1])
    for _ in range(choose.randint(1, 4)):
        at = choose.randrange(len(body) + 1)
        match choose.randrange(5):
            case 0:
                body[at:at] = choose.choice(WORDS)
            case 1:
                del body[at : at + choose.randrange(20)]
            case 2:
                body[at : at + 1] = bytes([choose.randrange(256)])
            case 3:
                del body[at:]
            case 4:
                body[at:at] = body[choose.randrange(len(body) + 1) :][: choose.randrange(60)]
    return bytes(body).replace(b"\n", b"") + b"\n"


def rows_of(data: bytes) -> tuple[list[tuple[int, dict[str, object]]], int]:
    parsed = parser.parse(Block.of(data))
    assert parsed.tally.lines == data.count(b"\n")
    events = correlate.settle_alone(parsed.events, parsed.messages)
    assert len(events) == len(parsed.events)
    rows = parsed.events.to_pylist()
    return [
        (row["offset"], {k: v for k, v in row.items() if k != "offset" and v is not None}) for row in rows
    ], parsed.tally.lines


@pytest.mark.skipif(not REAL, reason="the sample logs are not here")
def test_twenty_thousand_mutations() -> None:
    """No mutation fails the block or changes what its neighbours give, and each line is counted once."""
    choose = random.Random(7)
    alone, _ = rows_of(b"".join(REAL))
    starts = {}
    at = 0
    for i, line in enumerate(REAL):
        starts[at] = i
        at += len(line)
    by_line: dict[int, list[dict[str, object]]] = {}
    for offset, row in alone:
        by_line.setdefault(starts[offset], []).append(row)
    pieces, whole, at = [], {}, 0
    for i in range(20_000):
        line = mutated(choose.choice(REAL), choose)
        pieces.append(line)
        at += len(line)
        if i % 4 == 0:
            which = choose.randrange(len(REAL))
            whole[at] = which
            pieces.append(REAL[which])
            at += len(REAL[which])
    found, lines = rows_of(b"".join(pieces))
    assert lines == len(pieces)
    got: dict[int, list[dict[str, object]]] = {}
    for offset, row in found:
        got.setdefault(offset, []).append(row)
    for offset, which in whole.items():
        assert got.get(offset, []) == by_line.get(which, [])
