"""A syslog file that holds several servers' lines, and others' beside them."""

from pathlib import Path

import pytest

from logscan import scan
from logscan.pipeline import scanning
from logscan.plan import Options

POSTFIX = (
    "2026-11-24T08:00:00.000000+00:00 mx postfix/smtp[10]: C3CD21F3E90: to=<a@example.com>,"
    " relay=mx.example.com[192.0.2.2]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=5.1.1, status=bounced"
    " (host mx.example.com[192.0.2.2] said: 550 5.1.1 no such user (in reply to RCPT TO command))\n"
)
EXIM = (
    "2026-11-24T08:00:01.000000+00:00 mx exim[4711]: 2026-11-24 08:00:01 10HmbL-000000005vi-0000 ** n21@test.example"
    " R=client T=smtp H=mx.test.example [192.0.2.3]: SMTP error from remote mail server"
    " after RCPT TO:<n21@test.example>: 552 5.2.2 over quota\n"
)
NEIGHBOUR = "2026-11-24T08:00:02.000000+00:00 mx dovecot: imap-login: Login: user=<ann>\n"
STRANGER = "2026-11-24T08:00:03.000000+00:00 mx sshd[1]: Server listening on :: port 22.\n"
DAMAGED = "2026-11-24T08:00:04.000000+00:00 mx postfix/smtp[10]: C3CD21F3E90: to=<a@exam\n"


@pytest.mark.parametrize("order", ["pende", "eppnss", "nnnnnnsep", "ep", "sssspne"])
@pytest.mark.parametrize("block_size", [1, 300, 1 << 20])
def test_each_line_has_its_parser(tmp_path: Path, order: str, block_size: int) -> None:
    lines = {"p": POSTFIX, "e": EXIM, "n": NEIGHBOUR, "s": STRANGER, "d": DAMAGED}
    log = tmp_path / "mail.log"
    log.write_text("".join(lines[letter] for letter in order))
    with scanning([log], Options(workers=1, block_size=block_size, tz="UTC")) as scanned:
        rows = [row for table in scanned.tables() for row in table.to_pylist()]
        [read] = scanned.run.sources
    wanted = {"postfix": (550, "a@example.com"), "exim": (552, "n21@test.example")}
    assert sorted(row["mta"] for row in rows) == sorted(
        "postfix" if letter == "p" else "exim" for letter in order if letter in "pe"
    )
    assert all((row["code"], row["recipient"]) == wanted[row["mta"]] for row in rows)
    assert set(read.parser.split(" + ")) == {"postfix", "exim"}
    assert (read.tally.known, read.tally.other, read.tally.unread) == (
        order.count("n"),
        order.count("s"),
        order.count("d"),
    )


def test_a_format_that_was_asked_for_reads_alone(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(POSTFIX + EXIM)
    assert scan(log, format="exim")["mta"].to_pylist() == ["exim"]
