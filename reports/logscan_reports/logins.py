"""Who guesses passwords: addresses whose logins we refused, or customers who mistyped theirs?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logscan.counts import largest_first, rollup
from logscan.report import FAILED, INBOUND, Answer, Asked, Report

FEW = 5


def answer(asked: Asked) -> Answer:
    """Refused logins by address: how many, since when."""
    refused = INBOUND & FAILED & (pc.field("cause").cast(pa.string()) == "auth-failed")
    counted = asked.count(["remote_ip", "process"], where=refused)
    table = largest_first(rollup(counted, ["remote_ip"], first=["process"])).rename_columns({"events": "logins"})
    attack = pc.if_else(pc.greater(table["logins"], FEW), "guessing, most likely", "may be a typing error")
    table = table.append_column("looks_like", attack)
    return Answer(
        table.select(["remote_ip", "logins", "looks_like", "process", "since", "last"]),
        asked.language.say("reports.logins.note", few=FEW),
    )


report = Report(name="logins", answer=answer, place=65)
