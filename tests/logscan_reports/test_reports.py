"""Each report by the rows it gives for a small data set, and the laws that hold between all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.counts import FAILURES
from logscan.publish import gather
from logscan.report import Answer, Asked, Before
from logscan.run import Run
from logscan.schema import EVENTS

NOON = datetime(2026, 9, 20, 12, tzinfo=UTC)


def event(action: str, domain: str | None, **more: Any) -> dict[str, Any]:
    return {"time": NOON, "direction": "outbound", "action": action, "recipient_domain": domain, **more}


UNKNOWN = {"code": 550, "enhanced": "5.1.1", "code_class": "5xx", "cause": "user-unknown", "reply": "550 5.1.1 no"}
FULL = {"code": 452, "enhanced": "4.2.2", "code_class": "4xx", "cause": "mailbox-full", "reply": "452 4.2.2 full"}
SILENT = {"enhanced": "4.4.1", "code_class": "4xx", "cause": "network", "reply": "Connection timed out"}
BLOCKED = {"code": 554, "enhanced": "5.7.1", "code_class": "5xx", "cause": "blocklisted", "direction": "inbound"}
DAY = (
    event("delivered", "a.example", provider="google", code=250),
    event("delivered", "a.example", provider="google", code=250),
    event("bounced", "a.example", provider="google", source="mail.log", offset=42, **UNKNOWN),
    event("bounced", "a.example", provider="google", time=NOON + timedelta(hours=2), source="x", offset=7, **UNKNOWN),
    event("deferred", "a.example", provider="google", **FULL),
    event("deferred", "b.example", **FULL),
    event("expired", "b.example", **SILENT),
    event("attempt", "b.example", **SILENT),
    event("notified", "us.example"),
    event("rejected", "us.example", remote_ip="192.0.2.1", **BLOCKED),
    event("rejected", "us.example", remote_ip="192.0.2.1", **BLOCKED),
    event("warned", "us.example", remote_ip="192.0.2.2", **BLOCKED),
)


def answers(*events: dict[str, Any], by: str | None = None) -> dict[str, Answer]:
    findings = gather(Asked.of(*events).events, Run((), ()), by=by)
    assert not findings.problems
    return {finding.report.name: finding.answer for finding in findings.findings}


def rows(answer: Answer, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in answer.table.to_pylist()]


@pytest.mark.parametrize(
    ("report", "columns", "expected"),
    [
        pytest.param(
            "domains",
            ("recipient_domain", "deliveries", "failures", "rate", "mostly"),
            [("a.example", 5, 3, 0.6, "user-unknown"), ("b.example", 2, 2, 1.0, "mailbox-full")],
            id="domains: attempts and notices are no deliveries, refusals by us no failures",
        ),
        pytest.param(
            "domains",
            ("recipient_domain", "deferred", "bounced", "expired", "since", "last"),
            [("a.example", 1, 2, 0, NOON, NOON + timedelta(hours=2)), ("b.example", 1, 0, 1, NOON, NOON)],
            id="domains: kinds of failure, and since when",
        ),
        pytest.param(
            "codes",
            ("reply_code", "failures", "mostly", "sample"),
            [
                ("452 4.2.2", 2, "mailbox-full", "452 4.2.2 full"),
                ("550 5.1.1", 2, "user-unknown", "550 5.1.1 no"),
                ("4.4.1", 1, "network", "Connection timed out"),
            ],
            id="codes: with a sample",
        ),
        pytest.param(
            "causes",
            ("cause", "failures", "share", "line"),
            [("mailbox-full", 2, 0.4, None), ("user-unknown", 2, 0.4, "mail.log:42"), ("network", 1, 0.2, None)],
            id="causes: with the line of the first",
        ),
        pytest.param(
            "providers", ("provider", "deliveries", "failures"), [("google", 5, 3)], id="providers: only those known"
        ),
        pytest.param(
            "domain-codes",
            ("recipient_domain", "reply_code", "failures"),
            [
                ("a.example", "550 5.1.1", 2),
                ("a.example", "452 4.2.2", 1),
                ("b.example", "452 4.2.2", 1),
                ("b.example", "4.4.1", 1),
            ],
            id="domains and codes",
        ),
        pytest.param(
            "refused", ("cause", "reply_code", "refusals"), [("blocklisted", "554 5.7.1", 2)], id="refused: no warnings"
        ),
        pytest.param("clients", ("remote_ip", "refusals", "mostly"), [("192.0.2.1", 2, "blocklisted")], id="clients"),
        pytest.param(
            "trend",
            ("time", "deliveries", "failures", "rate", "failed_4xx", "failed_5xx", "failed_other", "refused"),
            [
                (NOON, 6, 4, 4 / 6, 3, 1, 0, 2),
                (NOON + timedelta(hours=1), 0, 0, None, 0, 0, 0, 0),
                (NOON + timedelta(hours=2), 1, 1, 1.0, 0, 1, 0, 0),
            ],
            id="trend: by hour for a short span, gaps are nought",
        ),
    ],
)
def test_rows(report: str, columns: tuple[str, ...], expected: list[tuple[Any, ...]]) -> None:
    assert sorted(rows(answers(*DAY)[report], *columns), key=str) == sorted(expected, key=str)


def test_what_became_of_deferred_mail() -> None:
    def step(hours: int, action: str, queue_id: str, domain: str = "a.example", **more: Any) -> dict[str, Any]:
        return event(action, domain, time=NOON + timedelta(hours=hours), host="mx", queue_id=queue_id, **more)

    events = (
        *(step(hours, "deferred", "A") for hours in range(3)),
        step(3, "delivered", "A"),
        step(0, "deferred", "B"),
        step(5, "expired", "B"),
        step(1, "deferred", "C"),
        step(2, "deferred", "C"),
        step(2, "deferred", "D"),
        step(3, "deferred", "A", "b.example", recipient="x@b.example"),
        step(0, "delivered", "E", "c.example"),
        # The id was used before: that delivery is another message's.
        step(0, "delivered", "F", "d.example"),
        step(1, "deferred", "F", "d.example"),
        step(1, "deferred", "G", "e.example", direction="inbound"),
    )
    columns = ("recipient_domain", "deferred", "delivered_later", "given_up", "waiting", "waiting_since", "most_hours")
    assert rows(answers(*events)["deferrals"], *columns) == [
        ("a.example", 4, 1, 1, 2, NOON + timedelta(hours=1), 3.0),
        ("b.example", 1, 0, 0, 1, NOON + timedelta(hours=3), None),
        ("d.example", 1, 0, 0, 1, NOON + timedelta(hours=1), None),
    ]


def test_deferred_mail_of_the_days_before() -> None:
    def step(hours: int, action: str, queue_id: str, domain: str = "a.example") -> dict[str, Any]:
        return event(action, domain, time=NOON + timedelta(hours=hours), host="mx", queue_id=queue_id)

    before = (
        step(-50, "deferred", "A"),  # waits still, and is tried again
        step(-30, "deferred", "A"),
        step(-40, "deferred", "B"),  # delivered after two days
        step(-40, "deferred", "C"),  # done before
        step(-39, "delivered", "C"),
        step(-40, "delivered", "D", "d.example"),  # the id is used again
        step(-20, "deferred", "D", "d.example"),  # waits, and is not tried today
        step(-40, "deferred", "E", "e.example"),  # given up today
        step(-10, "deferred", "F", "f.example"),
        step(-9, "bounced", "F", "f.example"),
    )
    today = (
        step(1, "deferred", "A"),
        step(8, "delivered", "B"),
        step(2, "deferred", "C"),  # another message with the id of one that was done
        step(2, "expired", "E", "e.example"),
        step(10, "delivered", "G"),
    )
    asked = Asked.of(*today)
    findings = gather(asked.events, Run((), ()), before=Before(Asked.of(*before).events, 7))
    [answer] = [one.answer for one in findings.findings if one.report.name == "deferrals"]
    assert "Those of the 7 days before are looked at too." in answer.note
    columns = ("recipient_domain", "deferred", "delivered_later", "given_up", "waiting", "waiting_since")
    assert rows(answer, *columns, "hours_waiting", "most_hours") == [
        ("a.example", 3, 1, 0, 2, NOON - timedelta(hours=50), 60.0, 48.0),
        ("d.example", 1, 0, 0, 1, NOON - timedelta(hours=20), 30.0, None),
        ("e.example", 1, 0, 1, 0, None, None, None),
    ]


def test_providers_by_cause() -> None:
    assert rows(answers(*DAY)["provider-causes"], "provider", "cause", "failures") == [
        ("google", "user-unknown", 2),
        ("google", "mailbox-full", 1),
    ]


def test_refused_logins_apart_from_typing_errors() -> None:
    guess = event("rejected", None, direction="inbound", cause="auth-failed", remote_ip="192.0.2.7")
    slip = guess | {"remote_ip": "192.0.2.8"}
    told = answers(*[guess] * 6, slip, event("rejected", None, remote_ip="192.0.2.9", **BLOCKED))["logins"]
    assert rows(told, "remote_ip", "logins", "looks_like") == [
        ("192.0.2.7", 6, "guessing, most likely"),
        ("192.0.2.8", 1, "may be a typing error"),
    ]


def test_rates_have_their_interval() -> None:
    assert rows(answers(*DAY)["domains"], "recipient_domain", "between") == [
        ("a.example", "23.1–88.2 %"),
        ("b.example", "34.2–100.0 %"),
    ]


def test_causes_say_who_acts_and_what_next() -> None:
    [first, *_] = answers(*DAY)["causes"].table.to_pylist()
    assert first["meaning"] and first["who_acts"] and first["next_steps"]


def test_codes_have_words() -> None:
    assert all(row["meaning"] for row in answers(*DAY)["codes"].table.to_pylist())


def test_a_cause_that_the_catalogue_does_not_know_is_counted_all_the_same() -> None:
    [row] = answers(event("bounced", "a.example", cause="brand-new"))["causes"].table.to_pylist()
    assert (row["cause"], row["failures"], row["next_steps"]) == ("brand-new", 1, [])


@pytest.mark.parametrize(("by", "steps"), [("hour", 25), ("day", 2), (None, 25)])
def test_the_trend_goes_by_what_is_asked(by: str | None, steps: int) -> None:
    two = (event("bounced", "a.example"), event("bounced", "a.example", time=NOON + timedelta(days=1)))
    assert answers(*two, by=by)["trend"].table.num_rows == steps


def test_one_wrong_stamp_makes_no_million_of_steps() -> None:
    wild = (event("bounced", "a.example"), event("bounced", "a.example", time=datetime(1970, 1, 1, tzinfo=UTC)))
    assert answers(*wild, by="hour")["trend"].table.num_rows == 2


def test_nothing_found_is_nothing_shown() -> None:
    for events in ((), (event("delivered", "a.example"),)):
        assert {name: answer.table.num_rows for name, answer in answers(*events).items() if answer.table.num_rows} == {}


EVENT = st.fixed_dictionaries(
    {
        "time": st.datetimes(datetime(2026, 9, 1), datetime(2026, 9, 5), timezones=st.just(UTC)) | st.none(),
        "direction": st.sampled_from(["inbound", "outbound", "local", None]),
        "action": st.sampled_from(["delivered", *FAILURES, "attempt", "notified", "made-up", None]),
        "recipient_domain": st.sampled_from(["a.example", "b.example", None]),
        "provider": st.sampled_from(["google", None]),
        "code": st.sampled_from([421, 550, None]),
        "code_class": st.sampled_from(["2xx", "4xx", "5xx", "none", None]),
        "cause": st.sampled_from(["policy", "user-unknown", None]),
        "remote_ip": st.sampled_from(["192.0.2.1", None]),
        "host": st.just("mx"),
        "queue_id": st.sampled_from(["A", "B", None]),
        "recipient": st.sampled_from(["x@a.example", "y@a.example"]),
    }
)


@given(st.lists(EVENT, max_size=30))
def test_totals_add_up(events: list[dict[str, Any]]) -> None:
    findings = gather(ds.dataset(pa.Table.from_pylist(events, schema=EVENTS)), Run((), ()))
    assert not findings.problems
    summary = findings.summary
    tables = {finding.report.name: finding.answer.table.to_pylist() for finding in findings.findings}

    def total(report: str, column: str) -> int:
        return sum(row[column] for row in tables[report])

    sent = [e for e in events if e["direction"] != "inbound"]
    tries = [e for e in sent if e["action"] in ("delivered", *FAILURES)]
    assert sum(summary.actions.values()) == summary.events == len(events)
    assert summary.deliveries == len(tries)
    assert summary.failures == {a: n for a in FAILURES if (n := sum(e["action"] == a for e in sent))}
    assert summary.refusals == sum(e["direction"] == "inbound" and e["action"] in FAILURES for e in events)
    for report in ("domains", "codes", "causes", "domain-codes"):
        assert total(report, "failures") == summary.failed
    for report in ("refused", "clients"):
        assert total(report, "refusals") == summary.refusals
    if tables["trend"]:
        assert total("trend", "deliveries") == summary.deliveries
        assert total("trend", "failures") == summary.failed
        assert total("trend", "refused") == summary.refusals
        classes = ("failed_4xx", "failed_5xx", "failed_other")
        assert sum(total("trend", name) for name in classes) == summary.failed
    else:
        assert summary.failed + summary.refusals == 0
    messages = len({(e["host"], e["queue_id"]) for e in tries if e["queue_id"]})
    # Where no try has a queue id, nothing is known of messages.
    unknown = None if tries else 0
    assert summary.messages == (messages or unknown)
    recipients = len({(e["host"], e["queue_id"], e["recipient"]) for e in tries if e["queue_id"]})
    assert summary.recipients == (recipients or unknown)
