"""What do we refuse to others, with which code and why: spam kept out, or customers locked out?"""

from __future__ import annotations

import pyarrow as pa

from logscan.catalogue import causes
from logscan.counts import largest_first, rollup
from logscan.report import INBOUND, Answer, Asked, Chart, Report
from logscan_reports.codes import spoken


def answer(asked: Asked) -> Answer:
    """Refusals by cause and code, with a sample that can be traced to its line."""
    refusals = asked.failures.filter(INBOUND)
    table = largest_first(rollup(refusals, ["cause", "code", "enhanced"], first=["sample", "line"]))
    known = causes(asked.language.name)
    rows = [known.get(name) for name in table["cause"].to_pylist()]
    table = table.rename_columns({"events": "refusals"})
    table = table.append_column("meaning", pa.array([row and row.meaning for row in rows], pa.string()))
    table = table.append_column("reply_code", spoken(table))
    return Answer(
        table,
        asked.language.say("reports.refused.note"),
        Chart("bars", x="cause", y="refusals"),
        shown=("cause", "reply_code", "refusals", "since", "last"),
        below=("meaning", "sample"),
        brief=("cause", "reply_code", "refusals"),
    )


report = Report(name="refused", answer=answer, place=60)
