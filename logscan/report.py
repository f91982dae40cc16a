"""The report contract: a question to the data set, answered with a table and a chart.

A report is a value made of functions, registered under the entry point group `logscan.reports`:

    report = Report(name="domains", title="Failures by domain", answer=answer)

It asks; `logscan.publish` shows. So a chart here is a description, and a table is plain Arrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.dataset as ds


@dataclass(frozen=True)
class Chart:
    """What to draw of an answer's table.

    bars: one bar a row, `y` by `x`; stacks: `y` by `x`, stacked by `by`; heat: `y`'s value at (`x`, `by`).
    """

    kind: Literal["bars", "stacks", "heat"]
    x: str
    y: str
    by: str | None = None


@dataclass(frozen=True)
class Answer:
    """A table, best first or in time order; the chart of it; and a sentence that says what it counts."""

    table: pa.Table
    note: str
    chart: Chart | None = None


@dataclass(frozen=True)
class Asked:
    """The data set (columns of `schema.EVENTS`, already filtered) and what the reader chose."""

    events: ds.Dataset
    top: int = 10
    by: Literal["day", "hour"] = "day"


@dataclass(frozen=True)
class Report:
    """One question."""

    name: str
    title: str
    answer: Callable[[Asked], Answer]
