"""Watches rules of the config, and tells of each alert once when it begins and once when it ends."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.config import Alerts, Rule, duration
from logscan.counts import FAILED, SENT, count, deliveries, rollup, total
from logscan.durable import replacing
from logscan.language import ENGLISH, Language
from logscan.publish.text import moment, percent, safe
from logscan.run import Run

# What a rule asks for, where it does not say.
LEAST = {"failure-rate": 20, "blocklisted": 3, "coverage": 1000, "silent": 1}
# A host is missed for as many windows as it was there before.
MISSED = 8
PATIENCE = 20
COLUMNS = {"domain": "recipient_domain", "provider": "provider", "cause": "cause"}


@dataclass(frozen=True)
class Alert:
    """Something that holds now, or held and has ended. Times are ISO 8601, UTC."""

    rule: str
    about: str
    """The domain, provider, cause, list or host; empty where the rule is about all."""
    said: str
    began: str
    ended: str | None = None

    @property
    def key(self) -> str:
        """What makes it the same alert tomorrow."""
        return f"{self.rule}\t{self.about}"

    def told(self, language: Language = ENGLISH) -> str:
        """It in a line.

        >>> Alert("refused", "a.example", "2 of 2 deliveries failed", "2026-11-23T12:00:00+00:00").told()
        'refused: a.example: 2 of 2 deliveries failed (since 2026-11-23T12:00:00+00:00)'
        """
        state = language.say("alert.ended" if self.ended else "alert.since", began=self.began, ended=self.ended)
        form = "alert.line-about" if self.about else "alert.line"
        return safe(language.say(form, rule=self.rule, about=self.about, said=self.said, state=state), 500)


def holding(
    rules: Sequence[Rule],
    events: ds.Dataset,
    run: Run,
    now: datetime,
    language: Language = ENGLISH,
    before: Sequence[Alert] = (),
) -> list[Alert]:
    """The alerts that hold now: `events` are those of the store, `run` what was read just now.

    Too few new lines say nothing of what is understood of them: then those that held `before` go on.

    >>> from datetime import timedelta
    >>> from logscan.report import Asked
    >>> now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> bounce = {"time": now - timedelta(hours=1), "action": "bounced", "recipient_domain": "a.example"}
    >>> rule = Rule("refused", "failure-rate", by="domain", above=0.5, least=2)
    >>> [alert.said for alert in holding([rule], Asked.of(bounce, bounce).events, Run((), ()), now)]
    ['2 of 2 deliveries failed (100 %)']
    """
    began = now.astimezone(UTC).isoformat(timespec="seconds")
    found = []
    for rule in rules:
        if rule.watch == "coverage" and run.tally.lines < _least(rule):
            found += [alert for alert in before if alert.rule == rule.name]
            continue
        found += [
            Alert(rule.name, about, said, began)
            for about, said in _WATCH[rule.watch](rule, events, run, now, language)
            if not rule.only or about in rule.only
        ]
    return found


def _least(rule: Rule) -> int:
    return LEAST[rule.watch] if rule.least is None else rule.least


def _recent(events: ds.Dataset, since: datetime, until: datetime) -> ds.Expression:
    first, last = (pa.scalar(moment, pa.timestamp("us", "UTC")) for moment in (since, until))
    return (pc.field("time") >= first) & (pc.field("time") <= last)


def _failing(rule: Rule, events: ds.Dataset, _: Run, now: datetime, language: Language) -> Iterator[tuple[str, str]]:
    """Failures among deliveries; of a cause, among all deliveries."""
    when = _recent(events, now - duration(rule.window), now)
    least = _least(rule)
    by = [] if rule.by == "all" else [COLUMNS[rule.by]]
    counted = count(events, ["action", *by], where=when & SENT)
    went = deliveries(counted, by if rule.by != "cause" else [])
    rows = went.to_pylist()
    if rule.by == "cause":
        whole = total(went, "deliveries")
        failed = rollup(counted.filter(FAILED), ["cause"])
        rows = [{"cause": row["cause"], "failures": row["events"], "deliveries": whole} for row in failed.to_pylist()]
    for row in rows:
        rate = row["failures"] / row["deliveries"] if row["deliveries"] else 0.0
        about = row[by[0]] if by else ""
        if about is not None and row["deliveries"] >= least and rate > rule.above:
            numbers = {name: row[name] for name in ("failures", "deliveries")}
            yield about, language.say("alert.failing", **numbers, rate=percent(rate))


def _blocklisted(
    rule: Rule, events: ds.Dataset, _: Run, now: datetime, language: Language
) -> Iterator[tuple[str, str]]:
    """Refusals of our address, by the list that the reply names."""
    when = _recent(events, now - duration(rule.window), now)
    refused = SENT & FAILED & (pc.field("cause").cast(pa.string()) == "blocklisted")
    for row in count(events, ["detail"], where=when & refused).to_pylist():
        if row["events"] >= _least(rule):
            yield row["detail"] or "", language.say("alert.blocklisted", number=row["events"])


def _uncovered(rule: Rule, _: ds.Dataset, run: Run, now: datetime, language: Language) -> Iterator[tuple[str, str]]:
    tally = run.tally
    if tally.lines and tally.unread / tally.lines > rule.above:
        rate = percent(tally.unread / tally.lines)
        yield "", language.say("alert.coverage", unread=tally.unread, lines=tally.lines, rate=rate)


def _silent(rule: Rule, events: ds.Dataset, _: Run, now: datetime, language: Language) -> Iterator[tuple[str, str]]:
    """Hosts that logged before, and do so no more."""
    window = duration(rule.window)
    for row in count(events, ["host"], where=_recent(events, now - MISSED * window, now)).to_pylist():
        if row["last"] < now - window:
            last = moment(row["last"], seconds=False)
            yield row["host"] or "", language.say("alert.silent", window=rule.window, last=last)


_WATCH: Mapping[str, Any] = {
    "failure-rate": _failing,
    "blocklisted": _blocklisted,
    "coverage": _uncovered,
    "silent": _silent,
}


def turns(before: Sequence[Alert], now: Sequence[Alert], at: datetime) -> tuple[list[Alert], list[Alert]]:
    """The alerts that are on, with when they began, and those to tell: begun or ended since `before`.

    >>> one, at = Alert("r", "a", "bad", "t1"), datetime(2026, 11, 23, tzinfo=UTC)
    >>> turns([one], [Alert("r", "a", "worse", "t2")], at)
    ([Alert(rule='r', about='a', said='worse', began='t1', ended=None)], [])
    >>> [alert.ended for alert in turns([one], [], at)[1]]
    ['2026-11-23T00:00:00+00:00']
    """
    known = {alert.key: alert for alert in before}
    on = [Alert(**asdict(alert) | {"began": known.get(alert.key, alert).began}) for alert in now]
    there = {alert.key for alert in on}
    ended = at.astimezone(UTC).isoformat(timespec="seconds")
    over = [Alert(**asdict(alert) | {"ended": ended}) for alert in before if alert.key not in there]
    return on, [*(alert for alert in on if alert.key not in known), *over]


def listed(alerts: Sequence[Alert]) -> pa.Table:
    """Alerts as a table: rule, about, said, began, ended (times in UTC)."""
    moments = ("began", "ended")
    rows = [
        asdict(one) | {name: datetime.fromisoformat(at) if (at := getattr(one, name)) else None for name in moments}
        for one in alerts
    ]
    schema = [(one.name, pa.timestamp("us", "UTC") if one.name in moments else pa.string()) for one in fields(Alert)]
    return pa.Table.from_pylist(rows, schema=pa.schema(schema))


def as_json(host: str, alerts: Sequence[Alert], language: Language = ENGLISH) -> bytes:
    """What webhooks and commands get: host, text (all in words), alerts (rule, about, said, began, ended)."""
    text = "\n".join(alert.told(language) for alert in alerts)
    return json.dumps({"host": host, "text": text, "alerts": [asdict(alert) for alert in alerts]}).encode()


def call(url: str, content: bytes) -> None:
    """POST JSON to a webhook. Raises `OSError` where it cannot be reached or says no."""
    headers = {"Content-Type": "application/json", "User-Agent": "logscan"}
    request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310 the config allows http(s) alone
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass


def run_command(command: Sequence[str], content: bytes) -> None:
    """Give JSON to a program. Raises `OSError` where it cannot be run or fails."""
    try:
        subprocess.run(command, input=content, check=True, timeout=PATIENCE, capture_output=True)  # noqa: S603 no shell
    except subprocess.SubprocessError as error:
        raise OSError(str(error)) from None


def write_textfile(path: Path, rules: Sequence[Rule], on: Sequence[Alert], numbers: Mapping[str, float]) -> None:
    """Write gauges (https://prometheus.io/docs/instrumenting/exposition_formats/), whole or not at all."""
    with replacing(path) as file:
        file.write(exposed(rules, on, numbers).encode())


def exposed(rules: Sequence[Rule], on: Sequence[Alert], numbers: Mapping[str, float]) -> str:
    r"""Gauges: one for each alert that is on, 0 for each rule that is quiet, and the numbers.

    >>> print(exposed([Rule("r", "silent")], [Alert("r", 'a"\n', "gone", "t")], {"failure_rate": 0.5}), end="")
    # TYPE logscan_alert gauge
    logscan_alert{rule="r",about="a\"\\x0a"} 1
    # TYPE logscan_failure_rate gauge
    logscan_failure_rate 0.5
    """
    lines = ["# TYPE logscan_alert gauge"] if rules else []
    lines += [f'logscan_alert{{rule="{_label(one.rule)}",about="{_label(one.about)}"}} 1' for one in on]
    quiet = [rule.name for rule in rules if rule.name not in {one.rule for one in on}]
    lines += [f'logscan_alert{{rule="{_label(name)}",about=""}} 0' for name in quiet]
    for name, number in numbers.items():
        lines += [f"# TYPE logscan_{name} gauge", f"logscan_{name} {number:.10g}"]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    # Escapes that `safe` writes are letters of the label: its backslashes are doubled as any.
    return safe(text, 200).replace("\\", "\\\\").replace('"', '\\"')


def outputs(alerts: Alerts) -> bool:
    """Whether anybody is told."""
    return bool(alerts.to or alerts.webhook or alerts.command)
