"""Gives each event what other lines of the log said of its message: sender, client, size, Message-ID.

Lines belong together by host and queue id. Short queue ids are used again, so a message is a *life* of its id: it
begins with the line that says so (client=, uid=) or after the end of the one before (removed), and ends with its own
end. Within a life a fact holds for all its events, be it stated before or after them.

A life that begins and ends within one stretch of one file belongs to that stretch alone, so a worker can settle it
there (`settle`) and forget it. What stays open goes into buckets by its id and is settled when all files were read,
first within each file, then across files in the order of time: with the same result wherever the stretches are cut.
What is known then of a message that has not ended goes on to the next scan into the same store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import concat, put
from logscan.parser import BEGIN, END
from logscan.schema import FACTS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Settled(NamedTuple):
    """Events that know all there is to know, and those that may learn more from elsewhere, with the facts at hand."""

    events: pa.Table
    open_events: pa.Table
    open_messages: pa.Table


def settle(events: pa.Table, messages: pa.Table) -> Settled:
    """Settles what one stretch of one source can: `events` and `messages` of it, as a parser gives them.

    What is settled comes in line order.

    >>> messages = pa.table({"host": ["mx"] * 3, "queue_id": ["A1", "A1", "A2"], "offset": [0, 90, 30],
    ...                      "mark": pa.array([BEGIN, END, BEGIN], pa.int8()), "client_ip": ["192.0.2.1", None, "::1"]})
    >>> events = pa.table({"host": ["mx"] * 3, "queue_id": ["A1", "A2", None], "offset": [60, 70, 80]})
    >>> settled = settle(events, messages)
    >>> [settled.events[c].to_pylist() for c in ("queue_id", "client_ip")]
    [['A1', None], ['192.0.2.1', None]]
    >>> settled.open_events["queue_id"].to_pylist(), settled.open_messages["queue_id"].to_pylist()
    (['A2'], ['A2'])
    """
    if not len(events):
        return _only_open(events, messages)
    if "queue_id" not in events.column_names:
        events = put(events, "queue_id", pa.nulls(len(events), pa.string()))
    named = events["queue_id"].is_valid().to_numpy()
    if not len(messages):
        return Settled(_in_line_order(events, ~named), events.filter(pa.array(named)), messages)
    order = np.concatenate((messages["offset"].to_numpy(), events["offset"].to_numpy()))
    lives, whole = _lives(messages, events, [order])
    done = whole[lives[len(messages) :]] | ~named
    joined = _join(events, messages, lives, done & named)
    joined = _with_recipients(joined, lives[len(messages) :], [order[len(messages) :]], done & named)
    open_messages = messages.filter(pa.array(~whole[lives[: len(messages)]]))
    return Settled(_in_line_order(joined, done), events.filter(pa.array(~done)), open_messages)


def _in_line_order(events: pa.Table, which: Bools) -> pa.Table:
    rows = np.flatnonzero(which)
    return events.take(pa.array(rows[np.argsort(events["offset"].to_numpy()[rows], kind="stable")]))


class Rest(NamedTuple):
    """All events, and the facts of the messages that are still open: what a later scan must know of them."""

    events: pa.Table
    open_messages: pa.Table


def settle_rest(events: pa.Table, messages: pa.Table) -> Rest:
    """Settles what the stretches left open: all open events and messages of some ids, with `source_rank` (int64).

    What is still open is one row for each message that has not ended: like the rows that a parser gives, of the time
    of its first line, with `seen` (the time of its last), and `recipient` (then two rows where it has several).
    """
    if not len(events) and not len(messages):
        return Rest(events, messages)
    if not len(events):
        events = messages.select(["time", "host", "queue_id", "offset", "source_rank"]).slice(0, 0)
    if not len(messages):
        messages = put(events.slice(0, 0), "mark", pa.array([], pa.int8()))
    sources = np.concatenate((messages["source_rank"].to_numpy(), events["source_rank"].to_numpy()))
    offsets = np.concatenate((messages["offset"].to_numpy(), events["offset"].to_numpy()))
    lives, whole = _lives(messages, events, [offsets, sources], within=sources)
    count = len(messages)
    within = whole[lives[count:]]
    joined = _join(events, messages, lives, within)
    joined = _with_recipients(joined, lives[count:], [offsets[count:], sources[count:]], within)
    apart = ~within
    open_messages = messages.filter(pa.array(~whole[lives[:count]]))
    if not apart.any() and not len(open_messages):
        return Rest(joined, open_messages)
    rest = joined.filter(pa.array(apart))
    times, ranks, places = (
        np.concatenate((open_messages[c].to_numpy(), rest[c].to_numpy())) for c in ("time", "source_rank", "offset")
    )
    # Of lines of one moment in several files, that which begins a message is the first, that which ends it the last: a
    # delivery and `removed` are of one second as a rule, and queue ids are not used again so soon.
    marks = np.concatenate((open_messages["mark"].to_numpy(), np.zeros(len(rest), np.int8)))
    parts = np.where(marks == BEGIN, 0, np.where(marks == END, 2, 1))
    order = [places, ranks, parts, times.astype(np.int64)]
    lives, _ = _lives(open_messages, rest, order)
    every = np.ones(len(rest), bool)
    rest = _join(rest, open_messages, lives, every)
    count = len(open_messages)
    known = (open_messages["recipient"], lives[:count]) if "recipient" in open_messages.column_names else None
    rest = _with_recipients(rest, lives[count:], [keys[count:] for keys in order], every, known)
    still_open = _still_open(rest, open_messages, lives, times.astype(np.int64))
    return Rest(concat([joined.filter(pa.array(within)), rest]) if within.any() else rest, still_open)


def _still_open(events: pa.Table, messages: pa.Table, lives: Ints, times: Ints) -> pa.Table:
    """The facts of each life that has not ended and that no other life of its id came after."""
    if not len(lives):
        return messages
    count = int(lives.max()) + 1
    of_message = lives[: len(messages)]
    marks = messages["mark"].to_numpy()
    # Lives are numbered by host and id, then in order: the last of an id is before the first of another.
    keys = np.zeros(count, np.int64)
    keys[lives] = _keys(messages, events)
    going = np.ones(count, bool)
    going[:-1] = keys[1:] != keys[:-1]
    going[of_message[marks == END]] = False
    named = np.zeros(count, bool)
    named[lives] = np.concatenate([t["queue_id"].is_valid().to_numpy() for t in (messages, events)])
    going = np.flatnonzero(going & named)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, lives, times)
    np.maximum.at(last, lives, times)
    if "seen" in messages.column_names:
        seen = messages["seen"].cast(pa.int64())
        stated = seen.is_valid().to_numpy()
        np.maximum.at(last, of_message[stated], seen.drop_null().to_numpy())
    row = np.full(count, -1, np.int64)
    row[lives] = np.arange(len(lives))
    begun = np.zeros(count, np.int8)
    begun[of_message[marks == BEGIN]] = BEGIN
    both = concat([t.select(["host", "queue_id"]) for t in (messages, events) if len(t)])
    kind = (messages if len(messages) else events).schema.field("time").type
    found = both.take(pa.array(row[going]))
    for name, column in (
        ("time", pa.array(first[going]).cast(kind)),
        ("seen", pa.array(last[going]).cast(kind)),
        ("offset", pa.array(np.zeros(len(going), np.int64))),
        ("mark", pa.array(begun[going])),
    ):
        found = found.append_column(name, column)
    found = _join(found, messages, np.concatenate((of_message, going)), np.ones(len(going), bool))
    one, other = _two_recipients(events, messages, lives)
    several = other[going] >= 0
    again = found.filter(pa.array(several)).select(["host", "queue_id", "time", "seen", "offset"])
    again = again.append_column("mark", pa.array(np.zeros(len(again), np.int8)))
    recipients = _recipients(events, messages)
    tables = []
    for table, places in ((found, one[going]), (again, other[going][several])):
        tables.append(table.append_column("recipient", recipients.take(pa.array(places, mask=places < 0))))
    return concat(tables) if len(again) else tables[0]


def _recipients(events: pa.Table, messages: pa.Table) -> pa.ChunkedArray:
    columns = [
        t["recipient"].cast(pa.string())
        if "recipient" in t.column_names
        else pa.chunked_array([pa.nulls(len(t), pa.string())])
        for t in (messages, events)
    ]
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())


def _two_recipients(events: pa.Table, messages: pa.Table, lives: Ints) -> tuple[Ints, Ints]:
    """For each life the row of a recipient, and of another one; -1 where there is none."""
    codes = _recipients(events, messages).combine_chunks().dictionary_encode().indices
    codes = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    one = np.full(int(lives.max(initial=-1)) + 1, -1, np.int64)
    stated = np.flatnonzero(codes >= 0)
    one[lives[stated]] = stated
    different = stated[codes[stated] != codes[one[lives[stated]]]]
    other = np.full(len(one), -1, np.int64)
    other[lives[different]] = different
    return one, other


def settle_alone(events: pa.Table, messages: pa.Table) -> pa.Table:
    """The events of a source that was parsed in one piece, in line order, with what its messages say of them."""
    settled = settle(events, messages)
    if not len(settled.open_events):
        return settled.events
    rest = settle_rest(ranked(settled.open_events, 0), ranked(settled.open_messages, 0))
    every = concat([settled.events, rest.events.drop_columns(["source_rank"])])
    return _in_line_order(every, np.ones(len(every), bool))


def by_first_source(parts: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Parts of lines (parser.py) in the order of sources and offsets, by the first source that their `queue_id` is in.

    What belongs together stays together.

    >>> parts = {"host": ["mx"] * 3, "queue_id": ["A", "B", "A"], "source_rank": [1, 1, 0], "offset": [0, 9, 5]}
    >>> [(rank, rows["offset"].to_pylist()) for rank, rows in by_first_source(pa.table(parts))]
    [(0, [5, 0]), (1, [9])]
    """
    ranks, offsets = (parts[name].to_numpy() for name in ("source_rank", "offset"))
    keys = _keys(parts, parts.slice(0, 0))
    order = np.lexsort((offsets, ranks))
    _, first, of_key = np.unique(keys[order], return_index=True, return_inverse=True)
    home = ranks[order][first][of_key]
    for rank in np.unique(home).tolist():
        yield rank, parts.take(pa.array(order[home == rank]))


