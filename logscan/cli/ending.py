"""How a command ends: errors as one line on stderr, what was not understood, and the exit code that says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from logscan.run import Run

DONE, PARTLY, NOT_DONE = 0, 1, 2
STRICT = 0.999
PROBLEMS_SHOWN = 20
SAMPLE_SHOWN = 160

EXITS = "Ends with 0: done. 1: done, but a source could not be read whole (told on stderr). 2: not done."


@contextmanager
def read_or_not() -> Iterator[None]:
    """Ends well where the reader of our output goes away (`| head`): nobody is left to say anything to."""
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, in silence (docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(DONE) from None


@contextmanager
def told() -> Iterator[None]:
    """Errors as one line on stderr and an exit code, never as a traceback."""
    from logscan.lean import pandas_on_demand

    pandas_on_demand()
    from logscan.memory import keep_freed_memory

    keep_freed_memory()
    try:
        with read_or_not():
            yield
    except typer.Exit:
        raise
    except (ValueError, typer.BadParameter) as error:
        say(str(error))
        raise typer.Exit(NOT_DONE) from None
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        say(f"{name}{error.strerror or error}")
        raise typer.Exit(NOT_DONE) from None
    except KeyboardInterrupt:
        say("stopped")
        raise typer.Exit(130) from None
    except Exception as error:
        # Imported only now: most commands end without a store, and without workers.
        from concurrent.futures import BrokenExecutor

        from logscan.plan import UsageError
        from logscan.store import StoreError

        if isinstance(error, BrokenExecutor):
            say("a worker process was killed; most often for want of memory: try fewer with --workers")
        elif isinstance(error, UsageError | StoreError):
            say(str(error))
        else:
            raise
        raise typer.Exit(NOT_DONE) from None


def say(text: str) -> None:
    """A line to stderr, safe for a terminal."""
    from logscan.publish.text import safe

    typer.echo(f"logscan: {safe(text)}", err=True)


def end(run: Run, strict: bool, *, shown: bool = False) -> None:
    """Tells what went wrong and what was not understood, and ends with the code that says so.

    shown: the screen has told it already; then stderr repeats it only where it goes elsewhere.
    """
    if not (shown and sys.stdout.isatty() and sys.stderr.isatty()):
        _tell(run)
    fatal = any(problem.fatal for problem in run.problems)
    if (fatal and not run.sources) or (strict and run.tally.share_understood < STRICT):
        raise typer.Exit(NOT_DONE)
    if fatal:
        raise typer.Exit(PARTLY)


def _tell(run: Run) -> None:
    for problem in run.problems[:PROBLEMS_SHOWN]:
        say(str(problem))
    if len(run.problems) > PROBLEMS_SHOWN:
        say(f"and {len(run.problems) - PROBLEMS_SHOWN} more")
    tally = run.tally
    if tally.unread:
        from logscan.publish.text import percent

        share = percent(tally.share_understood, 2)
        say(f"{tally.unread:,} of {tally.lines:,} lines not understood ({share} understood)")
        read = next(read for read in run.sources if read.tally.samples)
        offset, line = read.tally.samples[0]
        say(f"{read.source}: byte {offset}: {line[:SAMPLE_SHOWN]}")
