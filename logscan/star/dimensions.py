"""The tables around the events: their columns, what each means, and their rows from the catalogue and the events' keys.

Words stand in a column for each language of the catalogue, `meaning_en` beside `meaning_th`: a language that is added
adds columns, and a dimension keeps one row for each key, as BI tools want it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from logscan import catalogue
from logscan.publish.text import safe
from logscan.schema import SCHEMA_VERSION, Column
from logscan.star.keys import Keys

# Days without events are rows too, so that a gap is seen; one wrong stamp must not make a million of them.
MOST_DAYS = 10_000
UTC = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Dimension:
    """A table around the events.

    joins:   the columns of the events that lead to its first column
    columns: as in `schema.COLUMNS`
    words:   those that there are in each language, without the language's name
    rows:    its rows, from the keys of the events
    """

    name: str
    joins: str
    columns: tuple[Column, ...]
    words: tuple[tuple[str, str], ...]
    rows: Callable[[Keys], Iterable[pa.Table]]

    @property
    def schema(self) -> pa.Schema:
        """Its columns, each with its meaning, as Parquet keeps them.

        >>> DIMENSIONS[1].schema.names[:4]
        ['code', 'code_class', 'source', 'name_en']
        """
        spoken = [
            Column(f"{name}_{language}", pa.string(), f"{meaning}, in {title}")
            for language, title in catalogue.languages().items()
            for name, meaning in self.words
        ]
        return pa.schema(
            [pa.field(c.name, c.type, metadata={"comment": c.meaning}) for c in (*self.columns, *spoken)],
            metadata={"logscan.schema": str(SCHEMA_VERSION)},
        )


def _text(name: str, meaning: str) -> Column:
    return Column(name, pa.string(), meaning)


def _number(name: str, meaning: str) -> Column:
    return Column(name, pa.int16(), meaning)


def _dates(keys: Keys) -> Iterator[pa.Table]:
    days = sorted(keys.dates)
    if days and (days[-1] - days[0]).days < MOST_DAYS:
        days = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    yield _table(DATE, ([day, *_calendar(day)] for day in days))


def _calendar(day: date) -> list[Any]:
    iso = day.isocalendar()
    month = f"{day:%Y-%m}"
    return [day.year, (day.month + 2) // 3, day.month, month, day.day, iso.year, iso.week, iso.weekday, iso.weekday > 5]


def _codes(keys: Keys) -> Iterator[pa.Table]:
    numbers = sorted({*catalogue.codes(), *keys.codes})

    def row(number: int) -> list[Any]:
        spoken = [catalogue.code(number, language) for language in catalogue.languages()]
        kind = f"{number // 100}xx" if 200 <= number < 600 else "none"
        words = [word or None for code in spoken for word in (code.name, code.meaning, code.step)]
        return [number, kind, spoken[0].source or None, *words]

    yield _table(CODE, map(row, numbers))


def _enhanced(keys: Keys) -> Iterator[pa.Table]:
    def row(code: str) -> list[Any]:
        try:
            spoken = [catalogue.enhanced(code, language) for language in catalogue.languages()]
        except ValueError:  # no enhanced code; that a log has it is all there is to say
            return [code, *[None] * (len(ENHANCED.schema) - 1)]
        one = spoken[0]
        words = [word for said in spoken for word in (", ".join(said.parts), said.meaning, said.step)]
        first = f"{code[0]}xx"
        return [code, first, one.title, one.cause or None, one.source, *(word or None for word in words)]

    known = {f"{kind}.{rest}" for kind in "245" for rest in catalogue.enhanced_details()}
    yield _table(ENHANCED, map(row, sorted(known | keys.enhanced, key=_in_number)))


def _in_number(code: str) -> tuple[list[int], str]:
    return [int(part) if part.isdecimal() else -1 for part in code.split(".")], code


def _causes(keys: Keys) -> Iterator[pa.Table]:
    spoken = [catalogue.causes(language) for language in catalogue.languages()]

    def row(place: int, name: str) -> list[Any]:
        if name not in spoken[0]:
            return [name, place, *[None] * (len(CAUSE.schema) - 2)]
        one = spoken[0][name]
        words = [word for said in spoken for word in (said[name].meaning, " ".join(said[name].steps))]
        return [name, place, one.group, one.actor, one.retry, *words]

    names = [*spoken[0], *sorted(keys.causes - set(spoken[0]))]
    yield _table(CAUSE, (row(place, name) for place, name in enumerate(names)))


def _providers(keys: Keys) -> Iterator[pa.Table]:
    known = {provider.name: provider for provider in catalogue.providers()}
    rows: list[list[str | None]] = [
        [name, provider.title, ", ".join(provider.suffixes)] for name, provider in known.items()
    ]
    # The others are a site's own.
    rows += [[name, name, None] for name in sorted(keys.providers - set(known))]
    yield _table(PROVIDER, rows)


def _domains(keys: Keys) -> Iterator[pa.Table]:
    for table in keys.domains.tables():
        names = table["domain"].to_pylist()
        yield pa.table(
            {
                "domain": table["domain"],
                "name": pa.array([readable(name) for name in names], pa.string()),
                "top_level": pa.array([name.rpartition(".")[2] for name in names], pa.string()),
                **{name: table[name] for name in ("provider", "since", "last")},
            }
        )


def readable(domain: str) -> str:
    r"""A domain in its own script where that is safe to show; else as it is, with what is not seen written out.

    >>> readable("xn--12c1fe0br.xn--o3cw4h"), readable("a.example"), readable("xn--a"), readable("a\x1b.example")
    ('ศึกษา.ไทย', 'a.example', 'xn--a', 'a\\x1b.example')
    """
    if "xn--" in domain:
        import idna

        try:
            return safe(idna.decode(domain))
        except (idna.IDNAError, UnicodeError, ValueError):
            pass
    return safe(domain)


def _table(dimension: Dimension, rows: Iterable[Sequence[Any]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(dimension.schema)
    return pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, dimension.schema, strict=True)],
        schema=dimension.schema,
    )


DATE = Dimension(
    "dim_date",
    "the day (UTC) of time",
    (
        Column("date", pa.date32(), "the day, UTC; none is left out between the first and the last event"),
        _number("year", "2026"),
        _number("quarter", "1 to 4"),
        _number("month", "1 to 12"),
        _text("year_month", "2026-11"),
        _number("day", "of the month"),
        _number("iso_year", "the year that the week belongs to"),
        _number("iso_week", "1 to 53 (ISO 8601)"),
        _number("weekday", "1 is Monday, 7 is Sunday"),
        Column("weekend", pa.bool_(), "Saturday or Sunday"),
    ),
    (),
    _dates,
)
CODE = Dimension(
    "dim_code",
    "code",
    (
        _number("code", "the three digits"),
        _text("code_class", "2xx, 3xx, 4xx, 5xx, or none"),
        _text("source", "the standard that defines it"),
    ),
    (("name", "its name"), ("meaning", "what it means"), ("step", "what to do, where nothing but the code is known")),
    _codes,
)
ENHANCED = Dimension(
    "dim_enhanced",
    "enhanced",
    (
        _text("enhanced", "the enhanced status code"),
        _text("code_class", "2xx, 4xx, 5xx"),
        _text("title", "the registry's own name for it, in English"),
        _text("cause", "what it most often means in a failure"),
        _text("source", "the standard that defines it"),
    ),
    (
        ("name", "its class, subject and detail"),
        ("meaning", "what it means"),
        ("step", "what to do, where nothing but the code is known"),
    ),
    _enhanced,
)
CAUSE = Dimension(
    "dim_cause",
    "cause",
    (
        _text("cause", "what went wrong"),
        _number("place", "its place in the catalogue, to sort by"),
        _text("cause_group", "what a chart adds up: recipient, reputation, network, ..."),
        _text("actor", "who has to act"),
        _text("retry", "yes: send again once the steps are done; wait: by itself; no: fails again"),
    ),
    (("meaning", "what it means"), ("steps", "what to do next")),
    _causes,
)
PROVIDER = Dimension(
    "dim_provider",
    "provider",
    (
        _text("provider", "whose the servers are"),
        _text("title", "as people call it"),
        _text("suffixes", "how its host names end"),
    ),
    (),
    _providers,
)
DOMAIN = Dimension(
    "dim_domain",
    "recipient_domain or sender_domain",
    (
        _text("domain", "lower-case, IDNA A-label"),
        _text("name", "the same in its own script"),
        _text("top_level", "its last label: com, org, th, ..."),
        _text("provider", "whose servers mostly answered for it"),
        Column("since", UTC, "its first event, as recipient or sender"),
        Column("last", UTC, "its last event"),
    ),
    (),
    _domains,
)

DIMENSIONS: tuple[Dimension, ...] = (DATE, CODE, ENHANCED, CAUSE, PROVIDER, DOMAIN)