def ranked(table: pa.Table, rank: int) -> pa.Table:
    """A table of one source with `source_rank`, the source's place in the order of time."""
    return put(table, "source_rank", pa.array(np.full(len(table), rank, np.int64)))


def bucket(table: pa.Table, buckets: int) -> Ints:
    """The bucket of each row, by its host and queue id alone, so that all rows of a message meet.

    >>> rows = pa.table({"host": ["mx", "mx", "mx"], "queue_id": ["A", "B", "A"]})
    >>> a, b, c = bucket(rows, 1 << 30).tolist()
    >>> a == c != b
    True
    """
    total = np.zeros(len(table), np.uint64)
    for name in ("host", "queue_id"):
        encoded = pc.dictionary_encode(table[name].cast(pa.string())).combine_chunks()
        # Python's own hash differs from process to process.
        values = [crc32(value.encode()) for value in encoded.dictionary.to_pylist()]
        hashes = np.array([*values, 0], np.uint64)
        total = total * np.uint64(31) + hashes[encoded.indices.fill_null(len(values)).to_numpy()]
    return (total % np.uint64(buckets)).astype(np.int64)


def _only_open(events: pa.Table, messages: pa.Table) -> Settled:
    if not len(messages):
        return Settled(events, events, messages)
    keys = _keys(messages, messages.slice(0, 0))
    order = np.lexsort((messages["offset"].to_numpy(), keys))
    lives, whole = _number(keys, messages["mark"].to_numpy(), order)
    return Settled(events, events, messages.filter(pa.array(~whole[lives])))


