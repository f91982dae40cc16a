"""Explains what a mail server answered: digits, codes, a reply's text, a log line, or a mail that came back.

What is asked is cut into questions; each gets what the catalogue has of its codes and what the classifier makes of its
words. `logscan.advice` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from logscan import catalogue
from logscan.catalogue import Cause, Code, Enhanced, Provider

if TYPE_CHECKING:
    from logscan.parser import Block, Parser

MAX_TEXT = 1 << 16
MAX_SHOWN = 20
# A word this near to a cause's name is that name mistyped.
MAX_NAME, NEAR = 40, 0.8
# What a question may be at most, in bytes; of a longer one the first so many are read. A bounce's report stands before
# the message that it returns, however large that is.
MAX_READ = 4 << 20

_DIGITS = re.compile(r"[1-5](?:\d{0,2}|[0-9xX*]?[xX*]|[xX*]{2})", re.ASCII)
_ENHANCED = re.compile(r"#?([245xX])\.(\d{1,3}|[xX*])(?:\.(\d{1,3}|[xX*]))?", re.ASCII)
_REPLY = re.compile(r"\s*[245]\d\d(?:[ :#-]|$)", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LINE = re.compile(r"<\d+>|\d{4}-\d\d-\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d|[\[{]")


class NotACodeError(ValueError):
    """What was asked is no code, and says nothing that is known."""


@dataclass(frozen=True)
class Question:
    """One reply to explain. `whole`: `text` is what was asked, and not merely its codes."""

    text: str
    digits: str = ""
    enhanced: str = ""
    cause: str = ""
    recipient: str | None = None
    server: str | None = None
    stage: str | None = None
    action: str | None = None
    whole: bool = False


@dataclass(frozen=True)
class Explanation:
    """What is known of one reply.

    first, second, third: what each digit of the code says; empty where it has none
    cause, confidence:    None where nothing says it
    why:                  the words that decided; empty where the codes alone did
    steps:                what to do, in this order
    """

    asked: Question
    digits: tuple[str, ...]
    code: Code | None
    enhanced: Enhanced | None
    cause: Cause | None
    confidence: float | None
    why: tuple[str, ...]
    detail: str | None
    provider: Provider | None
    actor: str
    retry: str
    steps: tuple[str, ...]
    sources: tuple[str, ...]


def questions(words: Sequence[str]) -> list[Question]:
    """What the words of a command line ask. Raises `NotACodeError`.

    Codes side by side are one reply where they can be, several quoted replies are several, and other words are one.

    >>> [(q.digits, q.enhanced) for q in questions(["5.7.26", "550"])], len(questions(["421", "450"]))
    ([('550', '5.7.26')], 2)
    >>> questions(["550", "5.1.1", "No", "such", "user"])[0].text
    '550 5.1.1 No such user'
    """
    given = [word.strip() for word in words if word.strip()]
    if not given:
        raise NotACodeError("nothing to explain; name a code, a reply, a log line, or - for standard input")
    if all(_coded(word) for word in given):
        return _coded_all(given)
    if len(given) > 1 and all(_REPLY.match(word) and " " in word for word in given):
        return [question for word in given for question in of_text(word)]
    return of_text(" ".join(given))


def of_bytes(data: bytes) -> list[Question]:
    """What a file or standard input asks: a mail that came back, log lines, or a text. Raises `NotACodeError`."""
    from logscan import bounce

    data = data[:MAX_READ]
    if bounce.is_mail(data):
        told = bounce.read(data)
        if not told:
            raise NotACodeError(
                "this mail reports no delivery: it has neither a delivery status nor a reply in its text"
            )
        return [
            Question(
                " ".join(filter(None, (one.reply or one.enhanced,))),
                enhanced=one.enhanced or "",
                recipient=one.recipient,
                server=one.server,
                action=one.action,
                whole=True,
            )
            for one in told
        ]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return of_text(data.decode("utf-16", "replace"))
    return of_text(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "backslashreplace"))


def of_text(text: str) -> list[Question]:
    """What a text asks: codes, a cause by its name, a reply, or log lines. Raises `NotACodeError` for an empty one."""
    text = text.strip()
    if not text:
        raise NotACodeError("nothing to explain: the text is empty")
    if _coded(text):
        return _coded_all([text])
    if text in catalogue.causes():
        return [Question(text, cause=text)]
    if " " not in text and len(text) < MAX_NAME and (near := get_close_matches(text, catalogue.causes(), 1, NEAR)):
        raise NotACodeError(f"{text}: no code and no cause; did you mean {near[0]}?")
    if not _REPLY.match(text) and (_LINE.match(text) or "\n" in text) and (logged := _logged(text)):
        return logged
    return [Question(" ".join(text[:MAX_TEXT].split("\n")), whole=True)]


def _coded(word: str) -> bool:
    return bool(_DIGITS.fullmatch(word) or _ENHANCED.fullmatch(word) or _NUMBER.fullmatch(word))


def _coded_all(words: Sequence[str]) -> list[Question]:
    codes = [word.rstrip("xX*") for word in words if not _ENHANCED.fullmatch(word)]
    enhanced = [_normal(word) for word in words if _ENHANCED.fullmatch(word)]
    for code in codes:
        if not _DIGITS.fullmatch(code):
            raise NotACodeError(
                f"{code} is no SMTP reply code: they have three digits, of which the first is 2, 3, 4 or 5"
            )
    if len(codes) == len(enhanced) == 1:
        return [Question(" ".join(words), digits=codes[0], enhanced=enhanced[0])]
    return [
        Question(word, enhanced=_normal(word))
        if _ENHANCED.fullmatch(word)
        else Question(word, digits=word.rstrip("xX*"))
        for word in words
    ]


def _normal(word: str) -> str:
    """An enhanced code without what stands for anything: X.7.1 is told as a failure, 5.7.X as its subject."""
    first, *rest = word.removeprefix("#").split(".")
    known = [part for part in rest if part not in "xX*"]
    return ".".join(["5" if first in "xX" else first, *known])


def _logged(text: str) -> list[Question]:
    """The replies of log lines, by the parser that knows them; none where no parser does."""
    from logscan.lean import pandas_on_demand

    pandas_on_demand()
    from logscan import correlate
    from logscan.parser import Block

    block = Block.of((text + "\n").encode("utf-8", "backslashreplace"))
    parser = parser_of(block)
    if not parser:
        return []
    parsed = parser.parse(block)
    events = correlate.settle_alone(parsed.events, parsed.messages)
    columns = ("reply", "code", "enhanced", "recipient", "remote_host", "stage", "action")
    rows = events.select([column for column in columns if column in events.column_names]).to_pylist()
    asked = {
        Question(
            _with_codes(row.get("reply") or "", row.get("code"), row.get("enhanced")),
            enhanced=row.get("enhanced") or "",
            recipient=row.get("recipient"),
            server=row.get("remote_host"),
            stage=row.get("stage"),
            action=row.get("action"),
            whole=True,
        ): None
        for row in rows
    }
    return [question for question in asked if question.text]


def parser_of(block: Block) -> Parser | None:
    """The parser that `plan.surest` names, None where it is not sure enough; no more are loaded than that takes."""
    from logscan import plugins
    from logscan.guard import SURE_ENOUGH, sure
    from logscan.parser import Parser

    surest, likely = 0.0, None
    # Of equally sure ones the last by its name counts, so nothing comes after one that is certain.
    for parser in plugins.last_first(plugins.PARSERS, Parser):
        if (found := sure(parser, block)) > surest:
            surest, likely = found, parser
        if surest == 1:
            break
    return likely if surest >= SURE_ENOUGH else None


def _with_codes(reply: str, code: int | None, enhanced: str | None) -> str:
    if reply or not (code or enhanced):
        return reply
    return " ".join(str(part) for part in (code, enhanced) if part)


def explain(asked: Question, language: str = catalogue.LANGUAGE) -> Explanation:
    """All that is known of a question. Raises `NotACodeError` where that is nothing.

    >>> told = explain(questions(["550 5.1.1 No such user"])[0])
    >>> told.cause.name, told.actor, told.code.name
    ('user-unknown', 'sender', 'mailbox unavailable')
    >>> explain(questions(["559"])[0]).digits
    ('permanent failure', 'mail system', 'a finer step within the subject')
    """
    digits, stated, cause = asked.digits, asked.enhanced, asked.cause
    detail: str | None = None
    confidence: float | None = None
    why: tuple[str, ...] = ()
    if asked.whole:
        from logscan.lean import pandas_on_demand

        # pyarrow would load pandas, which takes longer than all else, only to see whether it is met.
        pandas_on_demand()
        from logscan.classifier import judge

        verdict = judge(asked.text, enhanced=asked.enhanced or None, stage=asked.stage, server=asked.server)
        digits = str(verdict.code) if verdict.code is not None else ""
        stated, detail, why = verdict.enhanced or "", verdict.detail, verdict.why
        cause, confidence = verdict.cause, verdict.confidence
        if not digits and not stated and cause == "other" and not asked.action:
            raise NotACodeError(_unknown(asked.text))
        if verdict.code is not None and not 200 <= verdict.code < 600 and cause == "other":
            raise NotACodeError(f"{verdict.code} is no SMTP reply code: they start with 2, 3, 4 or 5")
        why = tuple(word for word in why if word not in (digits, stated))
    codes = catalogue.codes(language)
    code = (codes.get(int(digits)) or catalogue.code(int(digits), language)) if len(digits) == 3 else None
    enhanced = catalogue.enhanced(stated, language) if stated else None
    if not asked.whole and not cause and enhanced:
        cause = enhanced.cause
    said = catalogue.causes(language)[cause] if cause else None
    provider = provider_of(asked.server)
    actor = said.actor if said and said.name != "other" else code.actor if code and code.actor else ""
    retry = said.retry if said and said.name != "other" else {"4": "wait", "5": "no"}.get((digits or stated)[:1], "")
    if cause == "success":
        retry = ""
    # Temporary by its code is temporary, whatever the cause.
    if (digits or stated)[:1] == "4" and retry == "no":
        retry = "wait"
    return Explanation(
        asked,
        _digits(digits, language),
        code,
        enhanced,
        said,
        confidence,
        why,
        detail,
        provider,
        actor,
        retry,
        tuple(_steps(asked, code, enhanced, said)),
        tuple(_sources(digits, code, enhanced, said)),
    )


def provider_of(host: str | None) -> Provider | None:
    """Whose a mail host is, by the longest suffix of its name; None where that is not known.

    >>> provider_of("outlook-com.olc.protection.outlook.com").name, provider_of("mx.example")
    ('outlook.com', None)
    """
    if not host:
        return None
    name = "." + host.lower().split(":")[0].split(" ")[0].rstrip(".")
    owners = [(len(suffix), p) for p in catalogue.providers() for suffix in p.suffixes if name.endswith("." + suffix)]
    return max(owners, key=lambda owner: owner[0])[1] if owners else None


def _digits(digits: str, language: str) -> tuple[str, ...]:
    if not digits:
        return ()
    words = catalogue.language_words(language)["digits"]
    told = [words["first"][digits[0]][0]]
    if len(digits) > 1:
        undefined = catalogue.language_words(language)["sentences"]["digit-undefined"]
        told.append(words["second"].get(digits[1], undefined))
    return (*told, words["third"]) if len(digits) > 2 else tuple(told)


def _steps(asked: Question, code: Code | None, enhanced: Enhanced | None, cause: Cause | None) -> Iterable[str]:
    """The next steps: of the cause, which words decided; else first of the most precise code."""
    if cause and cause.name != "other" and (asked.whole or asked.cause):
        return dict.fromkeys(cause.steps)
    steps = [enhanced.step] if enhanced else []
    steps += [code.step] if code and code.step and not (enhanced and enhanced.known) else []
    # What the cause of bare codes adds: to them, "other" would only say that nothing is known.
    steps += cause.steps if cause and (cause.name != "other" or asked.whole) else ()
    return dict.fromkeys(steps)


def _sources(digits: str, code: Code | None, enhanced: Enhanced | None, cause: Cause | None) -> Iterable[str]:
    of_digits = "RFC 5321, section 4.2.1" if digits and not (code and code.source) else ""
    of_cause = cause.source if cause and cause.name not in ("other", "success") else ""
    sources = [code.source if code else "", of_digits, enhanced.source if enhanced else "", of_cause]
    return dict.fromkeys(part for source in sources if source for part in source.split("; "))


def _unknown(text: str) -> str:
    from logscan.publish.text import safe

    return f"{safe(text, 60)}: no reply code, and no words that I know; a reply has a code such as 550 or 5.7.1"
