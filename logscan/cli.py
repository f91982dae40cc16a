"""The command line: each command gathers, calls, prints and ends. What it does stands elsewhere."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logscan import __version__

if TYPE_CHECKING:
    from logscan.plan import Options
    from logscan.run import Run

DONE, PARTLY, NOT_DONE = 0, 1, 2
STRICT = 0.999
PROBLEMS_SHOWN = 20
SAMPLE_SHOWN = 160

EXITS = "Ends with 0: done. 1: done, but a source could not be read whole (told on stderr). 2: not done."

app = typer.Typer(
    name="logscan",
    help=f"Who refuses our mail, with which SMTP code, why, since when, and what to do.\n\n{EXITS}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class By(StrEnum):
    """Steps of the trend."""

    day = "day"
    hour = "hour"


Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS...", help="Files, folders, globs, or - for standard input; .gz .bz2 .xz .zst too."),
]
Format = Annotated[str | None, typer.Option(help="Read all sources as this format (see `logscan formats`).")]
Tz = Annotated[
    str | None, typer.Option(help="Zone of stamps that state none, e.g. Europe/Berlin. Default: this machine's.")
]
Year = Annotated[
    int | None, typer.Option(min=1970, max=2200, help="Year of each file's first line, where stamps have none.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes. Default: one a core.")]
Strict = Annotated[
    bool, typer.Option("--strict", help=f"End with 2 when less than {STRICT:.1%} of the lines are understood.")
]


@app.callback(invoke_without_command=True)
def logscan(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Options that stand before any command."""
    if version:
        typer.echo(f"logscan {__version__}")
        raise typer.Exit(DONE)


@app.command(
    epilog="Examples:  logscan report /var/log/mail.log*   |   zcat old.gz | logscan report -   |   "
    "logscan report --store /srv/mail -o week.html --last 7d"
)
def report(
    paths: Paths = None,
    store: Annotated[Path | None, typer.Option(help="Report on this store instead of log files.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write .html, .csv, .json, .parquet, or a folder of all.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: 2026-11-23, 2026-11-23T08:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to, not including, this time.")] = None,
    last: Annotated[str | None, typer.Option(help="The last part of the log: 7d, 24h, 90m.")] = None,
    domain: Annotated[
        list[str] | None, typer.Option(help="Recipient domain; *.example.com for those below it.")
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Reply code (550), class (5xx) or enhanced code (5.7.1).")
    ] = None,
    cause: Annotated[list[str] | None, typer.Option(help="Cause, e.g. blocklisted.")] = None,
    by: Annotated[By | None, typer.Option(help="Steps of the trend. Default: as fits the time span.")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Rows of each table. Default: as fits the place.")
    ] = None,
    format: Format = None,
    tz: Tz = None,
    year: Year = None,
    workers: Workers = None,
    strict: Strict = False,
) -> None:
    """Show what failed, for whom, why, and what to do; from log files or from a store."""
    with _told():
        from logscan.asked import Wanted, opened
        from logscan.publish import check_path, gather, screen, write

        if output:
            check_path(output)
        wanted = Wanted(since, until, last, tuple(domain or ()), tuple(code or ()), tuple(cause or ()), tz)
        with (
            _progress() as progress,
            opened(paths or [], store, wanted, _options(format, tz, year, workers), progress) as (events, run),
        ):
            findings = gather(events, run, top=top, by=by.value if by else None)
            progress.finish()
            _print(screen(findings))
            if output:
                for path in write(findings, output, events):
                    _say(f"wrote {path}")
            _end(run, strict, shown=True)


@app.command(
    epilog="Examples:  logscan scan /var/log/mail.log -o mail.parquet   |   logscan scan /var/log -o /srv/mail/   |   "
    "logscan scan mail.log -o - | jq .reply"
)
def scan(
    paths: Paths = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="A store (folder), FILE.parquet, FILE.jsonl, or - for JSON lines.")
    ] = "-",
    format: Format = None,
    tz: Tz = None,
    year: Year = None,
    workers: Workers = None,
    strict: Strict = False,
    tally_json: Annotated[Path | None, typer.Option(help="Write how many lines were understood to this file.")] = None,
) -> None:
    """Turn logs into the events table: into a store, a Parquet file, or JSON lines."""
    with _told():
        from logscan.output import scan_to

        if not paths:
            raise typer.BadParameter("name the logs to scan: files, folders, globs, or -")
        with _progress() as progress:
            run = scan_to(paths, output, _options(format, tz, year, workers), progress, tally_json)
        _end(run, strict)


