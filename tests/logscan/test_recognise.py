"""`logscan formats FILE`: which log is this, how sure is that, what else stands in it, and what does not fit."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from logscan.plan import Options, plan
from logscan.publish.formats import described
from logscan.recognise import recognise

POSTFIX = b"Nov 24 08:00:00 mx postfix/smtpd[1]: connect from unknown[192.0.2.1]\n"
ODD = b"Nov 24 08:00:00 mx postfix/smtpd[1]: something new \x1b[31m\n"
DOVECOT = b"Nov 24 08:00:00 mx dovecot: imap-login: Login: user=<a>\n"
CRON = b"Nov 24 08:00:00 mx CRON[7]: (root) CMD (hourly)\n"
SENDMAIL = b"Nov 24 08:00:00 mx sm-mta[7]: xAO1: to=<a@b.example>, stat=Sent\n"


def told(path: Path) -> str:
    [file], problems = recognise([str(path)])
    assert problems == []
    return "\n".join(described(file))


def test_a_mixed_file(tmp_path: Path) -> None:
    log = tmp_path / "mail.log-20261124"
    log.write_bytes(POSTFIX * 90 + DOVECOT * 5 + CRON * 2 + SENDMAIL + ODD + POSTFIX)
    assert told(log) == (
        f"{log}: postfix (92 % sure)\n"
        "    BSD syslog, its stamps without a year, ASCII\n"
        "    of 100 lines looked at, 2026-11-24 08:00 to 2026-11-24 08:00 UTC:\n"
        "      91.0 % postfix\n"
        "       5.0 % other mail programs, not needed (dovecot)\n"
        "       1.0 % mail servers that no parser here reads (sm-mta)\n"
        "       2.0 % not of mail (CRON)\n"
        "       1.0 % not understood\n"
        "    line 99 is not understood: Nov 24 08:00:00 mx postfix/smtpd[1]: something new \\x1b[31m"
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_a_head_of_unrelated_lines(pack, tmp_path: Path) -> None:
    """Hours of other programs' lines stand before the first of the mail server's."""
    log = tmp_path / "syslog"
    log.write_bytes(pack(CRON * 6_000 + POSTFIX * 3_000))
    [file], _ = recognise([str(log)])
    assert (file.parser, file.likeness) == ("postfix", None)
    planned, problems = plan([str(log)], Options())
    assert ([p.parser for p in planned], problems) == (["postfix"], [])


@pytest.mark.parametrize("line", [POSTFIX, POSTFIX.rstrip(b"\n")], ids=["whole", "unfinished"])
def test_a_file_of_one_line(line: bytes, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(line)
    assert told(log).startswith(f"{log}: postfix (100 % sure)")


@pytest.mark.parametrize("first", [b"cut in the mid", b"\n", b"-- Logs begin at Mon 2026-11-23 --\n"])
def test_a_first_line_that_is_none(first: bytes, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(first + b"\n" + POSTFIX * 2)
    assert ": postfix (" in told(log)


def test_an_unknown_file_is_told_of(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /" 200 5\n\x1b]0;owned\x07\n')
    assert told(log) == (
        f"{log}: unknown; it looks like a web server's access log, but line 2 does not fit: "
        '"\\x1b]0;owned\\x07"\n    name the mail server\'s log'
    )
    planned, [problem] = plan([str(log)], Options())
    assert planned == []
    assert "is no log that I know" in problem.met
    assert "it looks like a web server's access log, but line 2 does not fit" in problem.met
    assert problem.advice == "name the mail server's log, or force a format with --format"


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    found, problems = recognise([str(tmp_path / "empty.log"), str(tmp_path / "no.log")])
    assert found == []
    assert [(problem.met, problem.fatal) for problem in problems] == [("does not exist", True), ("is empty", False)]