def _keys(messages: pa.Table, events: pa.Table) -> Ints:
    """A number for each row's host and queue id; messages first, then events."""
    keys = np.zeros(len(messages) + len(events), np.int64)
    tables = [table for table in (messages, events) if len(table)]
    for name in ("host", "queue_id") if tables else ():
        encoded = _encoded([table[name] for table in tables])
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        keys = keys * (len(encoded.dictionary) + 1) + codes + 1
    return keys


def _encoded(columns: list[pa.ChunkedArray]) -> pa.DictionaryArray:
    """Columns of strings, below each other, over one dictionary."""
    if all(pa.types.is_dictionary(column.type) for column in columns):
        return pa.chunked_array([c for column in columns for c in column.chunks]).unify_dictionaries().combine_chunks()
    chunks = [c for column in columns for c in column.cast(pa.string()).chunks]
    return pa.chunked_array(chunks).dictionary_encode().combine_chunks()


def _lives(messages: pa.Table, events: pa.Table, order: list[Ints], within: Ints | None = None) -> tuple[Ints, Bools]:
    keys = _keys(messages, events)
    if within is not None:
        keys = keys * (int(within.max(initial=0)) + 1) + within
    marks = np.concatenate((messages["mark"].to_numpy(), np.zeros(len(events), np.int8)))
    return _number(keys, marks, np.lexsort((*order, keys)))


def _number(keys: Ints, marks: npt.NDArray[np.int8], order: Ints) -> tuple[Ints, Bools]:
    """The number of the life that each row belongs to, and which lives are whole: begun and ended in sight."""
    key, mark = keys[order], marks[order]
    first = np.ones(len(key), bool)
    first[1:] = (key[1:] != key[:-1]) | (mark[:-1] == END) | (mark[1:] == BEGIN)
    number = np.cumsum(first) - 1
    count = int(number[-1]) + 1 if len(number) else 0
    begun, ended = np.zeros(count, bool), np.zeros(count, bool)
    begun[number[mark == BEGIN]] = True
    ended[number[mark == END]] = True
    lives = np.empty(len(keys), np.int64)
    lives[order] = number
    return lives, begun & ended


