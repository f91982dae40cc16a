"""The numbers of a chart, and its words: what is drawn, without the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.language import ENGLISH, Language
from logscan.publish.text import MISSING, cell, narrow, safe
from logscan.report import Answer, Chart

# Cells of a label: of the widest letters, they still leave a third of the chart.
LABEL = 30
MOST_STEPS = 400
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Drawn:
    """The numbers of a chart: what `draw` draws and `alt` tells.

    `values` has a row for each label, and a column for each series (bars, stacks) or each `x` (heat).
    """

    labels: list[str]
    series: list[str]
    values: npt.NDArray[np.float64]
    left_out: int
    """Labels for which there was no room."""


def numbers(answer: Answer, top: int, language: Language = ENGLISH) -> Drawn:
    """What the chart of an answer shows: its first `top` bars or rows, or the last steps of time.

    >>> table = pa.table({"domain": ["a.example", "b.example", "a.example"], "failures": [1, 5, 2]})
    >>> drawn = numbers(Answer(table, "", Chart("bars", x="domain", y="failures")), top=10)
    >>> drawn.labels, drawn.series, drawn.values.tolist()
    (['b.example', 'a.example'], ['failures'], [[5.0], [3.0]])
    """
    chart = answer.chart
    if chart is None:
        raise ValueError("the answer has no chart")
    if chart.kind == "heat":
        return _heat(answer.table, chart, top, language)
    summed = _summed(answer.table, [chart.x], chart.series)
    if chart.kind == "bars":
        shown = summed.sort_by([("total", "descending"), (chart.x, "ascending")]).slice(0, top)
    else:
        shown = summed.slice(max(summed.num_rows - MOST_STEPS, 0))
    series = [name for name in chart.series if pc.any(pc.not_equal(shown[name], 0)).as_py()]
    values = np.column_stack([shown[name].to_numpy() for name in series or chart.series[:1]])
    labels = _labels(shown[chart.x].to_pylist(), chart.x, language)
    return Drawn(labels, series or [chart.series[0]], values, summed.num_rows - shown.num_rows)


def _heat(table: pa.Table, chart: Chart, top: int, language: Language) -> Drawn:
    """The largest rows and columns; the others are left out."""
    rows, columns = (
        _summed(table, [name], chart.series).sort_by([("total", "descending"), (name, "ascending")])
        for name in (str(chart.by), chart.x)
    )
    shown_rows = rows[str(chart.by)].slice(0, top).combine_chunks()
    shown_columns = columns[chart.x].slice(0, MOST_COLUMNS).combine_chunks()
    squares = _summed(table, [str(chart.by), chart.x], chart.series)
    at = (
        pc.index_in(squares[str(chart.by)], value_set=shown_rows),
        pc.index_in(squares[chart.x], value_set=shown_columns),
    )
    inside = pc.and_(at[0].is_valid(), at[1].is_valid())
    values = np.zeros((len(shown_rows), len(shown_columns)))
    values[at[0].filter(inside).to_numpy(), at[1].filter(inside).to_numpy()] = (
        squares["total"].filter(inside).to_numpy()
    )
    labels = _labels(shown_rows.to_pylist(), str(chart.by), language)
    series = _labels(shown_columns.to_pylist(), chart.x, language)
    return Drawn(labels, series, values, rows.num_rows - len(labels))


def _summed(table: pa.Table, by: list[str], series: tuple[str, ...]) -> pa.Table:
    """The series added up by some columns, in the table's order, and their `total`; a missing number is nought."""
    numbers = {name: pc.fill_null(table[name], 0).cast(pa.float64()) for name in series}
    rows = pa.table({name: table[name] for name in by} | numbers | {"total": reduce(pc.add, numbers.values())})
    # On one thread, so that groups stand in the order of their first rows.
    groups = rows.group_by(by, use_threads=False).aggregate([(name, "sum") for name in (*series, "total")])
    return groups.select([*by, *(f"{name}_sum" for name in (*series, "total"))]).rename_columns([*by, *series, "total"])


def _labels(values: list[Any], column: str, language: Language) -> list[str]:
    """Values as labels; times without what they have in common."""
    times = [value for value in values if isinstance(value, datetime)]
    if not times:
        return [narrow(cell(value, column, 2 * LABEL, language), LABEL) for value in values]
    form = "%Y-%m-%d" if all(time.hour == time.minute == 0 for time in times) else "%m-%d %H:%M"
    return [MISSING if value is None else value.astimezone(UTC).strftime(form) for value in values]


def alt(answer: Answer, title: str, top: int, language: Language = ENGLISH) -> str:
    """The chart in words, for who cannot see it.

    >>> table = pa.table({"domain": ["a.example", "b.example"], "failures": [1, 5]})
    >>> alt(Answer(table, "", Chart("bars", x="domain", y="failures")), "Domains", top=10)
    'Domains. Bars of failures by domain, 2 in all: b.example 5, a.example 1.'
    """
    drawn, chart, say = numbers(answer, top, language), answer.chart, language.say
    title = safe(title)
    if chart is None or not drawn.labels:
        return say("chart.nothing", title=title)
    what = chart.series if chart.kind == "heat" else drawn.series
    by = language.heading(chart.x)
    by = say("chart.two", one=by, other=language.heading(chart.by)) if chart.by else by
    totals = drawn.values.sum(axis=1)
    largest = sorted(range(len(totals)), key=lambda i: -totals[i])[:3]
    said = ", ".join(f"{drawn.labels[i]} {totals[i]:,.0f}" for i in largest)
    listed = say("chart.all" if len(totals) == len(largest) else "chart.largest", number=len(totals), said=said)
    return say(f"chart.{chart.kind}", title=title, what=", ".join(map(language.heading, what)), by=by, listed=listed)
