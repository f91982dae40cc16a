"""Year puzzles and hours that come twice, as a table: the stamps of a log, what is known of the file, the moments."""

from __future__ import annotations

import gzip
import io
import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logscan
from logscan import plan, syslog
from logscan.clock import Clock, anchor, in_year, latest_moment, stamp
from logscan.parser import Block
from logscan.plan import Options, winding
from logscan.sources import Pipe, Source, chunks

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def line(text: str) -> str:
    """A log line of `12-31 23:59[:07]`; one with a year is written as RFC 3339 has it."""
    if text[:4].isdigit():
        return f"{text} mx postfix/smtpd[1]: lost connection after AUTH from a[192.0.2.1]\n"
    day, clock = text.split()
    month, number = day.split("-")
    second = "" if clock.count(":") == 2 else ":00"
    return (
        f"{MONTHS[int(month) - 1]} {int(number):2} {clock}{second} mx postfix/smtpd[1]: "
        "lost connection after AUTH from a[192.0.2.1]\n"
    )


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# stamps; the file's name and time of change; options; the moments, UTC
CASES: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "within a year": (
        "10-26 18:13, 10-27 01:00",
        "mail.log",
        "2025-10-27T02:00",
        {},
        "2025-10-26T18:13, 2025-10-27T01:00",
    ),
    "an old file": ("10-26 18:13", "mail.log", "2019-11-01T00:00", {}, "2019-10-26T18:13"),
    "last year's, changed in January": ("12-30 10:00", "mail.log", "2026-01-02T00:00", {}, "2025-12-30T10:00"),
    "over New Year": (
        "12-31 23:59, 01-01 00:01",
        "mail.log",
        "2026-01-01T08:00",
        {},
        "2025-12-31T23:59, 2026-01-01T00:01",
    ),
    "late lines at New Year": (
        "12-31 23:58, 01-01 00:01, 12-31 23:59, 01-01 00:02, 12-31 23:57, 01-01 00:03",
        "mail.log",
        "2026-01-01T08:00",
        {},
        "2025-12-31T23:58, 2026-01-01T00:01, 2025-12-31T23:59, 2026-01-01T00:02, 2025-12-31T23:57, 2026-01-01T00:03",
    ),
    "a late line is the first": (
        "01-01 00:01, 12-31 23:59, 01-01 00:02",
        "mail.log",
        "2026-01-01T08:00",
        {},
        "2026-01-01T00:01, 2025-12-31T23:59, 2026-01-01T00:02",
    ),
    "a late line is the last": (
        "12-31 23:58, 01-01 00:01, 12-31 23:59",
        "mail.log",
        "2026-01-01T00:02",
        {},
        "2025-12-31T23:58, 2026-01-01T00:01, 2025-12-31T23:59",
    ),
    "the date of rotation in the name, the file copied since": (
        "10-25 18:13",
        "mail.log-20241026",
        "2026-01-05T00:00",
        {},
        "2024-10-25T18:13",
    ),
    "the date in the name as postlogd writes it": (
        "12-31 18:13",
        "maillog.20250101-000003",
        "2026-01-05T00:00",
        {},
        "2024-12-31T18:13",
    ),
    "the date in the name with hyphens": (
        "10-25 18:13",
        "mail.2024-10-26.log",
        "2026-01-05T00:00",
        {},
        "2024-10-25T18:13",
    ),
    "no date but digits in the name": ("10-25 18:13", "mail-20249926.log", "2026-01-05T00:00", {}, "2025-10-25T18:13"),
    "--year": (
        "10-26 18:13, 01-02 00:00",
        "mail.log",
        "2026-11-01T00:00",
        {"year": 2011},
        "2011-10-26T18:13, 2012-01-02T00:00",
    ),
    "--year against the name": (
        "10-26 18:13",
        "mail.log-20241026",
        "2026-11-01T00:00",
        {"year": 2011},
        "2011-10-26T18:13",
    ),
    "leap day": (
        "02-28 12:00, 02-29 12:00, 03-01 12:00",
        "mail.log",
        "2024-03-02T00:00",
        {},
        "2024-02-28T12:00, 2024-02-29T12:00, 2024-03-01T12:00",
    ),
    "leap day, the file changed in a common year": (
        "02-28 12:00, 02-29 12:00, 03-01 12:00",
        "mail.log",
        "2026-03-02T00:00",
        {},
        "2024-02-28T12:00, 2024-02-29T12:00, 2024-03-01T12:00",
    ),
    "two years": (
        "11-01 00:00, 03-01 00:00, 08-01 00:00, 12-01 00:00, 02-01 00:00",
        "mail.log",
        "2026-02-02T00:00",
        {},
        "2024-11-01T00:00, 2025-03-01T00:00, 2025-08-01T00:00, 2025-12-01T00:00, 2026-02-01T00:00",
    ),
    "a quiet year": (
        "01-05 00:00, 12-20 00:00",
        "mail.log",
        "2025-12-21T00:00",
        {},
        "2025-01-05T00:00, 2025-12-20T00:00",
    ),
    "nearly a year of silence": (
        "02-10 00:00, 02-05 00:00",
        "mail.log",
        "2026-02-06T00:00",
        {},
        "2025-02-10T00:00, 2026-02-05T00:00",
    ),
    "a machine that woke up in January, on a leap day": (
        "02-29 10:00, 01-01 00:00, 02-29 10:05",
        "mail.log",
        "2024-02-29T11:00",
        {},
        "",  # no answer is right; but there is one
    ),
    "an archive without times": ("10-26 18:13", "mail.log-20241026", "1970-01-01T00:00", {}, "2024-10-26T18:13"),
    "a clock reset among lines without years": (
        "10-26 18:13, 1970-01-01T00:00:09Z, 10-26 18:14",
        "mail.log",
        "2024-10-27T00:00",
        {},
        "2024-10-26T18:13, 1970-01-01T00:00, 2024-10-26T18:14",
    ),
    "a clock reset at the end": (
        "10-26 18:13, 1970-01-01T00:00:09Z",
        "mail.log",
        "2024-10-27T00:00",
        {},
        "",
    ),
    "written a little after its time": ("10-26 18:13", "mail.log", "2025-10-26T18:12", {}, "2025-10-26T18:13"),
    "the zone east, on New Year's morning": (
        "01-01 03:00, 01-01 08:00",
        "mail.log",
        "2026-01-01T02:00",
        {"tz": "Asia/Bangkok"},
        "2025-12-31T20:00, 2026-01-01T01:00",
    ),
    "the zone west, on New Year's Eve": (
        "12-31 20:00, 01-01 01:00",
        "mail.log",
        "2026-01-01T07:00",
        {"tz": "America/Los_Angeles"},
        "2026-01-01T04:00, 2026-01-01T09:00",
    ),
    "stamps with years after those without": (
        "10-26 18:13, 2021-10-27T10:00:00Z",
        "mail.log",
        "2026-11-01T00:00",
        {},
        "2021-10-26T18:13, 2021-10-27T10:00",
    ),
    "stamps with years before those without": (
        "2020-10-26T18:13:00Z, 10-27 10:00",
        "mail.log",
        "2021-11-01T00:00",
        {},
        "2020-10-26T18:13, 2021-10-27T10:00",
    ),
    "Berlin, summer": ("07-01 12:00", "mail.log", "2025-07-02T00:00", {"tz": "Europe/Berlin"}, "2025-07-01T10:00"),
    "Berlin, the hour twice": (
        "10-26 01:59, 10-26 02:01, 10-26 02:59, 10-26 02:02, 10-26 02:58, 10-26 03:01",
        "mail.log",
        "2025-10-27T00:00",
        {"tz": "Europe/Berlin"},
        "2025-10-25T23:59, 2025-10-26T00:01, 2025-10-26T00:59, 2025-10-26T01:02, 2025-10-26T01:58, 2025-10-26T02:01",
    ),
    "Berlin, the hour that is not": (
        "03-30 01:59, 03-30 02:30, 03-30 03:00",
        "mail.log",
        "2025-03-31T00:00",
        {"tz": "Europe/Berlin"},
        "2025-03-30T00:59, 2025-03-30T01:30, 2025-03-30T01:00",
    ),
    "New York, the hour twice": (
        "11-02 00:59, 11-02 01:30, 11-02 01:59, 11-02 01:01, 11-02 01:50, 11-02 02:00",
        "mail.log",
        "2025-11-03T00:00",
        {"tz": "America/New_York"},
        "2025-11-02T04:59, 2025-11-02T05:30, 2025-11-02T05:59, 2025-11-02T06:01, 2025-11-02T06:50, 2025-11-02T07:00",
    ),
    "Bangkok has no summer time": (
        "10-26 02:30, 10-26 02:31",
        "mail.log",
        "2025-10-27T00:00",
        {"tz": "Asia/Bangkok"},
        "2025-10-25T19:30, 2025-10-25T19:31",
    ),
    "Lord Howe, half an hour twice": (
        "04-06 01:29, 04-06 01:31, 04-06 01:59, 04-06 01:32, 04-06 01:58, 04-06 02:01",
        "mail.log",
        "2025-04-07T00:00",
        {"tz": "Australia/Lord_Howe"},
        "2025-04-05T14:29, 2025-04-05T14:31, 2025-04-05T14:59, 2025-04-05T15:02, 2025-04-05T15:28, 2025-04-05T15:31",
    ),
    "Lord Howe, half an hour that is not": (
        "10-05 01:59, 10-05 02:31",
        "mail.log",
        "2025-10-06T00:00",
        {"tz": "Australia/Lord_Howe"},
        "2025-10-04T15:29, 2025-10-04T15:31",
    ),
    "stamps with a year and no zone, the hour twice": (
        "2025-10-26 02:01:00, 2025-10-26 02:59:00",
        "mail.log",
        "2025-10-27T00:00",
        {"tz": "Europe/Berlin"},
        "2025-10-26T00:01, 2025-10-26T00:59",
    ),
}


