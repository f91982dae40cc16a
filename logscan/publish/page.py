"""Makes the page: one HTML file with everything in it, that asks no network and runs no script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
import pyarrow as pa
from markupsafe import Markup

from logscan.publish.findings import Finding, Findings
from logscan.publish.text import cell, counted, heading, is_number, moment, percent, safe
from logscan.report import TOP

if TYPE_CHECKING:
    from logscan.publish.charts import Rendered

LONGEST = 400
# Rows of a table in time order: a month of days.
STEPS = 31
# Texts up to so many letters stay on one line.
SHORT = 14
# Letters without a blank beyond which a word is broken anywhere.
UNBROKEN = 24


def page(findings: Findings) -> str:
    """The page."""
    top = findings.top or TOP
    sections = [finding for finding in findings.findings if finding.answer.table.num_rows]
    return (
        environment()
        .get_template("page.html")
        .render(
            findings=findings,
            summary=findings.summary,
            tally=findings.run.tally,
            sections=[section(finding, findings.charts.get(finding.report.name), top) for finding in sections],
            samples=[(source.source, *sample) for source in findings.run.sources for sample in source.tally.samples],
            top=top,
        )
    )


def section(finding: Finding, chart: Rendered | None, top: int, steps: int = STEPS) -> dict[str, Any]:
    """What a template needs of an answer: so many rows of it, or steps of time."""
    answer = finding.answer
    # A table in time order shows its end.
    in_time = answer.chart is not None and answer.chart.kind == "stacks"
    rows = steps if in_time else top
    table = answer.table.slice(max(answer.table.num_rows - rows, 0) if in_time else 0, rows)
    shown = [name for name in answer.shown or answer.table.column_names if name not in answer.below]
    return {
        "finding": finding,
        "chart": Markup(chart.inline) if chart else None,  # noqa: S704 it is SVG that ElementTree wrote
        "not_drawn": counted(chart.left_out, "earlier step") if chart and in_time and chart.left_out else "",
        "columns": [_Column.of(name, table[name]) for name in shown],
        "below": answer.below,
        "rows": table.to_pylist(),
        "in_all": answer.table.num_rows,
        "end": "last" if in_time else "first",
    }


@dataclass(frozen=True)
class _Column:
    """How a column of a table is set: its name, its CSS classes, and whether its times are whole days."""

    name: str
    kind: str
    days: bool = False

    @classmethod
    def of(cls, name: str, values: pa.ChunkedArray) -> _Column:
        if is_number(values.type):
            return cls(name, "number")
        if pa.types.is_timestamp(values.type):
            return cls(name, "time", all(t is None or t.time() == time() for t in values.to_pylist()))
        texts = [str(text) for text in values.to_pylist()]
        if max(map(len, texts), default=0) <= SHORT:
            return cls(name, "words short")
        longest = max((len(word) for text in texts for word in text.split()), default=0)
        return cls(name, "words long" if longest > UNBROKEN else "words")

    def cell(self, value: Any) -> str:
        """A value of it: times to the minute."""
        if isinstance(value, datetime):
            return moment(value, seconds=False)[: 10 if self.days else None]
        return cell(value, self.name, LONGEST)


def _shown(value: Any) -> Any:
    """What the template writes out: text from logs is made safe here, whichever way it came."""
    return safe(value, LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> jinja2.Environment:
    """The templates, in which everything is escaped and made safe."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("logscan.publish"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"counted": counted, "heading": heading, "moment": moment, "percent": percent}
    return made
