"""Writes what was found to files: the suffix says as what. Each file appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from logscan.catalogue import causes, code_name
from logscan.counts import SCAN
from logscan.durable import replacing, require_folder
from logscan.language import ENGLISH, Language
from logscan.parquet import write_events
from logscan.publish.findings import Finding, Findings
from logscan.publish.text import moment, spreadsheet
from logscan.run import Problem
from logscan.schema import EVENTS, SCHEMA_VERSION

# Rows of one report in the JSON file; `rows_in_all` says how many there are.
JSON_ROWS = 10_000
JSON_VERSION = 1


def write(findings: Findings, path: Path, events: ds.Dataset) -> list[Path]:
    """Write what the path's suffix says, and give the files written.

    .html:     the page, all in one file.
    .json:     everything, for programs: see `as_json`.
    .csv:      a row for each kind of failure (direction, action, domain, provider, code, enhanced code, cause):
               how many, since when, in words, and a line to look at. The table that a spreadsheet wants.
    .parquet:  the events themselves, columns of `schema.EVENTS`.
    no suffix, or a folder: all of these, named report.* and events.parquet, with each report's whole table
               in tables/*.csv and its chart in charts/*.png and charts/*.svg.

    A file that exists is replaced. Raises `ValueError` for another suffix, `OSError` when the disk refuses.
    """
    check_path(path)
    if path.is_dir() or not path.suffix:
        return list(_folder(findings, path, events))
    FORMS[path.suffix.lower()](findings, path, events)
    return [path]


def check_path(path: Path) -> None:
    """Raise what `write` would raise of the path itself: asked before hours of reading."""
    if path.is_dir() or not path.suffix:
        return
    if path.suffix.lower() not in FORMS:
        raise ValueError(f"cannot write {path.name}: it must end in {', '.join(FORMS)}, or be a folder for all of them")
    require_folder(path)


def shortcomings(findings: Findings, path: Path) -> list[Problem]:
    """What a reader should know of the files that `write` makes at the path."""
    if path.suffix and not path.is_dir():
        return []
    from logscan.publish.charts import FONTS, has_letters

    if has_letters(findings.language):
        return []
    met = (
        f"their words are English: no font of this machine has the letters of {findings.language.say('language.name')}"
    )
    advice = f"install one of {', '.join(FONTS[:5])} (Debian: fonts-noto-core); pages and charts/*.svg need none"
    return [Problem(str(path / "charts" / "*.png"), met, advice, fatal=False)]


def _folder(findings: Findings, folder: Path, events: ds.Dataset) -> Iterator[Path]:
    """Everything, file by file."""
    for part in (folder, folder / "tables", folder / "charts"):
        part.mkdir(parents=True, exist_ok=True)
    for form, written in FORMS.items():
        path = folder / ("events.parquet" if form == ".parquet" else f"report{form}")
        written(findings, path, events)
        yield path
    for finding in findings.findings:
        path = folder / "tables" / f"{finding.report.name}.csv"
        _put(path, as_csv(finding.answer.table))
        yield path
    for name, chart in findings.charts.items():
        for suffix, content in ((".png", chart.png), (".svg", chart.svg)):
            path = folder / "charts" / (name + suffix)
            _put(path, content)
            yield path


def _html(findings: Findings, path: Path, _: ds.Dataset) -> None:
    from logscan.publish.page import page

    _put(path, page(findings).encode())


def _json(findings: Findings, path: Path, _: ds.Dataset) -> None:
    _put(path, json.dumps(as_json(findings), indent=1, allow_nan=False).encode())


def _csv(findings: Findings, path: Path, _: ds.Dataset) -> None:
    _put(path, as_csv(in_words(findings.failures, findings.language)))


def _parquet(_: Findings, path: Path, events: ds.Dataset) -> None:
    batches = events.scanner(columns=EVENTS.names, **SCAN).to_batches()
    write_events(path, (pa.Table.from_batches([batch]) for batch in batches))


FORMS: dict[str, Callable[[Findings, Path, ds.Dataset], None]] = {
    ".html": _html,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}


def as_json(findings: Findings) -> dict[str, Any]:
    """Everything as plain values; keys are only ever added. Times are UTC (ISO 8601), shares from 0 to 1.

    version:  of these keys, and of `schema.EVENTS`
    language: of sentences; names, codes, causes and `who_acts` are the same in all
    summary:  verdict, events, actions (adding up to events), copies (in no other number), first, last, deliveries,
              failed, failures (by action), failure_rate, refusals, messages, recipients (these two null where they were
              too many to count)
    sources:  source, format, confidence, bytes, lines, understood, known, other, unread, share_understood, events,
              samples (offset, line)
    problems: source, offset, met, advice, fatal
    reports:  by name: title, package, note, rows_in_all, and rows (the first 10,000), each with the report's columns

    >>> from logscan.publish.findings import gather
    >>> from logscan.report import Asked
    >>> from logscan.run import Run
    >>> bounce = {"direction": "outbound", "action": "bounced", "code": 550, "recipient_domain": "a.example"}
    >>> data = as_json(gather(Asked.of(bounce).events, Run((), ())))
    >>> data["summary"]["failures"], data["reports"]["codes"]["rows"][0]["failures"]
    ({'bounced': 1}, 1)
    """
    summary = findings.summary
    return {
        "version": {"json": JSON_VERSION, "schema": SCHEMA_VERSION},
        "language": findings.language.name,
        "summary": {
            "verdict": summary.verdict,
            "events": summary.events,
            "actions": summary.actions,
            "copies": summary.copies,
            "first": _plain(summary.first),
            "last": _plain(summary.last),
            "deliveries": summary.deliveries,
            "failed": summary.failed,
            "failures": summary.failures,
            "failure_rate": summary.failed / summary.deliveries if summary.deliveries else None,
            "refusals": summary.refusals,
            "messages": summary.messages,
            "recipients": summary.recipients,
        },
        "sources": [
            {
                "source": read.source,
                "format": read.parser,
                "confidence": read.confidence,
                "bytes": read.bytes,
                "lines": read.tally.lines,
                "understood": read.tally.understood,
                "known": read.tally.known,
                "other": read.tally.other,
                "unread": read.tally.unread,
                "share_understood": read.tally.share_understood,
                "events": read.events,
                "samples": [{"offset": offset, "line": line} for offset, line in read.tally.samples],
            }
            for read in findings.run.sources
        ],
        "problems": [asdict(problem) for problem in findings.problems],
        "reports": {finding.report.name: _report(finding) for finding in findings.findings},
    }


def _report(finding: Finding) -> dict[str, Any]:
    answer = finding.answer
    rows = answer.table.slice(0, JSON_ROWS).to_pylist()
    return {
        "title": finding.title,
        "package": finding.package,
        "note": answer.note,
        "rows_in_all": answer.table.num_rows,
        "rows": [{name: _plain(value) for name, value in row.items()} for row in rows],
    }


def _plain(value: Any) -> Any:
    """A value that JSON has."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case list():
            return [_plain(item) for item in value]
        case _:
            return str(value)


def in_words(failures: pa.Table, language: Language = ENGLISH) -> pa.Table:
    """The failures (`Asked.failures`) with the words that the catalogue has for them."""
    known = causes(language.name)
    rows = [known.get(name) for name in failures["cause"].to_pylist()]
    words = {
        "code_meaning": [code and code_name(code, language.name) for code in failures["code"].to_pylist()],
        "cause_meaning": [row and row.meaning for row in rows],
        "who_acts": [row and row.actor for row in rows],
        "next_step": [row.steps[0] if row and row.steps else None for row in rows],
    }
    table = failures.rename_columns({"events": "failures"})
    for name, column in words.items():
        table = table.append_column(name, pa.array(column, pa.string()))
    return table.select(
        [
            *("direction", "action", "recipient_domain", "provider", "failures", "since", "last"),
            *("code", "enhanced", "code_class", "code_meaning", "cause", "cause_meaning", "who_acts", "next_step"),
            *("sample", "line"),
        ]
    )


def as_csv(table: pa.Table) -> bytes:
    r"""A table as CSV (RFC 4180) that a spreadsheet opens rightly: UTF-8 with its mark, times in UTC, never a formula.

    >>> as_csv(pa.table({"domain": ["=cmd()", None], "failures": [1, -2]})).decode("utf-8-sig").splitlines()
    ['domain,failures', "'=cmd(),1", ',-2']
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(spreadsheet(f.name + "_utc" if pa.types.is_timestamp(f.type) else f.name) for f in table.schema)
    for batch in table.to_batches():
        writer.writerows([_csv_cell(value) for value in row.values()] for row in batch.to_pylist())
    return file.getvalue().encode("utf-8-sig")


def _csv_cell(value: Any) -> Any:
    match value:
        case datetime():
            return moment(value)
        case None | bool() | int() | float():
            return value
        case list():
            return spreadsheet("; ".join(map(str, value)))
        case _:
            return spreadsheet(str(value))


def _put(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
