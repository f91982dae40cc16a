"""Exim: every line of its logs that states a reply or an outcome, and those that say whose message it was.

    2025-02-02 09:50:42 10HmaX-000000005vi-0000 => a@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.1]
        X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=yes C="250 2.0.0 OK id=1"
    Feb  2 09:50:42 mx exim[4711]: 2025-02-02 09:50:42 10HmaX-000000005vi-0000 Completed

mainlog, rejectlog and paniclog, and their copies in a syslog. Exim 3 to 4.99 were read for this; sources are Exim's
own (log.c, deliver.c, receive.c, smtp_in.c, acl.c, transports/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import syslog
from logscan.columns import concat, put, words
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.spans import Ints, Spans
from logscan_parsers.exim import arrival, delivery, pieces, policy
from logscan_parsers.exim.copies import once
from logscan_parsers.exim.line import Lines, cut, header, known, native, needless, stamps

__all__ = ["parser"]

# Debian's is exim4, cPanel's exim; syslog_processname sets any, which should say exim somewhere.
_PROGRAM = re.compile(r"(?:^|[/-])exim\d?(?:$|[-_.])")
_TAGGED = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^ ]* [^ ]+ [^ :\[]*exim[^ :\[]*(?:\[\d+\])?: "


def is_exim(program: str) -> bool:
    """Whether a syslog tag is one of Exim's.

    >>> [is_exim(tag) for tag in ("exim", "exim4", "exim-out", "postfix/smtp", "eximstats")]
    [True, True, True, False, False]
    """
    return _PROGRAM.search(program) is not None


def sniff(block: Block) -> float:
    """How sure it is that these lines are Exim's: the share of those that it understands or knows."""
    tally = parse(block).tally
    if not tally.understood:
        return 0.0
    return max(0.5 if tally.other else 0.0, (tally.understood + tally.known) / tally.lines)


def parse(block: Block) -> Parsed:
    """Events and message facts of a block."""
    found = _Found()
    direct = native(block.spans)
    if direct.all():
        unread = _own_file(block, np.arange(len(block)), found)
    else:
        unread = _own_file(block, np.flatnonzero(direct), found)
        unread = np.concatenate((unread, _syslog(block, np.flatnonzero(~direct), found)))
    # A syslog whose stamps have a blank where others have a T looks like a file of Exim's own until its tag.
    if len(unread):
        tagged = pc.match_substring_regex(block.spans.take(np.sort(unread)).to_arrow(), _TAGGED)
        again = np.sort(unread)[tagged.to_numpy(zero_copy_only=False)]
        if len(again):
            unread = np.concatenate((np.setdiff1d(unread, again), _syslog(block, again, found)))
    missed = np.sort(unread)
    samples = tuple(
        (int(block.offsets[i]), text[:SAMPLE_LENGTH])
        for i, text in zip(
            missed[:MAX_SAMPLES].tolist(), block.spans.take(missed[:MAX_SAMPLES]).to_arrow().to_pylist(), strict=True
        )
    )
    others = np.sort(np.concatenate(found.others)) if found.others else np.empty(0, np.int64)
    known_lines = len(block) - found.understood - len(others) - len(missed)
    tally = Tally(found.understood, known_lines, len(others), len(missed), samples)
    events = _in_order([*found.events, once(_in_order(found.copied))] if found.copied else found.events)
    return Parsed(events, concat(found.messages) if found.messages else pa.table({}), tally, others)


@dataclass
class _Found:
    """What was made of a block's lines so far; copied: events of a syslog, which has some twice."""

    events: list[pa.Table] = field(default_factory=list)
    copied: list[pa.Table] = field(default_factory=list)
    messages: list[pa.Table] = field(default_factory=list)
    understood: int = 0
    others: list[Ints] = field(default_factory=list)

    def take(self, inner: _Found) -> None:
        """Add what was made of lines of a syslog."""
        self.copied += inner.events
        self.messages += inner.messages
        self.understood += inner.understood


def _own_file(block: Block, rows: Ints, found: _Found) -> Ints:
    """Reads lines of a file that Exim writes itself; gives the rows that are unread."""
    spans = block.spans if len(rows) == len(block) else block.spans.take(rows)
    time, stamped, rest = stamps(spans, block, block.offsets[rows])
    unread = rows[~stamped]
    if len(unread):
        rows, time, rest = rows[stamped], time[stamped], rest.take(stamped)
    nobody = np.full(len(rows), -1, np.int32)
    lines = cut(rows, time, nobody, [], nobody, [], rest)
    return np.concatenate((unread, _read(lines, block.offsets, np.ones(len(rows), np.int64), found)))


