"""The first screen, as the user sees it: laid beside what it shows, and never wider than it may be."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from logscan.parser import Tally
from logscan.publish import gather
from logscan.publish.screen import screen
from logscan.report import Asked
from logscan.run import Problem, Run, SourceRead

START = datetime(2026, 9, 20, 7, 0, 5, tzinfo=UTC)


def shown(*events: dict[str, Any], run: Run = Run((), ()), top: int | None = None, width: int = 80) -> str:  # noqa: B008
    file = io.StringIO()
    Console(width=width, file=file, color_system=None).print(screen(gather(Asked.of(*events).events, run, top=top)))
    return file.getvalue()


def sent(action: str, domain: str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "time": START + timedelta(minutes=minutes),
        "direction": "outbound",
        "action": action,
        "recipient_domain": domain,
        "host": "mx1",
        "queue_id": f"Q{minutes}",
        "recipient": f"x{minutes}@{domain}",
        **more,
    }


UNKNOWN = {"code": 550, "enhanced": "5.1.1", "code_class": "5xx", "cause": "user-unknown"}
BUSY = {"code": 421, "enhanced": "4.3.2", "code_class": "4xx", "cause": "server-busy"}
READ = SourceRead(
    "/var/log/mail.log",
    "postfix",
    1.0,
    9_000,
    Tally(understood=60, known=30, other=9, unread=1, samples=((4096, "Sep 20 07:00:00 mx1 postfix/smtp[1]: what?"),)),
    8,
)


def test_the_whole_screen() -> None:
    text = shown(
        sent("delivered", "a.example", 0),
        sent("delivered", "a.example", 1),
        sent("delivered", "b.example", 2),
        sent("bounced", "a.example", 3, **UNKNOWN),
        sent("bounced", "a.example", 4, **UNKNOWN),
        sent("deferred", "b.example", 5, **BUSY),
        sent("attempt", "b.example", 5, **BUSY),
        {**sent("rejected", "us.example", 6, **UNKNOWN), "direction": "inbound"},
        run=Run((READ,), (Problem("mail.log.2.gz", "the data ends too early", "copy the file again"),)),
    )
    head, causes, domains, codes, refused = text.split("\n\n")[1:]
    assert text.startswith(
        "50.0 % of 6 deliveries failed, 2 of them for good; most often: user-unknown (2),\n"
        "mainly at a.example (2).\n"
        "1 incoming try was refused; most often: user-unknown (1).\n\n"
    )
    assert head.splitlines() == [
        "Read     postfix: mail.log; 100 lines, 99.00 % understood",
        "         1 line not understood, such as",
        "         mail.log:4096 Sep 20 07:00:00 mx1 postfix/smtp[1]: what?",
        "Problem  mail.log.2.gz: the data ends too early; copy the file again",
        "Time     2026-09-20 07:00:05 to 2026-09-20 07:06:05 UTC",
        "Events   8 = 3 delivered + 1 deferred + 2 bounced + 1 rejected + 1 attempt",
        "Sent     6 deliveries of 6 messages to 6 recipients",
    ]
    assert [line.split() for line in causes.splitlines()[:2]] == [
        ["Causes", "failures", "share", "who", "acts"],
        ["user-unknown", "2", "66.7", "%", "sender"],
    ]
    assert causes.splitlines()[2].startswith("    ")
    assert domains.splitlines() == [
        "Domains    failures  deliveries    rate  mostly",
        "a.example         2           4  50.0 %  user-unknown",
        "b.example         1           2  50.0 %  server-busy",
    ]
    assert [line.split("  ")[0] for line in codes.splitlines()] == ["Codes", "550 5.1.1", "421 4.3.2"]
    assert refused.splitlines()[1].startswith("user-unknown   550 5.1.1")


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        pytest.param([], "No mail events.\n", id="nothing"),
        pytest.param([sent("delivered", "a")], "The only delivery succeeded.\nNothing was refused.\n", id="one, well"),
        pytest.param(
            [sent("delivered", "a")] * 8120, "All 8,120 deliveries succeeded.\nNothing was ref", id="all well"
        ),
        pytest.param([sent("bounced", "a", cause="policy")], "The only delivery failed: policy at a.\n", id="one, bad"),
        pytest.param([sent("notified", "a")], "Nothing was delivered or refused: 1 other event.\n", id="neither"),
        pytest.param(
            [sent("deferred", "a", cause="policy")] * 2,
            "100 % of 2 deliveries failed, none of them for good; most often: policy (2),\nmainly at a (2).\n",
            id="all put off",
        ),
        pytest.param(
            [{"direction": "inbound", "action": "rejected", "cause": "blocklisted"}] * 2,
            "2 incoming tries were refused; most often: blocklisted (2).\n",
            id="only incoming",
        ),
        pytest.param(
            [sent("bounced", "a"), sent("delivered", "a")],
            "50.0 % of 2 deliveries failed, 1 of them for good; most often: no cause (1),\nmainly at a (1).\n",
            id="cause not known",
        ),
    ],
)
def test_the_verdict(events: list[dict[str, Any]], verdict: str) -> None:
    assert shown(*events).startswith(verdict)


def test_sections_with_nothing_in_them_are_left_out() -> None:
    text = shown(sent("delivered", "a.example"))
    assert not [word for word in ("Causes", "Domains", "Codes", "Refused") if word in text]


def test_many_files_and_problems_are_folded() -> None:
    reads = tuple(SourceRead(f"mail.log.{i}", "postfix", 0.4, 1, Tally(known=1), 0) for i in range(1000))
    text = shown(run=Run(reads, tuple(Problem(f"f{i}", "bad", fatal=i == 9) for i in range(10))))
    assert len(text.splitlines()) < 12
    assert "mail.log.0, mail.log.1, mail.log.2 and 997 more; 1,000 lines,\n         100 % understood" in text
    assert "the format is a guess (40 % sure)" in text
    assert text.index("f9: bad") < text.index("f0: bad")
    assert "and 5 problems more" in text


def test_rows_are_those_asked_for() -> None:
    events = [sent("bounced", f"d{i:02}.example", i, **UNKNOWN) for i in range(30)]
    assert shown(*events).count(".example  ") == 4
    assert shown(*events, top=12).count(".example  ") == 12
    assert "Domains (12 of 30)" in shown(*events, top=12)


@settings(max_examples=50)
@given(st.text(max_size=60), st.integers(40, 120))
def test_no_line_is_wider_than_it_may_be(word: str, width: int) -> None:
    bounce = sent("bounced", word, cause=word, enhanced=word, code=550)
    read = SourceRead(word, word, 1.0, 1, Tally(unread=1, samples=((0, word),)), 1)
    text = shown(bounce, run=Run((read,), (Problem(word, word, word),)), width=width)
    assert max(map(cell_len, text.splitlines())) <= min(width, 80)
