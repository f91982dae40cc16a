"""What became of mail that was put off: delivered in the end, given up, or still waiting, and for how long?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.counts import COUNTED, DELIVERED, SCAN, SENT, largest_first
from logscan.report import Answer, Asked, Chart, Report

ENDS = (DELIVERED, "bounced", "expired", "rejected")
HOUR = 3_600_000_000


def answer(asked: Asked) -> Answer:
    """Deferred messages by recipient domain, and how they ended; those from before that had not ended then too."""
    parts = [_unended(asked.before.events)] if asked.before else []
    deferred = _first(pa.concat_tables([*parts, _deferrals(asked.events)]))
    ends = _ends(asked.events, deferred["delivery"].combine_chunks())
    at = pc.index_in(deferred["delivery"], value_set=ends["delivery"].combine_chunks())
    when = ends["end"].take(at)
    # A queue id that was used before ended before.
    later = pc.fill_null(pc.greater_equal(when, deferred["since"]), False)
    how = pc.if_else(later, ends["action"].take(at), pa.scalar(None, pa.string()))
    delivered = pc.fill_null(pc.equal(how, DELIVERED), False)
    waiting = pc.is_null(how)
    hours = pc.divide(pc.subtract(when.cast(pa.int64()), deferred["since"].cast(pa.int64())).cast(pa.float64()), HOUR)
    rows = pa.table(
        {
            "recipient_domain": deferred["recipient_domain"],
            "delivered_later": delivered.cast(pa.int64()),
            "given_up": pc.and_not(pc.invert(waiting), delivered).cast(pa.int64()),
            "waiting": waiting.cast(pa.int64()),
            "waiting_since": pc.if_else(waiting, deferred["since"], pa.scalar(None, deferred["since"].type)),
            "hours": pc.if_else(delivered, hours, pa.scalar(None, pa.float64())),
        }
    )
    counted = rows.group_by("recipient_domain").aggregate(
        [
            ([], "count_all"),
            *((name, "sum") for name in ("delivered_later", "given_up", "waiting")),
            ("waiting_since", "min"),
            ("hours", "max"),
        ]
    )
    names = ("recipient_domain", "deferred", "delivered_later", "given_up", "waiting", "waiting_since")
    order = ("recipient_domain", "count_all", "delivered_later_sum", "given_up_sum", "waiting_sum", "waiting_since_min")
    columns = {name: counted[column] for name, column in zip(names, order, strict=True)}
    waited = pc.subtract(pc.max(asked.outcomes["last"]).cast(pa.int64()), counted["waiting_since_min"].cast(pa.int64()))
    hours = {"hours_waiting": pc.divide(waited.cast(pa.float64()), HOUR), "most_hours": counted["hours_max"]}
    table = largest_first(pa.table(columns | hours), "waiting")
    say, days = asked.language.say, asked.before.days if asked.before else 0
    return Answer(
        table,
        say("reports.deferrals.note-before", days=days) if days else say("reports.deferrals.note"),
        Chart("bars", x="recipient_domain", y=("waiting", "given_up", "delivered_later")),
    )


def _delivery() -> dict[str, pc.Expression]:
    """What makes a delivery the same one at its next try."""
    names = [ds.field(name).cast(pa.string()) for name in ("host", "queue_id", "recipient")]
    return {"delivery": pc.binary_join_element_wise(*names, " ", null_handling="replace", null_replacement="")}


def _deferrals(events: ds.Dataset) -> pa.Table:
    """Each time that a delivery was put off, and its domain."""
    columns = {
        **_delivery(),
        "recipient_domain": ds.field("recipient_domain").cast(pa.string()),
        "time": ds.field("time"),
    }
    put_off = COUNTED & SENT & ds.field("queue_id").is_valid() & (ds.field("action").cast(pa.string()) == "deferred")
    return events.scanner(columns=columns, filter=put_off, **SCAN).to_table()


def _unended(events: ds.Dataset) -> pa.Table:
    """The deferrals that no end came after."""
    deferrals = _deferrals(events)
    ends = _ends(events, deferrals["delivery"].unique())
    end = ends["end"].take(pc.index_in(deferrals["delivery"], value_set=ends["delivery"].combine_chunks()))
    return deferrals.filter(pc.fill_null(pc.less(end, deferrals["time"]), True))


def _first(deferrals: pa.Table) -> pa.Table:
    """Deliveries that were put off: their domain, and since when."""
    first = deferrals.group_by(["delivery", "recipient_domain"]).aggregate([("time", "min")])
    return first.rename_columns({"time_min": "since"})


def _ends(events: ds.Dataset, deliveries: pa.Array) -> pa.Table:
    """How these deliveries ended: their last outcome that is none to wait for."""
    columns = {**_delivery(), "action": ds.field("action").cast(pa.string()), "end": ds.field("time")}
    ended = COUNTED & SENT & ds.field("queue_id").is_valid() & ds.field("action").isin(ENDS)
    scanner = events.scanner(columns=columns, filter=ended, **SCAN)
    parts = (
        pa.table(batch.filter(pc.is_in(batch["delivery"], value_set=deliveries))) for batch in scanner.to_batches()
    )
    rows = pa.concat_tables([scanner.projected_schema.empty_table(), *parts]).sort_by("end")
    last = rows.append_column("row", pa.array(np.arange(len(rows)))).group_by("delivery").aggregate([("row", "max")])
    return rows.take(last["row_max"])


report = Report(name="deferrals", answer=answer, place=45)
