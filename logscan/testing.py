"""Golden tests of parsers: sample logs, each with the events that it must give in a file beside it.

    sample_logs/mail.log                    a log, compressed or not
    sample_logs/mail.log.expected.jsonl     its parser and the counts of its lines; then a JSON line for each event

A package with a parser tests it so, with pytest or without:

    @pytest.mark.parametrize("log", samples("sample_logs"), ids=str)
    def test_sample(log):
        check(log, parser)

After a change that is meant, `python -m logscan.testing --rewrite sample_logs` writes the expectations anew, and the
diff is the review. Columns that the parser does not decide (cause, rule, provider, domains) are left out.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from logscan import plugins
from logscan.alone import parse_alone
from logscan.clock import Clock
from logscan.guard import SURE_ENOUGH
from logscan.guard import check as contract
from logscan.parser import PREAMBLE, Block, Parser
from logscan.plan import clock_of, surest
from logscan.schema import COLUMNS
from logscan.sources import EXPECTED, Source, chunks, discover, first_lines

__all__ = ["check", "expectation", "expected", "rewrite", "samples"]

# A checkout gives every file its own time. Stamps without a year are read as of this one, unless the name has a date.
MODIFIED = datetime(2026, 12, 31, tzinfo=UTC).timestamp()
BLOCK = 8 << 20
DIFFERENCES_SHOWN = 20
_NOT_THE_PARSERS = {"offset", "source", "mta", "sender_domain", "recipient_domain", "provider"}
_NOT_THE_PARSERS |= {"copy", "code_class", "cause", "rule", "detail"}
_SHOWN = ("offset", *(column.name for column in COLUMNS if column.name not in _NOT_THE_PARSERS))


def samples(folder: str | os.PathLike[str]) -> list[Path]:
    """The logs of a folder and of those below it, in order.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("README.md", "b.log", "a.log", "a.log.expected.jsonl"):
    ...     _ = (folder / name).write_text("...")
    >>> [log.name for log in samples(folder)]
    ['a.log', 'b.log']
    """
    return [Path(source.name) for source in discover([folder])[0]]


def expectation(log: Path) -> Path:
    """Where the expectation of a log lies: beside it.

    >>> expectation(Path("mail.log.gz")).name
    'mail.log.gz.expected.jsonl'
    """
    return log.with_name(log.name + EXPECTED)


def expected(log: Path, parser: Parser | str | None = None) -> str:
    """What the expectation of a log says if its parser (a value, a registered name, else the surest one) is right.

    Stamps without zone are taken as UTC. Raises `ValueError` where there is no such log or parser,
    `logscan.guard.ContractError` where the parser gives what its contract does not allow, and
    `logscan.sources.SourceError` where the log cannot be read whole.
    """
    sources, problems = discover([log])
    if problems:
        raise ValueError(str(problems[0]))
    source = replace(sources[0], modified=MODIFIED)
    head = first_lines(source)
    clock = clock_of(source, head, UTC, None)
    if not isinstance(parser, Parser):
        parser = _registered(parser, Block.of(head, 0, log.name, clock))
    events, tally = parse_alone(parser, _blocks(source, clock, head), contract)
    counts = {name: getattr(tally, name) for name in ("understood", "known", "other", "unread")}
    lines: list[dict[str, Any]] = [{"parser": parser.name, "lines": tally.lines} | counts]
    if len(events):
        columns = [name for name in _SHOWN if name in events.column_names]
        rows = events.select(columns).sort_by("offset").to_pylist()
        lines += [{name: value for name, value in row.items() if value is not None} for row in rows]
    write = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), default=datetime.isoformat)
    return "".join(write(line) + "\n" for line in lines)


def check(log: Path, parser: Parser | str | None = None) -> None:
    """Raise `AssertionError`, with the lines that differ, unless a log gives what its expectation says."""
    file = expectation(log)
    if not file.exists():
        raise AssertionError(f"{file} does not exist; python -m logscan.testing --rewrite {log.parent} writes it")
    is_now, was = expected(log, parser), file.read_text(encoding="utf-8")
    if is_now != was:
        # Lines end with \n alone: U+2028 and the like stand inside.
        lines = difflib.unified_diff(was.split("\n"), is_now.split("\n"), file.name, "now", n=0, lineterm="")
        shown = [line[:500] for line in islice(lines, DIFFERENCES_SHOWN)]
        raise AssertionError("\n".join([f"{log} does not give what was expected of it", *shown]))


def rewrite(folder: str | os.PathLike[str], parser: Parser | str | None = None) -> list[Path]:
    """Writes the expectations of all logs of a folder anew; gives those that changed."""
    changed = []
    for log in samples(folder):
        file, text = expectation(log), expected(log, parser)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8", newline="\n")
            changed.append(file)
    return changed


def _blocks(source: Source, clock: Clock, head: bytes) -> Iterator[Block]:
    for chunk in chunks(source, BLOCK):
        if chunk.overlong:
            raise ValueError(f"{source.name}: byte {chunk.offset}: a line of {chunk.overlong} bytes is no sample")
        yield Block.of(chunk.data, chunk.offset, source.name, clock, head[:PREAMBLE])


def _registered(name: str | None, head: Block) -> Parser:
    parsers, problems = plugins.load(plugins.PARSERS, Parser, name)
    if not parsers:
        raise ValueError("; ".join(map(str, problems)) or f"no parser {name} is registered")
    if name is None:
        name, confidence = surest(parsers, head)
        if confidence < SURE_ENOUGH:
            raise ValueError(f"no parser is sure of {head.source}; is yours installed? Name it with --parser")
    return parsers[name]


def main(arguments: list[str] | None = None) -> int:
    """Check the samples of folders, or rewrite their expectations; the exit code is 1 where one does not hold."""
    command = argparse.ArgumentParser(prog="python -m logscan.testing", description=main.__doc__)
    command.add_argument("folders", nargs="+", metavar="FOLDER")
    command.add_argument("--parser", help="a registered parser; by default the one that is surest of each log")
    command.add_argument("--rewrite", action="store_true", help="write what the logs give now as their expectations")
    chosen = command.parse_args(arguments)
    failed = False
    for folder in chosen.folders:
        if chosen.rewrite:
            for file in rewrite(folder, chosen.parser):
                print(f"wrote {file}")  # noqa: T201 - a command
            continue
        for log in samples(folder):
            try:
                check(log, chosen.parser)
            except AssertionError as error:
                failed = True
                print(error)  # noqa: T201 - a command
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
