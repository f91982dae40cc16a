"""What changed on a day: laws of the test, what it must and must not tell, and how messages are counted."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.changes import Series, at_least, changes, daily, none_of
from logscan.counts import interval
from logscan.report import Asked

DAY = date(2026, 11, 24)
QUIET = [2, 3, 1, 0, 2, 1, 3] * 4
NONE = [0] * 28


def told(days: list[int], today: int, tried: int = 200, today_tried: int | None = None) -> list[str]:
    """What is told of one domain among a hundred quiet ones."""
    failed = np.array([[*days, today], *([[*QUIET, 2]] * 100)])
    exposure = np.full(failed.shape, tried)
    exposure[0, -1] = tried if today_tried is None else today_tried
    found = changes({"domain": Series.of([f"{i}.example" for i in range(101)], failed, exposure)})
    assert {one.name for one in found} <= {"0.example"}
    return [one.change for one in found]


@pytest.mark.parametrize(
    ("days", "today", "expected"),
    [
        pytest.param(QUIET, 2, [], id="as ever"),
        pytest.param(QUIET, 6, [], id="a bit more"),
        pytest.param(QUIET, 60, ["spiking"], id="spike"),
        pytest.param(NONE, 4, [], id="too few to say"),
        pytest.param(NONE, 30, ["new"], id="new"),
        pytest.param([*NONE[:27], 30], 31, [], id="goes on since yesterday: told then"),
        pytest.param([60 if day % 7 == 0 else 2 for day in range(28)], 62, [], id="every week on this day"),
        pytest.param([60 if day % 7 == 1 else 2 for day in range(28)], 62, [], id="a habit of other days"),
        pytest.param(
            [*NONE[:14], 60, 70, 65, *NONE[:11]], 66, ["spiking"], id="an outage two weeks ago hides no other"
        ),
        pytest.param([50, 52, 48, 51, 49, 50, 53] * 4, 0, ["vanished"], id="vanished"),
        pytest.param(QUIET, 0, [], id="none for once"),
    ],
)
def test_told(days: list[int], today: int, expected: list[str]) -> None:
    assert told(days, today) == expected


def test_ten_times_the_mail_is_no_change() -> None:
    assert told(QUIET, 22, today_tried=2000) == []


def test_without_mail_nothing_vanishes() -> None:
    assert told([50] * 28, 0, today_tried=0) == []


def test_nothing_is_told_before_seven_days() -> None:
    failed = np.array([[*([0] * 22), 1, 1, 1, 1, 1, 1, 90]])
    tried = np.where(np.arange(29) < 22, 0, 100)[None, :]
    assert changes({"domain": Series.of(["a.example"], failed, tried)}) == []


def test_a_mailing_to_one_domain_is_not_the_provider_s_change() -> None:
    failed, tried = np.array([[*([20] * 28), 400]]), np.full((1, 29), 5000)
    alone = Series(("google",), failed, tried, np.array([[*NONE, 390]]), np.array([[*([10] * 28), 400]]))
    spread = Series(("google",), failed, tried, np.array([[*NONE, 30]]), np.array([[*([10] * 28), 30]]))
    assert changes({"provider": alone}) == []
    assert [one.change for one in changes({"provider": spread})] == ["spiking"]


@given(st.integers(0, 300), st.floats(0.01, 200), st.floats(0.05, 1e4))
def test_at_least_is_a_chance_that_falls(count: int, mean: float, size: float) -> None:
    higher, lower = at_least(count, mean, size), at_least(count + 1, mean, size)
    assert 0 <= lower <= higher * (1 + 1e-9) <= 1 + 1e-9
    assert at_least(1, mean, size) == pytest.approx(1 - none_of(mean, size), abs=1e-8)


@given(st.floats(0.5, 30), st.floats(0.2, 1e4))
def test_at_least_has_the_mean(mean: float, size: float) -> None:
    """The mean of a count is the sum of its tail chances."""
    tails = (at_least(count, mean, size) for count in range(1, 4000))
    assert math.fsum(tails) == pytest.approx(mean, rel=1e-3)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_rate(failed: int, tried: int) -> None:
    failed = min(failed, tried)
    low, high = interval(failed, tried)
    assert 0 <= low <= failed / tried + 1e-12
    assert failed / tried - 1e-12 <= high <= 1


def event(queue_id: str | None, action: str = "deferred", day: date = DAY, **more: object) -> dict[str, object]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    made = {"time": noon, "host": "mx", "queue_id": queue_id, "action": action, "recipient_domain": "a.example"}
    return made | {"cause": "network", "source": "mail.log", "offset": len(str(more))} | more


def test_a_message_counts_once_for_each_domain() -> None:
    events = [
        *[event("A")] * 40,
        event("A", "delivered"),
        event("A", recipient_domain="b.example"),
        event("B", "delivered"),
        event(None, offset=1, code=550, enhanced="5.1.1"),
        event(None, offset=2, code=550, enhanced="5.1.1"),
        event("C", direction="inbound"),
        event("D", copy=True),
        event("E", day=DAY - timedelta(days=7)),
    ]
    series = daily(Asked.of(*events).events, DAY, UTC)
    domain = series["domain"]
    assert domain.names == ("a.example", "b.example")
    assert (domain.failed[:, -1].tolist(), domain.tried[:, -1].tolist()) == ([3, 1], [4, 1])
    assert domain.failed[:, -8].tolist() == [1, 0]
    cause, code = series["cause"], series["code"]
    assert (cause.names, cause.failed[0, -1], cause.tried[0, -1], cause.most[0, -1]) == (("network",), 4, 5, 3)
    assert dict(zip(code.names, code.failed[:, -1].tolist(), strict=True)) == {"550 5.1.1": 2, "none": 2}
    assert series["provider"].names == ()


def test_a_day_without_events() -> None:
    assert changes(daily(Asked.of().events, DAY, UTC)) == []
