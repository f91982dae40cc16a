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
from logscan.language import ENGLISH, Language
from logscan.publish.findings import Finding, Findings
from logscan.publish.text import percent, safe
from logscan.report import Answer, Chart, Report

# Changes named in the verdict, the surest; the table has them all.
NAMED = 2
COLUMN: dict[Kind, str] = {"cause": "cause", "domain": "recipient_domain", "provider": "provider"}


def of_night(
    findings: Findings, changed: Sequence[Change], weeks: pa.Table, alerts: pa.Table | None = None
) -> Findings:
    """The findings of a day with what changed, the weeks before it (`changes.by_day`), and alerts (`alerts.listed`)."""
    language = findings.language
    note = language.say(
        "reports.changes.note",
        false=percent(FALSE_SHARE),
        least=LEAST,
        factor=f"{FACTOR:g}",
        beyond=f"{BEYOND:g}",
        points=percent(POINTS),
    )
    answer = Answer(
        told(findings.failures, changed, language),
        note,
        shown=("change", "name", "failed", "of", "usual", "yesterday", "same_weekday", "mostly", "who_acts"),
        below=("meaning", "next_steps", "sample"),
        brief=("change", "name", "failed", "usual", "who_acts", "next_steps"),
    )
    before = weeks if pc.any(pc.greater(weeks["messages"], 0)).as_py() else weeks.slice(0, 0)
    trend = Answer(before, language.say("reports.weeks.note"), Chart("stacks", x="time", y="failed"))
    own = [_finding("changes", answer, language), _finding("weeks", trend, language)]
    if alerts is not None:
        watched = Answer(alerts, language.say("reports.alerts.note"), brief=("rule", "about", "said"))
        own.insert(0, _finding("alerts", watched, language))
    days = sum(1 for tried in weeks["messages"].to_pylist()[:-1] if tried)
    said, usual = verdict(changed, days, language), findings.summary.sentences
    summary = replace(findings.summary, sentences=(*said, *usual) if changed else (*usual, *said))
    return replace(findings, summary=summary, findings=(*own, *findings.findings))


def _finding(name: str, answer: Answer, language: Language) -> Finding:
    return Finding(Report(name, lambda _: answer), "logscan", answer, language.title(name))


def verdict(changed: Sequence[Change], days: int, language: Language = ENGLISH) -> tuple[str, ...]:
    """What changed, in a sentence.

    >>> verdict([Change("cause", "blocklisted", "new", 40, 900, 0.1, 0, (0, 0), 1e-9)], 28)
    ('What changed: 1 new cause (blocklisted, 40 of 900 messages, usually 0.1).',)
    >>> verdict([], 28), verdict([], 3)
    (('Nothing changed against the last weeks.',),
     ('What changed can be told from 7 days with mail on; days with mail so far: 3.',))
    """
    say = language.say
    if days < LEAST_DAYS:
        return (say("night.too-early", least=LEAST_DAYS, days=days),)
    if not changed:
        return (say("night.unchanged"),)
    parts = []
    for (what, kind), number in Counter((one.change, one.kind) for one in changed).items():
        part = language.counted(number, f"{what}-{kind}")
        named = "; ".join(
            say("night.named", name=safe(one.name, 60), failed=one.failed, tried=one.tried, usual=_usual(one, language))
            for one in changed[:NAMED]
            if (one.change, one.kind) == (what, kind)
        )
        parts.append(say("night.change", change=part, named=named) if named else part)
    return (say("night.changed", changes=", ".join(parts)),)


def _usual(change: Change, language: Language) -> str:
    return f"{change.expected:,.1f}" if change.expected >= 0.05 else language.say("report.none")


def headline(findings: Findings, changed: Sequence[Change]) -> str:
    """The verdict for a subject.

    >>> from logscan.publish.findings import gather
    >>> from logscan.report import Asked
    >>> from logscan.run import Run
    >>> headline(gather(Asked.of({"action": "delivered"}).events, Run((), ())), [])
    '0 % of 1 delivery failed'
    """
    summary, language = findings.summary, findings.language
    if not summary.deliveries:
        return language.say("night.no-deliveries")
    rate, deliveries = percent(summary.failed / summary.deliveries), language.counted(summary.deliveries, "delivery")
    said = language.say("night.headline", rate=rate, deliveries=deliveries)
    kinds = Counter((one.change, one.kind) for one in changed)
    return ", ".join([said, *(language.counted(number, f"{what}-{kind}") for (what, kind), number in kinds.items())])


def told(failures: pa.Table, changed: Sequence[Change], language: Language = ENGLISH) -> pa.Table:
    """The changes as a table, each with its main cause, who has to act, what to do, and a line to look at.

    `failures` are those of the day, as `Asked.failures`.
    """
    known = causes(language.name)
    sent = failures.filter(SENT)
    rows, advised = [], set()
    for one in changed:
        [sample] = largest_first(sent.filter(_about(one))).slice(0, 1).to_pylist() or [{}]
        cause = known.get(one.name if one.kind == "cause" else sample.get("cause", ""))
        # One trouble is often a new cause, a new code and a spiking domain: its advice is told once.
        advice = cause if cause and cause.name not in advised else None
        advised.add(cause and cause.name)
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
                "meaning": advice and advice.meaning,
                "next_steps": list(advice.steps) if advice else None,
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
