"""Columns as parsers make them: words of a short list as dictionaries, and tables of unlike columns put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def stretches(*columns: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where rows that repeat the row before begin anew: the first row of each stretch, and the stretch of each row.

    Lines of a log come many to a second; what is worked out for a stretch need not be for each of its lines.

    >>> first, which = stretches(np.array([5, 5, 7, 7, 5]))
    >>> first.tolist(), which.tolist()
    ([0, 2, 4], [0, 0, 1, 1, 2])
    """
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed), np.cumsum(changed) - 1


def word(value: str, rows: int) -> pa.DictionaryArray:
    """A column that says the same in all rows.

    >>> word("rejected", 2).to_pylist()
    ['rejected', 'rejected']
    """
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def words(codes: npt.NDArray[Any], values: Sequence[str | None]) -> pa.DictionaryArray:
    """A column of words by their place in `values`; null where the place is negative or the word is None.

    >>> words(np.array([1, -1, 0]), ["a", "b"]).to_pylist()
    ['b', None, 'a']
    """
    distinct: dict[str | None, int] = {}
    for value in values:
        if value is not None:
            distinct.setdefault(value, len(distinct))
    place = np.array([*(distinct.get(value, -1) for value in values), -1], np.int32)
    if len(codes) and codes.min() < -1:
        codes = np.maximum(codes, -1)
    codes = place[codes]
    missing = codes < 0
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=missing if missing.any() else None), pa.array(list(distinct), pa.string())
    )


def timestamps(micros: npt.NDArray[np.int64]) -> pa.TimestampArray:
    """A column of moments in UTC, of microseconds since 1970.

    >>> str(timestamps(np.array([1_763_933_383_000_000]))[0])
    '2025-11-23 21:29:43+00:00'
    """
    return pa.array(micros).view(pa.timestamp("us", "UTC"))


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables put below each other; a column that one lacks is null there.

    >>> concat([pa.table({"a": [1]}), pa.table({"b": word("x", 1)})]).to_pylist()
    [{'a': 1, 'b': None}, {'a': None, 'b': 'x'}]
    """
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()


def put(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    """A table with a column added or replaced."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