def _syslog(block: Block, rows: Ints, found: _Found) -> Ints:
    """Reads lines of a syslog, and what has no stamp at all; gives the rows that are unread."""
    envelopes = syslog.read(Block(block.spans.take(rows), block.offsets[rows], block.source, block.clock))
    bare = rows[envelopes.unread]
    unread = [bare[~header(block.spans.take(bare).to_arrow())]]
    for head in envelopes.parts:
        ours = np.array([is_exim(program) for program in head.programs] or [False])[head.program]
        found.others.append(rows[head.rows[~ours]])
        head = head.take(ours)
        in_pieces, cuts, processes = pieces.cut(head, block.spans.take(rows[head.rows]))
        if in_pieces.any():
            unread.append(_pieces(block, rows, head.take(in_pieces), cuts, processes, found))
            head = head.take(~in_pieces)
        time, stamped, rest = stamps(head.message, block, block.offsets[rows[head.rows]])
        time = np.where(stamped, time, head.time)
        lines = cut(rows[head.rows], time, head.host, head.hosts, head.program, head.programs, rest)
        inner = _Found()
        unread.append(_read(lines, block.offsets, head.repeats, inner))
        found.take(inner)
    return np.concatenate(unread)


def _pieces(
    block: Block, rows: Ints, head: syslog.Heads, cuts: pa.StructArray, processes: pa.StringArray, found: _Found
) -> Ints:
    """Reads entries that syslog cut in pieces; gives the rows that are unread."""
    spans = Spans.of(cuts.field("text"))
    offsets = block.offsets[rows[head.rows]]
    time, stamped, rest = stamps(spans, block, offsets)
    parts = pa.table(
        {
            "time": np.where(stamped, time, head.time),
            "host": words(head.host, head.hosts),
            "queue_id": processes,
            "offset": offsets,
            "number": cuts.field("number").cast(pa.int16()),
            "count": cuts.field("count").cast(pa.int16()),
            "joint": cuts.field("joint"),
            "text": rest.to_arrow(),
        }
    )
    entries = pieces.join(parts, [offsets])
    first = entries.first
    nobody = np.full(len(first), -1, np.int32)
    lines = cut(
        np.arange(len(first)),
        parts["time"].to_numpy()[first],
        head.host[first],
        head.hosts,
        nobody,
        [],
        Spans.of(entries.text),
    )
    inner = _Found()
    missed = _read(lines, offsets[first], np.ones(len(first), np.int64), inner, entries.recipient)
    inner.understood = 0
    found.take(inner)
    # All pieces of an entry are what the entry is.
    sizes = parts["count"].to_numpy()[first].astype(np.int64)
    missed_pieces = int(sizes[missed].sum())
    found.understood += len(offsets) - len(entries.rest) - missed_pieces
    unread = np.repeat(first[missed], sizes[missed]) if len(missed) else first[:0]
    return rows[head.rows[np.concatenate((entries.rest, unread))]]


def _read(lines: Lines, offsets: Ints, repeats: Ints, found: _Found, recipients: pa.StringArray | None = None) -> Ints:
    """Reads lines whose stamps are cut off, at `offsets` by their rows; gives the rows that are unread.

    recipients: of each line, known from elsewhere.
    """
    known_rows = needless(lines)
    read = known_rows.copy()

    def take(tables: Iterator[tuple[pa.Table, Ints, bool]]) -> None:
        for table, rows, as_events in tables:
            read[rows] = True
            if as_events and recipients is not None:
                stated = table["recipient"] if "recipient" in table.column_names else pa.nulls(len(table), pa.string())
                table = put(table, "recipient", pc.coalesce(stated, recipients.take(pa.array(rows))))
            into = found.events if as_events else found.messages
            into.append(_place(table, rows, lines, offsets, repeats, as_events))

    for form in (delivery, arrival):
        take(form.read(lines, ~read))
    rest = np.flatnonzero(~read & (lines.flag < 0))
    if len(rest):
        take(policy.read(lines, rest))
        take(delivery.attempts(lines, rest[~read[rest] & lines.queue_id.present[rest]]))
        rest = rest[~read[rest]]
        known_rows[rest] = known(lines.body.take(rest).to_arrow())
    found.understood += int((read & ~known_rows).sum())
    return lines.rows[~read & ~known_rows]


def _place(table: pa.Table, rows: Ints, lines: Lines, offsets: Ints, repeats: Ints, as_events: bool) -> pa.Table:
    """The table with when, where and which program; a repeated line's rows repeated."""
    if as_events and ((times := repeats[rows]) != 1).any():
        again = np.repeat(np.arange(len(rows)), times)
        table, rows = table.take(pa.array(again)), rows[again]
    return (
        table.append_column("time", pa.array(lines.time[rows].astype("M8[us]")).cast(pa.timestamp("us", "UTC")))
        .append_column("host", words(lines.host[rows], lines.hosts))
        .append_column("offset", pa.array(offsets[lines.rows[rows]]))
    )


def _in_order(tables: list[pa.Table]) -> pa.Table:
    tables = [table for table in tables if len(table)]
    if not tables:
        return pa.table({})
    table = concat(tables)
    implied = table["code_implied"] if "code_implied" in table.column_names else pa.nulls(len(table), pa.bool_())
    table = put(table, "code_implied", pc.fill_null(implied, False))
    return table.take(pa.array(np.argsort(table["offset"].to_numpy(), kind="stable")))


parser = Parser(
    name="exim",
    title="Exim",
    sniff=sniff,
    parse=parse,
    reads="mainlog, rejectlog, paniclog, and syslog files (BSD, RFC 3339, RFC 5424, journalctl); Exim 4",
    syslog=True,
)
