"""One night: new lines into the store, the report of yesterday, mail, alerts, and old days out.

A day is closed by the time of its events, so it does not matter when the night's run comes, nor how often: what was
mailed is not mailed again, and an alert is told once. What one step cannot do does not stop the others.
"""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from logscan import alerts, star
from logscan.alerts import Alert
from logscan.changes import Change, between, by_day, changes, daily, span, within
from logscan.config import Config
from logscan.durable import replacing
from logscan.ingest import ingest
from logscan.pipeline import Progress
from logscan.plan import UsageError
from logscan.post import message, send
from logscan.privacy import PrivacyError
from logscan.publish import check_path, gather, write
from logscan.publish.files import shortcomings
from logscan.publish.findings import Findings
from logscan.publish.night import of_day, of_night
from logscan.publish.text import safe
from logscan.report import Before
from logscan.run import Problem, Run
from logscan.store import Store

STATE = "nightly.json"
# Seconds to wait for another run that is writing.
PATIENCE = 600


@dataclass
class Night:
    """What a night found and did."""

    day: date
    host: str
    findings: Findings
    changed: list[Change]
    subject: str
    on: list[Alert]
    """Alerts that hold."""
    turned: list[Alert]
    """Alerts that began or ended."""
    news: bool
    """Whether there is something to say."""
    done: list[str] = field(default_factory=list)
    """What was done, or would be, a line each."""
    problems: list[Problem] = field(default_factory=list)
    """What could not be done."""


