"""`logscan nightly`: new lines in, yesterday's report out, for cron and systemd."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import NOT_DONE, PARTLY, say, told
from logscan.cli.screen import progress, show

NEWS = 3

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples:  logscan nightly --config logscan.toml --dry-run   |   "
    "logscan nightly --config /etc/logscan.toml --print-cron"
)
def nightly(
    config: Annotated[Path, typer.Option(help="Config file: see docs/CONFIG.md and `logscan config check`.")],
    date: Annotated[str | None, typer.Option(help="Report on this day instead of yesterday: 2026-11-23.")] = None,
    to: Annotated[list[str] | None, typer.Option(help="Mail to this address instead of the config's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the report of what the store has, and what would be done.")
    ] = False,
    print_cron: Annotated[bool, typer.Option("--print-cron", help="Print a line for the crontab.")] = False,
    print_systemd: Annotated[bool, typer.Option("--print-systemd", help="Print a service and its timer.")] = False,
) -> None:
    """Read new lines into the store, report on yesterday, mail, alert, drop old days.

    Silent unless there is something to say. Ends with 0: nothing to say. 1: a log, mail or alert failed (told on
    stderr). 2: not done. 3: there are news: a change, an alert, a high failure rate.
    """
    with told():
        from logscan.config import read
        from logscan.nightly import cron, systemd
        from logscan.nightly import nightly as night_of
        from logscan.publish.screen import screen

        asked = read(config)
        if print_cron or print_systemd:
            made = (cron if print_cron else systemd)(config.absolute(), str(Path(sys.argv[0]).absolute()))
            typer.echo(made.rstrip("\n"))
            return
        day = datetime.fromisoformat(date).date() if date else None
        with progress() as bar:
            night = night_of(asked, day=day, to=to or (), dry_run=dry_run, progress=bar)
            bar.finish()
        # What goes out by mail need not be mailed by cron as well.
        if dry_run or (night.news and not (to or asked.mail.to)):
            show(screen(night.findings))
        for line in night.done if dry_run else ():
            typer.echo(f"would {line}")
        problems = [*night.findings.problems, *night.problems]
        for problem in problems:
            say(str(problem))
        if any(problem.fatal for problem in problems):
            raise typer.Exit(PARTLY if night.findings.run.sources or dry_run else NOT_DONE)
        if night.news:
            raise typer.Exit(NEWS)
