"""Brings what a parser gives to the schema: domains, what the reply means, every column with its type."""

from __future__ import annotations

from collections.abc import Sequence

import idna
import numpy as np
import pyarrow as pa

from logscan.columns import put, word, words
from logscan.copies import HAPPENING, PREFERENCE, preferred
from logscan.schema import EVENTS
from logscan.spans import Spans


def enrich(events: pa.Table, mta: str, source: str | None, logs: Sequence[str] = ()) -> pa.Table:
    """Events of one parser with all columns of `schema.EVENTS`, those of `classify` still empty.

    source: the file that they stand in, None where their column `source` says so. logs: as `Parser.logs`. What tells
    copies (copies.py) stays, until all events of a moment are at hand.
    """
    return placed(with_domains(events), mta, source, logs)


def placed(events: pa.Table, mta: str, source: str | None, logs: Sequence[str] = ()) -> pa.Table:
    """The same without domains, of events whose sender and recipient other lines may yet tell."""
    events = put(events, "mta", word(mta, len(events)))
    if source is not None:
        events = put(events, "source", word(source, len(events)))
    events = preferred(events, mta, logs)
    made = conform(events)
    for name in (HAPPENING, PREFERENCE):
        if name in events.column_names:
            made = made.append_column(name, events[name])
    return made


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
    given = encoded.dictionary.to_pylist()
    names = [domain_name(name) for name in given]
    if names == given:
        return encoded
    return words(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), names)


def domain_name(name: str) -> str | None:
    """A domain as it is compared: lower-case, without its final dot, as IDNA A-label; None where nothing is left.

    >>> domain_name("Bücher.Example.")
    'xn--bcher-kva.example'
    """
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
                if pa.types.is_boolean(field.type)
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
