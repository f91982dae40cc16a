"""What a report is asked of: the events of log files or of a store, and the part of them that the reader wants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.advice import cause_named
from logscan.counts import SCAN
from logscan.parquet import write_events
from logscan.pipeline import Progress, scanning
from logscan.plan import Options, UsageError
from logscan.run import Run
from logscan.schema import EVENTS

# Of five digits at most: two thousand years.
_LAST = re.compile(r"([0-9]{1,5})\s*([wdhm])")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}


@dataclass(frozen=True)
class Wanted:
    """The part of the events that the reader wants; everything by default."""

    since: str | None = None
    until: str | None = None
    last: str | None = None
    domains: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    tz: str | None = None

    def expression(self, newest: datetime | None) -> ds.Expression | None:
        """The filter, or None for everything. `newest` is the time of the last event, which `last` counts back from.

        Raises UsageError.
        """
        parts = []
        if self.since:
            parts.append(pc.field("time") >= pa.scalar(self._moment("--since", self.since), EVENTS.field("time").type))
        if self.until:
            parts.append(pc.field("time") < pa.scalar(self._moment("--until", self.until), EVENTS.field("time").type))
        if self.last and newest:
            parts.append(pc.field("time") > pa.scalar(newest - _span(self.last), EVENTS.field("time").type))
        for choices, make in ((self.domains, _domain), (self.codes, _code), (self.causes, _cause)):
            if choices:
                expression = make(choices[0])
                for choice in choices[1:]:
                    expression = expression | make(choice)
                parts.append(expression)
        if not parts:
            return None
        whole = parts[0]
        for part in parts[1:]:
            whole = whole & part
        return whole

    def _moment(self, option: str, text: str) -> datetime:
        zone = Options(tz=self.tz).zone()
        try:
            moment = datetime.fromisoformat(text)
            if zone and not moment.tzinfo:
                moment = moment.replace(tzinfo=zone)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError, OSError):  # the last two: beyond the calendar, which Windows ends at 1970
            raise UsageError(f"{option} {text}: not a time; write 2026-11-23 or 2026-11-23T08:00") from None


def _span(text: str) -> timedelta:
    """How long `7d`, `24h`, `90m` or `2w` is.

    >>> _span("24h") == _span("1d")
    True
    """
    found = _LAST.fullmatch(text.strip().lower())
    if not found:
        raise UsageError(f"--last {text}: not a span; write 7d, 24h or 90m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _text(column: str) -> ds.Expression:
    return pc.field(column).cast(pa.string())


def _domain(name: str) -> ds.Expression:
    name = name.lower().rstrip(".")
    if name.startswith("*."):
        return pc.ends_with(_text("recipient_domain"), name[1:])
    return _text("recipient_domain") == name


def _code(code: str) -> ds.Expression:
    if re.fullmatch(r"[0-9]{3}", code):
        return pc.field("code") == int(code)
    if re.fullmatch(r"[2-5][xX]{2}", code):
        return _text("code_class") == code.lower()
    if re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", code):
        return _text("enhanced") == code
    raise UsageError(f"--code {code}: write a reply code (550), a class (5xx) or an enhanced code (5.7.1)")


def _cause(name: str) -> ds.Expression:
    try:
        return _text("cause") == cause_named(name).name
    except ValueError as error:
        raise UsageError(f"--cause {error}") from None


@contextmanager
def opened(
    paths: list[str], store: Path | None, wanted: Wanted, options: Options, progress: Progress | None
) -> Iterator[tuple[ds.Dataset, Run]]:
    """The wanted events of a store, or of log files, and the account of how they were read.

    Raises UsageError and StoreError.
    """
    if bool(paths) == bool(store):
        raise UsageError(
            "name log files, or a store with --store" if not paths else "log files or --store: one of them"
        )
    wanted.expression(None)  # what is wrong with the options is said before hours of reading
    if wanted.last:
        _span(wanted.last)
    privacy = options.privacy()
    if store:
        from logscan.store import Store
    if store and not privacy:
        held = Store.open(store, create=False)
        yield _filtered(held.dataset(), wanted), held.run()
        return
    with TemporaryDirectory(prefix="logscan-") as folder:
        path = Path(folder) / "events.parquet"
        if store and privacy:
            held = Store.open(store, create=False)
            # Filtered first, by what is known of people: what is asked for must not depend on what is shown.
            batches = _filtered(held.dataset(), wanted).scanner(columns=EVENTS.names, **SCAN).to_batches()
            write_events(path, (privacy.events(pa.Table.from_batches([batch])) for batch in batches if len(batch)))
            yield ds.dataset(path, schema=EVENTS), privacy.account(held.run())
            return
        with scanning(paths, options, progress=progress, folder=Path(folder)) as scanned:
            run = scanned.run
            write_events(path, scanned.tables())
        yield _filtered(ds.dataset(path, schema=EVENTS), wanted), privacy.account(run) if privacy else run


def _filtered(events: ds.Dataset, wanted: Wanted) -> ds.Dataset:
    newest = None
    if wanted.last:
        times = [pc.max(batch.column("time")).as_py() for batch in events.to_batches(columns=["time"]) if len(batch)]
        newest = max(times, default=None)
    expression = wanted.expression(newest)
    return events if expression is None else events.filter(expression)
