"""Finds the reports that installed packages offer, ours among them, and says whose fault it is when one is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

from logscan.report import Report
from logscan.run import Problem

GROUP = "logscan.reports"
# Whose report stands where two packages give theirs one name.
OWN = "mail-logscan"


class BrokenReportError(Exception):
    """A report that cannot be used, and what to do about it."""

    def __init__(self, name: str, package: str, met: str):
        self.problem = Problem(
            f"report {name} of {package}",
            met,
            f"update or remove {package}; the other reports are complete",
            fatal=False,
        )
        super().__init__(str(self.problem))


def offered() -> tuple[EntryPoint, ...]:
    """Every report that an installed package offers, by name; none is loaded.

    >>> sorted({entry.name for entry in offered()} & {"causes", "domains"})
    ['causes', 'domains']
    """
    return tuple(sorted(entry_points(group=GROUP), key=lambda e: (e.name, package_of(e) != OWN, package_of(e))))


def package_of(entry: EntryPoint) -> str:
    """The distribution that offers it."""
    return entry.dist.name if entry.dist else "an unknown package"


def load(entry: EntryPoint) -> Report:
    """The report itself. Raises `BrokenReportError` when it cannot be imported, is none, or has another name."""
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        raise BrokenReportError(entry.name, package_of(entry), f"cannot be loaded: {said(error)}") from error
    if not isinstance(found, Report):
        met = f"{entry.value} is {type(found).__name__}, not logscan.report.Report"
        raise BrokenReportError(entry.name, package_of(entry), met)
    if found.name != entry.name:
        met = f"it calls itself {found.name!r}: a report is registered under its own name"
        raise BrokenReportError(entry.name, package_of(entry), met)
    return found


def load_all(entries: Iterable[EntryPoint]) -> Iterator[tuple[EntryPoint, Report | Problem]]:
    """Each entry with its report, in the order of `Report.place`, then each with its problem. A name is given once."""
    loaded: dict[str, tuple[EntryPoint, Report]] = {}
    broken: list[tuple[EntryPoint, Problem]] = []
    for entry in entries:
        try:
            report = load(entry)
            if report.name in loaded:
                met = f"its name {report.name!r} is taken by {package_of(loaded[report.name][0])}"
                raise BrokenReportError(entry.name, package_of(entry), met)
            loaded[report.name] = entry, report
        except BrokenReportError as error:
            broken.append((entry, error.problem))
    yield from sorted(loaded.values(), key=lambda pair: (pair[1].place, pair[1].name))
    yield from broken


def said(error: BaseException) -> str:
    """An error in one line: its kind and its words.

    >>> said(ValueError("no such column"))
    'ValueError: no such column'
    """
    words = str(error).strip().splitlines()
    return type(error).__name__ + (f": {words[0]}" if words else "")
