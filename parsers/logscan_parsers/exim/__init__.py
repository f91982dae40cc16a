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
from logscan.columns import concat, put, timestamps, word, words
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.spans import Ints, Spans
from logscan_parsers.exim import arrival, delivery, pieces, policy
from logscan_parsers.exim.copies import LOGS, log_of, refusals, told, twins
from logscan_parsers.exim.line import Lines, cut, header, known, needless, stamps

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
    parsed = parse(block)
    tally, kept = parsed.tally, len(parsed.parts)
    if not tally.understood + kept:
        return 0.0
    return max(0.5 if tally.other else 0.0, (tally.understood + tally.known + kept) / len(block))


def parse(block: Block) -> Parsed:
    """Events and message facts of a block."""
    found = _Found()
    time, direct, rest = stamps(block.spans, block, block.offsets)
    rows = np.flatnonzero(direct)
    if len(rows) < len(block):
        unread = _own_file(block, rows, time[rows], rest.take(rows), found)
        unread = np.concatenate((unread, _syslog(block, np.flatnonzero(~direct), found)))
    else:
        unread = _own_file(block, rows, time, rest, found)
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
    parts = concat(found.parts) if found.parts else pa.table({})
    known_lines = len(block) - found.understood - len(others) - len(missed) - len(parts)
    tally = Tally(found.understood, known_lines, len(others), len(missed), samples)
    messages = concat(found.messages) if found.messages else pa.table({})
    return Parsed(told(_together(found.events)), messages, tally, others, parts)


@dataclass
class _Found:
    """What was made of a block's lines so far."""

    events: list[pa.Table] = field(default_factory=list)
    messages: list[pa.Table] = field(default_factory=list)
    parts: list[pa.Table] = field(default_factory=list)
    understood: int = 0
    others: list[Ints] = field(default_factory=list)


def _own_file(block: Block, rows: Ints, time: Ints, rest: Spans, found: _Found) -> Ints:
    """Reads lines of a file that Exim writes itself; gives the rows that are unread."""
    nobody = np.full(len(rows), -1, np.int32)
    lines = cut(rows, time, nobody, [], nobody, [], rest)
    inner = _Found()
    unread = _read(lines, block.offsets, np.ones(len(rows), np.int64), inner)
    log = log_of(block.source)
    found.events += [put(table, "log", word(log, len(table))) for table in inner.events]
    found.messages += inner.messages
    found.understood += inner.understood
    return unread


def _syslog(block: Block, rows: Ints, found: _Found) -> Ints:
    """Reads lines of a syslog, and what has no stamp at all; gives the rows that are unread."""
    envelopes = syslog.read(Block(block.spans.take(rows), block.offsets[rows], block.source, block.clock))
    bare = rows[envelopes.unread]
    unread = [bare[~header(block.spans.take(bare).to_arrow())]]
    for head in envelopes.parts:
        ours = np.array([is_exim(program) for program in head.programs] or [False])[head.program]
        found.others.append(rows[head.rows[~ours]])
        head = head.take(ours)
        in_pieces, cuts = pieces.find(head)
        offsets = block.offsets[rows[head.rows]]
        time, stamped, rest = stamps(head.message, block, offsets)
        time = np.where(stamped, time, head.time)
        whole = np.flatnonzero(~in_pieces)
        lines = cut(
            whole, time[whole], head.host[whole], head.hosts, head.program[whole], head.programs, rest.take(whole)
        )
        singles = _Found()
        missed = _read(lines, offsets, head.repeats[whole], singles)
        unread.append(rows[head.rows[missed]])

        lined = block.spans.take(rows[head.rows])
        parts = _parts(block, head.take(in_pieces), cuts, lined.take(in_pieces), offsets[in_pieces])
        entries = pieces.join(parts, [parts["offset"].to_numpy()])
        joined = _Found()
        missed = _entries(parts, entries, joined)
        sizes = entries.ends - entries.starts
        unread.append(rows[head.rows[np.flatnonzero(in_pieces)[_members(entries, missed)]]])

        # What is not whole may go on in another block or file, and the second of a refusal stand there.
        events = twins(_in_order([*singles.events, *joined.events]))
        away = np.empty(0, np.int64)
        if len(events):
            places = events["offset"].to_numpy()
            away = np.setdiff1d(places[refusals(events)], offsets[head.repeats != 1])
            found.events.append(events.filter(pa.array(~np.isin(places, away))))
        found.messages += singles.messages + joined.messages
        first = parts["offset"].to_numpy()[entries.first]
        gone = np.flatnonzero(np.isin(first, away))
        kept = np.concatenate((entries.rest, _members(entries, gone)))
        lonely = np.flatnonzero(~in_pieces & np.isin(offsets, away))
        found.parts += [
            table
            for table in (
                parts.take(pa.array(kept)),
                _lone_parts(head.take(lonely), time[lonely], rest.take(lonely), lined.take(lonely), offsets[lonely]),
            )
            if len(table)
        ]
        found.understood += singles.understood - len(lonely)
        found.understood += int(sizes.sum()) - int(sizes[missed].sum()) - int(sizes[gone].sum())
    return np.concatenate(unread)


def _members(entries: pieces.Entries, which: Ints) -> Ints:
    """The rows of the pieces of some entries."""
    ranges = [entries.order[entries.starts[i] : entries.ends[i]] for i in which.tolist()]
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64)


