"""Counting is exact however the data set is cut, and null is a group like any other."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan import counts
from logscan.counts import FAILED, FAILURES, INBOUND, SENT, count, deliveries
from logscan.report import Asked
from logscan.schema import EVENTS

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 10**15) | st.none(),
            "direction": st.sampled_from(["inbound", "outbound", "local", None]),
            "action": st.sampled_from(["delivered", *FAILURES, "attempt", "warned", None]),
            "recipient_domain": st.sampled_from(["a.example", "b.example", "ไทย", "", None]),
            "code": st.sampled_from([250, 421, 550, None]),
        }
    ),
    max_size=40,
)


def dataset(rows: list[dict[str, object]], size: int) -> ds.Dataset:
    """The rows in batches of their own, so that each has dictionaries of its own."""
    parts = [pa.Table.from_pylist(rows[i : i + size], schema=EVENTS) for i in range(0, len(rows), size)]
    return ds.dataset(pa.concat_tables([EVENTS.empty_table(), *parts]))


@given(ROWS, st.integers(1, 7))
def test_counts_are_those_of_python_however_the_rows_are_cut(rows: list[dict[str, object]], size: int) -> None:
    counted = count(dataset(rows, size), ["direction", "action", "code"])
    expected = Counter((row["direction"], row["action"], row["code"]) for row in rows)
    assert {(r["direction"], r["action"], r["code"]): r["events"] for r in counted.to_pylist()} == expected
    assert counted["events"].to_pylist() == sorted(expected.values(), reverse=True)


@given(ROWS, st.integers(1, 7))
def test_putting_parts_together_early_changes_nothing(rows: list[dict[str, object]], size: int) -> None:
    whole = count(dataset(rows, size), ["action"], first=["code"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "GATHER", 0)
        assert count(dataset(rows, size), ["action"], first=["code"]).equals(whole)


def test_first_is_the_first_row_even_where_it_is_null() -> None:
    asked = Asked.of(
        {"action": "bounced", "reply": None, "offset": 10}, {"action": "bounced", "reply": "550 no", "offset": 20}
    )
    [group] = asked.count(["action"], first=["reply", "offset"]).to_pylist()
    assert (group["reply"], group["offset"]) == (None, 10)


@given(ROWS)
def test_every_event_is_sent_or_received_never_both(rows: list[dict[str, object]]) -> None:
    events = dataset(rows, 5)
    sent, received = events.count_rows(filter=SENT), events.count_rows(filter=INBOUND)
    assert received == sum(row["direction"] == "inbound" for row in rows)
    assert sent + received == len(rows)
    assert events.count_rows(filter=FAILED) == sum(row["action"] in FAILURES for row in rows)


@given(ROWS)
def test_failures_are_a_part_of_the_deliveries(rows: list[dict[str, object]]) -> None:
    for row in deliveries(count(dataset(rows, 5), ["recipient_domain", "action"]), ["recipient_domain"]).to_pylist():
        assert sum(row[name] for name in FAILURES) == row["failures"] <= row["deliveries"]
        assert row["rate"] == row["failures"] / row["deliveries"]
