"""The first screen: what an administrator reads in ten seconds, in 80 columns and some thirty lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from logscan.advice import wrap
from logscan.language import Language
from logscan.parser import Tally
from logscan.publish.findings import Finding, Findings, Summary
from logscan.publish.text import cell, is_number, moment, narrow, percent, safe
from logscan.run import Problem, SourceRead

WIDTH = 80
ROWS = 4
SAMPLES = 3
PROBLEMS = 5
SOURCES = 3
LABELS = ("read", "problem", "time", "events", "copies", "sent")
UNDER = 4
GAP = 2
NARROWEST = 12
# Below it, a format counts as guessed.
SURE = 0.5
# Long words are cut before they are measured.
LONGEST = 200


def screen(findings: Findings) -> Screen:
    """The findings for a terminal, as something that rich prints. Sections with nothing in them are left out.

    >>> from logscan.publish.findings import gather
    >>> from logscan.report import Asked
    >>> from logscan.run import Run
    >>> sent = {"direction": "outbound", "action": "delivered", "recipient_domain": "a.example"}
    >>> findings = gather(Asked.of(sent, sent).events, Run((), ()))
    >>> Console(width=80).print(screen(findings))
    All 2 deliveries succeeded. Nothing was refused.
    <BLANKLINE>
    Events   2 = 2 delivered
    """
    return Screen(findings)


class Screen:
    """Prints itself, at most `WIDTH` wide."""

    def __init__(self, findings: Findings):
        self.findings = findings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        page = _Page(min(WIDTH, options.max_width), self.findings.language)
        findings, summary = self.findings, self.findings.summary
        for sentence in summary.sentences:
            yield from page.words(sentence, style="bold")
        yield Text()
        for parser, sources in groupby(sorted(findings.run.sources, key=lambda s: s.parser), key=lambda s: s.parser):
            yield from page.read(parser, list(sources))
        yield from page.problems(findings.problems)
        yield from page.numbers(summary)
        for finding in findings.findings:
            if finding.answer.brief and finding.answer.table.num_rows:
                yield Text()
                yield from page.section(finding, findings.top or ROWS)


class _Page:
    """Lines that fit the width. All text is made safe before it becomes a `Text`; markup is never read."""

    def __init__(self, width: int, language: Language):
        self.width, self.language = width, language
        labels = (language.say(f"screen.{name}") for name in LABELS)
        self.margin = max(map(cell_len, labels)) + GAP

    def words(self, text: str, indent: int = 0, style: str = "") -> list[Text]:
        """Words on as many lines as they need."""
        lines = wrap(text, max(self.width - indent, 20))
        return [Text(" " * indent).append(line.rstrip(), style) for line in lines]

    def labelled(self, label: str, text: str, style: str = "") -> list[Text]:
        """Words with a label in the margin."""
        first, *others = self.words(text, self.margin, style)
        head = set_cell_size(self.language.say(f"screen.{label}"), self.margin)
        return [Text(head, style="dim").append_text(first[self.margin :]), *others]

    def read(self, parser: str, sources: list[SourceRead]) -> Iterator[Text]:
        """The sources of one format, folded, and what was not understood of them."""
        language, say = self.language, self.language.say
        names = ", ".join(safe(PurePath(source.source).name, 40) for source in sources[:SOURCES])
        if len(sources) > SOURCES:
            names = say("screen.more-names", names=names, number=len(sources) - SOURCES)
        tally = sum((source.tally for source in sources), Tally())
        unsure = min(source.confidence for source in sources)
        text = say(
            "screen.read-of",
            format=safe(parser, 40) or say("screen.unknown-format"),
            names=names,
            lines=language.counted(tally.lines, "line"),
            understood=percent(tally.share_understood, 2),
        )
        guess = f"; {say('screen.guess', sure=percent(unsure, 0))}" if unsure < SURE else ""
        yield from self.labelled("read", text + guess)
        if tally.unread:
            unread = say("screen.not-understood", lines=language.counted(tally.unread, "line"))
            yield from self.words(unread, self.margin, "yellow")
            samples = [(source.source, *sample) for source in sources for sample in source.tally.samples]
            for source, offset, line in samples[:SAMPLES]:
                text = f"{safe(PurePath(source).name, 40)}:{offset} {safe(line, LONGEST)}"
                yield Text(" " * self.margin + narrow(text, self.width - self.margin), style="dim")

    def problems(self, problems: tuple[Problem, ...]) -> Iterator[Text]:
        """What an administrator must know, the worst first."""
        worst = sorted(problems, key=lambda problem: not problem.fatal)
        for problem in worst[:PROBLEMS]:
            yield from self.labelled("problem", safe(str(problem), LONGEST), "red" if problem.fatal else "yellow")
        if len(worst) > PROBLEMS:
            more = self.language.counted(len(worst) - PROBLEMS, "problem")
            yield from self.words(self.language.say("screen.more-problems", problems=more), self.margin)

    def numbers(self, summary: Summary) -> Iterator[Text]:
        """Time span, and events by action, which add up."""
        counted, say = self.language.counted, self.language.say
        if summary.first and summary.last:
            span = say("report.span", first=moment(summary.first), last=moment(summary.last))
            yield from self.labelled("time", span)
        if summary.events:
            yield from self.labelled("events", f"{summary.events:,} = {summary.parts(self.language)}")
        if summary.copies:
            yield from self.labelled("copies", say("screen.counted-once", copies=counted(summary.copies, "copy")))
        if summary.messages:
            parts = {
                "deliveries": counted(summary.deliveries, "delivery"),
                "messages": counted(summary.messages, "message"),
                "recipients": counted(summary.recipients or 0, "recipient"),
            }
            yield from self.labelled("sent", say("screen.sent-of", **parts))

    def section(self, finding: Finding, rows: int) -> Iterator[Text]:
        """The first rows of an answer as a table, with long text under each row."""
        answer = finding.answer
        table = answer.table.select(dict.fromkeys(answer.brief))
        columns = [name for name in answer.brief if name not in answer.below]
        right = [is_number(table.schema.field(name).type) for name in columns]
        shown = table.slice(0, rows).to_pylist()
        title = safe(finding.title, 40)
        if table.num_rows > rows:
            title += " " + self.language.say("screen.rows", rows=rows, all=table.num_rows)
        head = [title, *(self.language.heading(name) for name in columns[1:])]
        body = [[cell(row[name], name, LONGEST, self.language) for name in columns] for row in shown]
        widths = _widths([head, *body], right, self.width)
        title, *others = _aligned(head, widths, right)
        yield Text(title, style="bold").append("".join(others).rstrip(), style="not bold dim")
        for row, cells in zip(shown, body, strict=True):
            yield Text("".join(_aligned(cells, widths, right)).rstrip())
            yield from self.under([row[name] for name in answer.brief if name in answer.below])

    def under(self, values: list[Any]) -> Iterator[Text]:
        """What to do, in two lines at most: of a list the first."""
        first = (value[0] if isinstance(value, list) and value else value for value in values)
        text = ": ".join(safe(str(value), LONGEST) for value in first if value)
        wrapped = self.words(text, UNDER, "cyan")
        if len(wrapped) > 2:
            rest = wrapped[1].plain.strip() + " " + wrapped[2].plain.strip()
            wrapped = [wrapped[0], Text(" " * UNDER + narrow(rest, self.width - UNDER), style="cyan")]
        if text:
            yield from wrapped


def _widths(rows: list[list[str]], right: list[bool], width: int) -> list[int]:
    """Cells that each column gets: what it needs, and less for the last columns of words where that is too much."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(right))]
    for i in reversed(range(len(widths))):
        too_much = sum(widths) + GAP * (len(widths) - 1) - width
        if too_much > 0 and not right[i]:
            widths[i] -= min(too_much, max(widths[i] - NARROWEST, 0))
    return widths


def _aligned(cells: list[str], widths: list[int], right: list[bool]) -> list[str]:
    """The cells of a line, numbers to the right, with a gap before each but the first."""
    fitted = [
        " " * (width - cell_len(text)) + text if to_right else set_cell_size(narrow(text, width), width)
        for text, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return [text if i == 0 else " " * GAP + text for i, text in enumerate(fitted)]
