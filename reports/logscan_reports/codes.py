"""With which SMTP codes is our mail refused, and what do the codes mean?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logscan.catalogue import code_name
from logscan.counts import largest_first, rollup
from logscan.report import SENT, Answer, Asked, Chart, Report


def answer(asked: Asked) -> Answer:
    """Failures by reply code and enhanced code, with words and a sample."""
    keys = ["code", "enhanced", "cause", "sample", "line"]
    failures = asked.failures.filter(SENT).select([*keys, "recipient_domain", "events", "since", "last"])
    by_cause = largest_first(rollup(failures, ["code", "enhanced", "cause"], first=["sample", "line"]))
    table = largest_first(rollup(by_cause, ["code", "enhanced"], first=["cause", "sample", "line"]))
    no_code = asked.language.say("reports.codes.no-code")
    codes = table["code"].to_pylist()
    names = [no_code if code is None else code_name(code, asked.language.name) for code in codes]
    table = table.rename_columns({"events": "failures", "cause": "mostly"})
    table = table.append_column("meaning", pa.array(names, pa.string())).append_column("reply_code", spoken(table))
    return Answer(
        table,
        asked.language.say("reports.codes.note"),
        Chart("bars", x="reply_code", y="failures"),
        shown=("reply_code", "failures", "meaning", "mostly", "since", "last"),
        below=("sample",),
        brief=("reply_code", "failures", "meaning", "mostly"),
    )


def spoken(table: pa.Table) -> pa.ChunkedArray:
    """Code and enhanced code as one word: what there is of them.

    >>> codes = pa.table({"code": pa.array([550, None, None], pa.int16()), "enhanced": ["5.1.1", "4.4.1", None]})
    >>> spoken(codes).to_pylist()
    ['550 5.1.1', '4.4.1', 'none']
    """
    both = pc.binary_join_element_wise(
        pc.fill_null(table["code"].cast(pa.string()), ""), pc.fill_null(table["enhanced"], ""), " "
    )
    word = pc.utf8_trim_whitespace(both)
    return pc.if_else(pc.equal(word, ""), "none", word)


report = Report(name="codes", answer=answer, place=30)
