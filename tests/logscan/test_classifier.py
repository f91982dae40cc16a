"""What each reply is judged to be, and that the judgement is fast, sure and depends on the reply alone."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logscan import catalogue
from logscan.catalogue import Case
from logscan.classifier import MAX_LENGTH, classify, mask
from logscan.classifier.events import first_rules

SCHEMA = pa.schema(
    [
        ("reply", pa.string()),
        ("code", pa.int16()),
        ("enhanced", pa.string()),
        ("stage", pa.string()),
        ("action", pa.string()),
    ]
)
ADDED = ["code_class", "cause", "rule", "detail", "provider"]
REPLIES = tomllib.loads(Path(__file__).with_name("replies.toml").read_text(encoding="utf-8"))


def judge(cases: Sequence[Case]) -> list[dict[str, Any]]:
    table = pa.table({name: [getattr(case, name) for case in cases] for name in SCHEMA.names}, schema=SCHEMA)
    return classify(table).select(ADDED).to_pylist()


def judge_one(**columns: Any) -> dict[str, Any]:
    return judge([Case(**columns)])[0]


# ---- The rules' own examples, and replies as servers send them ----

EXAMPLES = [(rule.id, case, True) for rule in catalogue.rules() for case in rule.examples]
EXAMPLES += [(rule.id, case, False) for rule in catalogue.rules() for case in rule.counterexamples]
KNOWN = [(cause, Case.of(reply)) for cause, replies in REPLIES.items() for reply in replies]


@pytest.fixture(scope="module")
def example_rules() -> list[str]:
    """What the rules alone say: beside them the model may see it otherwise."""
    cases = [case for _, case, _ in EXAMPLES]
    texts, *beside = (
        pa.array([getattr(case, name) for case in cases], pa.string())
        for name in ("reply", "enhanced", "stage", "action")
    )
    numbers = np.array([-1 if case.code is None else case.code for case in cases])
    return [catalogue.rules()[rule].id for rule in first_rules(numbers, mask(texts), beside)]


@pytest.fixture(scope="module")
def known_causes() -> list[str]:
    return [verdict["cause"] for verdict in judge([case for _, case in KNOWN])]


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda n: f"{EXAMPLES[n][0]}-{EXAMPLES[n][1].reply}")
def test_a_rule_judges_its_examples_and_leaves_its_counterexamples(number: int, example_rules: list[str]) -> None:
    rule, _, wanted = EXAMPLES[number]
    assert (example_rules[number] == rule) is wanted, example_rules[number]


def test_the_model_overrules_no_rule_on_its_own_examples() -> None:
    ruled = [(rule.cause, case) for rule in catalogue.rules() for case in rule.examples]
    found = judge([case for _, case in ruled])
    assert [(case, v["cause"]) for (cause, case), v in zip(ruled, found, strict=True) if v["cause"] != cause] == []


@pytest.mark.parametrize("number", range(len(KNOWN)), ids=lambda n: f"{KNOWN[n][0]}-{KNOWN[n][1].reply}")
def test_known_replies(number: int, known_causes: list[str]) -> None:
    assert known_causes[number] == KNOWN[number][0]


# ---- Class, success, and events without words ----


@pytest.mark.parametrize(
    ("code", "enhanced", "action", "code_class"),
    [
        (250, None, None, "2xx"),
        (354, None, None, "3xx"),
        (450, "5.1.1", "bounced", "4xx"),
        (550, "4.2.2", "deferred", "5xx"),
        (999, "5.1.1", "bounced", "none"),
        (150, None, "delivered", "none"),
        (600, None, None, "none"),
        (0, "2.0.0", None, "none"),
        (None, "2.0.0", None, "2xx"),
        (None, "4.4.1", "bounced", "4xx"),
        (None, "5.1.1", "deferred", "5xx"),
        (None, "9.1.1", "deferred", "4xx"),
        (None, "", "bounced", "5xx"),
        (None, None, "delivered", "2xx"),
        (None, None, "deferred", "4xx"),
        (None, None, "bounced", "5xx"),
        (None, None, "expired", "5xx"),
        (None, None, "rejected", "none"),
        (None, None, "auth-failed", "none"),
        (None, None, "anything else", "none"),
        (None, None, None, "none"),
    ],
)
def test_code_class(code: int | None, enhanced: str | None, action: str | None, code_class: str) -> None:
    assert judge_one(code=code, enhanced=enhanced, action=action)["code_class"] == code_class


@pytest.mark.parametrize(
    ("columns", "cause", "rule"),
    [
        ({"action": "delivered"}, "success", None),
        ({"action": "delivered", "code": 250, "reply": "250 user unknown, but taken"}, "success", None),
        ({"code": 250, "reply": "250 Ok"}, "success", None),
        ({"action": "rejected", "code": 250, "reply": "250 user unknown"}, "user-unknown", "no-such-user"),
        ({"action": "delivered", "code": 550, "reply": "550 user unknown"}, "user-unknown", "no-such-user"),
        ({"action": "expired"}, "expired", "given-up"),
        ({"action": "rejected", "stage": "auth"}, "auth-failed", "login-refused"),
        ({"action": "notified"}, "other", "own-notice"),
        ({"action": "deferred", "code": 354, "reply": "354 Go ahead"}, "protocol-error", "unexpected-go-ahead"),
        ({}, "other", "unexplained"),
    ],
)
def test_cause_of_the_whole_event(columns: dict[str, Any], cause: str, rule: str | None) -> None:
    verdict = judge_one(**columns)
    assert (verdict["cause"], verdict["rule"]) == (cause, rule)


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        (
            {"reply": "550 5.1.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", "enhanced": "5.1.1"},
            "blocklisted",
        ),
        ({"reply": "550 5.7.1 No such user", "enhanced": "5.7.1"}, "user-unknown"),
        ({"reply": "451 Sorry", "enhanced": "4.2.2", "code": 451}, "mailbox-full"),
        ({"reply": "552 Sorry", "code": 552}, "mailbox-full"),
    ],
    ids=["a list beats 5.1.1", "words beat 5.7.1", "the enhanced code beats the code", "the code alone"],
)
def test_order_of_trust(columns: dict[str, Any], cause: str) -> None:
    assert judge_one(**columns)["cause"] == cause


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "host mx.there.example[192.0.2.9] said: {} (in reply to RCPT TO command)",
        "host mx.there.example[192.0.2.9] refused to talk to me: {}",
        "delivery temporarily suspended: host mx.there.example[192.0.2.9] said: {} (in reply to MAIL FROM command))",
        "SMTP error from remote mail server after RCPT TO:<a@there.example>: {}",
        "host mx.there.example [192.0.2.9]: SMTP error from remote mail server after EHLO our.example: {}",
        "SMTP error from remote mail server after MAIL FROM:<a@b.example> SIZE=99: host mx.example [192.0.2.9]: {}",
        "LMTP error after end of data: {}",
    ],
)
@pytest.mark.parametrize("reply", ["550 5.1.1 User unknown", "550 Sorry", "452 4.2.2 Over quota"])
def test_the_own_servers_frame_changes_nothing(frame: str, reply: str) -> None:
    case = Case.of(reply)
    columns = {"code": case.code, "enhanced": case.enhanced}
    assert judge_one(reply=frame.format(reply), **columns) == judge_one(reply=reply, **columns)


# ---- Providers ----


@pytest.mark.parametrize("provider", catalogue.providers(), ids=lambda provider: provider.name)
def test_a_provider_is_known_by_its_examples_and_not_by_its_counterexamples(provider: catalogue.Provider) -> None:
    hosts = [*provider.examples, *provider.counterexamples]
    found = classify(pa.table({"remote_host": hosts}))["provider"].to_pylist()
    assert [name == provider.name for name in found] == [host in provider.examples for host in hosts]


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("ASPMX.L.GOOGLE.COM", "google"),
        ("aspmx.l.google.com.", "google"),
        ("google.com", "google"),
        ("google.com.evil.example", None),
        ("evil-google.com", None),
        ("a.olc.protection.outlook.com", "outlook.com"),
        ("a.mail.protection.outlook.com", "microsoft"),
        ("private/dovecot-lmtp", None),
        ("", None),
        (None, None),
    ],
)
def test_provider(host: str | None, provider: str | None) -> None:
    assert classify(pa.table({"remote_host": pa.array([host], pa.string())}))["provider"].to_pylist() == [provider]


# ---- The mask ----


@pytest.mark.parametrize(
    ("reply", "masked"),
    [
        ("550 5.1.1 <ann@a.example>: User unknown", "<*@*>: User unknown"),
        ('550 <"quoted local"@a.example> unknown', "<*@*> unknown"),
        ("550-5.7.1 one\\n550-5.7.1 two\\n550 5.7.1 three", "one two three"),
        ("550-5.7.1 one 550-5.7.1 two 550 5.7.1 three", "one two three"),
        ("550-one\r\n550 two\t three", "one two three"),
        ("Client host [192.0.2.1] blocked", "Client host [*] blocked"),
        ("from 2001:db8::25 to mx.a.example[2001:db8::1]:25", "from * to *[*]:25"),
        ("x d9443c01a7336-20a8bf3d9e2si1234567f8f.74 - gsmtp", "x * - gsmtp"),
        ("try in 86400 s", "try in # s"),
        ("Name service error for name=nowhere.example type=MX", "Name service error for name=* type=MX"),
        ("sending domain [EXAMPLE.ORG] fails", "sending domain [*] fails"),
        ("see http://postgrey.example/help/there.example.html", "see http://postgrey.example/help/*.html"),
        # What rules look at stays.
        ("blocked using zen.spamhaus.org", "blocked using zen.spamhaus.org"),
        ("go to https://support.google.com/mail/?p=UnsolicitedRateLimitError", None),
        ("quote S3140, AS(201806281), [TSS04], LPN006_107, 4.7.650", None),
        ("RESOLVER.ADR.RecipientNotFound; not found", None),
        ("550", ""),
        ("", ""),
    ],
)
def test_mask(reply: str, masked: str | None) -> None:
    assert mask(pa.array([reply])).to_pylist() == [reply if masked is None else masked]


def test_the_mask_looks_at_a_bounded_length() -> None:
    assert len(mask(pa.array(["word " * MAX_LENGTH]))[0].as_py()) <= MAX_LENGTH


# ---- The table ----


def test_other_columns_pass_through_and_old_verdicts_are_replaced() -> None:
    events = pa.table({"queue_id": ["A1"], "cause": ["stale"], "reply": ["550 User unknown"], "size": [1]})
    judged = classify(events)
    assert judged.column_names == ["queue_id", "cause", "reply", "size", "code_class", "rule", "detail", "provider"]
    assert judged.select(["queue_id", "size", "reply"]) == events.select(["queue_id", "size", "reply"])
    assert judged["cause"].to_pylist() == ["user-unknown"]


def test_the_new_columns_are_dictionaries() -> None:
    judged = classify(pa.table({"reply": ["550 User unknown"]}))
    for name in ADDED:
        assert judged.schema.field(name).type == pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize("rows", [0, 1])
def test_columns_may_be_missing(rows: int) -> None:
    judged = classify(pa.table({"size": pa.array([1] * rows, pa.int64())}))
    assert judged["cause"].to_pylist() == ["other"] * rows


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.string())],
)
def test_any_kind_of_string_gives_the_same_verdict(kind: pa.DataType) -> None:
    columns = {
        "reply": ["550 5.1.1 Sorry", None, "250 Ok", "550 5.1.1 Sorry"],
        "enhanced": ["5.1.1", None, "2.0.0", "5.1.1"],
        "action": ["bounced", "expired", "delivered", "bounced"],
        "stage": ["rcpt", None, "end-of-data", "rcpt"],
        "remote_host": ["mx.google.com", None, "mx.yahoodns.net", "mx.google.com"],
    }
    parts = [
        pa.table({name: pa.array(values[a:b], kind) for name, values in columns.items()}) for a, b in ((0, 1), (1, 4))
    ]
    judged = classify(pa.concat_tables(parts))
    assert judged["cause"].to_pylist() == ["user-unknown", "expired", "success", "user-unknown"]
    assert judged["code_class"].to_pylist() == ["5xx", "5xx", "2xx", "5xx"]
    assert judged["provider"].to_pylist() == ["google", None, "yahoo", "google"]


def test_columns_of_nulls_are_taken() -> None:
    nulls = pa.nulls(2)
    events = pa.table(dict.fromkeys(("reply", "code", "enhanced", "stage", "action", "remote_host"), nulls))
    assert classify(events)["cause"].to_pylist() == ["other", "other"]


# ---- Laws ----

WORDS = st.sampled_from(
    [*(case.reply for _, case in KNOWN), "550 <a@b.example>", "\\n550-5.1.1 ", "[192.0.2.1]", '"', "@"]
)
TEXTS = st.one_of(st.none(), st.text(max_size=60), st.lists(WORDS, max_size=3).map(" ".join))
CASES = st.builds(
    Case,
    reply=TEXTS,
    code=st.one_of(st.none(), st.sampled_from([250, 354, 450, 550, 554]), st.integers(-(2**15), 2**15 - 1)),
    enhanced=st.one_of(st.none(), st.sampled_from(["2.0.0", "4.2.2", "5.1.1", "5.7.26", "5.0.0"]), st.text(max_size=6)),
    stage=st.sampled_from([None, "connect", "auth", "rcpt", "end-of-data", "?"]),
    action=st.sampled_from([None, "delivered", "deferred", "bounced", "rejected", "expired", "?"]),
)


@settings(max_examples=60)
@given(st.lists(CASES, max_size=8), st.randoms(use_true_random=False))
def test_a_verdict_depends_on_its_own_row(cases: list[Case], random: Any) -> None:
    together = judge(cases)
    assert together == [judge_one(**vars(case)) for case in cases]
    order = random.sample(range(len(cases)), len(cases))
    assert judge([cases[i] for i in order]) == [together[i] for i in order]


@settings(max_examples=60)
@given(CASES)
def test_equal_masks_get_equal_verdicts(case: Case) -> None:
    masked = mask(pa.array([case.reply or ""]))[0].as_py()
    again = mask(pa.array([masked]))[0].as_py()
    if masked == again:
        assert judge_one(**{**vars(case), "reply": masked}) == judge_one(**vars(case))


@pytest.mark.parametrize(
    "unit", ["a", "a@", " ", "user ", "does not ", "a.", '"', "\\n550-5.1.1 ", "host [", "不", "a:", "<"]
)
def test_a_hostile_megabyte_takes_no_time(unit: str) -> None:
    reply = (unit * 1_000_000)[:1_000_000]
    start = time.perf_counter()
    assert judge_one(reply=reply, code=550)["cause"] in catalogue.causes()
    assert time.perf_counter() - start < 5
