"""The options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logscan.cli.ending import STRICT

if TYPE_CHECKING:
    from logscan.plan import Options


class Way(StrEnum):
    """Ways to take people out of the events."""

    keyed = "keyed"
    domain = "domain"


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
Rules = Annotated[
    Path | None, typer.Option(help="Rules and providers of your own, which go first; see `logscan rules test`.")
]
Lang = Annotated[
    str | None, typer.Option(help="Language of the words: en, th. Default: that of the environment, else English.")
]
Since = Annotated[str | None, typer.Option(help="From this time on: 2026-11-23, 2026-11-23T08:00.")]
Until = Annotated[str | None, typer.Option(help="Up to, not including, this time.")]
Last = Annotated[str | None, typer.Option(help="The last part of the log: 7d, 24h, 90m.")]
Domain = Annotated[list[str] | None, typer.Option(help="Recipient domain; *.example.com for those below it.")]
Code = Annotated[list[str] | None, typer.Option(help="Reply code (550), class (5xx) or enhanced code (5.7.1).")]
Cause = Annotated[list[str] | None, typer.Option(help="Cause, e.g. blocklisted.")]
Anonymize = Annotated[
    Way | None, typer.Option(help="Take people out: keyed (pseudonyms by --key) or domain (domains only).")
]
Key = Annotated[
    Path | None, typer.Option(help="The secret of the pseudonyms; made where there is none. Keep it apart.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help=f"End with 2 when less than {STRICT:.1%} of the lines are understood.")
]


def reading(
    format: str | None,
    tz: str | None,
    year: int | None,
    workers: int | None,
    rules: Path | None,
    anonymize: Way | None = None,
    key: Path | None = None,
) -> Options:
    """How the logs are to be read."""
    from logscan.plan import Options

    return Options(format, tz, year, workers, rules=rules, anonymize=anonymize and anonymize.value, key=key)