def times_of(path: Path, **options: Any) -> list[str]:
    table = logscan.scan([path], workers=1, **options).sort_by("offset")
    return [str(time)[:16].replace(" ", "T") for time in table["time"].to_pylist()]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("stamps", "name", "changed", "options", "want"), CASES.values(), ids=CASES)
def test_year_puzzles(
    tmp_path: Path, stamps: str, name: str, changed: str, options: dict[str, Any], want: str, packed: bool
) -> None:
    data = "".join(line(text) for text in stamps.split(", ")).encode()
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(data) if packed else data)
    os.utime(path, (moment(changed), moment(changed)))
    found = times_of(path, **{"tz": "UTC", **options})
    assert len(found) == len(stamps.split(", "))
    if want:
        assert found == want.split(", ")


def test_standard_input_is_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    data = line(f"{now.month}-{now.day} 00:00").encode()
    pipe = Source("-", None, None, 0, now.timestamp(), pipe=Pipe(io.BytesIO(data).read))
    monkeypatch.setattr(plan, "discover", lambda paths: ([pipe], []))
    (planned,), problems = plan.plan(["-"], Options(tz="UTC"))
    ((chunk, clock),) = winding(planned, chunks(planned.source, 1 << 20))
    (head,) = syslog.read(Block.of(chunk.data, clock=clock)).parts
    assert str(head.time.astype("M8[us]")[0])[:10] == str(now.date())
    assert not problems


