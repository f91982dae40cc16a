"""Why is our mail refused, who has to act, and what is the next step?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logscan.catalogue import causes
from logscan.counts import largest_first, rollup, total
from logscan.report import SENT, Answer, Asked, Chart, Report


def answer(asked: Asked) -> Answer:
    """Failures by cause, with what to do and a sample that can be traced to its line."""
    failures = asked.failures.filter(SENT)
    table = largest_first(rollup(failures, ["cause"], first=["sample", "line"]))
    share = pc.divide(table["events"].cast(pa.float64()), float(total(table)) or 1.0)
    known = causes(asked.language.name)
    rows = [known.get(name) for name in table["cause"].to_pylist()]
    columns = {
        "cause": table["cause"],
        "failures": table["events"],
        "share": share,
        "meaning": pa.array([row and row.meaning for row in rows], pa.string()),
        "group": pa.array([row and row.group for row in rows], pa.string()),
        "who_acts": pa.array([row and row.actor for row in rows], pa.string()),
        "next_steps": pa.array([list(row.steps) if row else [] for row in rows], pa.list_(pa.string())),
        **{name: table[name] for name in ("sample", "line", "since", "last")},
    }
    return Answer(
        pa.table(columns),
        asked.language.say("reports.causes.note"),
        Chart("bars", x="cause", y="failures"),
        shown=("cause", "failures", "share", "who_acts", "since", "last"),
        below=("meaning", "next_steps", "sample"),
        brief=("cause", "failures", "share", "who_acts", "next_steps"),
    )


report = Report(name="causes", answer=answer, place=10)