def _join(events: pa.Table, messages: pa.Table, lives: Ints, which: Bools) -> pa.Table:
    """The events with the facts of their lives where `which`; what an event states itself stays."""
    count = int(lives.max(initial=-1)) + 1
    of_event = lives[len(messages) :]
    of_message = lives[: len(messages)]
    for name in FACTS:
        if name not in messages.column_names:
            continue
        fact = messages[name]
        stated = np.flatnonzero(fact.is_valid().to_numpy())
        where = np.full(count, -1, np.int64)
        # The last assignment wins, so going backwards leaves the first row that states the fact.
        where[of_message[stated][::-1]] = stated[::-1]
        place = np.where(which, where[of_event], -1)
        taken = fact.take(pa.array(place, mask=place < 0))
        if name in events.column_names:
            own = events[name]
            events = events.set_column(events.column_names.index(name), name, pc.coalesce(own, taken.cast(own.type)))
        else:
            events = events.append_column(name, taken)
    return events


def _with_recipients(
    events: pa.Table,
    lives: Ints,
    order: list[Ints],
    which: Bools,
    known: tuple[pa.ChunkedArray, Ints] | None = None,
) -> pa.Table:
    """Attempts and expiries with the recipient that they were for, where the log tells it elsewhere.

    An attempt was for the recipient of the message's next outcome by the same process: Postfix names the recipient only
    in that line, after all hosts were tried (smtp/smtp_trouble.c); where the attempt names no process (Exim), of the
    next outcome. What expired (qmgr names none) was for the message's only recipient; with several, some may have been
    delivered before, so it stays unknown.

    known: recipients of lives, as an earlier scan found them.
    """
    if "recipient" not in events.column_names or "process" not in events.column_names:
        return events
    actions = events["action"].cast(pa.string())
    nameless = which & events["recipient"].is_null().to_numpy()
    expired = nameless & pc.equal(actions, "expired").fill_null(False).to_numpy()
    wanting = nameless & pc.equal(actions, "attempt").fill_null(False).to_numpy()
    if not wanting.any() and not expired.any():
        return events
    named = events["process"].is_valid().to_numpy()
    process = pc.dictionary_encode(events["process"].cast(pa.string())).combine_chunks()
    process = process.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    place = np.full(len(events), -1, np.int64)
    stated = events["recipient"].is_valid().to_numpy()
    for which_wants, by_process in ((wanting & named, True), (wanting & ~named, False)):
        if which_wants.any():
            following = _following(stated, [*order, *([process] if by_process else []), lives])
            target = np.where(following >= 0, following, 0)
            same = (following >= 0) & (lives[target] == lives)
            same &= (process[target] == process) | (not by_process)
            place = np.where(which_wants & same, target, place)
    recipients = events["recipient"]
    if expired.any():
        if known:
            recipients = pa.chunked_array([*recipients.cast(pa.string()).chunks, *known[0].cast(pa.string()).chunks])
            of_recipient = np.concatenate((lives, known[1]))
        else:
            of_recipient = lives
        only = _only_recipient(recipients, of_recipient)
        place[expired] = only[lives[expired]]
    taken = recipients.take(pa.array(place, mask=place < 0))
    recipients = events["recipient"]
    at = events.column_names.index("recipient")
    return events.set_column(at, "recipient", pc.coalesce(recipients, taken))


def _following(stated: Bools, order: list[Ints]) -> Ints:
    """For each row the next one in order that is stated, itself included; -1 where none is."""
    rows = np.lexsort(order)
    place = np.where(stated[rows], np.arange(len(rows)), len(rows))
    following = np.minimum.accumulate(place[::-1])[::-1]
    found = np.full(len(rows), -1, np.int64)
    here = following < len(rows)
    found[rows[here]] = rows[following[here]]
    return found


def _only_recipient(recipients: pa.ChunkedArray, lives: Ints) -> Ints:
    """For each life the row of its recipient, if it has a single one; else -1."""
    codes = pc.dictionary_encode(recipients).combine_chunks().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    stated = np.flatnonzero(codes >= 0)
    row = np.full(int(lives.max(initial=-1)) + 1, -1, np.int64)
    row[lives[stated]] = stated
    others = codes[stated] != codes[row[lives[stated]]]
    row[lives[stated[others]]] = -1
    return row
