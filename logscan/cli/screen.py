"""What a command shows while it works and when it is done."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


def show(shown: Any) -> None:
    """Prints something that rich can show."""
    from rich.console import Console

    # A terminal that lacks a letter, as with LANG=C, gets it written out, and no traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    # A pipe or a file has no width: 80 columns then, as mail and cron show it.
    with suppress(SystemExit):  # rich's answer to a reader that went away; files are written all the same
        Console(highlight=False, width=console.width if console.is_terminal else 80).print(shown)


class Silent:
    """No progress: nobody looks."""

    def __call__(self, size: int, lines: int, total: int) -> None:
        """A stretch was read."""

    def finish(self) -> None:
        """Reading has ended."""


class _Bar(Silent):
    """A bar with the lines read each second, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"), TimeRemainingColumn())
        # Drawn when a stretch comes in: a drawing thread would not mix with the forking of workers.
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", rate="")
        self._lines = 0

    def __call__(self, size: int, lines: int, total: int) -> None:
        self._lines += lines
        if not self._bar.live.is_started:
            self._bar.start()
        elapsed = self._bar.tasks[0].elapsed or 0.0
        rate = f"{self._lines / elapsed:,.0f} lines/s" if elapsed else ""
        self._bar.update(self._task, advance=size, total=total, rate=rate, refresh=True)

    def finish(self) -> None:
        self._bar.stop()


@contextmanager
def progress() -> Iterator[Silent]:
    """A bar on a terminal, nothing elsewhere."""
    bar = _Bar() if sys.stderr.isatty() else Silent()
    try:
        yield bar
    finally:
        bar.finish()
