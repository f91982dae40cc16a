"""`logscan rules`: a site's own rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import NOT_DONE, told

app = typer.Typer(
    name="rules", help="Rules of your own: try them before they judge.", no_args_is_help=True, add_completion=False
)


@app.callback()
def callback() -> None:
    """Rules of your own: try them before they judge."""


@app.command(epilog="Example:  logscan rules test site-rules.toml")
def test(file: Annotated[Path, typer.Argument(help="A TOML file of [[rule]] and [[provider]] tables.")]) -> None:
    """Run a rules file on its own examples: what fails, can't hold or is shadowed is told with its line."""
    with told():
        from logscan.catalogue.site import SiteFile
        from logscan.classifier.trial import try_rules
        from logscan.publish.text import counted, safe

        read = SiteFile(file)
        found = try_rules(read)
        for line, met in found:
            typer.echo(safe(f"{file}:{line}: {met}"))
        examples = sum(len(rule.examples) + len(rule.counterexamples) for rule in read.rules)
        state = counted(len(found), "problem") if found else "all good"
        tried = f"{counted(len(read.rules), 'rule')}, {counted(examples, 'example')}"
        typer.echo(safe(f"{file}: {tried}, {counted(len(read.providers), 'provider')}: {state}"))
        if found:
            raise typer.Exit(NOT_DONE)