@app.command()
def formats(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATHS]...", help="Say what these are.")] = None,
) -> None:
    """List the formats that can be read, or say what given files are and how sure that is."""
    with _told():
        from logscan.output import describe_formats

        lines, problems = describe_formats(paths or [])
        for line in lines:
            typer.echo(line)
        for problem in problems:
            _say(str(problem))
        if any(problem.fatal for problem in problems):
            raise typer.Exit(PARTLY)


@app.command(epilog="Example:  logscan causes blocklisted")
def causes(names: Annotated[list[str] | None, typer.Argument(help="Tell all of these.")] = None) -> None:
    """List the causes that a failure is put down to; of given ones, who has to act and what to do."""
    from logscan.advice import describe

    with _read_or_not():
        try:
            for line in describe(names or []):
                typer.echo(line)
        except ValueError as error:
            _say(str(error))
            raise typer.Exit(NOT_DONE) from None


def _options(format: str | None, tz: str | None, year: int | None, workers: int | None) -> Options:
    from logscan.plan import Options

    return Options(format, tz, year, workers)


@contextmanager
def _read_or_not() -> Iterator[None]:
    """Ends well where the reader of our output goes away (`| head`): nobody is left to say anything to."""
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, in silence (docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(DONE) from None


@contextmanager
def _told() -> Iterator[None]:
    """Errors as one line on stderr and an exit code, never as a traceback."""
    from logscan.lean import pandas_on_demand

    pandas_on_demand()
    from logscan.memory import keep_freed_memory

    keep_freed_memory()
    from concurrent.futures import BrokenExecutor

    from logscan.plan import UsageError
    from logscan.store import StoreError

    try:
        with _read_or_not():
            yield
    except (UsageError, StoreError, typer.BadParameter, ValueError) as error:
        _say(str(error))
        raise typer.Exit(NOT_DONE) from None
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _say(f"{name}{error.strerror or error}")
        raise typer.Exit(NOT_DONE) from None
    except BrokenExecutor:
        _say("a worker process was killed; most often for want of memory: try fewer with --workers")
        raise typer.Exit(NOT_DONE) from None
    except KeyboardInterrupt:
        _say("stopped")
        raise typer.Exit(130) from None


def _say(text: str) -> None:
    from logscan.publish.text import safe

    typer.echo(f"logscan: {safe(text)}", err=True)


def _print(shown: Any) -> None:
    from rich.console import Console

    # A terminal that lacks a letter, as with LANG=C, gets it written out, and no traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    # A pipe or a file has no width: 80 columns then, as mail and cron show it.
    with suppress(SystemExit):  # rich's answer to a reader that went away; files are written all the same
        Console(highlight=False, width=console.width if console.is_terminal else 80).print(shown)


class _Silent:
    """No progress: nobody looks."""

    def __call__(self, size: int, lines: int, total: int) -> None:
        """A stretch was read."""

    def finish(self) -> None:
        """Reading has ended."""


class _Bar(_Silent):
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
def _progress() -> Iterator[_Silent]:
    progress = _Bar() if sys.stderr.isatty() else _Silent()
    try:
        yield progress
    finally:
        progress.finish()


def _end(run: Run, strict: bool, *, shown: bool = False) -> None:
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
        _say(str(problem))
    if len(run.problems) > PROBLEMS_SHOWN:
        _say(f"and {len(run.problems) - PROBLEMS_SHOWN} more")
    tally = run.tally
    if tally.unread:
        from logscan.publish.text import percent

        share = percent(tally.share_understood, 2)
        _say(f"{tally.unread:,} of {tally.lines:,} lines not understood ({share} understood)")
        read = next(read for read in run.sources if read.tally.samples)
        offset, line = read.tally.samples[0]
        _say(f"{read.source}: byte {offset}: {line[:SAMPLE_SHOWN]}")


def main() -> None:
    """The command `logscan`."""
    app()


if __name__ == "__main__":
    main()
