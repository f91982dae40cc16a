"""A column of strings as its few distinct values: what is asked of a value is asked once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Words:
    """A column of strings as its distinct values and, for each row, the index of its value; -1 where null."""

    def __init__(self, values: pa.StringArray, index: Ints):
        self.values, self.index = values, index

    @classmethod
    def encode(cls, column: pa.Array | pa.ChunkedArray) -> Words:
        """The words of an array of strings or of a dictionary of strings."""
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        return cls(column.dictionary.cast(pa.string()), pc.fill_null(column.indices, -1).to_numpy().astype(np.int64))

    @classmethod
    def of(cls, events: pa.Table, name: str, rows: Ints | None = None) -> Words:
        """A column of the events, or some rows of it; all null where they have no such column."""
        if name not in events.column_names:
            return cls(pa.array([], pa.string()), np.full(len(events) if rows is None else len(rows), -1, np.int64))
        if rows is None:
            return cls.encode(events[name])
        # As plain strings, so that a dictionary does not bring along the values of the other rows.
        return cls.encode(events[name].take(pa.array(rows)).cast(pa.string()))

    def __getitem__(self, rows: Ints) -> Words:
        return Words(self.values, self.index[rows])

    def at(self, index: Ints) -> Words:
        """These words as the values of another index, in which -1 is null."""
        return Words(self.values, np.append(self.index, -1)[index])

    def has(self, words: tuple[str, ...]) -> Bools:
        """Which rows are one of the words."""
        return self.lookup(dict.fromkeys(words, 1)) > 0

    def matches(self, pattern: str) -> Bools:
        """In which rows a pattern of RE2 is found, case ignored."""
        found = pc.fill_null(pc.match_substring_regex(self.values, pattern, ignore_case=True), False)
        return np.append(np.asarray(found, np.bool_), False)[self.index]

    def lookup(self, table: Mapping[str, int]) -> Ints:
        """What the table has for each row, 0 where nothing."""
        return np.array([*(table.get(value, 0) for value in self.values.to_pylist()), 0], np.int64)[self.index]

    def to_arrow(self) -> pa.StringArray:
        """The rows as strings."""
        return self.values.take(pa.array(self.index, mask=self.index < 0))

    def to_dictionary(self) -> pa.DictionaryArray:
        """The rows as a dictionary of strings."""
        return pa.DictionaryArray.from_arrays(pa.array(self.index.astype(np.int32), mask=self.index < 0), self.values)
