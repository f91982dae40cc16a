"""Makes the page: one HTML file with everything in it, that asks no network and runs no script but its own."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import pyarrow as pa
from markupsafe import Markup
from rich.cells import cell_len

from logscan.language import ENGLISH, Language
from logscan.publish.findings import Finding, Findings
from logscan.publish.text import cell, is_number, moment, percent, safe
from logscan.report import TOP

if TYPE_CHECKING:
    from logscan.publish.charts import Rendered

LONGEST = 400
# Rows of a table in time order: a month of days.
STEPS = 31
# Texts up to so many cells stay on one line.
SHORT = 14
# Letters without a blank beyond which a word is broken anywhere.
UNBROKEN = 24


def page(findings: Findings) -> str:
    """The page. Its policy lets one script run, by its hash, whatever a log managed to write into it."""
    top = findings.top or TOP
    script = files(__package__).joinpath("templates", "sort.js").read_text(encoding="utf-8")
    sections = [finding for finding in findings.findings if finding.answer.table.num_rows]
    return (
        environment()
        .get_template("page.html")
        .render(
            findings=findings,
            summary=findings.summary,
            tally=findings.run.tally,
            language=findings.language,
            sections=[
                section(finding, findings.charts.get(finding.report.name), top, language=findings.language)
                for finding in sections
            ],
            samples=[(source.source, *sample) for source in findings.run.sources for sample in source.tally.samples],
            top=top,
            script=Markup(script),  # noqa: S704 it is our own
            script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        )
    )


def section(
    finding: Finding, chart: Rendered | None, top: int, steps: int = STEPS, *, language: Language = ENGLISH
) -> dict[str, Any]:
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
        "not_drawn": language.counted(chart.left_out, "earlier-step") if chart and in_time and chart.left_out else "",
        "columns": [_Column.of(name, table[name], language) for name in shown],
        "below": answer.below,
        "rows": table.to_pylist(),
        "part": language.say(
            f"report.{'last' if in_time else 'first'}-rows", rows=len(table), all=answer.table.num_rows
        )
        if len(table) < answer.table.num_rows
        else "",
    }


@dataclass(frozen=True)
class _Column:
    """How a column of a table is set: its name, its CSS classes, and whether its times are whole days."""

    name: str
    kind: str
    language: Language
    days: bool = False

    @classmethod
    def of(cls, name: str, values: pa.ChunkedArray, language: Language) -> _Column:
        if is_number(values.type):
            return cls(name, "number", language)
        if pa.types.is_timestamp(values.type):
            return cls(name, "time", language, all(t is None or t.time() == time() for t in values.to_pylist()))
        texts = [language.value(str(text), name) for text in values.to_pylist()]
        if max(map(cell_len, texts), default=0) <= SHORT:
            return cls(name, "words short", language)
        longest = max((len(word) for text in texts for word in text.split()), default=0)
        return cls(name, "words long" if longest > UNBROKEN else "words", language)

    @property
    def heading(self) -> str:
        """Its name as a heading."""
        return self.language.heading(self.name)

    def cell(self, value: Any) -> str:
        """A value of it: times to the minute."""
        if isinstance(value, datetime):
            return moment(value, seconds=False)[: 10 if self.days else None]
        return cell(value, self.name, LONGEST, self.language)


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
    made.filters |= {"moment": moment, "percent": percent}
    return made
