"""`logscan classify`: reply texts in, what each means out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import PARTLY, say, told
from logscan.cli.options import Rules

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples:  logscan classify replies.txt   |   echo '550 5.1.1 No such user' | logscan classify --why"
)
def classify(
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help='A reply text a line, or JSON lines {"id": ..., "text": ...}.')
    ] = "-",
    why: Annotated[bool, typer.Option("--why", help="Show the words that decided.")] = False,
    rules: Rules = None,
) -> None:
    """Tell the cause of reply texts: for each a JSON line with codes, cause, confidence, rule and detail."""
    with told(), ExitStack() as stack:
        from logscan.classifier.stream import verdicts
        from logscan.plan import Options

        source = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        name = "standard input" if file == "-" else file
        wrong = []

        def tell(line: int, met: str) -> None:
            wrong.append(line)
            say(f"{name}: line {line} {met}")

        for verdict in verdicts(source, tell, why=why, site=Options(rules=rules).site()):
            typer.echo(verdict)
        if wrong:
            raise typer.Exit(PARTLY)
