"""Tells what changed on a day: causes, codes, domains and providers whose failures are new, spike or have vanished.

What is counted are messages at a domain, not tries: one that is put off forty times, or goes to forty recipients of a
domain, is one message that failed there on that day. Else a single stuck message would look like an outage.

How it is judged, for each name (a cause, a code, a domain, a provider) on its own:

* Exposure. Failures are set against the messages that could have failed: those to this domain or provider; for causes
  and codes, all. So a day with ten times the mail, or a Sunday, is no change by itself.
* Expectation. The rate of the last four weeks, with the rate of all names weighing as much as half a failed message,
  gives the failures to be expected. They are taken as negative binomial: a Poisson count whose rate is not known
  exactly (few failures so far) and wanders from day to day. How much it wanders is estimated by moments from the name's
  own days, drawn towards what is usual among its like (as in McCullagh and Nelder, Generalized Linear Models, 6.2).
  An outage of some days, four weeks back at most, is left out of both, so that it hides no other (`_ordinary`).
* Vanished is what failed yesterday and on all the same weekdays, and not today, where `MISSED` or more were to be
  expected even at the rate of its quiet days (the lower quartile).
* Many names. Of thousands of names some are odd every day. The Benjamini-Hochberg procedure (J. R. Statist. Soc. B 57,
  1995) keeps the expected share of false changes below `FALSE_SHARE`.
* Size. What is certain may still not matter: a change has `LEAST` messages, `FACTOR` times what was to be expected,
  `BEYOND` times the rate of yesterday and of the same weekdays of the last weeks, and for domains and providers
  `POINTS` of their mail. So a newsletter each Tuesday is no change on Tuesday, and what goes on is told on its first
  day only. What came and went `HABIT` times in the four weeks, as throttling does, is a habit and no change.
* One domain. Where a cause, code or provider is not new, the domain that had most of its failures today is left out, on
  all days: a mailing to one bad domain is that domain's change, not everybody's.

scipy has these distributions, and is 100 MB; `math.lgamma` and a sum do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.columns import put
from logscan.counts import COUNTED, DELIVERED, FAILED, FAILURES, SCAN, SENT

Kind = Literal["cause", "code", "domain", "provider"]
Counts = npt.NDArray[np.int64]

KINDS: tuple[Kind, ...] = ("cause", "code", "domain", "provider")
WEEKS = 4
# Days with mail before which nothing can be said.
LEAST_DAYS = 7
FALSE_SHARE = 0.001
LEAST = 5
FACTOR = 2.0
BEYOND = 1.5
POINTS = 0.02
HABIT = 2
# Days at most that an outage lasts; what is longer is how things are.
OUTAGE = 10
# The rate of all names weighs as much as so many failed messages: Jeffreys' prior of a Poisson rate.
PRIOR = 0.5
# How much a rate wanders, as the squared coefficient of variation: at least, and where nothing tells.
STEADIEST, USUAL = 0.05, 0.5
# Weight of what is usual: that of some days with so many expected failures, squared.
DRAWN = 50.0
# A reference day is drawn to the mean as if a part of an ordinary day were added to it.
PART = 0.25
# Vanished: so many were expected.
MISSED = 10.0


@dataclass(frozen=True)
class Series:
    """Messages by name and day: a row for each name, a column for each day, the day in question last.

    `tried` are those that could have failed, `failed` those that did. `most` and `most_tried` are the same at the one
    domain that had most of the name's failures on the last day; zeros for domains themselves.
    """

    names: tuple[str, ...]
    failed: Counts
    tried: Counts
    most: Counts
    most_tried: Counts

    @classmethod
    def of(cls, names: Sequence[str], failed: Counts, tried: Counts) -> Series:
        """The series of domains, or of what is spread over so many that none matters."""
        return cls(tuple(names), failed, tried, np.zeros_like(failed), np.zeros_like(tried))


@dataclass(frozen=True)
class Change:
    """What changed: `failed` of `tried` messages today where `expected` were to be expected."""

    kind: Kind
    name: str
    change: Literal["new", "spiking", "vanished"]
    failed: int
    tried: int
    expected: float
    yesterday: int
    weekdays: tuple[int, ...]
    """Failed on the same weekday, a week ago first."""
    p: float
    """Chance of so many (of none, for vanished) if nothing changed."""


def changes(series: Mapping[Kind, Series]) -> list[Change]:
    """What changed on the last day, the surest first; nothing where fewer than `LEAST_DAYS` days had mail.

    >>> quiet, day = [2, 3, 1, 0, 2, 1, 3] * 4, [40]
    >>> failed, tried = np.array([[*quiet, *day], [*quiet, 2]]), np.full((2, 29), 100)
    >>> [found] = changes({"domain": Series.of(("a.example", "b.example"), failed, tried)})
    >>> found.name, found.change, found.failed, round(found.expected, 1), found.weekdays
    ('a.example', 'spiking', 40, 1.7, (2, 2, 2, 2))
    """
    judged = [(found, p) for kind, one in series.items() for found, p in _judged(kind, one)]
    tests = sum(len(one.names) for one in series.values())
    judged.sort(key=lambda pair: pair[1])
    # The largest rank whose p is below its share of the line; all before it hold too.
    last = max((i for i, (_, p) in enumerate(judged, 1) if p <= FALSE_SHARE * i / tests), default=0)
    return [found for found, _ in judged[:last] if found]


def by_day(series: Mapping[Kind, Series], day: date) -> pa.Table:
    """Messages and failed ones by day up to `day`, all domains together: time (its midnight, as if in UTC), rate.

    >>> one = Series.of(["a.example", "b.example"], np.array([[1, 0], [2, 0]]), np.array([[4, 0], [6, 0]]))
    >>> by_day({"domain": one}, date(2026, 11, 23)).to_pylist()[0]["rate"]
    0.3
    """
    domains = series["domain"]
    failed, tried = domains.failed.sum(axis=0), domains.tried.sum(axis=0)
    days = [datetime.combine(day - timedelta(days=back), time(), UTC) for back in range(len(tried) - 1, -1, -1)]
    rate = pa.array(failed / np.maximum(tried, 1), mask=tried == 0)
    return pa.table(
        {"time": pa.array(days, pa.timestamp("us", "UTC")), "messages": tried, "failed": failed, "rate": rate}
    )


def _judged(kind: Kind, series: Series) -> Iterator[tuple[Change | None, float]]:
    """Each name that is worth a test, with its p; None for a change that is too small to tell, but was tested."""
    days = np.flatnonzero(series.tried[:, :-1].any(axis=0))
    if len(days) < LEAST_DAYS:
        return
    apart = (series.failed[:, :-1] > 0).any(axis=1, keepdims=True)
    failed, tried = series.failed - apart * series.most, series.tried - apart * series.most_tried
    model = _Model.of(failed[:, days], tried[:, days])
    today, possible = failed[:, -1], tried[:, -1]
    expected = model.rate * possible
    bar = np.maximum(FACTOR * expected, BEYOND * possible * _reference(failed, tried, model.rate))
    if kind in ("domain", "provider"):
        bar = np.maximum(bar, expected + POINTS * possible)
    habit = _comings(failed[:, :-1], tried[:, :-1], model.rate, today / np.maximum(possible, 1)) >= HABIT
    for i in np.flatnonzero((today > expected) & (today >= LEAST)):
        p = at_least(int(today[i]), expected[i], model.size[i])
        yield (_change(kind, series, int(i), expected[i], p) if today[i] > bar[i] and not habit[i] else None), p
    low = _low(series, days)
    for i in np.flatnonzero((series.failed[:, -1] == 0) & (low >= MISSED)):
        p = none_of(low[i], 1 / STEADIEST)
        yield (_change(kind, series, int(i), low[i], p) if _always_there(series, int(i)) else None), p


@dataclass(frozen=True)
class _Model:
    """What is known of each name: its rate, and the size of the negative binomial of a day's failures."""

    rate: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]

    @classmethod
    def of(cls, failed: Counts, tried: Counts) -> _Model:
        everywhere = max(failed.sum() / max(tried.sum(), 1), 1e-9)
        ordinary = _ordinary(failed, tried)
        failed, tried = failed * ordinary, tried * ordinary
        known = PRIOR + failed.sum(axis=1)
        rate = known / (PRIOR / everywhere + tried.sum(axis=1))
        return cls(rate, 1 / (_wandering(failed, tried) + 1 / known))


