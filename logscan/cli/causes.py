"""`logscan causes`: the causes that a failure is put down to."""

from __future__ import annotations

from typing import Annotated

import typer

from logscan.cli.ending import NOT_DONE, read_or_not, say
from logscan.cli.options import Lang

app = typer.Typer(add_completion=False)


@app.command(epilog="Example:  logscan causes blocklisted")
def causes(
    names: Annotated[list[str] | None, typer.Argument(help="Tell all of these.")] = None, lang: Lang = None
) -> None:
    """List the causes that a failure is put down to; of given ones, who has to act and what to do."""
    from logscan.advice import describe, language_of

    with read_or_not():
        try:
            for line in describe(names or [], language_of(lang)):
                typer.echo(line)
        except ValueError as error:
            say(str(error))
            raise typer.Exit(NOT_DONE) from None
