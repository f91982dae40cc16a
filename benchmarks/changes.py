"""Measures how well changes are told: generated months of 3,000 domains with planted changes.

    python benchmarks/changes.py [--sites 20] [--domains 3000] [--seed 2000]

Each site has four quiet weeks, then a month in which changes are planted: a domain that begins to refuse, a provider
that blocks us, a cause or a code that is new or spikes, a cause that vanishes. Found means: told on the day on which it
began, or on the next. What else is told on any evening is a false alarm, whatever its kind.

The noise is none of the model's own: domains of all sizes (Zipf), weekends, newsletters on one weekday, rates that
wander (log-normal), domains that throttle now and then, domains that never take anything, new domains, days with many
times the mail, and stale address lists (a handful of failures at once, at a domain that never failed).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from rig import Target, verdict

from logscan.changes import KINDS, Change, Kind, Series, changes

WARM, MONTH = 28, 30
CAUSES, CODES, PROVIDERS = 25, 60, 8
# Messages a day from which a planted change must be found.
SMALLEST = 15


@dataclass(frozen=True)
class Planted:
    """A change: what it touches, from which day on (of the month) up to which, and how many messages a day it moves."""

    what: str
    touched: frozenset[tuple[Kind, str]]
    aims: frozenset[tuple[Kind, str]]
    begin: int
    end: int
    size: float


@dataclass
class Site:
    """A generated site: failed messages by domain, cause and day; tried ones by domain and day.

    `codes` are failed messages by code and day, `to_codes` how causes are spread over codes.
    """

    failed: np.ndarray
    codes: np.ndarray
    to_codes: np.ndarray
    tried: np.ndarray
    provider: np.ndarray
    planted: list[Planted]


def site(seed: int, domains: int) -> Site:
    """A site's two months."""
    draw = np.random.default_rng(seed)
    days = WARM + MONTH
    weekday = np.where(np.arange(days) % 7 >= 5, draw.uniform(0.2, 0.6), 1.0)
    volume = 4000 / np.arange(1, domains + 1) ** 0.95 * draw.lognormal(0, 0.3, domains)
    mean = volume[:, None] * weekday * draw.lognormal(0, 0.15, days) * draw.lognormal(0, 0.3, (domains, days))
    # Newsletters on one weekday; single days of many times the mail; domains that come later.
    reader = draw.random(domains) < 0.1
    letter = reader[:, None] & (np.arange(days) % 7 == draw.integers(0, 5))
    mean = np.where(letter, 4 * mean, mean)
    mean *= np.where(draw.random((domains, days)) < 0.002, draw.uniform(3, 20), 1)
    late = draw.random(domains) < 0.03
    mean[late] *= np.arange(days) >= draw.integers(1, days, late.sum())[:, None]
    tried = draw.poisson(mean)

    kind = draw.choice(4, domains, p=[0.82, 0.12, 0.04, 0.02])
    rate = np.choose(kind, [draw.beta(1, 80, domains), draw.beta(2, 20, domains), draw.beta(3, 3, domains), 1.0])
    wander = draw.lognormal(0, draw.uniform(0.1, 0.5, domains)[:, None], (domains, days))
    throttled = (draw.random(domains) < 0.02)[:, None] & (draw.random((domains, days)) < 0.15)
    rate = rate[:, None] * np.where(kind[:, None] == 3, 1, wander)
    rate = np.where(letter, 2 * rate, rate) * np.where(throttled, draw.uniform(3, 15, (domains, days)), 1)
    failures = draw.binomial(tried, np.clip(rate, 0, 1))
    stale = draw.random((domains, days)) < 1 / 5000
    failures = np.minimum(failures + stale * draw.integers(2, 5, (domains, days)), tried)

    # What a domain says wanders little; every cause has some codes.
    shares = draw.dirichlet(np.full(CAUSES, 0.15) * np.linspace(3, 0.2, CAUSES), domains)
    shares /= shares.sum(axis=1, keepdims=True)
    failed = np.stack([draw.multinomial(failures[:, day], shares) for day in range(days)], axis=2)
    provider = np.where(draw.random(domains) < 0.4, draw.integers(0, PROVIDERS, domains), -1)
    to_codes = draw.dirichlet(np.full(CODES, 0.05), CAUSES)
    planted = _plant(draw, failed, tried, provider, to_codes)
    codes = np.stack([draw.multinomial(failed[..., day].sum(axis=0), to_codes).sum(axis=0) for day in range(days)], 1)
    codes = _plant_code(draw, codes, planted)
    return Site(failed, codes, to_codes, tried, provider, planted)


