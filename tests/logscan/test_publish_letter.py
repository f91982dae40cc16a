"""The report as mail: small whatever a log holds, in seven bits, and text in lines that fit."""

from __future__ import annotations

import email
import email.policy

import pytest
from rich.cells import cell_len

from logscan.config import Mailed
from logscan.post import message
from logscan.publish import gather
from logscan.publish.findings import Findings
from logscan.publish.letter import html, text
from logscan.report import Asked
from logscan.run import Run


def findings(name: str, kinds: int = 40) -> Findings:
    failure = {"direction": "outbound", "code": 550, "code_class": "5xx", "cause": "policy", "source": "mail.log"}
    events = [
        {**failure, "action": action, "recipient_domain": f"{i}.{name}", "reply": f"550 {name}", "enhanced": f"5.7.{i}"}
        for i in range(kinds)
        for action in ("bounced", "deferred", "delivered")
    ]
    return gather(Asked.of(*events).events, Run((), ()))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 5000, id="long words"),
        pytest.param("ไทย" * 500, id="Thai"),
        pytest.param("<b>&amp;" * 500, id="markup"),
        pytest.param("漢" * 2000, id="wide letters"),
    ],
)
def test_a_mail_stays_small(name: str) -> None:
    found = findings(name)
    made = message(Mailed(), ["a@b.example"], "mx1", "subject", text(found), html(found)).as_bytes()
    assert len(made) < 100_000
    assert made.isascii()
    assert max(map(len, made.splitlines())) <= 998
    parts = email.message_from_bytes(made, policy=email.policy.default).iter_parts()  # type: ignore[arg-type]
    lines, page = (part.get_content() for part in parts)
    assert max(map(cell_len, lines.splitlines())) <= 78
    assert "policy" in lines and "policy" in page
    assert "<b>" not in page


def test_a_usual_mail_has_ten_rows_of_a_table() -> None:
    page = html(findings("a.example"))
    assert page.count(">10.a.example<") or page.count(">0.a.example<")
    assert "the first 10 of 40" in page
