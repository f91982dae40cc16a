"""The options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logscan.cli.ending import STRICT

if TYPE_CHECKING:
    from logscan.plan import Options

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
Strict = Annotated[
    bool, typer.Option("--strict", help=f"End with 2 when less than {STRICT:.1%} of the lines are understood.")
]


def reading(format: str | None, tz: str | None, year: int | None, workers: int | None, rules: Path | None) -> Options:
    """How the logs are to be read."""
    from logscan.plan import Options

    return Options(format, tz, year, workers, rules=rules)
