"""Which provider refuses us for which reason: one cause at all of them is our own trouble."""

from __future__ import annotations

import pyarrow.compute as pc

from logscan.counts import largest_first, rollup
from logscan.report import SENT, Answer, Asked, Report


def answer(asked: Asked) -> Answer:
    """Failures by provider and cause, with a sample."""
    known = asked.failures.filter(SENT & pc.field("provider").is_valid())
    table = largest_first(rollup(known, ["provider", "cause"], first=["sample", "line"]))
    return Answer(
        table.rename_columns({"events": "failures"}),
        asked.language.say("reports.provider-causes.note"),
        shown=("provider", "cause", "failures", "since", "last"),
    )


report = Report(name="provider-causes", answer=answer, place=42)
