"""Replies as Exim logs them: lines joined by a literal `\\\\n`, bytes beyond ASCII in octal, cut at about 1000 bytes.

    550-5.1.1 The email account does not exist. Empf\\\\303\\\\244nger\\\\n550 5.1.1 unbekannt

A backslash of the reply itself stands as it is, so that `\\\\n` in its words looks the same (string.c,
string_printing). Exim goes by the code of the first line (smtp_out.c, smtp_read_response).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.spans import Spans

_LINE = re.compile(r"(\d{3})(?:[- ]|$)(?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?", re.ASCII)
_OCTAL = re.compile(r"(?:\\[2-3][0-7]{2})+")
_NEW_LINE = re.compile(r"(?<!\\)((?:\\\\)*)\\n")
_ESCAPED = re.compile(r'\\(["\\])')


def cut(texts: Spans, *, escaped: bool = False) -> reply.Replies:
    """The replies of rows: code, enhanced code, text on one line. Texts without a code keep their words.

    escaped: quotes and backslashes have a backslash before them, as in C="..." (deliver.c, delivery_log).

    >>> rows, _ = Spans.lines(b"550-5.1.1 No\\\\n550 5.1.1 such user\\n250 OK id=1\\nUnrouteable address\\n")
    >>> replies = cut(rows)
    >>> replies.code.to_pylist(), replies.enhanced.to_pylist()
    ([550, 250, None], ['5.1.1', None, None])
    >>> replies.text.to_pylist()
    ['550 5.1.1 No such user', '250 OK id=1', 'Unrouteable address']
    """
    with_backslash = np.flatnonzero(texts.has(b"\\"))
    if not len(with_backslash):
        return reply.cut(texts)
    plain = _unfolded_each(texts.take(with_backslash).to_arrow(), _unescape if escaped else unfold)
    mask = np.zeros(len(texts), bool)
    mask[with_backslash] = True
    return reply.cut(Spans.of(pc.replace_with_mask(texts.to_arrow(), pa.array(mask), plain)))


def _unfolded_each(texts: pa.StringArray, how: Callable[[str], str]) -> pa.StringArray:
    distinct = texts.dictionary_encode()
    lines = pa.array([how(text) for text in distinct.dictionary.to_pylist()], pa.string())
    return lines.take(distinct.indices)


def unfold(text: str) -> str:
    """A reply on one line: the codes of its further lines dropped, UTF-8 decoded.

    >>> unfold(r"550-5.1.1 first\\n550-second\\n550 third: no such user")
    '550 5.1.1 first second third: no such user'
    >>> unfold(r"451-try\\n550 5.7.1 again, Empf\\303\\244nger\\n55")
    '451 try again, Empfänger'
    """
    return _joined(text.split("\\n"))


def _joined(lines: list[str]) -> str:
    head, *rest = lines
    first = _LINE.match(head)
    if first is None:
        return _OCTAL.sub(_decoded, " ".join(part.strip() for part in (head, *rest)))
    code, enhanced, texts = first[1], first[2], [head[first.end() :]]
    for number, part in enumerate(rest, 1):
        line = _LINE.match(part)
        if line is None:
            # What Exim cut off may end within a code.
            if number < len(rest) or not (part.isdigit() and len(part) < len(code)):
                texts.append(part)
            continue
        enhanced = enhanced or (line[2] if line[1] == code else None)
        texts.append(part[line.end() :])
    words = [word for word in (text.strip() for text in texts) if word]
    return _OCTAL.sub(_decoded, " ".join([code, *([enhanced] if enhanced else []), *words]))


def _unescape(text: str) -> str:
    """The same of what stands in C="...", where an escaped backslash before an n is no line end."""
    return _joined([_ESCAPED.sub(r"\1", line) for line in _NEW_LINE.sub(r"\1\n", text).split("\n")])


def _decoded(octal: re.Match[str]) -> str:
    try:
        return bytes(int(digits, 8) for digits in octal[0].split("\\")[1:]).decode()
    except UnicodeDecodeError:
        return octal[0]
