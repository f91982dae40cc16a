"""Finds parsers and reports by their entry points; ours are found as anybody's.

Listing names loads nothing. A plugin that does not load, or is not what its group holds, is named with its package
and left out; the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from itertools import groupby, islice
from operator import attrgetter
from typing import TypeVar

from logscan.run import Problem

T = TypeVar("T")

PARSERS, REPORTS = "logscan.parsers", "logscan.reports"
# Ours stand where another package offers something under the same name.
OWN = "mail-logscan"
READ = "see ARCHITECTURE.md, plugins"


def names(group: str) -> list[str]:
    """The names registered in a group, without loading any.

    >>> "postfix" in names(PARSERS)
    True
    """
    return sorted({point.name for point in entry_points(group=group)})


def packages(group: str) -> dict[str, str]:
    """The package that each name of a group comes from, without loading any.

    >>> packages(REPORTS)["causes"]
    'mail-logscan'
    """
    # Of equal names the first one stands.
    return {point.name: _package(point) for point in reversed(_points(group))}


def load(group: str, kind: type[T], only: str | None = None) -> tuple[dict[str, T], list[Problem]]:
    """The plugins of a group by name, and what is wrong with those that could not be had."""
    found: dict[str, T] = {}
    problems = []
    for point in _points(group):
        if only is not None and point.name != only:
            continue
        plugin = _load(point, kind)
        if isinstance(plugin, Problem):
            problems.append(plugin)
        elif point.name in found:
            met = f"the name {point.name} is taken by {packages(group)[point.name]}"
            problems.append(broken(group, point.name, _package(point), met, READ))
        else:
            found[point.name] = plugin
    return found, problems


def last_first(group: str, kind: type[T]) -> Iterator[T]:
    """The plugins of a group in falling order of their names, each loaded when its turn comes, without the broken ones.

    >>> from logscan.parser import Parser
    >>> [parser.name for parser in last_first(PARSERS, Parser) if parser.name.startswith("ex")]
    ['exim', 'exchange']
    """
    for _, equal in groupby(reversed(_points(group)), attrgetter("name")):
        plugins = (_load(point, kind) for point in reversed(list(equal)))
        yield from islice((plugin for plugin in plugins if not isinstance(plugin, Problem)), 1)


def _load(point: EntryPoint, kind: type[T]) -> T | Problem:
    try:
        value = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module must not end the run
        return broken(point.group, point.name, _package(point), f"does not load: {said(error)}")
    if not isinstance(value, kind):
        met = f"{point.value} is a {type(value).__name__}, not a {kind.__name__}"
    elif (own_name := getattr(value, "name", point.name)) != point.name:
        met = f"{point.value} calls itself {own_name!r}: the two names must be one"
    else:
        return value
    return broken(point.group, point.name, _package(point), met, READ)


def broken(group: str, name: str, package: str, met: str, advice: str = "update or remove its package") -> Problem:
    """What to tell of a plugin that failed. Without a parser lines may be missing, without a report none is."""
    return Problem(f"plugin {name} ({package})", met, advice, fatal=group == PARSERS)


def said(error: BaseException) -> str:
    """An error in one line: its kind and the first line of its words.

    >>> said(ValueError("no such column"))
    'ValueError: no such column'
    """
    words = str(error).strip().splitlines()
    return type(error).__name__ + (f": {words[0]}" if words else "")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _points(group: str) -> list[EntryPoint]:
    """The entry points, by name; ours first among equal names."""
    points: list[EntryPoint] = []
    for _, equal in groupby(sorted(entry_points(group=group), key=attrgetter("name")), attrgetter("name")):
        several = list(equal)
        # A package's name stands in its metadata, which holds its whole README: read only where it is needed.
        points += (
            sorted(several, key=lambda point: (_package(point) != OWN, _package(point))) if several[1:] else several
        )
    return points
