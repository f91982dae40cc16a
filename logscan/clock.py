"""The year puzzle, and the hour that comes twice: wall-clock stamps of a log as moments in time.

Old syslog stamps say `Oct 26 18:13:50`: no year, no zone. The year comes from the file, never from today's clock
alone: its last line is no younger than the file (its modification time, or the date in a rotated file's name), and
going back from there each step from January to December is one year less. To do so a file is sampled: an *anchor* is
the offset of a line and the moment it was written. Every other line is taken as the moment nearest to the anchor
before it, which settles late lines at New Year; in the hour that a change from summer time repeats, a step back tells
the second coming from the first.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from logscan.columns import stretches

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
QUARTER = 900 * SECOND  # zones change their offset at whole quarters of an hour

# Stamps without a year are told as if in 2000, a leap year, so that 29 February has a place.
LEAP = 2000
_YEARS = np.arange("1970", "2201", dtype="M8[Y]")
_YEAR_START: Ints = _YEARS.astype("M8[us]").astype(np.int64)
_LEAP_START = int(_YEAR_START[LEAP - 1970])
_FEBRUARY_29 = 59

SLACK = 2 * DAY  # zones, late writers: a line may be this much younger than its file
STEP_BACK = 2 * DAY  # lines come this late at most; a larger step back is a new year
LATE = 120 * SECOND  # in an hour that comes twice, a line that is this much older than its anchor came late
LATE_LINE = 360 * DAY  # a step forward of nearly a year is a line of last December that came late


@dataclass(frozen=True)
class Clock:
    """Turns the stamps of one source into microseconds since 1970, UTC.

    zone:    of stamps without one; None is this machine's.
    anchors: offsets (ascending) and moments of sampled lines; see `anchor`.
    latest:  what stamps without a year are nearest to where no anchor was found.

    >>> clock = Clock(UTC, *anchor([stamp(12, 31, 23, 59), stamp(1, 1, 0, 1)], [0, 90], latest="2026-01-01T08:00"))
    >>> walls = np.array([stamp(12, 31, 23, 59), stamp(1, 1, 0, 1), stamp(12, 31, 23, 58)])
    >>> [str(t) for t in clock.utc(walls, np.array([0, 90, 180])).astype("M8[us]").astype("M8[m]")]
    ['2025-12-31T23:59', '2026-01-01T00:01', '2025-12-31T23:58']
    """

    zone: tzinfo | None = UTC
    offsets: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    moments: Ints = field(default_factory=lambda: np.array([_LEAP_START], np.int64))
    latest: int = _LEAP_START

    @property
    def unwound(self) -> bool:
        """Whether it has no anchors yet."""
        return len(self.moments) == 1 and int(self.moments[0]) == _LEAP_START

    @property
    def year(self) -> int:
        """The year of the first anchor, on the wall.

        >>> from zoneinfo import ZoneInfo
        >>> Clock(ZoneInfo("Asia/Bangkok"), np.zeros(1, int), np.array([1767200400000000])).year  # 2025-12-31T17:00Z
        2026
        """
        return datetime.fromtimestamp(int(self.moments[0]) // SECOND, UTC).astimezone(self.zone).year

    def utc(self, wall: Ints, offsets: Ints) -> Ints:
        """Moments of stamps without year (`stamp`), each the one nearest to the anchor before its offset."""
        place = np.maximum(np.searchsorted(self.offsets, offsets, "right") - 1, 0)
        first, which = stretches(wall, place)
        return self._utc(wall[first], place[first])[which]

    def _utc(self, wall: Ints, place: Ints) -> Ints:
        moments = np.array([self.latest]) if self.unwound else self.moments
        near = moments[place]
        year = moments.astype("M8[us]").astype("M8[Y]").astype(np.int64) + 1970
        years = year[place] if (year != year[0]).any() else int(year[0])
        best = self._nearest(wall, years, near)
        far = np.flatnonzero(np.abs(best - near) > 150 * DAY)
        if len(far):
            # New Year lies between the line and its anchor; or it is 29 February, and the leap year is up to 8 away.
            leap_day = (wall[far] - _LEAP_START) // DAY == _FEBRUARY_29
            around = range(-8, 9) if leap_day.any() else range(-1, 2)
            base = np.broadcast_to(years, len(wall))[far]
            tries = np.stack([self._nearest(wall[far], base + d, near[far]) for d in around])
            pick = np.argmin(np.abs(tries - near[far]), axis=0)
            best[far] = tries[pick, np.arange(len(far))]
        return best

    def zoned(self, wall: Ints, offsets: Ints) -> Ints:
        """Moments of stamps with a year but no zone (microseconds since 1970 on the wall)."""
        place = np.maximum(np.searchsorted(self.offsets, offsets, "right") - 1, 0)
        first, which = stretches(wall, place)
        return self._instant(wall[first], self.moments[place[first]])[which]

    def _nearest(self, wall: Ints, years: Ints | int, near: Ints) -> Ints:
        return self._instant(in_year(wall, years), near)

    def _instant(self, wall: Ints, near: Ints) -> Ints:
        if self.zone is UTC:
            return wall.copy()
        quarter = wall // QUARTER
        begins, which = stretches(quarter)
        quarters, where = np.unique(quarter[begins], return_inverse=True)
        first, second = (
            np.array([_offset(q, self.zone, fold) for q in quarters.tolist()], np.int64)[where][which]
            for fold in (0, 1)
        )
        early, late = wall - first, wall - second
        # Logs go forward: an hour that comes twice is its second coming where the first would step back. In the gap of
        # spring the two readings differ the other way round, and the offset before the change is the one to take.
        return np.where((late > early) & (early < near - LATE), late, early)


def stamp(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """A stamp without year, as microseconds in the leap year that all such stamps are told in."""
    return int((datetime(LEAP, month, day, hour, minute, second) - datetime(1970, 1, 1)) / timedelta(microseconds=1))


def in_year(wall: Ints, years: Ints | int) -> Ints:
    """A stamp without year in a year; 29 February of a common year is its 1 March.

    >>> str(in_year(np.array([stamp(3, 1)]), 2025).astype("M8[us]")[0])[:10]
    '2025-03-01'
    """
    index = np.clip(np.asarray(years) - 1970, 0, len(_YEARS) - 1)
    since = wall - _LEAP_START
    moved = (since // DAY > _FEBRUARY_29) & ~_is_leap(index + 1970)
    return np.asarray(_YEAR_START[index] + since - np.where(moved, DAY, 0), np.int64)


def _is_leap(years: Ints) -> Bools:
    return np.asarray((years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0)))


def anchor(
    walls: list[int] | Ints,
    offsets: list[int] | Ints,
    latest: str | int,
    zone: tzinfo | None = UTC,
    year: int | None = None,
) -> tuple[Ints, Ints]:
    """Anchors from sampled lines: their stamps without year and their offsets, in file order.

    latest: the moment that the file's last line cannot be (much) younger than: text, or microseconds since 1970.
    year:   of the first line, when the reader says so; then `latest` does not count.

    >>> offsets, moments = anchor([stamp(2, 29), stamp(6, 1), stamp(1, 5)], [0, 1, 2], latest="2026-11-01")
    >>> [str(t)[:10] for t in moments.astype("M8[us]")]
    ['2024-02-29', '2024-06-01', '2025-01-05']
    """
    wall = np.asarray(walls, np.int64)
    end = int(np.datetime64(latest, "us").astype(np.int64)) if isinstance(latest, str) else latest
    step = np.diff(wall)
    years = np.concatenate(([0], np.cumsum((step < -STEP_BACK).astype(np.int64) - (step > LATE_LINE))))
    if year is not None:
        years += year
    else:
        years += int(np.int64(end).astype("M8[us]").astype("M8[Y]").astype(np.int64)) + 1971 - years[-1]
        years -= next((k for k in range(2) if in_year(wall[-1:], years[-1:] - k)[0] <= end + SLACK), 2)
        # A leap year is up to 8 away. None fits where a machine's clock jumped: then the day tells nothing.
        leap_days = years[(wall - _LEAP_START) // DAY == _FEBRUARY_29]
        years -= next((k for k in range(9) if _is_leap(leap_days - k).all()), 0)
    near = in_year(wall, years)
    clock = Clock(zone)
    moments = clock._instant(near, near - DAY)
    for i in np.flatnonzero(np.diff(moments) < -LATE) + 1 if zone is not UTC else []:
        # Each step back in an hour that comes twice begins its second coming; what follows goes on from there.
        while i < len(moments) and moments[i] < moments[i - 1] - LATE:
            second = clock._instant(near[i : i + 1], moments[i - 1 : i])[0]
            if second == moments[i]:
                break
            moments[i] = second
            i += 1
    return np.asarray(offsets, np.int64), moments


# The date that a rotation put into the name: mail.log-20251026, maillog.20251026-123456, mail.log.2025-10-26.gz
_NAME_DATE = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)(?:-\d{6})?")
_NO_TIME = 365 * 86_400.0


def latest_moment(name: str, modified: float) -> int:
    """The moment that a source's last line cannot be younger than: the rotation date in its name, else its `modified`.

    A file of 1970 comes from an archive without times: it may be as young as today.

    >>> str(np.int64(latest_moment("log/mail.log-20251026.gz", 0.0)).astype("M8[us]"))[:10]
    '2025-10-27'
    """
    if modified < _NO_TIME:
        modified = time.time()
    found = _NAME_DATE.search(PurePath(name).name)
    if found:
        try:
            day = datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=UTC) + timedelta(days=1)
            return int(day.timestamp()) * SECOND
        except ValueError:
            return int(modified * SECOND)
    return int(modified * SECOND)


def _offset(quarter: int, zone: tzinfo | None, fold: int) -> int:
    wall = (datetime(1970, 1, 1) + timedelta(microseconds=quarter * QUARTER)).replace(fold=fold)
    offset = wall.replace(tzinfo=zone).utcoffset() if zone else wall.astimezone().utcoffset()
    return int(offset / timedelta(microseconds=1)) if offset is not None else 0
