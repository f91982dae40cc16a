"""Finds parsers and reports by their entry points; ours are found as anybody's.

Listing names loads nothing. A plugin that does not load, or is not what its group holds, is named with its package
and left out; the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from logscan.run import Problem

T = TypeVar("T")

PARSERS, REPORTS = "logscan.parsers", "logscan.reports"


def names(group: str) -> list[str]:
    """The names registered in a group, without loading any.

    >>> "postfix" in names(PARSERS)
    True
    """
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, kind: type[T], only: str | None = None) -> tuple[dict[str, T], list[Problem]]:
    """The plugins of a group by name, and what is wrong with those that could not be had."""
    found: dict[str, T] = {}
    problems = []
    for point in _points(group):
        if only is not None and point.name != only:
            continue
        origin = f"plugin {point.name} ({point.dist.name if point.dist else point.value})"
        try:
            value = point.load()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises must not end the run
            problems.append(Problem(origin, f"does not load: {error}", "update or remove its package"))
            continue
        if not isinstance(value, kind):
            met = f"{point.value} is a {type(value).__name__}, not a {kind.__name__}"
            problems.append(Problem(origin, met, "see ARCHITECTURE.md, plugins"))
            continue
        found[point.name] = value
    return found, problems


def _points(group: str) -> Iterator[EntryPoint]:
    yield from sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
