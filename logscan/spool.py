"""Tables on disk while a scan lasts: what one stage of it has made lies there until another asks for it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

# The buffers of a table are many and small: written one by one, they take half as long again.
_TOGETHER = 1 << 20


def write(table: pa.Table, path: Path, batch: int | None = None) -> None:
    """Writes a table as an Arrow file, in batches of so many rows."""
    with (
        pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _TOGETHER) as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table.combine_chunks(), max_chunksize=batch)


def read(path: Path) -> pa.Table:
    """A table that was written; its bytes are those of the file, read when they are looked at.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(pa.table({"code": [550, 421]}), Path(folder, "a.arrow"))
    ...     read(Path(folder, "a.arrow")).to_pydict()
    {'code': [550, 421]}
    """
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
