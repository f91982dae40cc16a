"""`logscan formats`: which formats there are, and what given files are."""

from __future__ import annotations

from typing import Annotated

import typer

from logscan.cli.ending import PARTLY, say, told

app = typer.Typer(add_completion=False)


@app.command()
def formats(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATHS]...", help="Say what these are.")] = None,
) -> None:
    """List the formats that can be read, or say what given files are and how sure that is."""
    with told():
        from logscan.output import describe_formats

        lines, problems, known = describe_formats(paths or [])
        for line in lines:
            typer.echo(line)
        for problem in problems:
            say(str(problem))
        if not known or any(problem.fatal for problem in problems):
            raise typer.Exit(PARTLY)
