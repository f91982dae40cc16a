"""`logscan scan`: logs into the events table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from logscan.cli.ending import end, told
from logscan.cli.options import Anonymize, Format, Key, Paths, Rules, Strict, Tz, Workers, Year, reading
from logscan.cli.screen import progress

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples:  logscan scan /var/log/mail.log -o mail.parquet   |   logscan scan /var/log -o /srv/mail/   |   "
    "logscan scan mail.log -o - | jq .reply"
)
def scan(
    paths: Paths = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="A store (folder), FILE.parquet, FILE.jsonl, or - for JSON lines.")
    ] = "-",
    anonymize: Anonymize = None,
    key: Key = None,
    format: Format = None,
    tz: Tz = None,
    year: Year = None,
    workers: Workers = None,
    rules: Rules = None,
    strict: Strict = False,
    wait: Annotated[
        float, typer.Option(min=0, help="For how many seconds to wait for another scan into the same store.")
    ] = 0,
    tally_json: Annotated[Path | None, typer.Option(help="Write how many lines were understood to this file.")] = None,
) -> None:
    """Turn logs into the events table: into a store, a Parquet file, or JSON lines."""
    with told():
        from logscan.output import scan_to

        if not paths:
            raise typer.BadParameter("name the logs to scan: files, folders, globs, or -")
        with progress() as bar:
            options = reading(format, tz, year, workers, rules, anonymize, key)
            run = scan_to(paths, output, options, bar, tally_json, wait)
        end(run, strict)
