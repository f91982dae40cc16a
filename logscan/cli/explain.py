"""`logscan explain`: what a reply means, and what to do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from logscan.cli.ending import NOT_DONE, read_or_not, say
from logscan.cli.options import Lang

app = typer.Typer(add_completion=False)


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Examples:  logscan explain 421   |   logscan explain 550 5.1.1 No such user   |   "
    "logscan explain - < bounce.eml",
)
def explain(
    words: Annotated[
        list[str],
        typer.Argument(metavar="CODE|TEXT|FILE|-...", help="Codes, a reply, a log line, or a bounce mail's file."),
    ],
    lang: Lang = None,
    json: Annotated[bool, typer.Option("--json", help="Tell it as a JSON object a line.")] = False,
) -> None:
    """Explain what a reply means, who has to act, and what to do."""
    from logscan.advice import language_of
    from logscan.answers import answered

    with read_or_not():
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            lines = list(answered(words, language_of(lang), json=json))
        except (ValueError, OSError) as error:
            say(str(error))
            raise typer.Exit(NOT_DONE) from None
        for line in lines:
            typer.echo(line)
