"""`logscan store`: what there is to do with a store beside scanning into it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import NOT_DONE, say, told

app = typer.Typer(
    name="store",
    help="Check a store, take old days or wrongly read logs out of it.",
    no_args_is_help=True,
    add_completion=False,
)

Folder = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]


@app.command()
def check(folder: Folder) -> None:
    """Compare every file of a store with what was written. Ends with 2 where one is not as it should be."""
    with told():
        from logscan.store import Store

        opened = Store.open(folder, create=False)
        problems = opened.check()
        for problem in problems:
            say(str(problem))
        if any(problem.fatal for problem in problems):
            raise typer.Exit(NOT_DONE)
        days = opened.days()
        span = f", {days[0]} to {days[-1]}" if days else ""
        typer.echo(f"{len(days):,} days{span}; {opened.dataset().count_rows():,} events; all as written")


@app.command()
def compact(folder: Folder) -> None:
    """Give back the space of what newer files replaced, and make data/ anew where it is not as it should be."""
    with told():
        from logscan.store import Store

        typer.echo(f"{Store.open(folder, create=False).compact():,} bytes given back")


@app.command(epilog="Example:  logscan store prune /srv/mail --keep 400d")
def prune(
    folder: Folder,
    keep: Annotated[str, typer.Option(help="How many days (UTC) to keep, back from today: 400d, 60w.")],
) -> None:
    """Take old days out of a store, for good."""
    with told():
        found = re.fullmatch(r"([0-9]{1,5})([dw])", keep.strip().lower())
        if not found:
            raise typer.BadParameter(f"--keep {keep}: write days or weeks: 400d, 60w")
        from logscan import star
        from logscan.store import Store

        days = timedelta(**{"days" if found[2] == "d" else "weeks": int(found[1])})
        gone = Store.open(folder, create=False).prune(datetime.now(UTC).date() - days)
        if gone:
            star.write(folder)
        typer.echo(f"{len(gone):,} days taken out" + (f": {gone[0]} to {gone[-1]}" if gone else ""))


@app.command(epilog="Example:  logscan store forget /srv/mail old/mail.log-20261101   then scan it with another --tz")
def forget(
    folder: Folder,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCES...", help="As the column `source` names them.")],
) -> None:
    """Take out the events of logs that were read wrongly; the next scan reads these logs again."""
    with told():
        from logscan import star
        from logscan.store import Store

        gone = Store.open(folder, create=False).forget(sources)
        if gone:
            star.write(folder)
        typer.echo(f"{gone:,} events taken out")
