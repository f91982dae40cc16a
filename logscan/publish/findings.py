"""Asks the data set every question there is, and keeps the answers beside what the scan said of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan import plugins
from logscan.counts import (
    COUNTED,
    DELIVERED,
    FAILURES,
    INBOUND,
    SCAN,
    SENT,
    deliveries,
    largest_first,
    rollup,
    total,
)
from logscan.language import ENGLISH, Language
from logscan.publish.series import numbers
from logscan.publish.text import is_number, percent, safe
from logscan.report import TOP, Answer, Asked, Before, Report
from logscan.run import Problem, Run

if TYPE_CHECKING:
    from logscan.publish.charts import Rendered

# In the order in which a message meets them; other actions follow, most events first.
ACTIONS = (
    DELIVERED,
    *FAILURES,
    "attempt",
    "held",
    "discarded",
    "redirected",
    "filtered",
    "warned",
    "aborted",
    "notified",
    "deliverable",
    "undeliverable",
)
# Different messages and recipients are counted exactly up to so many events: some 150 MB. Beyond it they are left out.
EXACT = 1_000_000


@dataclass(frozen=True)
class Summary:
    """The numbers that stand above all reports. The rules of counting: `logscan.counts`."""

    events: int
    actions: dict[str, int]
    """Events of each action: they add up to `events`."""
    copies: int
    """What another log of the same server tells too: left out of all other numbers."""
    first: datetime | None
    last: datetime | None
    deliveries: int
    """Tries to deliver mail that we sent, one for each recipient."""
    failures: dict[str, int]
    """Failed deliveries by action."""
    refusals: int
    """Refusals of mail that clients brought to us."""
    messages: int | None
    """Different messages among the deliveries, by host and queue id; None where they are too many to count exactly."""
    recipients: int | None
    """Different recipients of messages."""
    sentences: tuple[str, ...]
    """The verdict, safe to show."""

    @property
    def verdict(self) -> str:
        """The answer in a sentence or two."""
        return " ".join(self.sentences)

    def parts(self, language: Language) -> str:
        """The events by action, as a sum."""
        parts = ((language.value(safe(action, 40), "action"), number) for action, number in self.actions.items())
        return " + ".join(f"{number:,} {action}" for action, number in parts)

    def account(self, language: Language) -> str:
        """All events, and the sum that they are."""
        whole, parts = language.counted(self.events, "event"), self.parts(language)
        return f"{whole} = {parts}" if parts else whole

    @property
    def failed(self) -> int:
        """Failed deliveries."""
        return sum(self.failures.values())


@dataclass(frozen=True)
class Finding:
    """A report's answer, and the package that the report came from."""

    report: Report
    package: str
    answer: Answer
    title: str


@dataclass(frozen=True)
class Findings:
    """Everything there is to show."""

    run: Run
    summary: Summary
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    """What went wrong with the sources, then with the reports."""
    failures: pa.Table
    """Every kind of failure: see `report.Asked.failures`."""
    top: int | None
    """Rows that the reader asked for; None: as fits the place."""
    language: Language = ENGLISH

    @cached_property
    def charts(self) -> dict[str, Rendered]:
        """The charts of all reports that have something to draw, by name. The first look at them loads matplotlib."""
        from logscan.publish.charts import render

        return {
            finding.report.name: render(
                finding.answer, finding.report.name, finding.title, self.top or TOP, self.language
            )
            for finding in self.findings
            if finding.answer.chart and finding.answer.table.num_rows
        }


