"""Which domains refuse our mail, how much of it, and mostly why?"""

from __future__ import annotations

from logscan.counts import beside, between, deliveries, largest_first, rollup
from logscan.report import SENT, Answer, Asked, Chart, Report


def answer(asked: Asked) -> Answer:
    """Failures by recipient domain, with the deliveries they are a part of, and the usual cause."""
    went = deliveries(asked.outcomes.filter(SENT), ["recipient_domain"])
    causes = largest_first(rollup(asked.failures.filter(SENT), ["recipient_domain", "cause"]))
    mostly = rollup(causes, ["recipient_domain"], first=["cause"]).rename_columns({"cause": "mostly"})
    table = beside(went.filter(went["failures"].cast("bool")), mostly.drop_columns(["events"]), "recipient_domain")
    return Answer(
        between(table),
        asked.language.say("reports.domains.note"),
        Chart("bars", x="recipient_domain", y=("deferred", "bounced", "expired", "rejected")),
        shown=("recipient_domain", "failures", "deliveries", "rate", "between", "mostly", "since", "last"),
        brief=("recipient_domain", "failures", "deliveries", "rate", "mostly"),
    )


report = Report(name="domains", answer=answer, place=20)
