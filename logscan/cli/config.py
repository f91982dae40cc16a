"""`logscan config`: whether a config file holds, and one to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import told

app = typer.Typer(
    name="config", help="The config file of `logscan nightly`.", no_args_is_help=True, add_completion=False
)


@app.callback()
def callback() -> None:
    """The config file of `logscan nightly`."""


@app.command(epilog="Example:  logscan config check /etc/logscan.toml")
def check(file: Annotated[Path, typer.Argument(help="A config file.")]) -> None:
    """Say what is wrong with a config file, each with its line; ends with 2 where anything is."""
    with told():
        from logscan.config import read
        from logscan.publish.text import counted, safe

        found = read(file)
        logs, rules = counted(len(found.sources.paths), "source"), counted(len(found.alerts.rule), "alert rule")
        mail = f"mail to {', '.join(found.mail.to)}" if found.mail.to else "no mail"
        typer.echo(safe(f"{file}: all good: {logs}, store {found.store.path}, {mail}, {rules}"))


@app.command(epilog="Example:  logscan config example > logscan.toml")
def example() -> None:
    """Print a config file with every key and its words, to start from."""
    with told():
        from logscan.config import example as whole

        typer.echo(whole(), nl=False)
