"""The report of a night: what every report says of the day, with what changed before it and a verdict above all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from logscan.catalogue import causes
from logscan.changes import BEYOND, FACTOR, FALSE_SHARE, LEAST, LEAST_DAYS, POINTS, Change, Kind
from logscan.counts import SENT, largest_first
from logscan.publish.findings import Finding, Findings
from logscan.publish.text import counted, percent, safe
from logscan.report import Answer, Chart, Report

# Pages cut what is longer than 400 letters.
NOTE = (
    "Messages that failed at a domain, tries of one taken together, against the last four weeks: a negative binomial"
    f" test for each name, {percent(FALSE_SHARE)} of what is told expected to be chance (Benjamini-Hochberg). A change"
    f" has {LEAST} messages or more, {FACTOR:g} times the expected, {BEYOND:g} times the rate of yesterday and of these"
    f" weekdays; of a domain or provider, {percent(POINTS)} of its mail."
)
NAMED = 2
COLUMN: dict[Kind, str] = {"cause": "cause", "domain": "recipient_domain", "provider": "provider"}


def of_night(findings: Findings, changed: Sequence[Change], weeks: pa.Table) -> Findings:
    """The findings of a day with what changed, and the weeks before it (`changes.by_day`)."""
    answer = Answer(
        told(findings.failures, changed),
        NOTE,
        shown=("change", "name", "failed", "of", "usual", "yesterday", "same_weekday", "mostly", "who_acts"),
        below=("meaning", "next_steps", "sample"),
        brief=("change", "name", "failed", "usual", "who_acts", "next_steps"),
    )
    before = weeks if pc.any(pc.greater(weeks["messages"], 0)).as_py() else weeks.slice(0, 0)
    trend = Answer(before, "Messages and those that failed, by day.", Chart("stacks", x="time", y="failed"))
    own = (_finding("changes", "What changed", answer), _finding("weeks", "The last weeks", trend))
    days = sum(1 for tried in weeks["messages"].to_pylist()[:-1] if tried)
    said, usual = verdict(changed, days), findings.summary.sentences
    summary = replace(findings.summary, sentences=(*said, *usual) if changed else (*usual, *said))
    return replace(findings, summary=summary, findings=(*own, *findings.findings))


def _finding(name: str, title: str, answer: Answer) -> Finding:
    return Finding(Report(name, title, lambda _: answer), "logscan", answer)


def verdict(changed: Sequence[Change], days: int) -> tuple[str, ...]:
    """What changed, in a sentence.

    >>> verdict([Change("cause", "blocklisted", "new", 40, 900, 0.1, 0, (0, 0), 1e-9)], 28)
    ('What changed: 1 new cause (blocklisted, 40 of 900 messages, usually 0.1).',)
    >>> verdict([], 28), verdict([], 3)
    (('Nothing changed against the last weeks.',), ('What changed can be told from 7 days with mail on; there are 3.',))
    """
    if days < LEAST_DAYS:
        there = f"there {'is' if days == 1 else 'are'} {days or 'none'}"
        return (f"What changed can be told from {LEAST_DAYS} days with mail on; {there}.",)
    if not changed:
        return ("Nothing changed against the last weeks.",)
    parts = []
    for (what, kind), number in Counter((one.change, one.kind) for one in changed).items():
        named = [one for one in changed if (one.change, one.kind) == (what, kind)][:NAMED]
        said = "; ".join(
            f"{safe(one.name, 60)}, {one.failed:,} of {one.tried:,} messages, usually {_usual(one.expected)}"
            for one in named
        )
        more = f"; and {number - NAMED:,} more" if number > NAMED else ""
        parts.append(f"{counted(number, f'{what} {kind}')} ({said}{more})")
    return (f"What changed: {', '.join(parts)}.",)


def _usual(expected: float) -> str:
    return f"{expected:,.1f}" if expected >= 0.05 else "none"


def headline(findings: Findings, changed: Sequence[Change]) -> str:
    """The verdict for a subject.

    >>> from logscan.publish.findings import gather
    >>> from logscan.report import Asked
    >>> from logscan.run import Run
    >>> headline(gather(Asked.of({"action": "delivered"}).events, Run((), ())), [])
    '0 % of 1 delivery failed'
    """
    summary = findings.summary
    if not summary.deliveries:
        return "no deliveries"
    rate = percent(summary.failed / summary.deliveries)
    said = f"{rate} of {counted(summary.deliveries, 'delivery', 'deliveries')} failed"
    kinds = Counter((one.change, one.kind) for one in changed)
    return ", ".join([said, *(counted(number, f"{what} {kind}") for (what, kind), number in kinds.items())])


def told(failures: pa.Table, changed: Sequence[Change]) -> pa.Table:
    """The changes as a table, each with its main cause, who has to act, what to do, and a line to look at.

    `failures` are those of the day, as `Asked.failures`.
    """
    known = causes()
    sent = failures.filter(SENT)
    rows = []
    for one in changed:
        [sample] = largest_first(sent.filter(_about(one))).slice(0, 1).to_pylist() or [{}]
        cause = known.get(one.name if one.kind == "cause" else sample.get("cause", ""))
        rows.append(
            {
                "change": f"{one.change} {one.kind}",
                "name": one.name,
                "failed": one.failed,
                "of": one.tried,
                "usual": one.expected,
                "yesterday": one.yesterday,
                "same_weekday": ", ".join(f"{number:,}" for number in one.weekdays),
                "mostly": sample.get("recipient_domain") if one.kind == "cause" else sample.get("cause"),
                "who_acts": cause and cause.actor,
                "meaning": cause and cause.meaning,
                "next_steps": list(cause.steps) if cause else None,
                "sample": sample.get("sample"),
                "line": sample.get("line"),
            }
        )
    return pa.Table.from_pylist(rows, schema=TOLD)


def _about(change: Change) -> pc.Expression:
    """The failures of a change."""
    if change.kind != "code":
        return pc.field(COLUMN[change.kind]).cast(pa.string()) == change.name
    code, _, enhanced = change.name.partition(" ")
    digits = pc.field("code") == int(code) if code != "none" else pc.field("code").is_null()
    text = pc.field("enhanced").cast(pa.string())
    return digits & (text == enhanced if enhanced else text.is_null())


TOLD = pa.schema(
    {
        **dict.fromkeys(("change", "name"), pa.string()),
        **dict.fromkeys(("failed", "of"), pa.int64()),
        "usual": pa.float64(),
        "yesterday": pa.int64(),
        **dict.fromkeys(("same_weekday", "mostly", "who_acts", "meaning"), pa.string()),
        "next_steps": pa.list_(pa.string()),
        **dict.fromkeys(("sample", "line"), pa.string()),
    }
)


def of_day(findings: Findings, host: str, day: date, changed: Sequence[Change]) -> str:
    """The subject of a mail."""
    return safe(f"[logscan] {host} {day}: {headline(findings, changed)}", 200)
