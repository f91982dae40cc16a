"""`logscan export`: events into a file for other tools."""

from __future__ import annotations

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
from logscan.cli.screen import progress

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples:  logscan export --store /srv/mail -o mail.duckdb   |   "
    "logscan export mail.log -o failed.csv --code 5xx --last 7d   |   logscan export --store /srv/mail -o - | jq .cause"
)
def export(
    paths: Paths = None,
    store: Annotated[Path | None, typer.Option(help="Export this store instead of log files.")] = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", help="FILE.csv, .jsonl, .parquet, .duckdb, a folder (star), or - (JSON lines)."),
    ] = "-",
    since: Since = None,
    until: Until = None,
    last: Last = None,
    domain: Domain = None,
    code: Code = None,
    cause: Cause = None,
    anonymize: Anonymize = None,
    key: Key = None,
    format: Format = None,
    tz: Tz = None,
    year: Year = None,
    workers: Workers = None,
    rules: Rules = None,
    strict: Strict = False,
) -> None:
    """Write the wanted events, with what they mean, to a file for spreadsheets, programs and BI tools."""
    with told():
        from logscan.asked import Wanted, opened
        from logscan.export import check
        from logscan.export import export as write

        check(output)
        wanted = Wanted(since, until, last, tuple(domain or ()), tuple(code or ()), tuple(cause or ()), tz)
        options = reading(format, tz, year, workers, rules, anonymize, key)
        with progress() as bar, opened(paths or [], store, wanted, options, bar) as (events, run):
            bar.finish()
            for path in write(events, output):
                say(f"wrote {path}")
            end(run, strict)
