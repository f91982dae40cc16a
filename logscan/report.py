"""The report contract: a question to the data set, answered with a table and a chart.

A report is a value made of functions, registered under the entry point group `logscan.reports`:

    report = Report(name="senders", title="Failures by sender", answer=answer)

It asks; `logscan.publish` shows. So a chart here is a description, and a table is plain Arrow. A whole report:

>>> def answer(asked: Asked) -> Answer:
...     table = asked.count(["sender_domain"], where=SENT & FAILED)
...     return Answer(table, "Failures of mail that we sent.", Chart("bars", x="sender_domain", y="events"))
>>> report = Report(name="senders", title="Failures by sender", answer=answer)
>>> bounce = {"sender_domain": "a.example", "direction": "outbound", "action": "bounced"}
>>> report.answer(Asked.of(bounce, bounce)).table["events"].to_pylist()
[2]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.counts import FAILED, INBOUND, SENT, count
from logscan.language import ENGLISH, Language
from logscan.schema import EVENTS

__all__ = ["FAILED", "INBOUND", "SENT", "Answer", "Asked", "Before", "Chart", "Report"]

TOP = 10
# Characters kept of a reply that is shown as a sample: more than one screen line, less than an attack on memory.
SAMPLE_LENGTH = 300


@dataclass(frozen=True)
class Chart:
    """What to draw of an answer's table. Numbers of rows with the same `x` (and `by`) are added up.

    bars:   a bar for each `x`, largest first, as long as the columns `y`, one after the other;
    stacks: a column for each `x` in order, such as time, of the columns `y`, one upon the other;
    heat:   a square for each `x` and `by`, the darker the greater `y`.
    """

    kind: Literal["bars", "stacks", "heat"]
    x: str
    y: str | tuple[str, ...]
    by: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("bars", "stacks", "heat"):
            raise ValueError(f"a chart is of kind bars, stacks or heat, not {self.kind!r}")
        if self.kind == "heat" and not (self.by and isinstance(self.y, str)):
            raise ValueError("a chart of kind heat has one y, and a by")

    @property
    def series(self) -> tuple[str, ...]:
        """The columns of numbers.

        >>> Chart("bars", x="domain", y="failures").series
        ('failures',)
        """
        return (self.y,) if isinstance(self.y, str) else self.y


@dataclass(frozen=True)
class Answer:
    """A table, best first or in time order; a sentence that says what it counts; the chart of it.

    The table is whole: who shows it shows the first rows and says how many more there are. Its column names are
    the headings and the keys of JSON and CSV. Text is shown safely, whatever it holds. Numbers of columns named
    `rate` or `share` are from 0 to 1 and shown in per cent; a list of strings is shown as a list. `sample` and `line`
    are a reply and where it stands (source:offset), as in `Asked.failures`. No rows: nothing is shown.
    """

    table: pa.Table
    note: str
    chart: Chart | None = None
    shown: tuple[str, ...] = ()
    """Columns of the table on a page; all when empty."""
    below: tuple[str, ...] = ()
    """Columns laid under each row on a page, such as long text."""
    brief: tuple[str, ...] = ()
    """Columns on the first screen of the terminal; when empty, the answer is not on it."""


@dataclass(frozen=True)
class Before:
    """The events of the days before those that are asked about, as many as mail may wait in a queue."""

    events: ds.Dataset
    days: int


@dataclass(frozen=True)
class Asked:
    """The data set (columns of `schema.EVENTS`, already filtered) and what the reader chose.

    What several reports need is counted once and kept: `outcomes` and `failures`.
    """

    events: ds.Dataset
    top: int = TOP
    """Rows that will be shown."""
    by: Literal["day", "hour"] | None = None
    """The step of time; None leaves it to the report."""
    language: Language = ENGLISH
    """What the words of an answer are in: its note, and sentences in its table."""
    before: Before | None = None
    """What was before, for a part of a store; for what began earlier and is not done yet."""

    @classmethod
    def of(cls, *events: Mapping[str, Any], top: int = TOP, by: Literal["day", "hour"] | None = None) -> Asked:
        """Asked of a few events, to try a report; columns left out are null.

        >>> Asked.of({"action": "delivered"}).outcomes["events"].to_pylist()
        [1]
        """
        return cls(ds.dataset(pa.Table.from_pylist(list(events), schema=EVENTS)), top, by)

    def count(
        self,
        by: Sequence[str] | Mapping[str, pc.Expression],
        *,
        where: pc.Expression | None = None,
        first: Sequence[str] | Mapping[str, pc.Expression] = (),
    ) -> pa.Table:
        """Count events by any columns, in bounded memory: see `logscan.counts.count`."""
        return count(self.events, by, where=where, first=first)

    @cached_property
    def outcomes(self) -> pa.Table:
        """All events by direction, action, recipient_domain, provider: with events, since, last."""
        return self.count(["direction", "action", "recipient_domain", "provider"])

    @cached_property
    def failures(self) -> pa.Table:
        """Failures by direction, action, recipient_domain, provider, code, enhanced, code_class, cause.

        With events, since, last, and one of them to trace: `sample` (its reply) and `line` (source:offset).
        """
        counted = self.count(
            ["direction", "action", "recipient_domain", "provider", "code", "enhanced", "code_class", "cause"],
            where=FAILED,
            first={
                "sample": pc.utf8_slice_codeunits(ds.field("reply"), 0, SAMPLE_LENGTH),
                "source": ds.field("source").cast(pa.string()),
                "offset": ds.field("offset"),
            },
        )
        line = pc.binary_join_element_wise(counted["source"], counted["offset"].cast(pa.string()), ":")
        return counted.drop_columns(["source", "offset"]).append_column("line", line)


@dataclass(frozen=True)
class Report:
    """One question. `name` is a file name too: lower-case letters, digits and hyphens; else `ValueError`."""

    name: str
    answer: Callable[[Asked], Answer]
    place: int = 50
    """Where it stands among the others, the least first."""
    title: str = ""
    """Its title, where the files of languages have none for it: they have those of our own reports."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", self.name):
            raise ValueError(f"a report's name is lower-case letters, digits and hyphens, not {self.name!r}")
