"""What `logscan explain` answers: every code of the standards in every language, bounces, and input that is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from logscan import bounce, catalogue, plugins
from logscan.advice import language_of, shown, wrap
from logscan.answers import answered
from logscan.classifier import judge
from logscan.cli import app
from logscan.explanation import MAX_READ, Explanation, explain, of_bytes, parser_of, provider_of, questions
from logscan.guard import SURE_ENOUGH
from logscan.parser import Block, Parser
from logscan.plan import surest
from logscan.testing import samples

LANGUAGES = list(catalogue.languages())
CODES = re.findall(
    r"\d+",
    """
    211 214 220 221 250 251 252 354 421 450 451 452 455 500 501 502 503 504 521 541 550 551 552 553 554 555 556
    150 235 334 422 430 431 432 441 442 446 447 449 453 454 458 471 510 511 512 523 525 530 533 534 535 538 540 542
    543 544 546 547 557 571
""",
)
BLOCKS = [
    ("550 5.7.1: Service unavailable: Client host [192.0.2.1] blocked using [list]", "blocklisted"),
    ("550 5.7.1: Message rejected as spam by Content Filtering", "spam-content"),
    ("550 This message was classified as SPAM and may not be delivered", "spam-content"),
    ("550 High probability of spam", "spam-content"),
    ("550 5.2.1 Mail from refused spam site", "blocklisted"),
    ("550 Your message was rejected because you've been detected as spam", "spam-content"),
    ("550 Message contained unsafe content", "virus"),
]
LINE = (
    "Oct 26 18:13:50 mx postfix/smtp[1]: C3CD21F3E90: to=<a@there.example>, "
    "relay=gmail-smtp-in.l.google.com[192.0.2.2]:25, delay=1, "
    "delays=0/0/0/1, dsn=5.7.26, status=bounced (host gmail-smtp-in.l.google.com[192.0.2.2] said: 550-5.7.26 "
    "This mail is unauthenticated 550 5.7.26 see the page (in reply to end of DATA command))"
)
REPORT = """From: MAILER-DAEMON@mx.example
To: us@here.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I could not deliver it.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ann@there.example
Action: failed
Status: 5.2.2
Remote-MTA: dns; mx.there.example
Diagnostic-Code: smtp; 552 5.2.2 <ann@there.example>:
    Mailbox is over quota

Final-Recipient: rfc822; bob@there.example
Action: delayed
Status: 4.4.1

--b
Content-Type: message/rfc822

Subject: hello

Hello
--b--
"""
QMAIL = """From: MAILER-DAEMON@mx.example
To: us@here.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.

