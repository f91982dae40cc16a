"""The grammar of a reply: what Postfix folded into one line comes out as the server said it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan import reply
from logscan.spans import Spans


def cut(text: str) -> tuple[int | None, str | None, str]:
    spans, _ = Spans.lines(text.encode())
    replies = reply.cut(spans)
    return replies.code.to_pylist()[0], replies.enhanced.to_pylist()[0], replies.text.to_pylist()[0]


NO_CODE = ["Connection refused", "55", "5500 x", "5x0 no", "٥٥٠ no", "-550 x", " 550 x", "550_x", "(550) x", "x 550 y"]


@pytest.mark.parametrize("text", NO_CODE)
def test_what_is_no_reply_keeps_its_words(text: str) -> None:
    assert cut(text) == (None, None, text)


REPLIES = {
    "550": (550, None, "550"),
    "550 ": (550, None, "550 "),
    "550-": (550, None, "550 "),
    "550 5.1.1 no": (550, "5.1.1", "550 5.1.1 no"),
    "550 5.1.1. no": (550, "5.1.1", "550 5.1.1. no"),
    "550 (5.1.1) no": (550, None, "550 (5.1.1) no"),
    "550 [5.1.1] no": (550, None, "550 [5.1.1] no"),
    "550  5.1.1 no": (550, "5.1.1", "550  5.1.1 no"),
    "550 5.1.1no": (550, "5.1.1", "550 5.1.1no"),
    "550 5.1 no": (550, None, "550 5.1 no"),
    "550 3.1.1 no": (550, None, "550 3.1.1 no"),
    "550 5.1.1.1 no": (550, None, "550 5.1.1.1 no"),
    "550 5.1111.1 no": (550, None, "550 5.1111.1 no"),
    "550 192.0.2.1 no": (550, None, "550 192.0.2.1 no"),
    "550-a 550-b 550 c": (550, None, "550 a b c"),
    "550-a ٥٥٠ b 550 c": (550, None, "550 a ٥٥٠ b c"),
    "550-5.1.1 a 550 5.7.1 b": (550, "5.7.1", "550 5.7.1 a b"),
    "550-a 550-b": (550, None, "550 a b"),
    "450-4.2.0 a 550 b": (550, None, "550 a b"),
}


@pytest.mark.parametrize(("text", "want"), REPLIES.items())
def test_replies(text: str, want: tuple[int, str | None, str]) -> None:
    assert cut(text) == want


WORDS = st.lists(st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1), min_size=1, max_size=4).map(
    " ".join
)


@given(
    st.integers(200, 599), st.sampled_from([None, "5.1.1", "4.7.26", "2.0.0"]), st.lists(WORDS, min_size=1, max_size=5)
)
def test_folded_lines_come_back(code: int, enhanced: str | None, lines: list[str]) -> None:
    """Postfix joins the lines of a reply by a blank, each with its code."""
    own = f"{enhanced} " if enhanced else ""
    last = len(lines) - 1
    folded = " ".join(f"{code}{' ' if i == last else '-'}{own}{line}" for i, line in enumerate(lines))
    assert cut(folded) == (code, enhanced, f"{code} {own}{' '.join(lines)}")


@given(
    st.lists(st.text(max_size=40).map(lambda t: t.replace("\n", "").replace("\r", "")), min_size=1, max_size=6),
    st.data(),
)
def test_a_reply_is_cut_the_same_alone_and_among_others(texts: list[str], data: st.DataObject) -> None:
    texts = [data.draw(st.sampled_from(["", "550 ", "550-", "550-5.1.1 "])) + text for text in texts]
    spans, _ = Spans.lines("\n".join([*texts, "x"]).encode())
    replies = reply.cut(spans)
    together = list(zip(replies.code.to_pylist(), replies.enhanced.to_pylist(), replies.text.to_pylist(), strict=True))
    assert together[:-1] == [cut(text + "\nx") for text in texts]
