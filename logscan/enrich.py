"""Brings what a parser gives to the schema: domains, what the reply means, every column with its type."""

from __future__ import annotations

import idna
import numpy as np
import pyarrow as pa

from logscan.columns import put, word, words
from logscan.schema import EVENTS
from logscan.spans import Spans


def enrich(events: pa.Table, mta: str, source: str) -> pa.Table:
    """Events of one source with all columns of `schema.EVENTS`, those of `classify` still empty."""
    rows = len(events)
    for name, column in (("mta", word(mta, rows)), ("source", word(source, rows))):
        events = events.append_column(name, column)
    return conform(with_domains(events))


def with_domains(events: pa.Table) -> pa.Table:
    """The events with the domains of their senders and recipients."""
    for name in ("sender", "recipient"):
        if name in events.column_names:
            events = put(events, f"{name}_domain", domains(events[name]))
    return events


def domains(addresses: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """The domain of each address, lower-case, as IDNA A-label (RFC 5890); null where it has none.

    >>> domains(pa.array(["a@B.example", "x@bücher.example", '"a@b"@c.example.', "<>", None])).to_pylist()
    ['b.example', 'xn--bcher-kva.example', 'c.example', None, None]
    """
    spans = Spans.of(addresses)
    at = spans.rfind(b"@")
    domain = Spans(spans.buffer, np.where(at >= 0, at + 1, spans.start), spans.end).where(at >= 0)
    encoded = domain.where(domain.length > 0).to_arrow().dictionary_encode()
    names = [_normal(name) for name in encoded.dictionary.to_pylist()]
    return words(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), names)


def _normal(name: str) -> str | None:
    name = name.lower().rstrip(".")
    if not name.isascii():
        try:
            return idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            return name
    return name or None


def conform(events: pa.Table) -> pa.Table:
    """The events with exactly the columns and types of the schema; what is missing is null.

    >>> conform(pa.table({"code": pa.array([550], pa.int16())})).schema.equals(EVENTS, check_metadata=True)
    True
    """
    columns = []
    for field in EVENTS:
        if field.name not in events.column_names:
            missing = (
                pa.array(np.zeros(len(events), bool))
                if field.name == "code_implied"
                else _nulls(field.type, len(events))
            )
            columns.append(missing)
            continue
        column = events[field.name]
        if column.type != field.type:
            column = (
                column.cast(pa.string()).dictionary_encode()
                if pa.types.is_dictionary(field.type)
                else column.cast(field.type)
            )
        columns.append(column)
    return pa.table(columns, schema=EVENTS)


def _nulls(kind: pa.DataType, rows: int) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), pa.array([], pa.string()))
    return pa.nulls(rows, kind)
