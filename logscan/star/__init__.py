"""The store as a star: the events in the middle, and around them tables that say in words what their columns mean.

    store/data/date=2026-11-23/*.parquet    the events (logscan.store)
    store/dimensions/dim_code.parquet       a row for each reply code, with the catalogue's words in each language
    store/views.sql                         events, dimensions and the common questions as views, for DuckDB

A dimension joins by the column that has its name: `code`, `enhanced`, `cause`, `provider`; `dim_domain` by the events'
recipient_domain or sender_domain, `dim_date` by the day (UTC) of their time. Every value that an event has is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from logscan.durable import replacing
from logscan.star.dimensions import DIMENSIONS, Dimension
from logscan.star.keys import Keys, keys
from logscan.store import Store

__all__ = ["DIMENSIONS", "Dimension", "Keys", "dimensions", "keys", "views", "write", "write_beside"]

FOLDER = "dimensions"
STORE_EVENTS = "data/date=*/*.parquet"


def write(store: Path) -> list[Path]:
    """Write a store's dimensions and its views anew: after each commit. Gives the files written.

    It reads the columns of a few words from all events. Each file appears whole; whoever reads meanwhile may see new
    dimensions beside old events, which have all that they need. Raises StoreError where `store` is none.
    """
    return write_beside(Store.open(store, create=False).dataset(), store, STORE_EVENTS)


def write_beside(events: ds.Dataset, folder: Path, facts: str) -> list[Path]:
    """Write the dimensions of events into `folder`, and views for those who open it; `facts` is where the events are.

    >>> from datetime import UTC, datetime
    >>> from logscan.schema import EVENTS
    >>> event = {"time": datetime(2026, 11, 23, tzinfo=UTC), "code": 550, "recipient_domain": "a.example"}
    >>> with TemporaryDirectory() as folder:
    ...     events = ds.dataset(pa.Table.from_pylist([event], schema=EVENTS))
    ...     made = write_beside(events, Path(folder), "events.parquet")
    ...     [path.name for path in made][-2:], pq.read_table(made[-2])["domain"].to_pylist()
    (['dim_domain.parquet', 'views.sql'], ['a.example'])
    """
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    written = []
    with TemporaryDirectory(prefix="logscan-") as spill:
        for dimension, tables in dimensions(events, Path(spill)):
            path = place / f"{dimension.name}.parquet"
            with replacing(path) as file:
                _write(file, dimension.schema, tables)
            written.append(path)
    sources = {"events": facts} | {d.name: f"{FOLDER}/{d.name}.parquet" for d in DIMENSIONS}
    path = folder / "views.sql"
    with replacing(path) as file:
        file.write(views(sources).encode())
    return [*written, path]


def dimensions(events: ds.Dataset, spill: Path) -> Iterator[tuple[Dimension, Iterable[pa.Table]]]:
    """Each dimension of events, and its rows; `spill` is a folder for what does not fit into memory."""
    found = keys(events, spill)
    for dimension in DIMENSIONS:
        yield dimension, dimension.rows(found)


def views(sources: Mapping[str, str] | None = None) -> str:
    """The SQL of the views; with those that read `sources`, Parquet files by the name of their table, before them.

    >>> views({"events": "data/*.parquet"}).splitlines()[1]
    "CREATE OR REPLACE VIEW events AS SELECT * FROM read_parquet('data/*.parquet', hive_partitioning = false);"
    """
    questions = files(__name__).joinpath("views.sql").read_text(encoding="utf-8")
    if sources is None:
        return questions
    lines = ["-- Run it in this folder: duckdb -init views.sql"]
    for name, place in sources.items():
        quoted = place.replace("'", "''")
        rows = f"SELECT * FROM read_parquet('{quoted}', hive_partitioning = false)"  # noqa: S608 - our own names
        lines.append(f"CREATE OR REPLACE VIEW {name} AS {rows};")
    return "\n".join(lines) + "\n\n" + questions


def _write(file: object, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with pq.ParquetWriter(file, schema, version="2.6", compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
