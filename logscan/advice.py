"""What a reply or a cause means, who has to act, and what to do: the catalogue's answer as lines for a terminal."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logscan import catalogue
from logscan.catalogue import Cause, causes

if TYPE_CHECKING:
    from logscan.explanation import Explanation

WIDTH = 80
ASKED = 300
# Where a line of Thai may not break: before marks and vowels that follow, after vowels that lead.
_FOLLOWING = frozenset("ะาำๅๆฯ")
_LEADING = frozenset("เแโใไ")


def language_of(asked: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The language that was asked for, else that of the environment, else English.

    Raises `ValueError`, with the nearest one, for a language that there is not.

    >>> language_of(None, {"LANG": "th_TH.UTF-8"}), language_of(None, {"LANG": "fr_FR.UTF-8"}), language_of("th_TH")
    ('th', 'en', 'th')
    """
    known = catalogue.language_names()
    if asked is not None:
        name = asked.replace("-", "_").split("_")[0].lower()
        if name in known:
            return name
        own = {word.lower(): language for language, word in catalogue.languages().items()}
        words = {**own, **{name: name for name in known}}
        near = difflib.get_close_matches(asked.lower(), words, 1)
        hint = f"did you mean {words[near[0]]}?" if near else f"there are: {', '.join(known)}"
        raise ValueError(f"--lang {asked!r}: no such language; {hint}")
    # The first that is set counts (POSIX, 8.2).
    stated = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    name = stated.split("_")[0].split(".")[0].lower()
    return name if name in known else catalogue.LANGUAGE


def cause_named(name: str) -> Cause:
    """A cause by its name. Raises `ValueError`, with the nearest name, where there is none of this name.

    >>> cause_named("mailbox-full").actor
    'recipient'
    >>> cause_named("mailbox-ful")
    Traceback (most recent call last):
    ValueError: mailbox-ful: no such cause; did you mean mailbox-full?
    """
    known = causes()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "`logscan causes` lists them"
        raise ValueError(f"{name}: no such cause; {hint}")
    return known[name]


def describe(names: Sequence[str], language: str = catalogue.LANGUAGE) -> Iterator[str]:
    """A line for each cause there is; of given ones, all that is known. Raises `ValueError` for a name that is none.

    >>> print(*describe(["success"]), sep="\\n")
    Cause       success: Accepted or delivered.
    Who acts    nobody
    What to do  1. Nothing to do.
                2. If the recipient misses the mail, look in the spam folder:
                   acceptance is not delivery to the inbox.
    Sources     RFC 5321, section 4.2.1
    """
    if not names:
        yield from (f"{name:24} {cause.meaning}" for name, cause in causes(language).items())
    for number, name in enumerate(cause_named(name).name for name in names):
        if number:
            yield ""
        cause = causes(language)[name]
        rows = [
            _cause(cause),
            *_acting(cause.actor, cause.retry if name != "success" else "", language),
            ("steps", _numbered(cause.steps)),
        ]
        yield from _rows([*rows, ("sources", [cause.source])], language)


def shown(told: Explanation, language: str = catalogue.LANGUAGE, width: int = WIDTH) -> Iterator[str]:
    """An explanation as lines of so many columns, safe for a terminal.

    >>> from logscan.explanation import explain, questions
    >>> print(*shown(explain(questions(["552"])[0])), sep="\\n")
    552
    <BLANKLINE>
    Code        552 storage exceeded: The mailbox or the message is over its limit.
                5 = permanent failure, 5 = mail system, 2 = a finer step within the
                subject
    Who acts    the recipient
    Send again  no: the same message to the same address would fail again
    What to do  1. Tell the recipient to make room; if the message is large, send less.
    Sources     RFC 5321, section 4.2.3
    """
    from logscan.publish.text import safe

    yield from wrap(safe(told.asked.text, ASKED), width)
    yield ""
    yield from _rows([row for row in _facts(told, language) if any(row[1])], language, width)


def record(told: Explanation, language: str = catalogue.LANGUAGE) -> dict[str, Any]:
    """An explanation as data: names, numbers and words, for `--json`."""
    asked, code, enhanced, cause = told.asked, told.code, told.enhanced, told.cause
    return {
        "asked": asked.text,
        "language": language,
        "recipient": asked.recipient,
        "server": asked.server,
        "provider": told.provider and told.provider.name,
        "code": code and code.number,
        "code_name": code and code.name,
        "code_meaning": code and code.meaning,
        "code_standard": bool(code and code.source),
        "digits": list(told.digits),
        "enhanced": enhanced and enhanced.code,
        "enhanced_title": enhanced and enhanced.title,
        "enhanced_name": enhanced and enhanced.parts[-1],
        "enhanced_meaning": enhanced and enhanced.meaning,
        "enhanced_registered": bool(enhanced and enhanced.known),
        "cause": cause and cause.name,
        "cause_meaning": cause and cause.meaning,
        "group": cause and cause.group,
        "confidence": told.confidence,
        "why": list(told.why),
        "detail": told.detail,
        "who_acts": told.actor or None,
        "retry": told.retry or None,
        "steps": [*told.steps, *_provider_steps(told, language)],
        "sources": list(told.sources),
    }


Row = tuple[str, Sequence[str]]


