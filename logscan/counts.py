"""Counts events by any of their columns, a batch at a time: memory grows with the groups, not with the events.

How events are counted stands here, once. A row of the data set is one reply or outcome.

* Sent mail is what is not inbound: a remote server or a local delivery agent answered us.
  A delivery is one try for one recipient, so a message put off twice and then delivered counts three.
* A failure is a delivery that was deferred, bounced, expired or rejected.
* Received mail is inbound: we answered a client. The same four outcomes there are refusals, and no deliveries of ours.
* A copy (what a preferred log of the same server tells as well) is left out of all counts.
* All other actions (attempt, warned, notified, aborted, held, ...) are neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

DELIVERED = "delivered"
FAILURES = ("deferred", "bounced", "expired", "rejected")

INBOUND: pc.Expression = (ds.field("direction") == "inbound").is_valid() & (ds.field("direction") == "inbound")
SENT: pc.Expression = ~INBOUND
FAILED: pc.Expression = ds.field("action").isin(FAILURES)
COUNTED: pc.Expression = ~(ds.field("copy").is_valid() & ds.field("copy"))

# 65,536 rows of the widest columns that are read here (reply) are some 10 MB; few batches are read ahead.
SCAN = {"batch_size": 65_536, "batch_readahead": 2, "fragment_readahead": 1}
# Groups of batches are put together when so many have gathered.
GATHER = 200_000


def count(
    events: ds.Dataset,
    by: Sequence[str] | Mapping[str, pc.Expression],
    *,
    where: pc.Expression | None = None,
    first: Sequence[str] | Mapping[str, pc.Expression] = (),
) -> pa.Table:
    """The groups of `by` (names of columns, or names with what they stand for), most events first.

    Columns: those of `by`, `events` (how many), `since` and `last` (times of the first and last of them), and those
    of `first` as the group's first row in the order of the data set has them. Null is a group like any other.

    >>> table = pa.table({"time": [7, 8, 9], "action": ["bounced", "bounced", None], "reply": ["x", "y", "z"]})
    >>> count(ds.dataset(table), ["action"], first=["reply"]).to_pylist()
    [{'action': 'bounced', 'events': 2, 'since': 7, 'last': 8, 'reply': 'x'},
     {'action': None, 'events': 1, 'since': 9, 'last': 9, 'reply': 'z'}]
    """
    keys, first = _expressions(events.schema, by), _expressions(events.schema, first)
    columns = {**keys, **first, "since": ds.field("time"), "last": ds.field("time")}
    if "copy" in events.schema.names:
        where = COUNTED if where is None else COUNTED & where
    scanner = events.scanner(columns=columns, filter=where, **SCAN)
    parts = [rollup(_with_events(scanner.projected_schema.empty_table()), [*keys], [*first])]
    gathered, limit = 0, GATHER
    for batch in scanner.to_batches():
        if not batch.num_rows:
            continue
        part = rollup(_with_events(pa.table(batch)), [*keys], [*first])
        parts.append(part)
        gathered += part.num_rows
        if gathered > limit:
            parts = [rollup(pa.concat_tables(parts), [*keys], [*first])]
            gathered = parts[0].num_rows
            limit = 2 * gathered + GATHER
    return largest_first(rollup(pa.concat_tables(parts), [*keys], [*first]))


def rollup(
    groups: pa.Table, by: Sequence[str], first: Sequence[str] = (), sums: Sequence[str] = ("events",)
) -> pa.Table:
    """Groups put together by fewer columns: `sums` added up, the earliest `since`, the latest `last`.

    Of the columns of `first` each group keeps what its first row has; as `count` and `largest_first` put the largest
    group first, that is the most usual one.

    >>> groups = pa.table({"code": [550, 550, 421], "cause": ["user-unknown", "policy", "server-busy"],
    ...     "events": [5, 3, 1], "since": [10, 5, 7], "last": [20, 6, 7]})
    >>> rollup(groups, ["code"], first=["cause"]).to_pylist()
    [{'code': 550, 'events': 8, 'since': 5, 'last': 20, 'cause': 'user-unknown'},
     {'code': 421, 'events': 1, 'since': 7, 'last': 7, 'cause': 'server-busy'}]
    """
    # A null is the first row's value too: a sample's reply, file and offset must come from one row.
    keep_null = pc.ScalarAggregateOptions(skip_nulls=False)
    wanted = [
        *((name, "sum", None) for name in sums),
        ("since", "min", None),
        ("last", "max", None),
        *((name, "first", keep_null) for name in first),
    ]
    # On one thread, so that `first` is the first.
    made = groups.combine_chunks().group_by(list(by), use_threads=False).aggregate(wanted)
    columns = [*by, *(f"{name}_{how}" for name, how, _ in wanted)]
    return made.select(columns).rename_columns([*by, *sums, "since", "last", *first])


def largest_first(groups: pa.Table, column: str = "events") -> pa.Table:
    """The groups, most events first, and in the order of their other columns where equal: always the same order."""
    others = [f.name for f in groups.schema if f.name != column and not pa.types.is_nested(f.type)]
    return groups.sort_by([(column, "descending"), *((name, "ascending") for name in others)])


def deliveries(outcomes: pa.Table, by: Sequence[str]) -> pa.Table:
    """How deliveries went, by some columns of counted `outcomes` (with `action`, `events`, `since`, `last`).

    Columns: `by`, deliveries, failures, rate (of failures among deliveries, 0 to 1), then each kind of failure.
    Most failures first.

    >>> outcomes = pa.table({"provider": ["google"] * 3, "action": ["delivered", "bounced", "attempt"],
    ...     "events": [30, 10, 5], "since": [1, 2, 3], "last": [1, 2, 3]})
    >>> deliveries(outcomes, ["provider"]).to_pylist()
    [{'provider': 'google', 'deliveries': 40, 'failures': 10, 'rate': 0.25,
      'deferred': 0, 'bounced': 10, 'expired': 0, 'rejected': 0}]
    """
    tries = outcomes.filter(pc.field("action").isin((DELIVERED, *FAILURES)))
    for action in (DELIVERED, *FAILURES):
        tries = tries.append_column(action, events_where(tries, "action", [action]))
    made = rollup(tries, by, sums=(DELIVERED, *FAILURES))
    failures = reduce(pc.add, (made[name] for name in FAILURES))
    whole = pc.add(failures, made[DELIVERED])
    rate = pc.divide(failures.cast(pa.float64()), whole.cast(pa.float64()))
    columns = {name: made[name] for name in by} | {"deliveries": whole, "failures": failures, "rate": rate}
    return largest_first(pa.table(columns | {name: made[name] for name in FAILURES}), "failures")


def interval(failed: int, tried: int) -> tuple[float, float]:
    """The 95 % confidence interval of a failure rate (Wilson, J. Am. Statist. Assoc. 22, 1927); 0 to 1.

    >>> [round(end, 3) for end in interval(1, 3)], [round(end, 3) for end in interval(0, 400)]
    ([0.061, 0.792], [0.0, 0.01])
    """
    if not tried:
        return 0.0, 1.0
    z, share = 1.959964, failed / tried
    middle = (share + z * z / (2 * tried)) / (1 + z * z / tried)
    half = z / (1 + z * z / tried) * math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def between(table: pa.Table) -> pa.Table:
    """The table with a column `between`: the confidence interval of the failure rate of each row, in words.

    >>> between(pa.table({"failures": [1], "deliveries": [3]}))["between"].to_pylist()
    ['6.1–79.2 %']
    """
    pairs = zip(table["failures"].to_pylist(), table["deliveries"].to_pylist(), strict=True)
    words = [f"{100 * low:.1f}–{100 * high:.1f} %" for low, high in (interval(*pair) for pair in pairs)]
    return table.append_column("between", pa.array(words, pa.string()))


def beside(table: pa.Table, other: pa.Table, on: str) -> pa.Table:
    """The table with the columns of another that has at most one row for each value of `on`; null where it has none.

    >>> names = pa.table({"code": [None, 550], "name": ["none", "mailbox"]})
    >>> beside(pa.table({"code": [550, None, 421]}), names, "code").to_pylist()
    [{'code': 550, 'name': 'mailbox'}, {'code': None, 'name': 'none'}, {'code': 421, 'name': None}]
    """
    rows = pc.index_in(table[on], value_set=other[on].combine_chunks(), skip_nulls=False)
    for name in other.column_names:
        if name not in table.column_names:
            table = table.append_column(name, other[name].take(rows))
    return table


def events_where(groups: pa.Table, column: str, values: Sequence[str]) -> pa.ChunkedArray:
    """The events of the groups that have one of `values` in `column`, and 0 in the place of the others."""
    hit = pc.is_in(groups[column], value_set=pa.array(values, groups[column].type))
    return pc.if_else(hit, groups["events"], pa.scalar(0, pa.int64()))


def total(groups: pa.Table, column: str = "events") -> int:
    """A column added up; 0 where there are no rows."""
    return pc.sum(groups[column]).as_py() or 0


def _expressions(schema: pa.Schema, columns: Sequence[str] | Mapping[str, pc.Expression]) -> dict[str, pc.Expression]:
    """What each column stands for; plain strings for a dictionary, since batches may have different ones."""
    if isinstance(columns, Mapping):
        return dict(columns)
    types = {name: schema.field(name).type for name in columns}
    return {
        name: ds.field(name).cast(type_.value_type) if pa.types.is_dictionary(type_) else ds.field(name)
        for name, type_ in types.items()
    }


def _with_events(rows: pa.Table) -> pa.Table:
    """The rows, each counting for one event."""
    return rows.append_column("events", pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows))
