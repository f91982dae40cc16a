"""Which values the events have in the columns that dimensions explain: found in one pass, in bounded memory.

Codes, causes and providers are few whatever a log holds. Domains are as many as a log, or an attacker, names: beyond
what memory may hold they are spilled to disk, by a hash of the name, and put together a part at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.copies import happening
from logscan.counts import INBOUND, SCAN

HELD = 500_000
"""Rows of domains that are held in memory: some 50 MB."""
PARTS = 16


@dataclass(frozen=True)
class Keys:
    """The values of the events, null left out; `domains` are read from it once."""

    dates: frozenset[date]
    codes: frozenset[int]
    enhanced: frozenset[str]
    causes: frozenset[str]
    providers: frozenset[str]
    domains: Domains


def keys(events: ds.Dataset, spill: Path) -> Keys:
    """The values that events have; `spill` is a folder for domains that do not fit into memory.

    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> from logscan.schema import EVENTS
    >>> rows = [{"time": noon, "code": 550, "recipient_domain": "b.example", "sender_domain": "a.example"}]
    >>> found = keys(ds.dataset(pa.Table.from_pylist(rows, schema=EVENTS)), Path())
    >>> found.dates, found.codes, next(found.domains.tables())["domain"].to_pylist()
    (frozenset({datetime.date(2026, 11, 23)}), frozenset({550}), ['a.example', 'b.example'])
    """
    plain = {name: ds.field(name).cast(pa.string()) for name in ("enhanced", "cause", "provider")}
    columns = {
        **plain,
        "date": ds.field("time").cast(pa.timestamp("us")).cast(pa.date32(), safe=False),
        "code": ds.field("code"),
        "time": ds.field("time"),
        "recipient_domain": ds.field("recipient_domain").cast(pa.string()),
        "sender_domain": ds.field("sender_domain").cast(pa.string()),
        "inbound": INBOUND,
    }
    found: dict[str, set[Any]] = {name: set() for name in ("date", "code", "enhanced", "cause", "provider")}
    domains = Domains(spill)
    for batch in events.scanner(columns=columns, **SCAN).to_batches():
        for name, values in found.items():
            values.update(pc.unique(batch.column(name)).drop_null().to_pylist())
        nobody = pa.nulls(len(batch), pa.string())
        whose = pc.if_else(batch.column("inbound"), nobody, batch.column("provider"))
        time = batch.column("time")
        for name, provider in (("recipient_domain", whose), ("sender_domain", nobody)):
            domains.add(pa.table({"domain": batch.column(name), "provider": provider, "since": time, "last": time}))
    dates, codes, enhanced, causes, providers = (frozenset(values) for values in found.values())
    return Keys(dates, codes, enhanced, causes, providers, domains)


@dataclass
class Domains:
    """Domains with the provider that mostly answered for each, and the times of their first and last events."""

    spill: Path
    held: int = HELD
    _parts: list[pa.Table] = field(default_factory=list)
    _rows: int = 0
    _files: list[tuple[pa.OSFile, pa.ipc.RecordBatchStreamWriter]] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Rows of events: domain, provider, since, last. Those without a domain are left out."""
        rows = rows.filter(pc.is_valid(rows["domain"]))
        if not len(rows):
            return
        part = _together(rows.append_column("events", pa.array(np.ones(len(rows), np.int64))))
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > self.held:
            self._parts = [_together(pa.concat_tables(self._parts))]
            self._rows = len(self._parts[0])
            if self._rows > self.held // 2:
                self._spill()

    def tables(self) -> Iterator[pa.Table]:
        """All domains once, each table in the order of names. To be asked once, when all rows were added."""
        if not self._files:
            if self._parts:
                yield _chosen(_together(pa.concat_tables(self._parts)))
            return
        self._spill()
        for number, (file, writer) in enumerate(self._files):
            writer.close()
            file.close()
            with pa.memory_map(str(self._path(number))) as mapped:
                yield _chosen(_together(pa.ipc.open_stream(mapped).read_all()))
            self._path(number).unlink()
        self._files = []

    def _path(self, number: int) -> Path:
        return self.spill / f"domains-{number:02}.arrow"

    def _spill(self) -> None:
        if not self._parts:
            return
        rows = pa.concat_tables(self._parts)
        if not self._files:
            for number in range(PARTS):
                file = pa.OSFile(str(self._path(number)), "wb")
                self._files.append((file, pa.ipc.new_stream(file, rows.schema)))
        part = happening(rows["domain"]).to_numpy().view(np.uint64) % PARTS
        for number, (_, writer) in enumerate(self._files):
            writer.write_table(rows.filter(pa.array(part == number)))
        self._parts, self._rows = [], 0


def _together(rows: pa.Table) -> pa.Table:
    made = rows.group_by(["domain", "provider"], use_threads=False).aggregate(
        [("since", "min"), ("last", "max"), ("events", "sum")]
    )
    return made.rename_columns(["domain", "provider", "since", "last", "events"])


def _chosen(rows: pa.Table) -> pa.Table:
    """A row for each domain: of its providers the one of most events."""
    none = pc.is_null(rows["provider"]).cast(pa.int8())
    order = [("domain", "ascending"), ("none", "ascending"), ("events", "descending"), ("provider", "ascending")]
    rows = rows.append_column("none", none).sort_by(order)
    made = rows.group_by(["domain"], use_threads=False).aggregate(
        [("provider", "first"), ("since", "min"), ("last", "max")]
    )
    return made.rename_columns(["domain", "provider", "since", "last"])