def _facts(told: Explanation, language: str) -> Iterator[Row]:
    from logscan.publish.text import safe

    words = catalogue.language_words(language)
    sentences = words["sentences"]
    asked = told.asked
    yield "recipient", [safe(asked.recipient or "", ASKED)]
    owner = f" ({told.provider.title})" if told.provider else ""
    yield "server", [safe(asked.server, ASKED) + owner if asked.server else ""]
    yield "code", list(_code(told, language))
    if told.enhanced:
        enhanced = told.enhanced
        lines = (
            []
            if enhanced.known or enhanced.code.count(".") < 2
            else [_put(sentences["enhanced-fallback"], enhanced=enhanced.code)]
        )
        lines += [f"{enhanced.code} {enhanced.parts[-1]}: {enhanced.meaning}", _parts(enhanced.code, enhanced.parts)]
        beside = _put(sentences["registry-codes"], codes=", ".join(enhanced.codes)) if enhanced.codes else ""
        listed = _put(sentences["registry-title"], title=enhanced.title) if enhanced.code.count(".") else ""
        yield "enhanced", [*lines, " ".join(filter(None, (listed, beside)))]
    if told.cause:
        yield _cause(told.cause)
    if told.cause and told.confidence is not None and told.cause.name not in ("other", "success"):
        quoted = ", ".join(f"“{safe(word, 120)}”" for word in told.why)
        detail = _put(sentences["detail"], detail=safe(told.detail, 120)) if told.detail else ""
        yield "why", list(filter(None, (quoted or sentences["codes-alone"], detail)))
        sure = next(word for least, word in words["sure"].items() if 100 * told.confidence >= int(least))
        yield "sure", [sure]
    yield from _acting(told.actor, told.retry, language)
    yield "steps", _numbered([*told.steps, *_provider_steps(told, language)])
    yield "sources", ["; ".join(told.sources)]


def _code(told: Explanation, language: str) -> Iterator[str]:
    words = catalogue.language_words(language)
    digits = told.asked.digits or (str(told.code.number) if told.code else "")
    if not digits:
        return
    if told.code:
        yield f"{told.code.number} {told.code.name}: {told.code.meaning}"
    else:
        yield words["digits"]["first"][digits[0]][1]
    yield ", ".join(f"{digit} = {word}" for digit, word in zip(digits, told.digits, strict=True))
    if told.code and not told.code.source:
        yield words["sentences"]["no-standard"]
        # The servers that send such codes leave the dots out: 571 is their 5.7.1.
        dotted = ".".join(digits)
        if digits[0] in "245" and (reads := catalogue.enhanced(dotted, language)).known:
            yield _put(words["sentences"]["reads-like"], enhanced=dotted, title=reads.parts[-1])


def _parts(code: str, parts: Sequence[str]) -> str:
    return ", ".join(f"{number} = {word}" for number, word in zip(code.split("."), parts, strict=False))


def _cause(cause: Cause) -> Row:
    return "cause", [f"{cause.name}: {cause.meaning}"]


def _acting(actor: str, retry: str, language: str) -> Iterator[Row]:
    words = catalogue.language_words(language)
    if actor:
        yield "actor", [words["actors"][actor]]
    if retry:
        yield "retry", [words["retries"][retry]]


def _provider_steps(told: Explanation, language: str) -> Iterator[str]:
    sentences = catalogue.language_words(language)["sentences"]
    if told.provider and told.cause and told.cause.group in ("reputation", "content", "sender-side setup", "limits"):
        if told.provider.form:
            yield _put(sentences["provider-form"], title=told.provider.title, url=told.provider.form)
        if told.provider.page:
            yield _put(sentences["provider-page"], title=told.provider.title, url=told.provider.page)


def _numbered(steps: Sequence[str]) -> list[str]:
    return [f"{number}. {step}" for number, step in enumerate(steps, 1)]


def _put(sentence: str, **words: str) -> str:
    for name, word in words.items():
        sentence = sentence.replace(f"{{{name}}}", word)
    return sentence


def _rows(rows: Sequence[Row], language: str, width: int = WIDTH) -> Iterator[str]:
    labels = catalogue.language_words(language)["labels"]
    column = max(_cells(labels[name]) for name, _ in rows) + 2
    for name, lines in rows:
        head = labels[name] + " " * (column - _cells(labels[name]))
        for line in filter(None, lines):
            # A numbered step hangs under its words.
            hang = 3 if name == "steps" else 0
            for number, piece in enumerate(wrap(line, width - column - hang)):
                yield head + (" " * hang if number and hang else "") + piece
                head = " " * column


def wrap(text: str, width: int) -> list[str]:
    """A text in lines of at most so many cells of a terminal; words longer than that are cut, but no Thai syllable.

    >>> wrap("The mailbox is full", 12), wrap("ที่นี่ไม่มี", 4)
    (['The mailbox', 'is full'], ['ที่นี่ไม่', 'มี'])
    """
    lines, line = [], ""
    for word in text.split(" "):
        for piece in _pieces(word, width):
            if line and _cells(line) + 1 + _cells(piece) > width:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    return [*lines, line]


def _pieces(word: str, width: int) -> Iterator[str]:
    from unicodedata import combining

    while _cells(word) > width:
        end = width
        while end < len(word) and _cells(word[: end + 1]) <= width:
            end += 1
        while end > 1 and _cells(word[:end]) > width:
            end -= 1
        best = end
        while end > 1 and (
            combining(word[end]) or not _cells(word[end]) or word[end] in _FOLLOWING or word[end - 1] in _LEADING
        ):
            end -= 1
        end = end if end > 1 else best
        yield word[:end]
        word = word[end:]
    yield word


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
