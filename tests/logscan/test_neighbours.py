"""Other mail programs by their syslog tag: in whatever way it goes on, and none that has nothing to do with mail."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib.resources import files

import pytest

from logscan.neighbours import known, neighbour, programs, server
from logscan.parser import Block

DATA = tomllib.loads(files("logscan.catalogue").joinpath("neighbours.toml").read_text("utf-8"))
TAGS = [tag for entry in DATA["neighbour"] + DATA["server"] for tag in entry["tags"]]


def test_a_tag_stands_once() -> None:
    assert [tag for tag, count in Counter(TAGS).items() if count > 1] == []
    assert [tag for tag in TAGS if tag != tag.lower()] == []


@pytest.mark.parametrize(
    "tag",
    [
        *("dovecot", "dovecot/imap", "Dovecot", "amavis", "rspamd", "opendkim", "opendmarc", "postgrey"),
        *("policyd-spf", "policyd-spf[2]", "postfwd2/policy", "spamd", "clamd@scan", "clamsmtpd", "milter-greylist"),
        *("saslauthd", "cyrus/imap", "mailman", "mailman3-web", "sympa_msg", "fetchmail", "postsrsd", "mlmmj-send"),
        *("postfix/policy-spf", "postfix-mta-sts-resolver", "imap-login", "spamass-milter"),
    ],
)
def test_neighbour(tag: str) -> None:
    assert neighbour(tag)
    assert server(tag) is None


@pytest.mark.parametrize(
    "tag", ["sshd", "cron", "kernel", "systemd", "CRON", "", "postfix/smtp", "dovecotish", "-", "/", "imapX", "sudo"]
)
def test_no_neighbour(tag: str) -> None:
    assert neighbour(tag) is None


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("postfix/smtp", "Postfix"),
        ("postfix-out/smtpd", "Postfix"),
        ("sm-mta", "sendmail"),
        ("exim4", "Exim"),
        ("smtpd", "OpenSMTPD"),
        ("sshd", None),
    ],
)
def test_server(tag: str, name: str | None) -> None:
    assert server(tag) == name


def test_lines_of_every_envelope() -> None:
    block = Block.of(
        b"Nov 24 08:00:00 mx dovecot: imap-login: Login\n"
        b"no envelope\n"
        b"<22>1 2026-11-24T08:00:00Z mx rspamd 1 - - <a>; task\n"
        b'{"__REALTIME_TIMESTAMP":"1738486242211184","_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"amavis","MESSAGE":"x"}\n'
        b"2026-11-24T08:00:00+00:00 mx sshd[1]: dovecot: no\n"
    )
    assert known(block).tolist() == [True, False, True, True, False]
    assert programs(block) == {"dovecot": 1, "rspamd": 1, "amavis": 1, "sshd": 1}
    assert known(Block.of(b"")).tolist() == []
