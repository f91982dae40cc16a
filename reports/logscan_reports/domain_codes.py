"""Which domain answers with which code: one column dark for all is our own trouble, one square dark is theirs."""

from __future__ import annotations

from logscan.counts import largest_first, rollup
from logscan.report import SENT, Answer, Asked, Chart, Report
from logscan_reports.codes import spoken


def answer(asked: Asked) -> Answer:
    """Failures by recipient domain and code, with the usual cause and a sample."""
    keys = ["recipient_domain", "code", "enhanced"]
    sample = ["cause", "sample", "line"]
    by_cause = largest_first(rollup(asked.failures.filter(SENT), [*keys, "cause"], first=sample[1:]))
    table = largest_first(rollup(by_cause, keys, first=sample))
    table = table.append_column("reply_code", spoken(table)).rename_columns({"events": "failures", "cause": "mostly"})
    return Answer(
        table,
        asked.language.say("reports.domain-codes.note"),
        Chart("heat", x="reply_code", y="failures", by="recipient_domain"),
        shown=("recipient_domain", "reply_code", "failures", "mostly", "since", "last"),
    )


report = Report(name="domain-codes", answer=answer, place=35)