def _plant(
    draw: np.random.Generator, failed: np.ndarray, tried: np.ndarray, provider: np.ndarray, to_codes: np.ndarray
) -> list[Planted]:
    """Changes of the month, in place: each aims at a name of its own, and lasts some days."""
    codes = [frozenset(("code", f"k{i}") for i in np.flatnonzero(shares > 0.01)) for shares in to_codes]
    planted: list[Planted] = []
    usual = tried[:, :WARM].mean(axis=1)
    able = np.flatnonzero((usual > 8) & (failed[:, :, :WARM].sum(axis=(1, 2)) < 0.15 * tried[:, :WARM].sum(axis=1)))
    for domain in draw.choice(able, 8, replace=False):
        begin = int(draw.integers(0, MONTH - 6))
        end = begin + int(draw.integers(2, 6))
        cause, rate = int(draw.integers(CAUSES - 1)), draw.uniform(0.4, 1)
        size = _refuse(draw, failed, tried, np.array([domain]), cause, rate, slice(WARM + begin, WARM + end))
        touched = _touched(provider, [int(domain)], cause) | codes[cause]
        planted.append(Planted("domain", touched, frozenset({("domain", f"d{domain}")}), begin, end, size))
    block = int(draw.integers(PROVIDERS))
    begin = int(draw.integers(0, MONTH - 6))
    end, cause = begin + 4, int(draw.integers(CAUSES - 1))
    there = np.flatnonzero(provider == block)
    size = _refuse(draw, failed, tried, there, cause, draw.uniform(0.3, 0.9), slice(WARM + begin, WARM + end))
    touched = _touched(provider, there.tolist(), cause) | codes[cause]
    planted.append(Planted("provider", touched, frozenset({("provider", f"p{block}")}), begin, end, size))
    # A new cause, by a few messages here and there; and one that ends.
    cause = CAUSES - 1
    failed[:, cause] = 0
    begin = int(draw.integers(0, MONTH - 6))
    end, when = begin + 4, slice(WARM + begin, WARM + begin + 4)
    failed[:, cause, when] = draw.binomial(tried[:, when], draw.uniform(0.001, 0.005))
    size = failed[:, cause, when].sum(axis=0).mean()
    aims = frozenset({("cause", f"c{cause}")})
    planted.append(Planted("new cause", aims | codes[cause], aims, begin, end, size))
    busy = failed[:, :, :WARM].sum(axis=0).min(axis=1)
    busy[[int(name[1:]) for one in planted for kind, name in one.touched if kind == "cause"]] = 0
    fit = np.flatnonzero(busy > 15)
    if len(fit):
        cause = int(draw.choice(fit))
        begin = int(draw.integers(2, MONTH))
        size = failed[:, cause, : WARM + begin].sum(axis=0).mean()
        failed[:, cause, WARM + begin :] = 0
        aims = frozenset({("cause", f"c{cause}")})
        planted.append(Planted("vanished", aims | codes[cause], aims, begin, MONTH, size))
    return planted


def _refuse(
    draw: np.random.Generator,
    failed: np.ndarray,
    tried: np.ndarray,
    rows: np.ndarray,
    cause: int,
    rate: float,
    when: slice,
) -> float:
    """Failures beyond the usual at some domains; how many a day at most."""
    rest = tried[rows, when] - failed[rows, :, when].sum(axis=1)
    more = draw.binomial(np.maximum(rest, 0), rate)
    failed[rows, cause, when] += more
    return float(more.sum(axis=0)[:2].max())


def _touched(provider: np.ndarray, domains: list[int], cause: int) -> frozenset[tuple[Kind, str]]:
    names: set[tuple[Kind, str]] = {("cause", f"c{cause}")}
    for domain in domains:
        names |= {("domain", f"d{domain}"), ("provider", f"p{provider[domain]}")}
    return frozenset(names)


def _plant_code(draw: np.random.Generator, codes: np.ndarray, planted: list[Planted]) -> np.ndarray:
    """A code that nobody gave before."""
    begin, row = int(draw.integers(0, MONTH - 4)), np.zeros((1, codes.shape[1]), codes.dtype)
    when = slice(WARM + begin, WARM + begin + 3)
    row[0, when] = draw.poisson(draw.uniform(SMALLEST, 80), 3)
    aims = frozenset({("code", f"k{CODES}")})
    planted.append(Planted("new code", aims, aims, begin, begin + 3, float(row[0, when].max())))
    return np.concatenate([codes, row])