def gather(
    events: ds.Dataset,
    run: Run,
    *,
    top: int | None = None,
    by: Literal["day", "hour"] | None = None,
    language: str = ENGLISH.name,
    before: Before | None = None,
) -> Findings:
    """Ask every installed report, and sum up.

    `events` has the columns of `schema.EVENTS`, filtered as the reader wished. Memory grows with the kinds of failures,
    not with the events. A report that fails is named in `problems`, and the others are asked all the same.
    `top` and `by` left out are chosen to fit the place and the time span. `before` are the days before the events.

    >>> bounce = {"direction": "outbound", "action": "bounced", "cause": "policy", "recipient_domain": "a.example"}
    >>> gather(Asked.of(bounce).events, Run((), ())).summary.verdict
    'The only delivery failed: policy at a.example.'
    """
    words = Language(language)
    asked = Asked(events, top or TOP, by, words, before)
    reports, problems = plugins.load(plugins.REPORTS, Report)
    packages = plugins.packages(plugins.REPORTS)
    findings: list[Finding] = []
    for report in sorted(reports.values(), key=lambda report: (report.place, report.name)):
        package = packages[report.name]
        try:
            answer = report.answer(asked)
            _check(answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's report must not end the run
            met = f"failed: {plugins.said(error)}"
            problems.append(plugins.broken(plugins.REPORTS, report.name, package, met))
        else:
            title = words.title(report.name, report.title)
            findings.append(Finding(report, package, answer, title))
    return Findings(run, _summary(asked), tuple(findings), run.problems + tuple(problems), asked.failures, top, words)


def _check(answer: Answer) -> None:
    """Raise `TypeError` or `ValueError` where the answer breaks the contract."""
    if not isinstance(answer, Answer):
        raise TypeError(f"it answered with {type(answer).__name__}, not logscan.report.Answer")
    if not isinstance(answer.table, pa.Table):
        raise TypeError(f"its table is {type(answer.table).__name__}, not pyarrow.Table")
    if not isinstance(answer.note, str):
        raise TypeError(f"its note is {type(answer.note).__name__}, not str")
    chart = answer.chart
    axes = (chart.x, *chart.series, *([chart.by] if chart.by else [])) if chart else ()
    named = {*answer.shown, *answer.below, *answer.brief, *axes}
    if missing := sorted(named - set(answer.table.column_names)):
        raise ValueError(f"its table has no column {', '.join(missing)}")
    if chart:
        for name in chart.series:
            if not is_number(type_ := answer.table.schema.field(name).type):
                raise ValueError(f"its chart draws {name}, which is {type_}, not numbers")
        numbers(answer, TOP)


def _summary(asked: Asked) -> Summary:
    outcomes = asked.outcomes
    by_action = largest_first(rollup(outcomes, ["action"])).select(["action", "events"]).to_pylist()
    counted_actions = {row["action"] or "none": row["events"] for row in by_action}
    actions = {name: counted_actions.pop(name) for name in ACTIONS if name in counted_actions} | counted_actions
    sent = outcomes.filter(SENT)
    failures = {name: number for name in FAILURES if (number := total(sent.filter(pc.field("action") == name)))}
    tries = total(deliveries(sent, []), "deliveries")
    messages, recipients = _different(asked, tries)
    return Summary(
        events=total(outcomes),
        actions=actions,
        copies=asked.events.count_rows(filter=~COUNTED),
        first=pc.min(outcomes["since"]).as_py(),
        last=pc.max(outcomes["last"]).as_py(),
        deliveries=tries,
        failures=failures,
        refusals=total(asked.failures.filter(INBOUND)),
        messages=messages,
        recipients=recipients,
        sentences=verdict(tries, asked.failures, total(outcomes), asked.language),
    )


def _different(asked: Asked, tries: int) -> tuple[int | None, int | None]:
    """How many different messages and recipients the deliveries have; None where that is not known."""
    if tries > EXACT:
        return None, None
    columns = {name: ds.field(name).cast(pa.string()) for name in ("host", "queue_id", "recipient")}
    outcome = ds.field("action").isin((DELIVERED, *FAILURES)) & ds.field("queue_id").is_valid()
    rows = asked.events.scanner(columns=columns, filter=COUNTED & SENT & outcome, **SCAN).to_table()
    if tries and not len(rows):  # the queue ids were left out, or the log has none
        return None, None
    messages = rows.group_by(["host", "queue_id"]).aggregate([]).num_rows
    return messages, rows.group_by(list(columns)).aggregate([]).num_rows


def verdict(tries: int, failures: pa.Table, events: int, language: Language = ENGLISH) -> tuple[str, ...]:
    """What a hurried reader must know, in sentences.

    From the number of deliveries, the counted failures (`Asked.failures`) and the number of all events.

    >>> failures = pa.table({"direction": ["outbound", "inbound"], "action": ["bounced", "rejected"],
    ...     "cause": ["user-unknown", "blocklisted"], "recipient_domain": ["a.example", "us.example"],
    ...     "events": [20, 1], "since": [1, 1], "last": [2, 2]})
    >>> for sentence in verdict(80, failures, 150):
    ...     print(sentence)
    25.0 % of 80 deliveries failed, 20 of them for good; most often: user-unknown (20), mainly at a.example (20).
    1 incoming try was refused; most often: blocklisted (1).
    """
    say = language.say
    sent, received = failures.filter(SENT), failures.filter(INBOUND)
    failed, refused = total(sent), total(received)
    if not tries and not refused:
        others = language.counted(events, "other-event")
        return (say("report.only-others", others=others) if events else say("report.no-events"),)
    sentences = []
    if tries == 1:
        sentences.append(say("report.one-failed", **_usual(sent, language)) if failed else say("report.one-succeeded"))
    elif failed:
        for_good = total(sent.filter(pc.field("action") != "deferred")) or say("report.none")
        rate = percent(failed / tries)
        sentences.append(say("report.failed", rate=rate, tries=tries, forgood=for_good, **_usual(sent, language)))
    elif tries:
        sentences.append(say("report.all-succeeded", tries=tries))
    if refused:
        cause, number = _largest(received, "cause", language)
        sentences.append(language.counted(refused, "refused", cause=cause, most=number))
    elif not failed:
        sentences.append(say("report.nothing-refused"))
    return tuple(sentences)


def _usual(failures: pa.Table, language: Language) -> dict[str, str | int]:
    """The cause of most failures, and the domain that has most of those; with how many.

    What expired was put off before, and those failures say why: it names no cause while others do.
    """
    telling = failures.filter(pc.field("cause") != "expired")
    failures = telling if len(telling) else failures
    top = largest_first(rollup(failures, ["cause"])).slice(0, 1)["cause"]
    cause, of_cause = _largest(failures, "cause", language)
    same = pc.is_in(failures["cause"], value_set=top.combine_chunks())
    domain, at_domain = _largest(failures.filter(same), "recipient_domain", language)
    return {"cause": cause, "most": of_cause, "domain": domain, "there": at_domain}


def _largest(failures: pa.Table, column: str, language: Language) -> tuple[str, int]:
    """The group with most events, as it is called in a sentence, and their number."""
    [group] = largest_first(rollup(failures, [column])).slice(0, 1).to_pylist()
    unnamed = language.say("report.unnamed", column=language.heading(column))
    return (safe(group[column], 60) if group[column] else unnamed), group["events"]