def nightly(
    config: Config,
    *,
    day: date | None = None,
    to: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Night:
    """A whole night. `day`: instead of yesterday, and mailed even if it was before; `to`: instead of the config's.

    dry_run: nothing is read, written, sent or dropped; the report is of what the store has. Raises `UsageError`,
    `StoreError`, and `ValueError` or `OSError` where the report cannot be written.
    """
    now = now or datetime.now(UTC)
    zone = config.zone()
    of = day or now.astimezone(zone).date() - timedelta(days=1)
    page = Path(config.report.output.replace("{day}", of.isoformat())) if config.report.output else None
    if page:
        check_path(page)
    store = Store.open(Path(config.store.path), create=not dry_run)
    run = Run((), ()) if dry_run else _read(config, store, progress)
    if run.sources:
        star.write(store.path)
    night = _asked(config, store, run, of, now)
    if page:
        night.done.append(f"write {page}")
        if not dry_run:
            write(night.findings, page, store.dataset().filter(within(of, zone)))
            night.problems += shortcomings(night.findings, page)
    _deliver(config, night, store.path, to or config.mail.to, again=day is not None, dry_run=dry_run)
    if config.retention.days:
        before = now.date() - timedelta(days=config.retention.days)
        night.done.append(f"drop days before {before}")
        if not dry_run and store.prune(before):
            star.write(store.path)
    return night


def _read(config: Config, store: Store, progress: Progress | None) -> Run:
    """New lines into the store; the account of it names nobody where the store does not. Raises `UsageError`."""
    reading = config.reading()
    try:
        run = ingest(config.sources.paths, store, reading, progress=progress, wait=PATIENCE)
    except PrivacyError as error:
        raise UsageError(f"{store.path}: {error} (in the config file: store.anonymize, store.key)") from None
    privacy = reading.privacy()
    return privacy.account(run) if privacy else run


def _asked(config: Config, store: Store, run: Run, day: date, now: datetime) -> Night:
    """What there is to say, before anything is done about it."""
    events, state = store.dataset(), _State.read(store.path)
    # A second run of the night reads nothing new: then what was read before is told.
    told = run if run.tally.lines else Run(store.run().sources, run.problems)
    zone = config.zone()
    series = daily(events, day, zone)
    changed = changes(series)
    findings = gather(
        events.filter(within(day, zone)),
        told,
        top=config.report.top,
        language=config.report.language,
        before=_before(events, day, zone, config.report.queue_days),
    )
    holding = alerts.holding(config.alerts.rule, events, run, now, findings.language, state.alerts)
    on, turned = alerts.turns(state.alerts, holding, now)
    told_of = alerts.listed([*on, *(alert for alert in turned if alert.ended)])
    findings = of_night(findings, changed, by_day(series, day), told_of)
    host = config.report.host or safe(socket.gethostname(), 100)
    summary = findings.summary
    rate = summary.failed / summary.deliveries if summary.deliveries else 0.0
    bad = summary.failed >= config.mail.least and rate > config.mail.rate
    fatal = any(problem.fatal for problem in findings.problems)
    news = bool(changed or turned or bad or fatal)
    return Night(day, host, findings, changed, of_day(findings, host, day, changed), on, turned, news)


def _before(events: ds.Dataset, day: date, zone: tzinfo | None, days: int) -> Before | None:
    """The days before, from which mail may still wait."""
    if not days:
        return None
    begin, end = (span(one, zone)[0] for one in (day - timedelta(days=days), day))
    return Before(events.filter(between(begin, end)), days)


def _deliver(config: Config, night: Night, store: Path, to: Sequence[str], *, again: bool, dry_run: bool) -> None:
    """Mail and alerts; and what was told is remembered."""
    state = _State.read(store)
    if to and (again or state.mailed != night.day.isoformat()) and (night.news or config.mail.send == "always"):
        night.done.append(f"mail {', '.join(to)}: {night.subject}")
        if not dry_run:
            from logscan.publish.letter import html, text

            made = message(config.mail, to, night.host, night.subject, text(night.findings), html(night.findings))
            with _tried(night, "mail"):
                send(made, config.mail, to)
                state.mailed = night.day.isoformat()
    told = _tell(config, night, dry_run=dry_run) if night.turned else True
    if told:
        state.alerts = night.on
    if config.alerts.textfile:
        night.done.append(f"write {config.alerts.textfile}")
        if not dry_run:
            with _tried(night, "alerts.textfile"):
                path = Path(config.alerts.textfile)
                alerts.write_textfile(path, config.alerts.rule, night.on, _numbers(night))
    if not dry_run:
        state.write(store)


def _tell(config: Config, night: Night, *, dry_run: bool) -> bool:
    """Tell of alerts that began or ended; whether anybody was told, or nobody was to be."""
    wanted, language = config.alerts, night.findings.language
    lines = [alert.told(language) for alert in night.turned]
    content = alerts.as_json(night.host, night.turned, language)
    said = language.say("alert.more", first=lines[0], number=len(lines) - 1) if len(lines) > 1 else lines[0]
    subject = f"[logscan] {night.host}: {said}"

    def post() -> None:
        made = message(config.mail, wanted.to, night.host, subject, "\n".join(lines) + "\n")
        send(made, config.mail, wanted.to)

    ways: list[tuple[Any, str, Callable[[], None]]] = [
        (wanted.to, "alerts.to", post),
        (wanted.webhook, "alerts.webhook", lambda: alerts.call(str(wanted.webhook), content)),
        (wanted.command, "alerts.command", lambda: alerts.run_command(wanted.command, content)),
    ]
    used = [(key, act) for asked, key, act in ways if asked]
    told = not used
    for key, act in used:
        night.done.append(f"tell {key}: {'; '.join(lines)}")
        if not dry_run:
            before = len(night.problems)
            with _tried(night, key):
                act()
            told = told or len(night.problems) == before
    return told


@contextmanager
def _tried(night: Night, what: str) -> Iterator[None]:
    """What fails here is a problem of the night, and not its end."""
    try:
        yield
    except (OSError, smtplib.SMTPException, ValueError) as error:
        night.problems.append(Problem(what, f"failed: {error}", "it is tried again in the next run"))


def _numbers(night: Night) -> Mapping[str, float]:
    """The numbers of the day for monitoring."""
    summary, tally = night.findings.summary, night.findings.run.tally
    return {
        "deliveries": summary.deliveries,
        "failures": summary.failed,
        "failure_rate": summary.failed / summary.deliveries if summary.deliveries else 0.0,
        "refusals": summary.refusals,
        "changes": len(night.changed),
        "lines_read": tally.lines,
        "lines_not_understood": tally.unread,
        "last_run_timestamp_seconds": datetime.now(UTC).timestamp(),
    }


@dataclass
class _State:
    """What was told before; in the store's folder."""

    mailed: str | None = None
    alerts: list[Alert] = field(default_factory=list)

    @classmethod
    def read(cls, store: Path) -> _State:
        try:
            data = json.loads((store / STATE).read_text(encoding="utf-8"))
            return cls(data["mailed"], [Alert(**alert) for alert in data["alerts"]])
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{store / STATE}: cannot be read ({error}); delete it: alerts are told once more"
            ) from None

    def write(self, store: Path) -> None:
        content = {"mailed": self.mailed, "alerts": [asdict(alert) for alert in self.alerts]}
        with replacing(store / STATE) as file:
            file.write(json.dumps(content, indent=1).encode())


def cron(config: Path, program: str) -> str:
    """A line of a crontab; cron mails what it prints, which is what there is to say.

    >>> cron(Path("/etc/logscan.toml"), "/usr/bin/logscan")
    '20 0 * * *  /usr/bin/logscan nightly --config /etc/logscan.toml'
    """
    return f"20 0 * * *  {_quoted(program)} nightly --config {_quoted(str(config))}".replace("%", r"\%")


def systemd(config: Path, program: str) -> str:
    """A service and its timer, as two files: systemd.service(5), systemd.timer(5)."""
    command = " ".join(_quoted(word).replace("%", "%%") for word in (program, "nightly", "--config", str(config)))
    return f"""# /etc/systemd/system/logscan-nightly.service
[Unit]
Description=Report on the mail logs of yesterday
After=network-online.target

[Service]
Type=oneshot
ExecStart={command}
# 3: there are news, which is no failure of ours.
SuccessExitStatus=3
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
PrivateTmp=yes

# /etc/systemd/system/logscan-nightly.timer
[Unit]
Description=Report on the mail logs every night

[Timer]
OnCalendar=*-*-* 00:20:00
Persistent=yes
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
"""


def _quoted(word: str) -> str:
    """A word of a command; in quotes where it needs them, as a shell and systemd read alike."""
    plain = all(letter.isalnum() or letter in "/._-+:@%=," for letter in word)
    return word if plain else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
