"""A parser made of a pattern or a function, on its own and as a plugin that a scan finds."""

from __future__ import annotations

import importlib.metadata
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]

import logscan
from logscan import plugins
from logscan.clock import Clock, anchor, stamp
from logscan.parser import Block, Parser, Tally
from logscan.per_line import UNREAD, per_line
from logscan.testing import check, rewrite

PATTERN = r"(?P<time>\S+(?: {1,2}\d+ [\d:]+)?) (?P<recipient>\S+@\S+) (?:(?P<size>\d+|huge) )?(?P<reply>\d{3}.*)"


def parse(text: str, parser: Parser, clock: Clock | None = None) -> tuple[list[dict[str, Any]], Tally]:
    parsed = parser.parse(Block.of(text.encode(), 0, "toy.log", clock))
    return parsed.events.to_pylist(), parsed.tally


@pytest.mark.parametrize(
    ("line", "tally"),
    [
        pytest.param("", Tally(known=1), id="an empty line is known"),
        pytest.param("hello", Tally(unread=1, samples=((0, "hello"),)), id="no match"),
        pytest.param(
            "soon a@b.example 550 no", Tally(unread=1, samples=((0, "soon a@b.example 550 no"),)), id="no time"
        ),
        pytest.param(
            "2026-11-23T08:00:00Z a@b.example huge 550 no",
            Tally(unread=1, samples=((0, "2026-11-23T08:00:00Z a@b.example huge 550 no"),)),
            id="no number",
        ),
    ],
)
def test_lines_without_event(line: str, tally: Tally) -> None:
    assert parse(line + "\n", per_line("toy", "Toy", PATTERN)) == ([], tally)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param(
            "2026-11-23T08:00:00.5+01:00 a@b.example 77 550-5.1.1 no 550 5.1.1 such user",
            {
                "size": 77,
                "code": 550,
                "enhanced": "5.1.1",
                "reply": "550 5.1.1 no such user",
                "recipient": "a@b.example",
            },
            id="codes are taken from the reply",
        ),
        pytest.param(
            "2026-11-23T07:00:00.5Z a@b.example 421",
            {"code": 421, "enhanced": None, "reply": "421", "recipient": "a@b.example"},
            id="a code alone",
        ),
    ],
)
def test_events(line: str, wanted: dict[str, Any]) -> None:
    events, tally = parse(line + "\n", per_line("toy", "Toy", PATTERN, host="mx1"))
    moment = datetime(2026, 11, 23, 7, 0, 0, 500_000, UTC)
    assert events == [{"time": moment, "host": "mx1", "offset": 0, **wanted}]
    assert tally == Tally(understood=1)


def test_stamps_without_year_or_zone_go_by_the_clock() -> None:
    clock = Clock(timezone(timedelta(hours=7)), *anchor([stamp(11, 23)], [0], latest="2024-12-01"))
    text = "Nov 23 08:00:00 a@b.example 550 no\n2024-11-23T08:00:00 a@b.example 550 no\n"
    events, _ = parse(text, per_line("toy", "Toy", PATTERN), clock)
    assert [event["time"] for event in events] == [datetime(2024, 11, 23, 1, tzinfo=UTC)] * 2
    naive = per_line("toy", "Toy", lambda line: {"time": datetime(2024, 11, 23, 8)})
    aware = per_line("toy", "Toy", lambda line: {"time": datetime(2024, 11, 23, 1, tzinfo=UTC)})
    assert parse("x\n", naive, clock)[0][0]["time"] == parse("x\n", aware)[0][0]["time"]


def by_hand(line: str) -> Any:
    """A toy format: what a function may say of a line."""
    kind, _, rest = line.partition(" ")
    match kind:
        case "bounce":
            return {"time": "2026-11-23T08:00:00Z", "recipient": rest, "action": "bounced", "code": "550"}
        case "note":
            return None
        case "number":
            return {"time": "2026-11-23T08:00:00Z", "delay": float(rest)}
        case _:
            return UNREAD


def test_a_function_says_what_a_line_is() -> None:
    text = "note x\nbounce a@b.example\nwhat\nnumber x\nnumber 1.5\nnumber inf\nbounce\n"
    events, tally = parse(text, per_line("toy", "Toy", by_hand))
    assert [(event["offset"], event["code"], event["delay"]) for event in events] == [
        (7, 550, None),
        (40, None, 1.5),
        (62, 550, None),
    ]
    assert tally == Tally(3, 1, 0, 3, samples=((26, "what"), (31, "number x"), (51, "number inf")))


def test_a_pattern_that_takes_too_long_leaves_its_line_unread() -> None:
    slow = per_line("toy", "Toy", r"(?P<recipient>(?:a|aa|[a-z])+)+!", timeout=0.01)
    events, tally = parse("a" * 5000 + "\nb\n", slow)
    assert (events, tally.unread) == ([], 2)
    pattern = regex.compile(r"(?:(?:a|aa)+)+!")
    by_function = per_line("toy", "Toy", lambda line: pattern.fullmatch(line, timeout=0.01) and None)
    assert parse("a" * 5000 + "\nb\n", by_function)[1] == Tally(known=1, unread=1, samples=((0, "a" * 300),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: per_line("toy", "Toy", r"(?P<recipent>.*)"), "no column 'recipent'; did you mean 'recipient'"),
        (lambda: per_line("toy", "Toy", ".*", cause="policy"), "no column 'cause'"),
        (lambda: parse("x\n", per_line("toy", "Toy", lambda line: {"reason": "x"})), "no column 'reason'"),
    ],
    ids=["a group", "decided elsewhere", "of a function"],
)
def test_a_column_that_is_none(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_how_sure() -> None:
    toy = per_line("toy", "Toy", by_hand)
    lines = {
        "bounce a@b.example": 1.0,
        "bounce a@b.example\nnote": 1.0,
        "bounce a@b.example\n?": 0.5,
        "note": 0.0,
        "?": 0.0,
    }
    assert {text: toy.sniff(Block.of(text.encode())) for text in lines} == lines


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy parser as another package would register it."""
    module = ModuleType("acme_logscan")
    module.parser = per_line("acme", "Acme MTA", PATTERN, direction="outbound", action="bounced")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_logscan", module)
    ours = importlib.metadata.entry_points
    point = importlib.metadata.EntryPoint("acme", "acme_logscan:parser", plugins.PARSERS)

    def with_acme(**chosen: Any) -> Any:
        return [*ours(**chosen), *([point] if chosen["group"] == plugins.PARSERS else [])]

    monkeypatch.setattr(plugins, "entry_points", with_acme)
    monkeypatch.setattr("logscan.pipeline._loaded", {})


@pytest.mark.usefixtures("registered")
def test_a_scan_finds_it(tmp_path: Path) -> None:
    log = tmp_path / "acme.log"
    line = "2026-11-23T08:00:00Z ann@A.example 550 5.1.1 <ann@A.example>: no such user\n"
    log.write_text(line * 50)
    table = logscan.scan(log, block_size=256, workers=1)
    assert table["offset"].to_pylist() == [i * len(line) for i in range(50)]
    assert set(
        zip(*(table[name].to_pylist() for name in ("mta", "action", "recipient_domain", "cause")), strict=True)
    ) == {("acme", "bounced", "a.example", "user-unknown")}
    assert rewrite(tmp_path) == [tmp_path / "acme.log.expected.jsonl"]
    check(log)
    check(log, "acme")
