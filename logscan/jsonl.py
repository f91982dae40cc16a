"""Writes events as JSON lines, an object each, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO

import pyarrow as pa


def write_lines(file: IO[str], tables: Iterable[pa.Table]) -> None:
    """Write events as JSON lines; times are ISO 8601 in UTC."""
    for table in tables:
        for row in table.to_pylist():
            row["time"] = row["time"] and row["time"].isoformat()
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    file.flush()
