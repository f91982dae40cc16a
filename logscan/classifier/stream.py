"""Judges a stream of reply texts, one a line or JSON lines, a batch at a time; gives JSON lines in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from logscan.catalogue import NO_SITE, Site
from logscan.classifier.texts import COLUMNS, classify_texts, reasons

BATCH = 16_384
_WORDS = ("stage", "server", "enhanced")

Told = Callable[[int, str], None]
"""Told of a line that is no case: its number and what was met."""


def verdicts(lines: Iterable[bytes], told: Told, *, why: bool = False, site: Site = NO_SITE) -> Iterator[str]:
    r"""A JSON object for each line, in order, with `id` and the columns of `texts.COLUMNS`; `why` too where asked for.

    A line that is a JSON object is a case: `text`, and `id`, `stage`, `server`, `code` and `enhanced` where known; once
    the first is one, all must be. Any other line is a text, and its id the number of the line.
    Output is ASCII: what a text holds reaches no terminal raw.

    >>> for line in verdicts([b'{"id": "a", "text": "552 5.2.2 Mailbox full"}\n'], print):
    ...     print(line)
    {"id": "a", "code": 552, "enhanced": "5.2.2", "code_class": "5xx", "cause": "mailbox-full", "confidence": 0.99,
     "rule": "mailbox-full", "detail": null}
    """
    numbered = enumerate((text(line) for line in lines), 1)
    structured: bool | None = None
    while batch := list(islice(numbered, BATCH)):
        if structured is None:
            structured = _case(batch[0][1]) is not None
        cases = []
        for number, line in batch:
            case = _case(line) if structured else {"id": number, "text": line}
            if case is not None:
                cases.append({"id": number, **case})
            elif line.strip():
                told(number, "is no JSON object with a text")
        if cases:
            yield from _judged(cases, why, site)


def text(line: bytes) -> str:
    r"""A line without its end; where it is not UTF-8, as Latin-1, which loses no byte.

    >>> text(b"550 Empf\xe4nger\r\n"), text("550 ผู้รับ\n".encode())
    ('550 Empfänger', '550 ผู้รับ')
    """
    line = line.rstrip(b"\r\n")
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _case(line: str) -> dict[str, Any] | None:
    """The case that a line of JSON holds, or None."""
    if not line.lstrip("\ufeff \t").startswith("{"):
        return None
    try:
        case = json.loads(line.lstrip("\ufeff \t"))
    except (ValueError, RecursionError):
        return None
    return case if isinstance(case, dict) and isinstance(case.get("text"), str) else None


def _judged(cases: list[dict[str, Any]], why: bool, site: Site) -> Iterator[str]:
    known = {name: pa.array([_word(case.get(name)) for case in cases], pa.string()) for name in _WORDS}
    code = pa.array([_code(case.get("code")) for case in cases], pa.int16())
    texts = pa.array([_word(case["text"]) for case in cases], pa.string())
    judged = classify_texts(texts, **known, code=code, site=site)
    whys = iter(reasons(texts, judged, known["stage"], site) if why else ())
    # Few verdicts for many texts: each is written once.
    written: dict[tuple[Any, ...], str] = {}
    for case, *said in zip(cases, *(judged[name].to_pylist() for name in COLUMNS), strict=True):
        key = tuple(said)
        if key not in written:
            written[key] = json.dumps(dict(zip(COLUMNS, key, strict=True)))[1:]
        line = f'{{"id": {json.dumps(case["id"])}, {written[key]}'
        if why:
            line = f'{line[:-1]}, "why": {json.dumps(next(whys))}}}'
        yield line


def _word(value: Any) -> str | None:
    # Half a character of UTF-16 is no text for Arrow.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _code(value: Any) -> int | None:
    try:
        code = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return code if 0 <= code <= 999 else None
