"""Answers `logscan explain`: what its words ask, gathered from the command line, a file or standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from logscan import catalogue
from logscan.advice import record, shown
from logscan.explanation import MAX_READ, MAX_SHOWN, NotACodeError, Question, explain, of_bytes, questions


def answered(words: Sequence[str], language: str = catalogue.LANGUAGE, *, json: bool = False) -> Iterator[str]:
    """The lines that explain what was asked. Raises `NotACodeError` where it asks nothing, `OSError` for a bad file.

    >>> next(answered(["421"]))
    '421'
    """
    asked = list(dict.fromkeys(_asked(words)))
    told = [explain(question, language) for question in asked[:MAX_SHOWN]]
    for number, one in enumerate(told):
        if json:
            yield _line(record(one, language))
            continue
        if number:
            yield ""
        yield from shown(one, language)
    if len(asked) > MAX_SHOWN and not json:
        yield ""
        yield f"... {len(asked) - MAX_SHOWN:,} more: logscan report"


def _asked(words: Sequence[str]) -> list[Question]:
    # Arguments that are not UTF-8 hold surrogates, which nothing can print.
    words = [os.fsencode(word).decode("utf-8", "backslashreplace") for word in words]
    if list(words) == ["-"]:
        data = sys.stdin.buffer.read(MAX_READ)
        return of_bytes(data)
    if len(words) == 1 and _is_file(words[0]):
        with Path(words[0]).open("rb") as file:
            return of_bytes(file.read(MAX_READ))
    if "-" in words and len(words) == 2:
        raise NotACodeError("- stands alone: standard input is explained by itself")
    return questions(words)


def _is_file(word: str) -> bool:
    # A code stays a code, whatever lies in this folder.
    if word[:1].isdigit() and len(word) < 12 and not word.endswith((".eml", ".txt", ".msg", ".log")):
        return False
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def _line(row: object) -> str:
    """A JSON object that a terminal can show: letters as they are, what is not seen as its escape."""
    from json import dumps

    text = dumps(row, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else dumps(letter)[1:-1] for letter in text)
