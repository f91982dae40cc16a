"""Since when: is it getting worse, and was there a day or an hour when it began?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.counts import beside, deliveries, events_where, rollup, total
from logscan.report import FAILED, INBOUND, SENT, Answer, Asked, Chart, Report

STEPS = {"hour": 3_600_000_000, "day": 86_400_000_000}
HOURLY_UP_TO = 3 * STEPS["day"]
# Steps without events are rows of nought, so that a gap is seen; one wrong stamp must not make a million of them.
MOST_STEPS = 10_000
UTC = pa.timestamp("us", "UTC")


def answer(asked: Asked) -> Answer:
    """Deliveries, failures and refusals by day or hour (UTC)."""
    by = asked.by or _fitting(asked)
    plain = {name: ds.field(name).cast(pa.string()) for name in ("direction", "action", "code_class")}
    # Without its zone, which is UTC: flooring then needs no time zone data.
    step = pc.floor_temporal(ds.field("time").cast(pa.timestamp("us")), unit=by)
    counted = asked.count({"time": step, **plain})
    counted = counted.set_column(0, "time", counted["time"].cast(UTC))

    failed = counted.filter(SENT & FAILED)
    classes = {
        "failed_4xx": events_where(failed, "code_class", ["4xx"]),
        "failed_5xx": events_where(failed, "code_class", ["5xx"]),
    }
    classes["failed_other"] = pc.subtract(failed["events"], pc.add(*classes.values()))
    for name, column in classes.items():
        failed = failed.append_column(name, column)
    refused = rollup(counted.filter(INBOUND & FAILED), ["time"]).rename_columns({"events": "refused"})

    table = _steps(counted["time"], STEPS[by])
    for part in (
        deliveries(counted.filter(SENT), ["time"]).select(["time", "deliveries", "failures", "rate"]),
        rollup(failed, ["time"], sums=list(classes)).select(["time", *classes]),
        refused.select(["time", "refused"]),
    ):
        table = beside(table, part, "time")
    numbers = [name for name in table.column_names if name not in {"time", "rate"}]
    for name in numbers:
        table = table.set_column(table.column_names.index(name), name, pc.fill_null(table[name], 0))
    if not total(table, "failures") + total(table, "refused"):
        table = table.slice(0, 0)
    return Answer(
        table,
        asked.language.say(f"reports.trend.by-{by}"),
        Chart("stacks", x="time", y=tuple(classes) if total(table, "failures") else "refused"),
        shown=("time", *(name for name in table.column_names[1:] if pc.any(pc.not_equal(table[name], 0)).as_py())),
    )


def _fitting(asked: Asked) -> str:
    """Hours for a few days, days for more."""
    first, last = (pc.min(asked.outcomes["since"]), pc.max(asked.outcomes["last"]))
    if not first.is_valid:
        return "day"
    return "hour" if last.value - first.value <= HOURLY_UP_TO else "day"


def _steps(times: pa.ChunkedArray, step: int) -> pa.Table:
    """All steps from the first to the last, in order; after them null, where events have no time."""
    known = np.unique(times.drop_null().cast(pa.int64()).to_numpy())
    if len(known) and (known[-1] - known[0]) // step < MOST_STEPS:
        known = np.arange(known[0], known[-1] + 1, step)
    steps = pa.chunked_array([pa.array(known, UTC), pa.nulls(min(times.null_count, 1), UTC)])
    return pa.table({"time": steps})


report = Report(name="trend", answer=answer, place=15)