def _parts(block: Block, head: syslog.Heads, cuts: pa.StructArray, lines: Spans, offsets: Ints) -> pa.Table:
    """Pieces of entries; the first of an entry without its stamp."""
    time, stamped, rest = stamps(Spans.of(cuts.field("text")), block, offsets)
    first = pc.equal(cuts.field("number").cast(pa.int16()), 1).to_numpy(zero_copy_only=False)
    text = pc.if_else(pa.array(first), rest.to_arrow(), cuts.field("text"))
    return pa.table(
        {
            "time": timestamps(np.where(stamped & first, time, head.time)),
            "host": words(head.host, head.hosts),
            "queue_id": pieces.processes(lines),
            "offset": offsets,
            "number": cuts.field("number").cast(pa.int16()),
            "count": cuts.field("count").cast(pa.int16()),
            "joint": cuts.field("joint"),
            "text": text,
        }
    )


def _lone_parts(head: syslog.Heads, time: Ints, rest: Spans, lines: Spans, offsets: Ints) -> pa.Table:
    """Whole lines, as entries of one piece."""
    ones = pa.array(np.ones(len(offsets), np.int16))
    return pa.table(
        {
            "time": timestamps(time),
            "host": words(head.host, head.hosts),
            "queue_id": pieces.processes(lines),
            "offset": offsets,
            "number": ones,
            "count": ones,
            "joint": pa.array(["/"] * len(offsets), pa.string()),
            "text": rest.to_arrow(),
        }
    )


def _entries(parts: pa.Table, entries: pieces.Entries, found: _Found) -> Ints:
    """Reads entries that were put together; gives those that are unread."""
    first = entries.first
    known_of = [name for name in ("source", "source_rank") if name in parts.column_names]
    beside = pa.table({"recipient": entries.recipient} | {name: parts[name].take(pa.array(first)) for name in known_of})
    host = parts["host"].cast(pa.string()).combine_chunks().dictionary_encode()
    lines = cut(
        np.arange(len(first)),
        parts["time"].cast(pa.int64()).to_numpy()[first],
        host.indices.fill_null(-1).to_numpy(zero_copy_only=False)[first],
        host.dictionary.to_pylist(),
        np.full(len(first), -1, np.int32),
        [],
        Spans.of(entries.text),
    )
    return _read(lines, parts["offset"].to_numpy()[first], np.ones(len(first), np.int64), found, beside)


def settle(parts: pa.Table) -> Parsed:
    """What lines of a syslog come to that needed others: entries in pieces, and refusals that may stand there twice."""
    entries = pieces.join(parts, [parts["offset"].to_numpy(), parts["source_rank"].to_numpy()])
    found = _Found()
    missed = _entries(parts, entries, found)
    events = twins(_in_order(found.events))
    sizes = entries.ends - entries.starts
    unread = np.sort(np.concatenate((entries.rest, _members(entries, missed))))
    shown = parts.take(pa.array(unread[:MAX_SAMPLES]))
    samples = tuple(
        (offset, (text or "")[:SAMPLE_LENGTH])
        for offset, text in zip(shown["offset"].to_pylist(), shown["text"].to_pylist(), strict=True)
    )
    understood = int(sizes.sum()) - int(sizes[missed].sum())
    tally = Tally(understood, len(parts) - understood - len(unread), 0, len(unread), samples)
    return Parsed(told(events), concat(found.messages) if found.messages else pa.table({}), tally)


def _read(lines: Lines, offsets: Ints, repeats: Ints, found: _Found, beside: pa.Table | None = None) -> Ints:
    """Reads lines whose stamps are cut off, at `offsets` by their rows; gives the rows that are unread.

    beside: what else is known of each line: its recipient, its source.
    """
    known_rows = needless(lines)
    read = known_rows.copy()

    def take(tables: Iterator[tuple[pa.Table, Ints, bool]]) -> None:
        for table, rows, as_events in tables:
            read[rows] = True
            if beside is not None:
                table = _with(table, beside.take(pa.array(rows)), as_events)
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


def _with(table: pa.Table, beside: pa.Table, as_events: bool) -> pa.Table:
    """The table with what is known besides; what it says itself of the recipient stays."""
    for name in beside.column_names:
        if name == "recipient" and name in table.column_names:
            table = put(table, name, pc.coalesce(table[name], beside[name]))
        elif as_events or name == "source_rank":
            table = put(table, name, beside[name])
    return table


def _place(table: pa.Table, rows: Ints, lines: Lines, offsets: Ints, repeats: Ints, as_events: bool) -> pa.Table:
    """The table with when, where and which program; a repeated line's rows repeated."""
    if as_events and ((times := repeats[rows]) != 1).any():
        again = np.repeat(np.arange(len(rows)), times)
        table, rows = table.take(pa.array(again)), rows[again]
    return (
        table.append_column("time", timestamps(lines.time[rows]))
        .append_column("host", words(lines.host[rows], lines.hosts))
        .append_column("offset", pa.array(offsets[lines.rows[rows]]))
    )


def _together(tables: list[pa.Table]) -> pa.Table:
    tables = [table for table in tables if len(table)]
    if not tables:
        return pa.table({})
    table = concat(tables)
    implied = table["code_implied"] if "code_implied" in table.column_names else pa.nulls(len(table), pa.bool_())
    return put(table, "code_implied", pc.fill_null(implied, False))


def _in_order(tables: list[pa.Table]) -> pa.Table:
    table = _together(tables)
    return table.take(pa.array(np.argsort(table["offset"].to_numpy(), kind="stable"))) if len(table) else table


parser = Parser(
    name="exim",
    title="Exim",
    sniff=sniff,
    parse=parse,
    reads="mainlog, rejectlog, paniclog, and syslog files (BSD, RFC 3339, RFC 5424, journalctl); Exim 4",
    syslog=True,
    logs=LOGS,
    settle=settle,
)