def _ordinary(failed: Counts, tried: Counts) -> npt.NDArray[np.bool_]:
    """By name and day, false where an outage was: failures came up once, and stayed for days. It must not hide others.

    What came up for a day only tells how the rate wanders, and stays.
    """
    rates = failed / np.maximum(tried, 1)
    high = (rates > 0) & (rates * 2 >= rates.max(axis=1, keepdims=True)) & (failed >= LEAST)
    once = (high & ~np.pad(high, ((0, 0), (1, 0)))[:, :-1]).sum(axis=1) == 1
    days = high.sum(axis=1)
    ordinary: npt.NDArray[np.bool_] = ~(high & (once & (days > 1) & (days <= OUTAGE))[:, None])
    return ordinary


def _wandering(past: Counts, tries: Counts) -> npt.NDArray[np.float64]:
    """By name, the variance of its rate from day to day as a share of the rate squared; counting noise not included."""
    mean = tries * (past.sum(axis=1) / np.maximum(tries.sum(axis=1), 1))[:, None]
    days = (tries > 0).sum(axis=1)
    beyond_noise = ((past - mean) ** 2 - mean).sum(axis=1) * days / np.maximum(days - 1, 1)
    squares = (mean**2).sum(axis=1)
    telling = squares > DRAWN
    usual = float(np.median(beyond_noise[telling] / squares[telling])) if telling.sum() >= LEAST_DAYS else USUAL
    drawn = (beyond_noise + DRAWN * max(usual, USUAL)) / (squares + DRAWN)
    wandering: npt.NDArray[np.float64] = np.maximum(drawn, STEADIEST)
    return wandering