def evening(made: Site, day: int) -> list[Change]:
    """What is told of a day of the month."""
    window = slice(WARM + day - 28, WARM + day + 1)
    tried, failed = made.tried[:, window], made.failed[:, :, window]
    whole, by_domain = tried.sum(axis=0), failed.sum(axis=1)
    causes, codes = failed.sum(axis=0), made.codes[:, window]
    top = failed[..., -1].argmax(axis=0)
    top_code = (failed[..., -1] @ made.to_codes).argmax(axis=0)
    code_most = np.einsum("kcd,ck->kd", failed[top_code], made.to_codes).round()
    code_most = np.minimum(np.concatenate([code_most, np.zeros_like(code_most[:1])]), codes)
    return changes(
        {
            "cause": _series(
                "c", causes, np.tile(whole, (CAUSES, 1)), failed[top, np.arange(CAUSES)], np.zeros_like(causes)
            ),
            "code": _series("k", codes, np.tile(whole, (len(codes), 1)), code_most, np.zeros_like(codes)),
            "domain": _series("d", by_domain, tried),
            "provider": _series("p", *_by_provider(by_domain, tried, made.provider)),
        }
    )


def _by_provider(failed: np.ndarray, tried: np.ndarray, provider: np.ndarray) -> list[np.ndarray]:
    rows = []
    for name in range(PROVIDERS):
        here = failed[provider == name], tried[provider == name]
        top = here[0][:, -1].argmax()
        rows.append((here[0].sum(axis=0), here[1].sum(axis=0), here[0][top], here[1][top]))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _series(letter: str, *counts: np.ndarray) -> Series:
    names = tuple(f"{letter}{i}" for i in range(len(counts[0])))
    kept = [count.astype(np.int64) for count in counts]
    return Series(names, *kept) if len(kept) == 4 else Series.of(names, *kept)


def judge(made: Site) -> tuple[list[tuple[Planted, bool]], list[tuple[int, Change]]]:
    """Which planted changes were found, and the false alarms."""
    told = {day: evening(made, day) for day in range(MONTH)}
    found = [
        (one, any((c.kind, c.name) in one.aims for day in (one.begin, one.begin + 1) for c in told.get(day, ())))
        for one in made.planted
    ]
    false = [(day, c) for day, all_told in told.items() for c in all_told if not _meant(made.planted, day, c)]
    return found, false


def _meant(planted: list[Planted], day: int, change: Change) -> bool:
    """Whether a change is one that was planted, or its end, or came with it."""
    return any((change.kind, change.name) in one.touched and one.begin <= day <= one.end for one in planted)


def main() -> int:
    """Prints what was found, by kind and by size, and the false alarms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--domains", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=2000, help="of the first site (default: %(default)s)")
    asked = parser.parse_args()
    started = time.monotonic()
    all_found: list[tuple[Planted, bool]] = []
    all_false: list[tuple[int, Change]] = []
    for seed in range(asked.seed, asked.seed + asked.sites):
        found, false = judge(site(seed, asked.domains))
        all_found += found
        all_false += false
    for what in sorted({one.what for one, _ in all_found}):
        _line(what, [hit for one, hit in all_found if one.what == what])
    for low, high in ((0, SMALLEST), (SMALLEST, 50), (50, 10**9)):
        _line(f"{low} messages a day or more", [hit for one, hit in all_found if low <= one.size < high])
    for kind in KINDS:
        print(f"false alarms, {kind:10} {sum(c.kind == kind for _, c in all_false)}")
    print(f"{asked.sites} months of {asked.domains:,} domains in {time.monotonic() - started:.0f} s")
    large = [hit for one, hit in all_found if one.size >= SMALLEST]
    return verdict(
        [
            Target(f"found within a day, of {SMALLEST} messages a day or more", np.mean(large), ">=", 0.95),
            Target("false alarms a month", len(all_false) / asked.sites, "<=", 1),
        ]
    )


def _line(what: str, hits: list[bool]) -> None:
    if hits:
        print(f"{what:28} {sum(hits)} of {len(hits)} found")


if __name__ == "__main__":
    sys.exit(main())
