"""The command `logscan` itself: of its commands, each a module beside this one, it loads the one that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from logscan import __version__
from logscan.cli.ending import DONE, EXITS

# In the order of the help.
COMMANDS = (
    "report",
    "explain",
    "scan",
    "export",
    "nightly",
    "store",
    "classify",
    "causes",
    "rules",
    "formats",
    "config",
)


class _Commands(Mapping[str, Any]):
    """The commands by name; each is loaded when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return typer.main.get_command(import_module(f"logscan.cli.{name}").app)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **attributes: Any):
        super().__init__(**{**attributes, "commands": _Commands()})


app = typer.Typer(
    name="logscan",
    cls=_Group,
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
