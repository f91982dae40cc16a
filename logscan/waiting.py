"""Lines that wait for others, from one scan into a store to the next: half an entry, a session without its end.

What can be made of them is in the store. The next scan settles them again with the lines that came since (pipeline.py);
each must find its place among these: after the lines of its own source before it, whatever that is called now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import concat, put
from logscan.pipeline import SEEN
from logscan.store import Commit
from logscan.store.fingerprint import Fingerprint
from logscan.store.ledger import PARTS_KIND

PATIENCE = timedelta(days=1)
"""For so long of the log's own time lines wait for others."""
_MOMENT = pa.timestamp("us", "UTC")
_WHERE = ("first", "source", "content")


class Where(NamedTuple):
    """A source as the ranks of sources are made of it: the moment of its first line, its name, and what it holds."""

    first: int
    source: str
    content: str


def where(first: int, source: str, content: Fingerprint | None) -> Where:
    """A source that was read; of a pipe there is no content."""
    return Where(first, source, content.digest if content and content.offset else "")


@dataclass
class Waiting:
    """The lines that wait, by the name of their parser; `rank` is the place of a source among those of this scan."""

    tables: dict[str, pa.Table]
    sources: list[Where] = field(init=False)

    def __post_init__(self) -> None:
        named = {Where(*row.values()) for table in self.tables.values() for row in _places(table).to_pylist()}
        self.sources = sorted(named)

    @classmethod
    def of(cls, commit: Commit) -> Waiting:
        """Those that earlier commits left."""
        return cls({name: concat(list(commit.beside(PARTS_KIND + name))) for name in commit.waiting()})

    def rows(self, read_on: Mapping[str, int]) -> Iterator[tuple[str, pa.Table]]:
        """Those of each parser, with `source_rank`.

        read_on: the ranks of the sources that this scan reads on, by the digest of what was read of them before. The
        others come before these, in the order of their first lines.
        """
        ranks = {source: read_on.get(source.content, place) for place, source in enumerate(self.sources)}
        for name, table in self.tables.items():
            column = [ranks[Where(*row.values())] for row in table.select(_WHERE).to_pylist()]
            rows = put(table, "source_rank", pa.array(column, pa.int64()))
            yield name, rows.drop_columns(["first", "content"])

    def kept(
        self, found: Iterator[tuple[str, pa.Table]], now: Mapping[int, Where], newest: int | None
    ) -> dict[str, pa.Table]:
        """What waits after this scan, as it is to be kept; too old ones are left out.

        now: the sources of this scan, by rank. newest: the time of the newest event, microseconds.
        """
        time = datetime.now(UTC)
        if newest is not None:
            time = min(time, datetime.fromtimestamp(newest / 1e6, UTC))
        tables: dict[str, list[pa.Table]] = {}
        for name, table in found:
            places = [now.get(rank) or self.sources[rank] for rank in table["source_rank"].to_pylist()]
            table = table.drop_columns(["source_rank"])
            for number in (0, 2):
                column = pa.array([place[number] for place in places], pa.int64() if number == 0 else pa.string())
                table = put(table, _WHERE[number], column)
            seen = table[SEEN] if SEEN in table.column_names else pa.nulls(len(table), _MOMENT)
            table = put(table, SEEN, pc.fill_null(seen.cast(_MOMENT), pa.scalar(time, _MOMENT)))
            table = table.filter(pc.greater_equal(table[SEEN], pa.scalar(time - PATIENCE, _MOMENT)))
            if len(table):
                tables.setdefault(name, []).append(table)
        return {name: concat(parts) for name, parts in tables.items()}


def _places(table: pa.Table) -> pa.Table:
    return table.select(_WHERE).group_by(list(_WHERE), use_threads=False).aggregate([])
