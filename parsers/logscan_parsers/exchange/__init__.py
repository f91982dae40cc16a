"""Exchange Server 2007 to SE and Exchange Online: message tracking, protocol, agent and connectivity logs, reports.

    2022-09-19T15:02:29.450Z,,EX01,192.0.2.7,mx.b.example,;250 2.0.0 Ok;ClientSubmitTime:,Outbound,SMTP,SENDEXTERNAL,...

All are CSV with a header that names the columns, so one parser reads them: which log it is, each header says (layout);
a file may hold several. What a block's border cuts, a record of several lines or a session, is settled at the end from
its lines, by the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.clock import Clock
from logscan.columns import concat, timestamps, words
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.spans import Ints, Spans
from logscan_parsers.exchange import agent, connectivity, layout, online, protocol, tracking
from logscan_parsers.exchange.layout import Layout
from logscan_parsers.exchange.records import Cut, Records, cut

__all__ = ["parser"]

_OF_RECORD, _OF_SESSION = 0, 1


def sniff(block: Block) -> float:
    """How sure it is that these lines are of Exchange: a header of its own says it, else the shape of the rows."""
    if not len(block):
        return 0.0
    first = layout.begin(block.preamble, block.source)
    if first.log and first.fields:
        return 1.0
    made = cut(block.spans, first, head=block.preamble, source=block.source)
    rows = sum(len(records) for records in made.records)
    if not rows or not rows + len(made.header):
        return 0.0
    return 0.9 * rows / (rows + len(made.junk))


@dataclass(frozen=True)
class _Read:
    """What came of lines: events and the line of each, and the lines of sessions that are not whole."""

    events: pa.Table
    line: Ints
    open: Ints
    open_keys: pa.StringArray
    open_layouts: list[Layout]


def parse(block: Block) -> Parsed:
    """Events of a block, and the lines that can be understood only together with those of others."""
    head = block.preamble
    before = layout.begin(head, block.source)
    begun = not len(block) or int(block.offsets[0]) == 0
    made = cut(block.spans, before, begun=begun, ended=False, head=head, source=block.source)
    read = _read(made, block.offsets, block.clock, whole_only=True)
    sources = pa.array([block.source] * len(made.open), pa.string())
    of_records = _parts(block, made.open, sources, made.open_layouts, _OF_RECORD)
    of_sessions = _parts(block, read.open, read.open_keys, read.open_layouts, _OF_SESSION)
    parts = concat([of_records, of_sessions])
    events = read.events
    if len(events):
        order = np.argsort(read.line, kind="stable")
        events = events.append_column("offset", pa.array(block.offsets[read.line])).take(pa.array(order))
    tally = _tally(made, read, block.spans, block.offsets, len(block) - len(parts))
    changed = _preamble(made.layout) if made.layout != before and made.layout.fields else None
    return Parsed(events, pa.table({}), tally, parts=parts, preamble=changed)


def settle(parts: pa.Table) -> Parsed:
    """Events of lines that were left open, all that belong together given at once, in the order of their sources."""
    kind = parts["part"].to_numpy()
    found = [*_settle_records(parts.filter(pa.array(kind == _OF_RECORD)))]
    sessions = parts.filter(pa.array(kind == _OF_SESSION))
    if len(sessions):
        found.append(_settle_sessions(sessions))
    events = [table for table, _ in found if len(table)]
    return Parsed(concat(events) if events else pa.table({}), pa.table({}), sum((tally for _, tally in found), Tally()))


def _read(made: Cut, offsets: Ints, clock: Clock, *, whole_only: bool, order_of: Ints | None = None) -> _Read:
    tables: list[pa.Table] = []
    lines: list[Ints] = []
    spoken: list[Records] = []
    for records in made.records:
        log = records.layout.log
        if log in (layout.SEND, layout.RECEIVE, layout.PROTOCOL):
            spoken.append(records)
            continue
        at = offsets[records.line]
        if log in (layout.TRACKING, layout.EXTENDED):
            table, rows = tracking.read(records, at, clock)
        elif log == layout.AGENT:
            table, rows = agent.read(records, at, clock)
        elif log == layout.CONNECTIVITY:
            table, rows = connectivity.read(records, at, clock)
        else:
            table, rows = online.read(records)
        if len(table):
            tables.append(table)
            lines.append(records.line[rows])
    none = np.zeros(0, np.int64)
    left, keys, layouts = none, pa.array([], pa.string()), []
    if spoken:
        rows_of = protocol.Rows.of(spoken)
        if whole_only:
            whole = rows_of.whole()
            rest = rows_of.take(np.flatnonzero(~whole))
            left, keys = rest.line, rest.keys
            layouts = _layouts_of(spoken, left)
            rows_of = rows_of.take(np.flatnonzero(whole))
        turn = None if order_of is None else order_of[rows_of.line]
        table, rows = protocol.read(rows_of, offsets[rows_of.line], clock, turn)
        if len(table):
            tables.append(table)
            lines.append(rows_of.line[rows])
    events = concat(tables) if tables else pa.table({})
    if tables and "host" not in events.column_names:
        events = events.append_column("host", words(np.full(len(events), -1), []))
    return _Read(events, np.concatenate([none, *lines]), left, keys, layouts)


def _layouts_of(pieces: list[Records], lines: Ints) -> list[Layout]:
    pieces = sorted(pieces, key=lambda piece: int(piece.line[0]))
    starts = np.array([int(piece.line[0]) for piece in pieces])
    return [pieces[i].layout for i in (np.searchsorted(starts, lines, "right") - 1).tolist()]


def _parts(block: Block, lines: Ints, keys: pa.StringArray, layouts: list[Layout], kind: int) -> pa.Table:
    texts: dict[Layout, int] = {}
    codes = np.array([texts.setdefault(each, len(texts)) for each in layouts], np.int64)
    return pa.table(
        {
            "time": timestamps(np.zeros(len(lines), np.int64)),
            "host": pa.nulls(len(lines), pa.string()),
            "queue_id": keys,
            "offset": pa.array(block.offsets[lines]),
            "text": block.spans.take(lines).to_arrow(),
            "layout": words(codes, [each.to_text() for each in texts]).cast(pa.string()),
            "part": pa.array(np.full(len(lines), kind, np.int8)),
        }
    )


def _settle_records(parts: pa.Table) -> list[tuple[pa.Table, Tally]]:
    """Records of lines that stand next to each other in one source."""
    if not len(parts):
        return []
    rank, offset = parts["source_rank"].to_numpy(), parts["offset"].to_numpy()
    size = pc.binary_length(parts["text"]).to_numpy()
    form = pc.dictionary_encode(parts["layout"]).combine_chunks().indices.to_numpy()
    apart = np.ones(len(parts), bool)
    # One line end, of one byte or two, stands between neighbours.
    apart[1:] = (rank[1:] != rank[:-1]) | (form[1:] != form[:-1]) | (offset[1:] > offset[:-1] + size[:-1] + 2)
    starts = np.flatnonzero(apart).tolist()
    ends = [*starts[1:], len(parts)]
    return [_settle_run(parts.slice(a, b - a)) for a, b in zip(starts, ends, strict=True)]


def _settle_run(parts: pa.Table) -> tuple[pa.Table, Tally]:
    lines = _lines(parts)
    made = cut(lines, Layout.of_text(parts["layout"][0].as_py()))
    return _settled(parts, lines, made, _read(made, parts["offset"].to_numpy(), Clock(), whole_only=False))


def _settle_sessions(parts: pa.Table) -> tuple[pa.Table, Tally]:
    """Sessions of rows from several stretches, and from several sources: that which has its first row is the first."""
    key = pc.dictionary_encode(parts["queue_id"]).combine_chunks().indices.to_numpy()
    rank = parts["source_rank"].to_numpy()
    _, source = np.unique(key * (int(rank.max()) + 1) + rank, return_inverse=True)
    written = pc.rank(pc.utf8_slice_codeunits(parts["text"], 0, 24).combine_chunks(), tiebreaker="min").to_numpy()
    begins = np.full(int(source.max()) + 1, len(parts) + 1)
    np.minimum.at(begins, source, written.astype(np.int64))
    in_turn = np.empty(len(parts), np.int64)
    in_turn[np.lexsort((parts["offset"].to_numpy(), rank, begins[source]))] = np.arange(len(parts))
    lines = _lines(parts)
    form = pc.dictionary_encode(parts["layout"]).combine_chunks()
    pieces: list[Records] = []
    none = np.zeros(0, np.int64)
    junk = [none]
    for number, text in enumerate(form.dictionary.to_pylist()):
        rows = np.flatnonzero(form.indices.to_numpy() == number)
        made = cut(lines.take(rows), Layout.of_text(text))
        pieces += [replace(records, line=rows[records.line]) for records in made.records]
        junk.append(rows[made.junk])
    made = Cut(pieces, none, np.concatenate(junk), none, [], Layout())
    read = _read(made, parts["offset"].to_numpy(), Clock(), whole_only=False, order_of=in_turn)
    return _settled(parts, lines, made, read)


def _lines(parts: pa.Table) -> Spans:
    """The texts of parts as lines; each may end with a CR of its own, of which one goes as part of the line end."""
    whole = pc.binary_join(pa.array([parts["text"].to_pylist()], pa.list_(pa.string())), "\r\n")[0]
    return Spans.lines(whole.as_py().encode() + b"\r\n")[0]


def _settled(parts: pa.Table, lines: Spans, made: Cut, read: _Read) -> tuple[pa.Table, Tally]:
    tally = _tally(made, read, lines, parts["offset"].to_numpy(), len(parts))
    at = pa.array(read.line)
    events = read.events
    if len(events):
        for name in ("offset", "source", "source_rank"):
            events = events.append_column(name, parts[name].take(at))
    return events, tally


def _tally(made: Cut, read: _Read, lines: Spans, offsets: Ints, count: int) -> Tally:
    understood = len(np.unique(read.line))
    empty = np.flatnonzero(lines.take(made.junk).length <= 0)
    junk = np.delete(made.junk, empty)
    shown = junk[:MAX_SAMPLES]
    samples = tuple(
        (int(offset), text[:SAMPLE_LENGTH])
        for offset, text in zip(offsets[shown].tolist(), lines.take(shown).to_arrow().to_pylist(), strict=True)
    )
    return Tally(understood, count - understood - len(junk), 0, len(junk), samples)


def _preamble(after: Layout) -> bytes:
    """The first lines of a source that starts as it goes on here."""
    if after.log in (layout.EXTENDED, layout.SUMMARY, layout.DETAIL, layout.TRACE):
        return after.delimiter.join(after.fields).encode() + b"\n"
    kind = {layout.SEND: "SMTP Send Protocol Log", layout.RECEIVE: "SMTP Receive Protocol Log"}.get(after.log, "")
    lines = [f"#Version: {after.version}.0", f"#Log-type: {kind}", f"#Fields: {','.join(after.fields)}"]
    return "\n".join(lines).encode() + b"\n"


parser = Parser(
    name="exchange",
    title="Exchange",
    sniff=sniff,
    parse=parse,
    settle=settle,
    logs=layout.LOGS,
    facts=False,
    reads="Exchange Server 2007 to SE: MSGTRK, RECV, SEND, AgentLog, CONNECTLOG; Exchange Online: message trace CSV",
)
