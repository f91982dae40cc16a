# ruff: noqa: E501 - a schema reads best in a row
"""Lives of messages: which facts an event gets, as a table of what a log says in order."""

from __future__ import annotations

import functools
import operator
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.columns import concat
from logscan.correlate import bucket, ranked, settle, settle_alone, settle_rest
from logscan.parser import BEGIN, END

# A log of one queue id: B begins (with a client), F states a sender, E is an event, R removes; digits tell which.
LIVES: dict[str, tuple[str, list[str | None]]] = {
    "an event alone": ("E", [None]),
    "facts before": ("B1 F1 E R", ["c1 s1"]),
    "facts after": ("B1 E F1 R", ["c1 s1"]),
    "no beginning": ("F1 E R", ["- s1"]),
    "no end": ("B1 F1 E", ["c1 s1"]),
    "used again": ("B1 F1 E R B2 F2 E R", ["c1 s1", "c2 s2"]),
    "used again, the end lost": ("B1 F1 E B2 F2 E R", ["c1 s1", "c2 s2"]),
    "used again, the beginning lost": ("B1 F1 E R F2 E R", ["c1 s1", "- s2"]),
    "used again, nothing known the second time": ("B1 F1 E R E", ["c1 s1", None]),
    "nothing known the first time": ("E R B2 F2 E", [None, "c2 s2"]),
    "the first to state a fact counts": ("B1 F1 F2 E F3 R", ["c1 s1"]),
    "events in a row": ("B1 E F1 E E R", ["c1 s1"] * 3),
}
Rows = list[dict[str, Any]]


def log(script: str) -> tuple[Rows, Rows]:
    events: Rows = []
    messages: Rows = []
    for offset, (kind, *number) in enumerate(script.split()):
        row = {
            "host": "mx",
            "queue_id": "AB12",
            "offset": offset,
            "time": offset,
            "mark": {"B": BEGIN, "R": END}.get(kind, 0),
        }
        if kind == "E":
            events.append({k: v for k, v in row.items() if k != "mark"})
        else:
            fact = {
                "B": {"client_host": f"c{number[0]}"} if number else {},
                "F": {"sender": f"s{number[0]}"} if number else {},
            }
            messages.append({"client_host": None, "sender": None, **row, **fact.get(kind, {})})
    return events, messages


MESSAGES = pa.schema([("client_host", pa.string()), ("sender", pa.string()), ("host", pa.string()), ("queue_id", pa.string()),
                      ("offset", pa.int64()), ("time", pa.int64()), ("mark", pa.int8())])  # fmt: skip
EVENTS = pa.schema([("host", pa.string()), ("queue_id", pa.string()), ("offset", pa.int64()), ("time", pa.int64())])


def tables(events: Rows, messages: Rows) -> tuple[pa.Table, pa.Table]:
    return pa.Table.from_pylist(events, schema=EVENTS), pa.Table.from_pylist(messages, schema=MESSAGES)


def told(table: pa.Table) -> list[str | None]:
    rows = sorted(table.to_pylist(), key=lambda row: row["offset"])
    facts = [(row.get("client_host"), row.get("sender")) for row in rows]
    return [None if f == (None, None) else f"{f[0] or '-'} {f[1] or '-'}" for f in facts]


@pytest.mark.parametrize(("script", "want"), LIVES.values(), ids=LIVES)
def test_lives(script: str, want: list[str | None]) -> None:
    assert told(settle_alone(*tables(*log(script)))) == want


INSIDE = st.lists(st.sampled_from(["F1", "F2", "E"]), max_size=3)
LIFE = st.tuples(st.sampled_from(["B1", "B2"]), INSIDE).map(lambda life: [life[0], *life[1], "R"])
FIRST = INSIDE.map(lambda inside: [*inside, "R"])
LAST = INSIDE.map(lambda inside: ["B3", *inside])
NOTHING = st.just([])
# Lives one after the other; the log may begin within the first and end within the last. Where a line in the midst is
# lost, and the id is used again, what stays open between whole lives may meet: that is not promised.
SCRIPT = st.tuples(
    FIRST | NOTHING,
    st.lists(LIFE, max_size=3).map(lambda lives: functools.reduce(operator.iadd, lives, [])),
    LAST | NOTHING,
).map(lambda parts: functools.reduce(operator.iadd, parts, []))


@given(SCRIPT, st.sets(st.integers(0, 14)), st.booleans())
def test_wherever_it_is_cut(script: list[str], cuts: set[int], files: bool) -> None:
    """In stretches of one file, or in several files one after the other."""
    events, messages = log(" ".join(script))
    want = told(settle_alone(*tables(events, messages))) if events else []
    edges = [0, *sorted(cuts), 99]
    done, open_events, open_messages = [], [], []
    for rank, (low, high) in enumerate(pairwise(edges)):
        part = [[row for row in rows if low <= row["offset"] < high] for rows in (events, messages)]
        settled = settle(*tables(*part))
        done.append(settled.events)
        open_events.append(ranked(settled.open_events, rank if files else 0))
        open_messages.append(ranked(settled.open_messages, rank if files else 0))
    rest = settle_rest(concat(open_events), concat(open_messages)).events
    found = concat([*done, rest.drop_columns(["source_rank"])])
    assert len(found) == len(events)
    assert told(found) == want


@given(st.lists(st.tuples(st.text(max_size=3), st.none() | st.text(max_size=3)), max_size=9), st.integers(1, 8))
def test_a_bucket_is_told_by_host_and_id_alone(names: list[tuple[str, str | None]], buckets: int) -> None:
    table = pa.table(
        {"host": pa.array([n[0] for n in names], pa.string()), "queue_id": pa.array([n[1] for n in names], pa.string())}
    )
    found = bucket(table, buckets).tolist()
    assert all(0 <= place < buckets for place in found)
    assert [bucket(table.slice(i, 1), buckets)[0] for i in range(len(names))] == found
