"""The catalogue is data, so these tests hold the data together: names, words, sources and what they refer to."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import pytest

from logscan import catalogue

CAUSES = """
    success user-unknown mailbox-full mailbox-disabled recipient-moved recipient-refused domain-not-found
    host-not-accepting-mail network mailing-loop expired tls-failure auth-required auth-failed relay-denied
    protocol-error greylisted rate-limited server-busy server-error system-full blocklisted bad-reputation
    client-identity sender-rejected authentication-policy spam-content virus message-too-large message-format
    policy other
"""
STANDARD = """
    211 214 220 221 235 250 251 252 334 354 421 450 451 452 454 455 500 501 502 503 504 521 530 534 535 538
    550 551 552 553 554 555 556
"""
IN_THE_WILD = "150 430 431 441 442 446 447 449 471 510 511 512 533 540 541 542 543 544 546 547 557 571"


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def test_the_causes_are_these_32() -> None:
    names = re.findall(r"[a-z-]+", CAUSES)
    assert sorted(catalogue.causes()) == sorted(names)
    assert len(names) == 32


@pytest.mark.parametrize("cause", list(catalogue.causes().values()), ids=lambda cause: cause.name)
def test_a_cause_says_what_it_means_and_what_to_do(cause: catalogue.Cause) -> None:
    assert cause.group in get_args(catalogue.Group)
    assert cause.actor in get_args(catalogue.Actor)
    assert cause.retry in get_args(catalogue.Retry)
    assert 2 <= len(cause.steps) <= 4
    for sentence in (cause.meaning, *cause.steps):
        assert re.fullmatch(r"[A-Z][^\n]*[.]", sentence), sentence


def test_a_language_has_words_for_what_the_catalogue_knows_and_for_nothing_else() -> None:
    words = catalogue.language_words()
    assert set(words["causes"]) == set(catalogue.causes())
    assert set(map(int, words["codes"])) == set(catalogue.codes())


@pytest.mark.parametrize("number", numbers(STANDARD))
def test_a_standard_code_names_its_standard(number: int) -> None:
    assert re.match("RFC [0-9]{4}|IANA ", catalogue.codes()[number].source)


@pytest.mark.parametrize("number", numbers(IN_THE_WILD))
def test_a_code_without_a_standard_says_so(number: int) -> None:
    assert catalogue.codes()[number].source == ""


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (550, "mailbox unavailable"),
        (421, "service not available"),
        (556, "domain takes no mail"),
        (299, "success"),
        (458, "cannot queue for node"),
        (408, "temporary failure (syntax)"),
        (559, "permanent failure (mail system)"),
        (599, "permanent failure"),
        (199, "held until confirmed"),
        (999, "no SMTP reply code"),
        (0, "no SMTP reply code"),
        (5500, "no SMTP reply code"),
        (-550, "no SMTP reply code"),
    ],
)
def test_code_name(number: int, name: str) -> None:
    assert catalogue.code_name(number) == name


def test_rules_are_told_apart() -> None:
    ids = [rule.id for rule in catalogue.rules()]
    assert len(ids) == len(set(ids))
    for name in ids:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_the_last_rule_alone_has_no_condition() -> None:
    bare = [
        rule.id
        for rule in catalogue.rules()
        if not (rule.text or rule.enhanced or rule.code or rule.stage or rule.action)
    ]
    assert bare == [catalogue.rules()[-1].id]


@pytest.mark.parametrize("rule", catalogue.rules(), ids=lambda rule: rule.id)
def test_a_rule_names_a_cause_and_shows_an_example(rule: catalogue.Rule) -> None:
    assert rule.cause in catalogue.causes()
    assert rule.cause != "success"
    assert rule.examples


@pytest.mark.parametrize("rule", catalogue.rules(), ids=lambda rule: rule.id)
def test_a_rule_leaves_no_word_unspelt(rule: catalogue.Rule) -> None:
    assert not re.search(r"\{[a-z]", rule.text or "")


def test_every_cause_has_a_rule() -> None:
    assert {rule.cause for rule in catalogue.rules()} == set(catalogue.causes()) - {"success"}


def test_no_two_providers_share_a_name_or_a_suffix() -> None:
    names = [provider.name for provider in catalogue.providers()]
    suffixes = [suffix for provider in catalogue.providers() for suffix in provider.suffixes]
    assert len(names) == len(set(names)) >= 34
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and not suffix.startswith(".") for suffix in suffixes)


def test_the_catalogue_needs_no_pyarrow() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; from logscan import catalogue as c; c.rules(), c.code_name(550)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
