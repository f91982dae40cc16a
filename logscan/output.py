"""Where a scan goes: a store, a Parquet file, or JSON lines; and what the formats are."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from logscan import plugins
from logscan.durable import replacing, require_folder
from logscan.jsonl import write_lines
from logscan.parser import Parser
from logscan.pipeline import Progress, scanning
from logscan.plan import Options, UsageError
from logscan.run import Problem, Run

STORE_HINT = "name a folder (a store), FILE.parquet, FILE.jsonl, or -"


def scan_to(
    paths: list[str], output: str, options: Options, progress: Progress | None, tally: Path | None, wait: float = 0
) -> Run:
    """Scans `paths` into `output`, chosen by its suffix. Raises UsageError and StoreError.

    wait: for how many seconds to wait for another scan into the same store.
    """
    path = Path(output)
    suffix = path.suffix.lower()
    if tally:
        require_folder(tally)
    if output == "-" or suffix in (".jsonl", ".ndjson", ".parquet"):
        if output != "-":
            require_folder(path)
        folder = None if output == "-" else path.absolute().parent
        with scanning(paths, options, progress=progress, folder=folder) as scanned:
            run = scanned.run
            if suffix == ".parquet" and output != "-":
                from logscan.parquet import write_events

                write_events(path, scanned.tables())
            elif output == "-":
                write_lines(sys.stdout, scanned.tables())
            else:
                with replacing(path) as sink:
                    file = io.TextIOWrapper(sink, encoding="utf-8", newline="\n")
                    write_lines(file, scanned.tables())
                    file.detach()
    elif suffix and not path.is_dir() and not output.endswith(("/", "\\")):
        raise UsageError(f"-o {output}: {suffix} is nothing that a scan writes; {STORE_HINT}")
    else:
        from logscan import star
        from logscan.ingest import ingest
        from logscan.store import Store

        new = not path.exists() or not any(path.iterdir())
        store = Store.open(path)
        try:
            run = ingest(paths, store, options, progress=progress, wait=wait)
            if run.sources:
                star.write(path)
        finally:
            if new:
                store.unmake()
    if tally:
        counts = run.tally
        names = ("lines", "understood", "known", "other", "unread")
        tally.write_text(json.dumps({name: getattr(counts, name) for name in names}) + "\n", encoding="utf-8")
    return run


def describe_formats(paths: list[str]) -> tuple[list[str], list[Problem], bool]:
    """Lines that name each format and what it reads; or, of given files, what each is and how sure that is.

    Besides them what could not be read, and whether every file that was named, not found in a folder, is of a known
    format.
    """
    if paths:
        from logscan.publish.formats import described
        from logscan.recognise import recognise

        found, problems = recognise(paths)
        lines = [line for file in found for line in described(file)]
        return lines, problems, all(file.contents or file.source.name not in paths for file in found)
    parsers, problems = plugins.load(plugins.PARSERS, Parser)
    packages = plugins.packages(plugins.PARSERS)
    lines = []
    for name, parser in parsers.items():
        package = f" (package {packages[name]})" if packages[name] != plugins.OWN else ""
        lines.append(f"{name:10} {parser.title}: {parser.reads}{package}")
    return lines, problems, True
