"""Which clients do we refuse most: a customer who cannot log in, or somebody who guesses passwords?"""

from __future__ import annotations

from logscan.counts import largest_first, rollup
from logscan.report import FAILED, INBOUND, Answer, Asked, Chart, Report


def answer(asked: Asked) -> Answer:
    """Refusals by the client's address, with the usual cause."""
    counted = asked.count(["remote_ip", "cause"], where=INBOUND & FAILED)
    table = largest_first(rollup(counted, ["remote_ip"], first=["cause"]))
    table = table.rename_columns({"events": "refusals", "cause": "mostly"})
    return Answer(
        table.select(["remote_ip", "refusals", "mostly", "since", "last"]),
        asked.language.say("reports.clients.note"),
        Chart("bars", x="remote_ip", y="refusals"),
    )


report = Report(name="clients", answer=answer, place=70)
