"""Events out of a store, or of log files, into one file that other tools read: the suffix says as what.

.csv      for spreadsheets: UTF-8 with its mark, times in UTC, never a formula, so a cell may have a ' before it
.jsonl    an object a line, for programs
.parquet  the columns of `schema.EVENTS`, for BI tools and data frames
.duckdb   a database: events, dimensions, and the ready-made questions as views, all with their comments
a folder  events.parquet, dimensions/*.parquet and views.sql: the star
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds

from logscan import star
from logscan.counts import SCAN
from logscan.durable import replacing, require_folder, sync_file, sync_folder
from logscan.jsonl import write_lines
from logscan.parquet import write_events
from logscan.plan import UsageError
from logscan.publish.text import FORMULA, spreadsheet
from logscan.schema import EVENTS, SCHEMA_VERSION

# What `publish.text.spreadsheet` would change.
_UNSAFE = "^(?:" + "|".join(f"\\x{{{ord(c):x}}}" for c in FORMULA) + r")|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
_MARK = "\ufeff".encode()
_NO_DUCKDB = "writing a DuckDB file needs DuckDB: pip install 'mail-logscan[duckdb]'"


def export(events: ds.Dataset, output: str) -> list[Path]:
    """Write events, with the columns of `schema.EVENTS`, to `output`; `-` is JSON lines to standard output.

    Gives the files written; each appears whole or not at all, and one that exists is replaced. Memory does not grow
    with the events. Raises UsageError for another suffix or where DuckDB is not installed, `OSError` when the disk
    refuses.
    """
    check(output)
    if output == "-":
        write_lines(sys.stdout, _tables(events))
        return []
    path = Path(output)
    if path.is_dir() or not path.suffix:
        path.mkdir(parents=True, exist_ok=True)
        write_events(path / "events.parquet", _tables(events))
        return [path / "events.parquet", *star.write_beside(events, path, "events.parquet")]
    FORMS[path.suffix.lower()](events, path)
    return [path]


def check(output: str) -> None:
    """Raise what `export` would raise of the output itself: asked before hours of reading."""
    path = Path(output)
    if output == "-" or path.is_dir() or not path.suffix:
        return
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"-o {output}: it must end in {', '.join(FORMS)}, be a folder, or - for JSON lines")
    require_folder(path)
    if path.suffix.lower() == ".duckdb":
        _duckdb_module()


def _tables(events: ds.Dataset) -> Iterator[pa.Table]:
    for batch in events.scanner(columns=EVENTS.names, **SCAN).to_batches():
        yield pa.Table.from_batches([batch])


def _plain(events: ds.Dataset) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The events with plain strings in the place of dictionaries, which differ from one batch to the next."""
    schema = pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in EVENTS], EVENTS.metadata
    )
    columns = {field.name: ds.field(field.name).cast(field.type) for field in schema}
    batches = events.scanner(columns=columns, **SCAN).to_batches()
    return schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)


def _csv(events: ds.Dataset, path: Path) -> None:
    schema, batches = _plain(events)
    naive = pa.timestamp("us")
    fields = [pa.field(f"{f.name}_utc", naive) if pa.types.is_timestamp(f.type) else f for f in schema]
    with replacing(path) as file:
        file.write(_MARK)
        with pa_csv.CSVWriter(file, pa.schema(fields)) as writer:
            for batch in batches:
                columns = [
                    _cells(column) if pa.types.is_string(column.type) else column.cast(field.type)
                    for column, field in zip(batch.columns, fields, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)))


def _cells(column: pa.StringArray) -> pa.StringArray:
    """Texts as cells that no spreadsheet takes for a formula, and in which nothing is unseen.

    >>> _cells(pa.array(["=cmd()", "a\\nb", "ok", None])).to_pylist()
    ["'=cmd()", 'a\\\\x0ab', 'ok', None]
    """
    unsafe = pc.match_substring_regex(column, _UNSAFE)
    if not pc.any(unsafe).as_py():
        return column
    mended = pa.array([spreadsheet(text) for text in column.filter(unsafe).to_pylist()], pa.string())
    return pc.replace_with_mask(column, pc.fill_null(unsafe, False), mended)


def _json_lines(events: ds.Dataset, path: Path) -> None:
    with replacing(path) as sink:
        file = io.TextIOWrapper(sink, encoding="utf-8", newline="\n")
        write_lines(file, _tables(events))
        file.detach()


def _parquet(events: ds.Dataset, path: Path) -> None:
    write_events(path, _tables(events))


def _duckdb_module() -> Any:
    try:
        import duckdb
    except ImportError:
        raise UsageError(_NO_DUCKDB) from None
    return duckdb


def _duckdb(events: ds.Dataset, path: Path) -> None:
    duckdb = _duckdb_module()
    # The library opens names, not files: so a folder beside the place, and what it made is moved there.
    with TemporaryDirectory(prefix=".logscan-", dir=path.absolute().parent) as folder:
        made = Path(folder) / "events.duckdb"
        with duckdb.connect(str(made)) as database:
            schema, batches = _plain(events)
            _fill(database, "events", schema, batches)
            for dimension, tables in star.dimensions(events, Path(folder)):
                rows = (batch for table in tables for batch in table.cast(dimension.schema).to_batches())
                _fill(database, dimension.name, dimension.schema, rows)
            database.execute(star.views())
            database.execute(f"COMMENT ON TABLE events IS 'logscan events, schema version {SCHEMA_VERSION}'")
        sync_file(made)
        made.replace(path)
        sync_folder(path.absolute().parent)


def _fill(database: Any, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Make a table of rows, with the meaning of its columns as comments. The names are ours; the rows go in as data."""
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    database.register("incoming", reader)
    database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608 - a name of ours
    database.unregister("incoming")
    for field in schema:
        meaning = field.metadata[b"comment"].decode().replace("'", "''")
        database.execute(f"""COMMENT ON COLUMN "{name}"."{field.name}" IS '{meaning}'""")


FORMS: dict[str, Callable[[ds.Dataset, Path], None]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".duckdb": _duckdb,
}