<ann@there.example>:
192.0.2.9 does not like recipient.
Remote host said: 550 5.1.1 No such user here
Giving up on 192.0.2.9.
"""


def told(*words: str, language: str = "en") -> Explanation:
    return explain(questions(words)[0], language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_every_code_is_answered(code: str, language: str) -> None:
    explained = told(code, language=language)
    own = catalogue.language_words(language)["codes"][code]
    assert explained.code is not None
    assert (explained.code.name, explained.code.meaning) == tuple(own[:2])
    assert len(explained.digits) == 3
    assert explained.actor
    assert own[2] in explained.steps
    text = "\n".join(shown(explained, language))
    assert own[0] in text
    standard = catalogue.language_words(language)["sentences"]["no-standard"] not in text
    assert standard is bool(explained.code.source)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("first", "12345")
@pytest.mark.parametrize("second", ["", *"0123456789"])
def test_every_digit_is_answered(first: str, second: str, language: str) -> None:
    explained = told(first + second, language=language)
    assert explained.digits[0] == catalogue.language_words(language)["digits"]["first"][first][0]
    assert len(explained.digits) == 1 + len(second)
    assert all(explained.digits)
    assert "".join(shown(explained, language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("text", "cause"), BLOCKS, ids=[text[:30] for text, _ in BLOCKS])
def test_blocks_for_spam_are_tagged_and_told_what_to_do_in_this_order(text: str, cause: str, language: str) -> None:
    explained = told(text, language=language)
    assert explained.cause
    assert explained.cause.name == cause
    assert explained.why
    assert list(explained.steps[:3]) == catalogue.language_words(language)["steps"]["blocked"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("detail", list(catalogue.language_words()["enhanced"]["details"]))
def test_every_enhanced_code_is_answered(detail: str, language: str) -> None:
    for first in "245":
        explained = told(f"{first}.{detail}", language=language)
        assert explained.enhanced
        assert explained.enhanced.known
        assert len(explained.enhanced.parts) == 3
        assert re.match("RFC [0-9]{4}|IANA ", explained.enhanced.source)
        assert explained.steps
        assert explained.sources
        assert not explained.enhanced.cause or explained.enhanced.cause in catalogue.causes()


def shape(value: object, path: str = "") -> set[str]:
    """Every key of a file of words, how long each list is, and which places each sentence has."""
    if isinstance(value, dict):
        return {key for name, inner in value.items() for key in shape(inner, f"{path}/{name}")}
    if path.startswith("/counted/"):  # as many forms as the language has
        return {f"{path} {sorted({word for form in value for word in re.findall(r'{[a-z]+}', form)})}"}
    if isinstance(value, list) and not path.endswith("steps"):
        return {f"{path}[{len(value)}]"}
    return {f"{path} {sorted(re.findall(r'{[a-z]+}', str(value)))}"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_all_words(language: str) -> None:
    words = catalogue.language_words(language)
    assert shape(words) == shape(catalogue.language_words())
    assert "''" not in str(words)
    for name, cause in catalogue.causes(language).items():
        assert len(cause.steps) == len(catalogue.causes()[name].steps)


def test_thai_is_written_in_phrases_that_fit_a_line() -> None:
    text = (Path(catalogue.__file__).parent / "languages" / "th.toml").read_text(encoding="utf-8")
    long = [phrase for phrase in re.findall(r"[\u0e00-\u0e7f][^\s\"]*", text) if cell_len(phrase) > 60]
    assert long == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_wider_than_a_terminal(language: str) -> None:
    for words in (["421"], [BLOCKS[0][0]], ["5.7.26", "550"], ["550 " + "x" * 500], ["550 " + "ที่นี่" * 100], [LINE]):
        assert max(map(cell_len, answered(words, language))) <= 80


@pytest.mark.parametrize("text", ["ที่นี่ไม่มีผู้รับเมลชื่อนี้" * 9, "no such user here " * 9, "เ" * 50, "่" * 50])
def test_wrapping_loses_nothing_and_splits_no_syllable(text: str) -> None:
    lines = wrap(text, 20)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= 20 for line in lines)
    assert len(set(text)) == 1 or not any(cell_len(line[0]) == 0 for line in lines)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["5.7.26", "550"], [("550", "5.7.26")]),
        (["421", "450"], [("421", ""), ("450", "")]),
        (["#5.1.1"], [("", "5.1.1")]),
        (["X.7.1"], [("", "5.7.1")]),
        (["5.7.x"], [("", "5.7")]),
        (["5xx"], [("5", "")]),
        (["55"], [("55", "")]),
    ],
    ids=str,
)
def test_codes_side_by_side(words: list[str], found: list[tuple[str, str]]) -> None:
    assert [(asked.digits, asked.enhanced) for asked in questions(words)] == found


def test_unknown_details_fall_back_on_their_subject() -> None:
    explained = told("5.7.999")
    assert explained.enhanced
    assert not explained.enhanced.known
    assert explained.enhanced.title == "Security or Policy Status"


def test_a_log_line_is_read_by_its_parser() -> None:
    [asked] = questions([LINE])
    explained = explain(asked)
    assert asked.recipient == "a@there.example"
    assert explained.provider
    assert explained.provider.name == "google"
    assert explained.cause
    assert explained.cause.name == "authentication-policy"


def test_a_report_explains_each_recipient() -> None:
    full, slow = map(explain, of_bytes(REPORT.encode()))
    assert (full.asked.recipient, full.asked.server) == ("ann@there.example", "mx.there.example")
    assert full.cause
    assert full.cause.name == "mailbox-full"
    assert slow.asked.recipient == "bob@there.example"
    assert slow.enhanced
    assert (slow.enhanced.code, slow.retry) == ("4.4.1", "wait")


def test_a_bounce_without_report_is_read_by_its_text() -> None:
    [asked] = of_bytes(QMAIL.encode())
    assert asked.recipient == "ann@there.example"
    explained = explain(asked)
    assert explained.cause
    assert explained.cause.name == "user-unknown"


BAD = [
    pytest.param(b"", id="nothing"),
    pytest.param(b" \n\t\n", id="blanks"),
    pytest.param(b"\x00\x01\x1b[31m\x07", id="controls"),
    pytest.param(b"x" * 1_000_000, id="a megabyte"),
    pytest.param(b"550 " + b"\x1b]0;owned\x07" * 1000, id="escapes after a code"),
    pytest.param("550 ไม่มีผู้รับ ".encode("cp874") + "ไทย".encode(), id="mixed encodings"),
    pytest.param(REPORT[:400].encode(), id="a mail that ends early"),
    pytest.param(REPORT.replace('boundary="b"', "").encode(), id="a mail without its boundary"),
    pytest.param(REPORT.replace("text/plain", "text/plain; charset=nonsense\x1b").encode(), id="an unknown charset"),
    pytest.param(REPORT.encode() + b"A" * 5_000_000, id="a long mail"),
    pytest.param("550 ไม่มี".encode("utf-16"), id="UTF-16"),
    pytest.param(b"Content-Type: multipart/mixed; boundary=a\nFrom: x\n\n" + b"--a\n" * 20000, id="many parts"),
]


@pytest.mark.parametrize("data", BAD)
def test_bad_input_gets_an_answer_or_a_clear_error(data: bytes) -> None:
    begin = time.monotonic()
    ended = CliRunner().invoke(app, ["explain", "-"], input=data)
    assert ended.exit_code in (0, 2)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert (ended.exit_code == 2) == bool(ended.stderr)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ended.stdout + ended.stderr)
    assert time.monotonic() - begin < 20


def test_a_mail_of_any_size_is_read_to_a_bound() -> None:
    mail = REPORT.encode().replace(b"Hello", b"Hello" * 1_000_000)
    assert len(mail) > MAX_READ
    assert len(bounce.read(mail)) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["421"], 0, "service not available"),
        (["559"], 0, "permanent failure (mail system)"),
        (["999"], 2, "no SMTP reply code"),
        (["5500"], 2, "no SMTP reply code"),
        (["3.7.1"], 2, "no reply code"),
        (["hello"], 2, "no reply code"),
        (["blocklistd"], 2, "did you mean blocklisted?"),
        (["blocklisted"], 0, "Reach the recipient another way."),
        (["550", "5.1.1", "No", "such", "user"], 0, "user-unknown"),
        (["no such user here"], 0, "user-unknown"),
        (["421", "--lang", "tth"], 2, "did you mean th?"),
        (["421", "--lang", "th"], 0, "ยังให้บริการไม่ได้"),
        (["-", "421"], 2, "stands alone"),
        ([""], 2, "nothing to explain"),
    ],
    ids=str,
)
def test_exit_codes(arguments: list[str], code: int, said: str) -> None:
    ended = CliRunner().invoke(app, ["explain", *arguments])
    assert ended.exit_code == code
    assert said in " ".join((ended.stderr if code else ended.stdout).split())


def test_json_is_one_object_for_each_reply() -> None:
    ended = CliRunner().invoke(app, ["explain", "--json", "550 5.1.1 No such user \x1b[1m", "421 4.7.0 busy"])
    first, second = map(json.loads, ended.stdout.splitlines())
    assert (first["code"], first["enhanced"], first["cause"]) == (550, "5.1.1", "user-unknown")
    assert second["code"] == 421
    assert "\x1b" not in ended.stdout
    assert first["asked"].endswith("\x1b[1m")


def test_a_file_is_read(tmp_path: Path) -> None:
    mail = tmp_path / "bounce.eml"
    mail.write_text(REPORT)
    ended = CliRunner().invoke(app, ["explain", str(mail)])
    assert "ann@there.example" in ended.stdout
    assert "bob@there.example" in ended.stdout


def test_causes_speak_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "th_TH.UTF-8")
    thai = CliRunner().invoke(app, ["causes", "mailbox-full"]).stdout
    assert catalogue.causes("th")["mailbox-full"].meaning in thai
    assert language_of(None) == "th"
    explained = CliRunner().invoke(app, ["explain", "552 5.2.2 mailbox full"]).stdout
    [row] = [line for line in thai.splitlines() if "mailbox-full:" in line]
    assert row in explained.splitlines()


@pytest.mark.parametrize("provider", catalogue.providers(), ids=lambda provider: provider.name)
def test_one_host_is_known_as_by_the_table(provider: catalogue.Provider) -> None:
    assert all(provider_of(host) == provider for host in provider.examples)
    assert all(provider_of(host) != provider for host in provider.counterexamples)
    assert all(re.fullmatch(r"https://[^\s]+", url) for url in (provider.page, provider.form) if url)


def test_a_text_is_explained_without_pandas_and_matplotlib() -> None:
    program = (
        "import sys; from logscan.answers import answered; print(*answered(['550 5.1.1 No such user here']));"
        "sys.exit(any(name in sys.modules for name in ('pandas', 'matplotlib')))"
    )
    subprocess.run([sys.executable, "-X", "utf8", "-c", program], check=True, stdout=subprocess.DEVNULL)


SAMPLES = [log for log in samples(Path(__file__).parents[2] / "sample_logs") if log.suffix in (".log", ".mainlog")]


@pytest.mark.parametrize("log", SAMPLES, ids=lambda log: log.name)
def test_a_line_is_for_the_parser_that_is_surest_of_it(log: Path) -> None:
    parsers, _ = plugins.load(plugins.PARSERS, Parser)
    for line in ["What no parser knows", *log.read_text(encoding="utf-8").splitlines()[:40]]:
        block = Block.of(f"{line}\n".encode())
        name, sure = surest(parsers, block)
        assert parser_of(block) == (parsers[name] if sure >= SURE_ENOUGH else None), line


# Servers send these beside words that mean something else than the registry does.
TOLD_APART = {"4.0", "4.1", "7.13"}


def test_bare_codes_mean_what_the_classifier_makes_of_them() -> None:
    registered = [catalogue.enhanced(f"5.{detail}") for detail in catalogue.language_words()["enhanced"]["details"]]
    asked = [one for one in registered if one.cause and one.code[2:] not in TOLD_APART]
    judged = {one.code: judge(f"550 {one.code}").cause for one in asked}
    assert judged == {one.code: one.cause for one in asked}


def test_a_success_is_not_to_be_sent_again() -> None:
    assert (told("250 2.0.0 Ok").retry, told("250").retry, told("2.0.0").retry) == ("", "", "")