def year_of_log(days: int, step: int) -> tuple[str, list[str]]:
    """A log that begins on 1 July 2021, a line each `step` minutes, and the moments of its lines."""
    start = np.datetime64("2021-07-01T00:00", "m")
    moments = [str(start + i) for i in range(0, days * 1440, step)]
    return "".join(line(m[5:10] + " " + m[11:]) for m in moments), moments


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("block_size", [20_000, 8 << 20])
def test_a_quiet_server_for_two_years(tmp_path: Path, packed: bool, block_size: int) -> None:
    """Longer than the head that the plan looks at."""
    text, moments = year_of_log(700, 600)
    assert len(text) > 2 * plan.HEAD
    path = tmp_path / ("mail.log" + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    os.utime(path, (moment("2023-06-01"), moment("2023-06-01")))
    if packed:
        # What comes after the head is not seen before: the first year is the reader's to say, and he is told so.
        with pytest.warns(UserWarning, match="--year"):
            times_of(path, tz="UTC", block_size=block_size)
    assert times_of(path, tz="UTC", block_size=block_size, year=2021 if packed else None) == moments


ZONES = [
    UTC,
    *map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Asia/Bangkok", "Australia/Lord_Howe", "Asia/Kathmandu")),
]
MINUTE = 60_000_000


@given(
    st.sampled_from(ZONES),
    st.integers(int(moment("2019-01-01")), int(moment("2027-01-01"))),
    st.lists(st.integers(0, 20 * 60), min_size=1, max_size=60),
)
def test_moments_come_back_whatever_the_zone(zone: tzinfo, start: int, steps: list[int]) -> None:
    """Lines at most 20 minutes apart, each an anchor: local stamps without a year tell the moments they were made of.

    Only a log that begins within the second coming of an hour cannot be told from one that begins in the first.
    """
    moments = (np.cumsum([start, *steps]) * 1_000_000).astype(np.int64)
    local = [datetime.fromtimestamp(m // 1_000_000, UTC).astimezone(zone) for m in moments.tolist()]
    if local[0].fold:
        return
    walls = [stamp(t.month, t.day, t.hour, t.minute, t.second) for t in local]
    offsets = np.arange(len(walls)) * 90
    clock = Clock(zone, *anchor(walls, offsets, int(moments[-1]), zone))
    assert clock.moments.tolist() == moments.tolist()
    assert clock.utc(np.array(walls), offsets).tolist() == moments.tolist()
    years = np.array(
        [datetime(t.year, t.month, t.day, t.hour, t.minute, t.second, tzinfo=UTC).timestamp() for t in local]
    )
    assert clock.zoned((years * 1_000_000).astype(np.int64), offsets).tolist() == moments.tolist()


@given(st.lists(st.integers(0, 366 * 86_400 - 1), min_size=1, max_size=12), st.integers(0, 2**33))
def test_no_order_of_stamps_is_too_strange(seconds: list[int], end: int) -> None:
    walls = [stamp(1, 1) + s * 1_000_000 for s in seconds]
    offsets, moments = anchor(walls, list(range(len(walls))), end * 1_000_000)
    found = Clock(UTC, offsets, moments).utc(np.array(walls), offsets)
    assert len(found) == len(walls)


@pytest.mark.parametrize("year", [1972, 2000, 2023, 2024, 2100])
def test_february_29(year: int) -> None:
    day = str(in_year(np.array([stamp(2, 29)]), year).astype("M8[us]")[0])[5:10]
    assert day == ("02-29" if year in (1972, 2000, 2024) else "03-01")


NAMES = {
    "mail.log-20251026.gz": "2025-10-27",
    "maillog.20251026-123456": "2025-10-27",
    "mail.log.2025-10-26.gz": "2025-10-27",
    "20251026/mail.log": "1996-01-01",  # the folder's name tells nothing
    "mail.log.20251399": "1996-01-01",
    "mail.log.20250231": "1996-01-01",
    "mail-120251026.log": "1996-01-01",
    "mail.log.1": "1996-01-01",
}


@pytest.mark.parametrize(("name", "day"), NAMES.items())
def test_dates_in_names(name: str, day: str) -> None:
    assert str(np.int64(latest_moment(name, moment("1996-01-01"))).astype("M8[us]"))[:10] == day