def _reference(failed: Counts, tried: Counts, rate: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """By name, the greater of yesterday's rate and that of the same weekdays."""
    days = failed.shape[1]
    ordinary = tried[:, :-1].mean(axis=1) * PART
    rates = [
        (failed[:, columns].sum(axis=1) + rate * ordinary) / np.maximum(tried[:, columns].sum(axis=1) + ordinary, 1e-9)
        for columns in ([days - 2], _weekdays(days))
    ]
    highest: npt.NDArray[np.float64] = np.maximum(*rates)
    return highest


def _comings(
    failed: Counts, tried: Counts, rate: npt.NDArray[np.float64], today: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """By name, how often its rate rose to two thirds of today's in the days before, having been below."""
    ordinary = tried.mean(axis=1, keepdims=True) * PART
    rates = (failed + rate[:, None] * ordinary) / np.maximum(tried + ordinary, 1e-9)
    high = (rates * BEYOND >= today[:, None]) & (failed > 0)
    risen = high & ~np.pad(high, ((0, 0), (1, 0)))[:, :-1]
    counted: npt.NDArray[np.int64] = risen.sum(axis=1)
    return counted


def _low(series: Series, days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """By name, the failures of today at the rate of its quieter days (the lower quartile)."""
    rates = series.failed[:, days] / np.maximum(series.tried[:, days], 1)
    low: npt.NDArray[np.float64] = np.quantile(rates, 0.25, axis=1) * series.tried[:, -1]
    return low


def _always_there(series: Series, row: int) -> bool:
    """Whether a name failed yesterday and on all of the same weekdays."""
    days = series.failed.shape[1]
    return bool((series.failed[row, [days - 2, *_weekdays(days)]] > 0).all())


def _weekdays(days: int) -> list[int]:
    """The columns of the same weekday, a week ago first."""
    return list(range(days - 8, -1, -7))


def _change(kind: Kind, series: Series, row: int, expected: float, p: float) -> Change:
    failed = series.failed[row].tolist()
    what: Literal["new", "spiking", "vanished"] = (
        "vanished" if not failed[-1] else "spiking" if any(failed[:-1]) else "new"
    )
    weekdays = tuple(failed[day] for day in _weekdays(len(failed)))
    tried = int(series.tried[row, -1])
    return Change(kind, series.names[row], what, failed[-1], tried, float(expected), failed[-2], weekdays, p)


def at_least(count: int, mean: float, size: float) -> float:
    """Chance of `count` or more of a negative binomial of this mean and size (variance mean + mean²/size).

    Exact where the count is above the mean; far below it the sum may be cut short.

    >>> round(at_least(1, 0.5, 1e9), 4)  # all but Poisson: 1 - exp(-0.5)
    0.3935
    >>> round(at_least(3, 2.0, 1.0), 4)  # geometric: (2/3)³
    0.2963
    """
    if count <= 0 or mean <= 0:
        return float(count <= 0)
    share = mean / (mean + size)
    log = math.lgamma(count + size) - math.lgamma(size) - math.lgamma(count + 1)
    term = math.exp(log - size * math.log1p(mean / size) + count * math.log(share))
    total, step = 0.0, 4096
    while term > total * 1e-12:
        places = np.arange(count, count + step)
        terms = term * np.cumprod(np.concatenate(([1.0], (places + size) / (places + 1) * share)))
        total += float(terms[:-1].sum())
        term, count = float(terms[-1]), count + step
    return min(total, 1.0)


def none_of(mean: float, size: float) -> float:
    """Chance of nothing at all, of the same distribution.

    >>> round(none_of(2.0, 1.0), 4)
    0.3333
    """
    return math.exp(-size * math.log1p(mean / size))


def span(day: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """When a day begins and ends in a zone (None: this machine's), as UTC; 23 or 25 hours where clocks change.

    >>> from zoneinfo import ZoneInfo
    >>> begin, end = span(date(2026, 10, 25), ZoneInfo("Europe/Berlin"))
    >>> begin.isoformat(), str(end - begin)
    ('2026-10-24T22:00:00+00:00', '1 day, 1:00:00')
    """
    midnights = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    begin, end = (midnight.astimezone(UTC) for midnight in midnights)
    return begin, end


def within(day: date, zone: tzinfo | None) -> ds.Expression:
    """The filter for events of a day."""
    return between(*span(day, zone))


def between(begin: datetime, end: datetime) -> ds.Expression:
    """The filter for events from one moment on, up to and without another."""
    first, last = (pa.scalar(moment, pa.timestamp("us", "UTC")) for moment in (begin, end))
    return (pc.field("time") >= first) & (pc.field("time") < last)


def daily(events: ds.Dataset, day: date, zone: tzinfo | None, weeks: int = WEEKS) -> dict[Kind, Series]:
    """The series of each kind up to `day`, counted from the events of so many weeks before it.

    Memory grows with the messages of one day.
    """
    days = [day - timedelta(days=back) for back in range(7 * weeks, -1, -1)]
    return lay_out([_messages(events, within(one, zone)) for one in days])


def lay_out(days: Sequence[pa.Table]) -> dict[Kind, Series]:
    """The series of days in order: tables of kind, name, domain, failed, tried (messages; for each kind, all of them).

    What could have failed with a cause or a code is all mail of the day.

    >>> def day(failed): return pa.table({"kind": ["cause", "cause"], "name": ["policy", None],
    ...     "domain": ["a.example", "a.example"], "failed": [failed, 0], "tried": [0, 50]})
    >>> one = lay_out([day(1), day(2)])["cause"]
    >>> one.names, one.failed.tolist(), one.tried.tolist(), one.most.tolist()
    (('policy',), [[1, 2]], [[50, 50]], [[1, 2]])
    """
    places = np.repeat(np.arange(len(days)), [table.num_rows for table in days])
    whole = pa.concat_tables(days)
    kinds = whole["kind"].to_numpy(zero_copy_only=False)
    made: dict[Kind, Series] = {}
    for kind in KINDS:
        rows = kinds == kind
        made[kind] = _series(kind, whole.filter(pa.array(rows)), places[rows], len(days))
    return made


def _series(kind: Kind, rows: pa.Table, day: npt.NDArray[np.int64], days: int) -> Series:
    """The series of one kind."""
    coded = rows["name"].combine_chunks().dictionary_encode()
    name = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    domain = rows["domain"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    failed, tried = rows["failed"].to_numpy(), rows["tried"].to_numpy()
    names = coded.dictionary.to_pylist()

    def laid(values: npt.NDArray[np.int64], which: npt.NDArray[np.bool_]) -> Counts:
        made = np.zeros((len(names), days), np.int64)
        np.add.at(made, (name[which], day[which]), values[which])
        return made

    named = name >= 0
    if kind in ("cause", "code"):
        each_day = np.zeros(days, np.int64)
        np.add.at(each_day, day, tried)
        possible = np.tile(each_day, (len(names), 1))
    else:
        possible = laid(tried, named)
    if kind == "domain":
        return Series.of(names, laid(failed, named), possible)
    today = np.flatnonzero(named & (day == days - 1))
    last = today[np.lexsort((failed[today], name[today]))]  # of each name the last has most
    top = np.full(len(names) + 1, -2)
    top[name[last]] = domain[last]
    at_top = named & (domain == top[name])
    most_tried = np.zeros_like(possible) if kind in ("cause", "code") else laid(tried, at_top)
    return Series(tuple(names), laid(failed, named), possible, laid(failed, at_top), most_tried)


def _messages(events: ds.Dataset, when: ds.Expression) -> pa.Table:
    """Messages tried and failed by kind, name and domain, as `lay_out` takes them."""
    plain = {"domain": "recipient_domain", "provider": "provider", "cause": "cause", "enhanced": "enhanced"}
    code = ds.field("code").cast(pa.string())
    queue = [ds.field(name).cast(pa.string()) for name in ("host", "queue_id")]
    place = [ds.field(name).cast(pa.string()) for name in ("source", "offset")]
    columns = {
        **{name: ds.field(column).cast(pa.string()) for name, column in plain.items()},
        "code": pc.if_else(code.is_valid(), code, pa.scalar("none")),
        # An event without a queue id is a message of its own.
        "message": pc.if_else(
            queue[1].is_valid(),
            pc.binary_join_element_wise(*queue, " ", null_handling="replace"),
            pc.binary_join_element_wise(*place, ":", null_handling="replace"),
        ),
        "failed": FAILED,
    }
    outcome = ds.field("action").isin((DELIVERED, *FAILURES))
    rows = events.scanner(columns=columns, filter=when & COUNTED & SENT & outcome, **SCAN).to_table().combine_chunks()
    enhanced = rows["enhanced"].fill_null("")
    spoken = pc.utf8_trim_whitespace(pc.binary_join_element_wise(rows["code"], enhanced, " "))
    rows = put(put(rows, "code", spoken), "message", pc.dictionary_encode(rows["message"]).combine_chunks().indices)
    failures = rows.filter(rows["failed"])
    parts = []
    for kind in KINDS:
        # Of a cause or a code only failures are known; what could have failed stands in rows without a name.
        name = kind if kind in ("domain", "provider") else None
        parts += [_part(kind, rows, name, "tried"), _part(kind, failures, kind, "failed")]
    return pa.concat_tables(parts)


def _part(kind: Kind, rows: pa.Table, column: str | None, counted: str) -> pa.Table:
    """Different messages at each domain, by the names of a column."""
    name = rows[column] if column else pa.nulls(len(rows), pa.string())
    pairs = pa.table({"name": name, "domain": rows["domain"], "message": rows["message"]})
    groups = pairs.group_by(["name", "domain", "message"]).aggregate([]).group_by(["name", "domain"])
    made = groups.aggregate([([], "count_all")])
    none = pa.array(np.zeros(len(made), np.int64))
    numbers = {"failed": none, "tried": none, counted: made["count_all"]}
    return pa.table({"kind": pa.repeat(kind, len(made)), "name": made["name"], "domain": made["domain"], **numbers})
