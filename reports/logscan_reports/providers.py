"""Whose servers refuse our mail: one provider serves many domains, and one block by it hits them all."""

from __future__ import annotations

import pyarrow.compute as pc

from logscan.counts import beside, between, deliveries, largest_first, rollup
from logscan.report import SENT, Answer, Asked, Chart, Report


def answer(asked: Asked) -> Answer:
    """Failures by provider of the servers that answered."""
    known = SENT & pc.field("provider").is_valid()
    went = deliveries(asked.outcomes.filter(known), ["provider"])
    causes = largest_first(rollup(asked.failures.filter(known), ["provider", "cause"]))
    mostly = rollup(causes, ["provider"], first=["cause"]).rename_columns({"cause": "mostly"})
    table = beside(went.filter(went["failures"].cast("bool")), mostly.drop_columns(["events"]), "provider")
    return Answer(
        between(table),
        asked.language.say("reports.providers.note"),
        Chart("bars", x="provider", y=("deferred", "bounced", "expired", "rejected")),
        shown=("provider", "failures", "deliveries", "rate", "between", "mostly", "since", "last"),
    )


report = Report(name="providers", answer=answer, place=40)
