"""Postfix: every line of its daemons that states a reply or an outcome, and those that say whose message it was.

    Oct 26 18:13:50 mx postfix/smtp[24510]: C3CD21F3E90: to=<a@example.com>, relay=mx.example.com[192.0.2.2]:25,
        delay=1.2, delays=0.1/0/0.5/0.6, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.2] said:
        550 5.1.1 no such user (in reply to RCPT TO command))

Lines are told apart by their shape, not by their daemon: forwarding as RFC 5424 cuts `postfix/smtp` to `postfix`.
Versions 2.2 to 3.11 were read for this; sources are Postfix's own (bounce/, smtp/, smtpd/, postscreen/, global/).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from logscan import syslog
from logscan.columns import concat, timestamps, words
from logscan.neighbours import neighbour
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.spans import Bools, Ints
from logscan_parsers.postfix import delivery, message, policy, session
from logscan_parsers.postfix.line import Lines, known, sessions

__all__ = ["parser"]

# Programs of Postfix (postfix-3.11 conf/master.cf and bin/), by which a tag with any instance name is known as its own.
DAEMONS = frozenset(
    [
        "anvil",
        "bounce",
        "cleanup",
        "defer",
        "discard",
        "dnsblog",
        "error",
        "flush",
        "lmtp",
        "local",
        "master",
        "nqmgr",
        "oqmgr",
        "pickup",
        "pipe",
        "postalias",
        "postcat",
        "postconf",
        "postdrop",
        "postfix-script",
        "postfix-tlsproxy",
        "postfix",
        "postkick",
        "postlock",
        "postlog",
        "postlogd",
        "postmap",
        "postmulti",
        "postqueue",
        "postscreen",
        "postsuper",
        "post-install",
        "proxymap",
        "proxywrite",
        "qmgr",
        "qmqpd",
        "retry",
        "scache",
        "sendmail",
        "showq",
        "smtp",
        "smtpd",
        "spawn",
        "tlsmgr",
        "tlsproxy",
        "trace",
        "trivial-rewrite",
        "verify",
        "virtual",
    ]
)


def is_postfix(program: str) -> bool:
    """Whether a syslog tag is one of Postfix's, and not of a neighbour that calls itself after it.

    >>> [is_postfix(tag) for tag in ("postfix/smtp", "mx-out/submission/smtpd", "postfix-out", "dovecot", "smtpd")]
    [True, True, True, False, False]
    >>> is_postfix("postfix-mta-sts-resolver")
    False
    """
    name, slash, daemon = program.rpartition("/")
    ours = program.startswith("postfix") or (bool(slash) and bool(name) and daemon in DAEMONS)
    return ours and neighbour(program) is None


def sniff(block: Block) -> float:
    """How sure it is that these lines are Postfix's: the share of its lines among those of a syslog."""
    envelopes = syslog.read(block)
    lines = sum(len(head.rows) for head in envelopes.parts)
    ours = sum(int(_ours(head).sum()) for head in envelopes.parts)
    if not ours:
        return 0.0
    return max(0.5, ours / (lines + len(envelopes.unread)))


def parse(block: Block) -> Parsed:
    """Events and message facts of a block."""
    envelopes = syslog.read(block)
    events: list[pa.Table] = []
    messages: list[pa.Table] = []
    understood = known_lines = 0
    unread = [envelopes.unread]
    not_ours: list[Ints] = [np.empty(0, np.int64)]
    for head in envelopes.parts:
        ours = _ours(head)
        not_ours.append(head.rows[~ours])
        lines = Lines.of(head.take(ours) if not ours.all() else head)
        needless = sessions(lines)
        read = needless.copy()
        for form in (delivery, message, policy, session):
            for table, rows, as_events in form.read(lines, ~read):
                read[rows] = True
                (events if as_events else messages).append(_place(table, rows, lines, block, as_events))
        rest = np.flatnonzero(~read)
        needless[rest] = known(lines, rest)
        understood += int((read & ~needless).sum())
        known_lines += int(needless.sum())
        unread.append(lines.head.rows[~read & ~needless])
    missed = np.sort(np.concatenate(unread))
    others = np.sort(np.concatenate(not_ours))
    samples = tuple(
        (int(block.offsets[i]), text[:SAMPLE_LENGTH])
        for i, text in zip(
            missed[:MAX_SAMPLES].tolist(), block.spans.take(missed[:MAX_SAMPLES]).to_arrow().to_pylist(), strict=True
        )
    )
    empty = len(block) - understood - known_lines - len(others) - len(missed)
    tally = Tally(understood, known_lines + empty, len(others), len(missed), samples)
    return Parsed(_together(events), _together(messages), tally, others)


def _ours(head: syslog.Heads) -> Bools:
    return np.array([is_postfix(program) for program in head.programs] or [False])[head.program]


def _place(table: pa.Table, rows: Ints, lines: Lines, block: Block, as_events: bool) -> pa.Table:
    """The table with what the envelope says: when, where, which daemon; a repeated line's rows repeated."""
    head = lines.head
    repeats = head.repeats[rows]
    if as_events and (repeats != 1).any():
        again = np.repeat(np.arange(len(rows)), repeats)
        table, rows = table.take(pa.array(again)), rows[again]
    table = (
        table.append_column("time", timestamps(head.time[rows]))
        .append_column("host", words(head.host[rows], head.hosts))
        .append_column("offset", pa.array(block.offsets[head.rows[rows]]))
    )
    return table.append_column("process", words(head.program[rows], head.programs)) if as_events else table


def _together(tables: list[pa.Table]) -> pa.Table:
    tables = [table for table in tables if len(table)]
    return concat(tables) if tables else pa.table({})


parser = Parser(
    name="postfix",
    title="Postfix",
    sniff=sniff,
    parse=parse,
    reads="syslog files (BSD, RFC 3339, RFC 5424), journalctl -o json and short-iso, maillog_file; Postfix 2.2 to 3.11",
    syslog=True,
)
