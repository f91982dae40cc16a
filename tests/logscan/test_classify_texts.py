"""Free texts: which codes they state, what they name beside the cause, which words decided, and what cannot harm."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logscan
from logscan import catalogue
from logscan.classifier import classify_texts, judge
from logscan.classifier.codes import codes
from logscan.classifier.details import details
from logscan.classifier.model import features, trained

# ---- Codes ----


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("550 5.1.1 No such user", 550, "5.1.1"),
        ("550-5.7.1", 550, "5.7.1"),
        ("550-5.1.1 The account\r\n550 5.1.1 does not exist", 550, "5.1.1"),
        ("550-5.1.1 The account 550 5.1.1 does not exist", 550, "5.1.1"),
        ("550-one\\n550 5.1.1 two", 550, "5.1.1"),
        ("after end of data:\\n421-4.7.0 [192.0.2.1   15] suspicious\\n421 4.7.0 x", 421, "4.7.0"),
        ("smtp; 550 5.1.1 no", 550, "5.1.1"),
        ("smtp;550 no", 550, None),
        ("The response from the remote server was: 550 5.1.1 no", 550, "5.1.1"),
        ("Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found'", 550, "5.1.10"),
        ("host mx.a.example[192.0.2.1] said: 550 no (in reply to RCPT TO command)", 550, None),
        ("SMTP error from remote mail server after RCPT TO:<a@b.example>: 554 5.7.1 no", 554, "5.7.1"),
        ("SMTP error from remote mail server after MAIL FROM:<a@b.example> SIZE=2022: 452 4.3.1 full", 452, "4.3.1"),
        ("host mx [192.0.2.222]: 500 Line limit exceeded", 500, None),
        ("<a@b.example>: 550 no", 550, None),
        ("550 #5.1.0 Address rejected", 550, "5.1.0"),
        ("#5.1.1 no", None, "5.1.1"),
        ("Sorry, no mailbox here. (#5.1.1)", None, "5.1.1"),
        ("5.2.3 Message too large", None, "5.2.3"),
        ("5.1.0 - Unknown address error 550-'5.2.2 <a@b.example>... Mailbox Full'", 550, "5.2.2"),
        ("SMTP error 550", 550, None),
        ("[550] no", 550, None),
        ("550User unknown", 550, None),
        ("<<< 550 5.1.1 no", 550, "5.1.1"),
        ("220-mx.example 421 4.2.1 refused", 421, "4.2.1"),
        ("421 4.7.0 [TS01] deferred - 4.16.55.1; see https://example.org", 421, "4.7.0"),
        ("250 2.0.0 Ok", 250, "2.0.0"),
        ("response: 250 Ok", 250, None),
        ("999 go away", 999, None),
        ("550", 550, None),
        ("", None, None),
        ("Mailbox full", None, None),
        ("the user has 512 messages, over 500 MB", None, None),
        ("the limit was 500 messages, the delay was 300 s", None, None),
        ("delivery failed with 550 and nothing else", 550, None),
        ("X-Unix; 255", None, None),
        ("from 5.1.1.4 by Exim 4.9.1", None, None),
        ("see RFC 5321 4.2.1 on port 587", None, None),
        ("user 550e8400 at 10.0.2.1", None, None),
    ],
)
def test_codes_of_free_texts(text: str, code: int | None, enhanced: str | None) -> None:
    found = codes(pa.array([text]))
    assert (found[0][0].as_py(), found[1][0].as_py()) == (code, enhanced)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_codes_depend_on_their_own_text(texts: list[str]) -> None:
    together = [column.to_pylist() for column in codes(pa.array(texts, pa.string()))]
    alone = [[column[0].as_py() for column in codes(pa.array([text]))] for text in texts]
    assert [list(row) for row in zip(*together, strict=True)] == alone


# ---- Causes ----


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("550 5.7.1: Service unavailable: Client host [192.0.2.1] blocked using zen.spamhaus.org", "blocklisted"),
        ("550 5.7.1: Message rejected as spam by Content Filtering", "spam-content"),
        ("550 This message was classified as SPAM and may not be delivered", "spam-content"),
        ("550 High probability of spam", "spam-content"),
        ("550 5.2.1 Mail from refused spam site", "blocklisted"),
        ("550 Your message was rejected because you've been detected as spam", "spam-content"),
        ("550 Message contained unsafe content", "virus"),
        ("delivered to mailbox", "success"),
        ("Message was delivered via lmtp", "success"),
        ("delivered: nothing, user unknown", "user-unknown"),
    ],
)
def test_cause(text: str, cause: str) -> None:
    assert judge(text).cause == cause


def test_what_is_known_beside_the_text_counts() -> None:
    judged = classify_texts(
        pa.array(["Sorry", "Sorry"]), code=pa.array([None, 552], pa.int16()), enhanced=pa.array(["5.1.1", None])
    )
    assert judged.select(["code", "enhanced", "cause"]).to_pylist() == [
        {"code": None, "enhanced": "5.1.1", "cause": "user-unknown"},
        {"code": 552, "enhanced": None, "cause": "mailbox-full"},
    ]


# ---- Beside the cause ----


@pytest.mark.parametrize("detail", catalogue.details(), ids=lambda detail: f"{detail.kind}-{detail.name}")
def test_a_detail_is_found_in_its_example(detail: catalogue.Detail) -> None:
    cause = list(catalogue.causes()).index(detail.causes[0] if detail.causes else "other")
    told = details(pa.array([detail.example]), np.array([cause]))[0].as_py()
    assert f"{detail.kind}: {detail.name}" in told


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("554 5.7.1 Client host [192.0.2.1] blocked using dnsbl.corp.example", "list: dnsbl.corp.example"),
        ("550 5.7.26 unauthenticated: SPF and DKIM did not pass - gsmtp", "check: SPF, DKIM; vendor: Google"),
        ("421 4.7.0 Too many concurrent connections from 192.0.2.1", "limit: connections"),
        ("550 5.1.1 No such user", None),
        ("250 2.0.0 OK - gsmtp", None),
    ],
)
def test_detail(text: str, detail: str | None) -> None:
    assert judge(text).detail == detail


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("550 5.1.1 <a@b.example>: User unknown", ("User unknown",)),
        ("554 Client host [192.0.2.1] blocked using zen.spamhaus.org", ("spamhaus",)),
        ("250 Ok", ()),
    ],
)
def test_the_words_that_decided(text: str, why: tuple[str, ...]) -> None:
    assert all(word in " ".join(judge(text).why) for word in why)
    assert bool(judge(text).why) is bool(why)


def test_confidence_is_a_share_and_the_unexplained_has_little() -> None:
    assert judge("250 Ok").confidence == 1
    assert judge("552 5.2.2 Mailbox full").confidence > 0.8
    for text in ("", "qwrt zxcv", "999 hrmpf", "\x00\x1b[31m"):
        verdict = judge(text)
        assert (verdict.cause, verdict.confidence < 0.5) == ("other", True), verdict


# ---- The model ----


def test_the_model_names_causes_as_the_catalogue_does() -> None:
    model = trained()
    assert model.weights.shape == (len(model.features), len(catalogue.causes()))
    assert model.bias.shape == (len(catalogue.causes()),)
    assert len(set(model.features.to_pylist())) == len(model.features)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_a_text_scores_the_same_in_any_company(texts: list[str]) -> None:
    model = trained()
    none = pa.nulls(len(texts), pa.string())
    together = model.scores(pa.array(texts, pa.string()), np.full(len(texts), 550), none)
    for text, row in zip(texts, together, strict=True):
        assert (model.scores(pa.array([text]), np.array([550]), pa.nulls(1, pa.string()))[0] == row).all()


def test_features_of_scripts_without_blanks() -> None:
    words, _ = features(pa.array(["用户不存在"]), np.array([-1]), pa.nulls(1, pa.string()))
    assert words.to_pylist() == [*"用户不存在", "用 户", "户 不", "不 存", "存 在"]


# ---- Hostile texts ----


@pytest.mark.parametrize(
    "unit", ["a", " ", "550 ", "5.1.1 ", "user not ", "(", "不", "é", "\x1b[2J", "550-5.1.1 x\\n", "a@"]
)
def test_a_hostile_megabyte_takes_no_time(unit: str) -> None:
    start = time.perf_counter()
    assert judge((unit * 1_000_000)[:1_000_000]).cause in catalogue.causes()
    assert time.perf_counter() - start < 5


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    verdict = judge(text)
    assert verdict.cause in catalogue.causes()
    assert 0 <= verdict.confidence <= 1


# ---- From Python ----


def test_a_column_is_judged_at_once() -> None:
    texts = ["550 5.1.1 No such user", None, "250 Ok"]
    wanted = ["user-unknown", "other", "success"]
    for column in (
        texts,
        pa.array(texts),
        pa.chunked_array([texts[:1], texts[1:]]),
        pa.array(texts).dictionary_encode(),
    ):
        assert logscan.classify(column)["cause"].to_pylist() == wanted


def test_a_series_gives_a_frame_with_its_index() -> None:
    import pandas as pd

    frame = logscan.classify(pd.Series(["552 Mailbox full", None], index=[7, 9]))
    assert frame["cause"].to_dict() == {7: "mailbox-full", 9: "other"}


def test_one_text_and_a_column_agree() -> None:
    text = "550 5.7.1 <a@b.example>: Relay access denied"
    verdict = logscan.classify(text)
    row = logscan.classify([text]).to_pylist()[0]
    assert {name: getattr(verdict, name) for name in row} == row
