"""Whose lines stand between a mail server's in a syslog file: other mail programs' are known, and not needed.

Dovecot, amavis, rspamd, a greylister: they write into the same file, and what they say of a message the server's own
lines say too. catalogue/neighbours.toml names them by their syslog tag.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files

import numpy as np

from logscan import syslog
from logscan.parser import Block
from logscan.spans import Bools

# What a tag may go on with: `dovecot: imap-login`, `amavis/smtp`, `imap-login(user)`, `clamd@scan`, `rspamd.service`.
_GOES_ON = "/-:.@(0123456789 "


@cache
def _tags() -> tuple[dict[str, str], dict[str, str]]:
    data = tomllib.loads(files("logscan.catalogue").joinpath("neighbours.toml").read_text("utf-8"))
    mail = {tag: entry["what"] for entry in data["neighbour"] for tag in entry["tags"]}
    return mail, {tag: entry["name"] for entry in data["server"] for tag in entry["tags"]}


def neighbour(program: str) -> str | None:
    """What a program by its syslog tag does for mail besides serving it; None where it has nothing to do with mail.

    >>> neighbour("dovecot"), neighbour("Amavis/smtp"), neighbour("sshd"), neighbour("postfix/smtp")
    ('mailboxes and their delivery', 'spam filters', None, None)
    """
    return _found(_tags()[0], program)


def server(program: str) -> str | None:
    """The mail server that a syslog tag is of, be there a parser for it or not; None where it is none's.

    >>> server("sm-mta"), server("postfix/smtp"), server("imapd")
    ('sendmail', 'Postfix', None)
    """
    return None if neighbour(program) else _found(_tags()[1], program)


def _found(tags: dict[str, str], program: str) -> str | None:
    """The entry of the longest tag that the program is, or goes on from."""
    name = program.lower()
    while name:
        if name in tags:
            return tags[name]
        cut = max(name[:-1].rfind(mark) for mark in _GOES_ON)
        end = name[-1] in _GOES_ON
        name = name[:-1] if end else name[:cut] if cut > 0 else ""
    return None


def known(block: Block) -> Bools:
    """Which lines of a block are a neighbour's.

    >>> lines = b"Nov 24 08:00:00 mx dovecot: imap-login: Login\\nNov 24 08:00:00 mx cron[1]: hourly\\n?\\n"
    >>> known(Block.of(lines)).tolist()
    [True, False, False]
    """
    hits = np.zeros(len(block), bool)
    for head in syslog.read(block).parts:
        mail = np.array([neighbour(program) is not None for program in head.programs] or [False])
        hits[head.rows] = mail[head.program]
    return hits


def programs(block: Block) -> Counter[str]:
    """How many lines of a block each program wrote, by its syslog tag; "" stands for lines without one (`-- MARK --`).

    >>> programs(Block.of(b"Nov 24 08:00:00 mx dovecot: a\\nNov 24 08:00:00 mx dovecot: b\\n"))
    Counter({'dovecot': 2})
    """
    lines: Counter[str] = Counter()
    for head in syslog.read(block).parts:
        tagged = head.message.length > 0
        for code, count in enumerate(np.bincount(head.program[tagged], minlength=len(head.programs)).tolist()):
            if count:
                lines[head.programs[code]] += count
        if not tagged.all():
            lines[""] += int((~tagged).sum())
    return lines
