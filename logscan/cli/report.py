"""`logscan report`: what failed, for whom, why, and what to do."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import end, say, told
from logscan.cli.options import (
    Anonymize,
    Cause,
    Code,
    Domain,
    Format,
    Key,
    Lang,
    Last,
    Paths,
    Rules,
    Since,
    Strict,
    Tz,
    Until,
    Workers,
    Year,
    reading,
)
from logscan.cli.screen import progress, show


class By(StrEnum):
    """Steps of the trend."""

    day = "day"
    hour = "hour"


app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples:  logscan report /var/log/mail.log*   |   zcat old.gz | logscan report -   |   "
    "logscan report --store /srv/mail -o week.html --last 7d"
)
def report(
    paths: Paths = None,
    store: Annotated[Path | None, typer.Option(help="Report on this store instead of log files.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write .html, .csv, .json, .parquet, or a folder of all.")
    ] = None,
    since: Since = None,
    until: Until = None,
    last: Last = None,
    domain: Domain = None,
    code: Code = None,
    cause: Cause = None,
    by: Annotated[By | None, typer.Option(help="Steps of the trend. Default: as fits the time span.")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Rows of each table. Default: as fits the place.")
    ] = None,
    anonymize: Anonymize = None,
    key: Key = None,
    format: Format = None,
    tz: Tz = None,
    year: Year = None,
    workers: Workers = None,
    rules: Rules = None,
    lang: Lang = None,
    strict: Strict = False,
) -> None:
    """Show what failed, for whom, why, and what to do; from log files or from a store."""
    with told():
        from logscan.advice import language_of
        from logscan.asked import Wanted, opened
        from logscan.publish import check_path, gather, write
        from logscan.publish.files import shortcomings
        from logscan.publish.screen import screen

        language = language_of(lang)
        if output:
            check_path(output)
        wanted = Wanted(since, until, last, tuple(domain or ()), tuple(code or ()), tuple(cause or ()), tz)
        with (
            progress() as bar,
            opened(paths or [], store, wanted, reading(format, tz, year, workers, rules, anonymize, key), bar) as (
                events,
                run,
            ),
        ):
            findings = gather(events, run, top=top, by=by.value if by else None, language=language)
            bar.finish()
            show(screen(findings))
            if output:
                for path in write(findings, output, events):
                    say(f"wrote {path}")
                for problem in shortcomings(findings, output):
                    say(str(problem))
            end(run, strict, shown=True)
