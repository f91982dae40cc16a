"""Text from logs is harmless wherever it is shown, and letters of all scripts stay."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.publish.text import percent, safe, spreadsheet


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain@example.org", "plain@example.org", id="plain"),
        pytest.param("กล่องจดหมายเต็ม ที่นี่", "กล่องจดหมายเต็ม ที่นี่", id="thai"),
        pytest.param("日本語 العربية ελληνικά 😀", "日本語 العربية ελληνικά 😀", id="other scripts"),
        pytest.param("e\u0301", "e\u0301", id="combining mark"),
        pytest.param("a\x00b\x07\x1b[31m", "a\\x00b\\x07\\x1b[31m", id="C0"),
        pytest.param("\x9b31m\x85\x7f", "\\x9b31m\\x85\\x7f", id="C1 and DEL"),
        pytest.param("a\r\nb\tc", "a\\x0d\\x0ab\\x09c", id="line ends and tab"),
        pytest.param("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066", id="bidi"),
        pytest.param("a\u200bb\ufeffc\u00ad", "a\\u200bb\\ufeffc\\xad", id="unseen formats"),
        pytest.param("a\u2028b\u2029c", "a\\u2028b\\u2029c", id="line and paragraph separators"),
        pytest.param("\U000e0041", "\\U000e0041", id="tag characters"),
        pytest.param(
            "[red]x[/] $\\frac{1}{$ </script>", "[red]x[/] $\\frac{1}{$ </script>", id="markup is not its matter"
        ),
    ],
)
def test_safe(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
def test_safe_leaves_nothing_unseen_and_changes_nothing_else(text: str) -> None:
    shown = safe(text)
    assert {unicodedata.category(c) for c in shown}.isdisjoint({"Cc", "Cf", "Zl", "Zp", "Cs"})
    assert safe(shown) == shown
    assert [c for c in text if c.isprintable()] == [c for c in text if c.isprintable() and c in shown]


@given(st.text(), st.integers(1, 30))
def test_safe_keeps_to_the_limit(text: str, limit: int) -> None:
    shown = safe(text, limit)
    assert len(shown) <= limit
    assert shown == safe(text) or shown.endswith("…")


@given(st.text())
def test_no_cell_of_a_spreadsheet_is_a_formula(text: str) -> None:
    shown = spreadsheet(text)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown.removeprefix("'") == safe(text).removeprefix("'")


@given(st.floats(0, 1))
def test_a_per_cent_is_nothing_or_all_only_when_it_is(share: float) -> None:
    shown = percent(share)
    assert (shown == "0 %") == (share == 0)
    assert (shown == "100 %") == (share == 1)
    assert not shown.startswith(("0.0 ", "100.0"))
