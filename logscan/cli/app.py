"""The command `logscan` itself, to which each module beside this one adds a command."""

from __future__ import annotations

from typing import Annotated

import typer

from logscan import __version__
from logscan.cli.ending import DONE, EXITS

app = typer.Typer(
    name="logscan",
    help=f"Who refuses our mail, with which SMTP code, why, since when, and what to do.\n\n{EXITS}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def logscan(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Options that stand before any command."""
    if version:
        typer.echo(f"logscan {__version__}")
        raise typer.Exit(DONE)
