"""The grammar of an SMTP reply in a log: three digits, an enhanced code, and lines folded into one.

RFC 5321 4.2 (replies), RFC 3463 (enhanced codes). Servers fold the lines of a long reply in their own ways; Postfix
joins them with blanks, each with its code: `550-5.1.1 No such 550 5.1.1 user`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.spans import Bools, Spans, table_of

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\.?")
_ENHANCED_BYTES = table_of(b"0123456789.")


@dataclass(frozen=True)
class Replies:
    """Replies, column by column: `code` (int16) and `enhanced` are null where a text states none."""

    code: pa.Int16Array
    enhanced: pa.DictionaryArray
    text: pa.StringArray


def cut(texts: Spans) -> Replies:
    """The replies that stand at the start of `texts`. Missing rows give nulls; texts without a code keep their words.

    An enhanced code counts where RFC 2034 (4) has it, right after the reply code. Servers that write `550 #5.1.0` or
    `550 ... (#5.1.0)` state none by that rule, nor do the servers that they talk to see one.

    >>> rows, _ = Spans.lines(b"550-5.1.1 No such 550 5.1.1 user\\n421 busy\\n550 #5.1.0 no\\nConnection refused\\n")
    >>> replies = cut(rows)
    >>> replies.code.to_pylist(), replies.enhanced.to_pylist()
    ([550, 421, 550, None], ['5.1.1', None, None, None])
    >>> replies.text.to_pylist()
    ['550 5.1.1 No such user', '421 busy', '550 #5.1.0 no', 'Connection refused']
    """
    digits = Spans(texts.buffer, texts.start, np.minimum(texts.end, texts.start + 3))
    code, coded = digits.number()
    separator = texts.byte(3)
    coded &= (digits.length == 3) & ((texts.length == 3) | np.isin(separator, (ord(" "), ord("-"))))
    folded = coded & (separator == ord("-"))

    after = Spans(texts.buffer, texts.start + 4, np.where(coded, texts.end, texts.start))
    # Lines that are empty but for the code leave a blank before the next.
    after = after.skip((after.byte() == ord(" ")).astype(np.int64))
    enhanced = enhanced_codes(after)
    text = texts.to_arrow()
    if folded.any():
        text, enhanced, code = _unfold(text, enhanced, code, folded)
    return Replies(pa.array(code.astype(np.int16), mask=~coded), enhanced, text)


def enhanced_codes(texts: Spans) -> pa.DictionaryArray:
    """The enhanced code that each row starts with, or null.

    >>> enhanced_codes(Spans.lines(b"5.7.1 no\\n5.12.345\\n9.9.9\\n4.2\\n")[0]).to_pylist()
    ['5.7.1', '5.12.345', None, None]
    """
    tokens = texts.run(_ENHANCED_BYTES, 12)
    tokens = tokens.where(tokens.length >= 5)
    encoded = tokens.to_arrow().dictionary_encode()
    valid = [m[1] if (m := _ENHANCED.fullmatch(t)) else None for t in encoded.dictionary.to_pylist()]
    distinct = sorted({v for v in valid if v})
    place = np.array([distinct.index(v) if v else -1 for v in valid] or [-1], np.int32)
    codes = place[encoded.indices.fill_null(0).to_numpy()] if len(valid) else np.full(len(texts), -1, np.int32)
    missing = (codes < 0) | ~tokens.present
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), pa.array(distinct, pa.string()))


def _unfold(
    text: pa.StringArray, enhanced: pa.DictionaryArray, code: np.ndarray, folded: Bools
) -> tuple[pa.StringArray, pa.DictionaryArray, np.ndarray]:
    rows = np.flatnonzero(folded)
    some = text.take(pa.array(rows))
    lines = {line: _unfold_one(line) for line in set(some.to_pylist())}
    unfolded = [lines[line] for line in some.to_pylist()]
    mask = pa.array(folded)
    text = pc.replace_with_mask(text, mask, pa.array([u[0] for u in unfolded], pa.string()))
    found = pc.replace_with_mask(enhanced.cast(pa.string()), mask, pa.array([u[1] for u in unfolded], pa.string()))
    code = code.copy()
    code[rows] = [u[2] for u in unfolded]
    return text, found.dictionary_encode(), code


_CONTINUATION = re.compile(r" (\d{3})([- ])(?:([245]\.\d{1,3}\.\d{1,3}) ?)?", re.ASCII)


_LEADING_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3}) ?", re.ASCII)
_OTHER_CODE = re.compile(r" (\d{3})-", re.ASCII)


def _unfold_one(line: str) -> tuple[str, str | None, int]:
    """The reply without the codes of its further lines, its enhanced code, and its code.

    >>> _unfold_one("550-5.1.1 No such 550-user 550 5.1.1 here, see rule 550 b")
    ('550 5.1.1 No such user here, see rule 550 b', '5.1.1', 550)
    """
    code = line[:3]
    *parts, rest = line[4:].split(f" {code}-")
    stated = _LEADING_ENHANCED.match(parts[0] if parts else rest)
    # The last line begins at the last mark; the words may hold the code too, so one with an enhanced code goes before.
    mark = f" {code} {stated[1][0]}." if stated and f" {code} {stated[1][0]}." in rest else f" {code} "
    body, found, last = rest.rpartition(mark)
    if not found or any(other[1] != code for other in _OTHER_CODE.finditer(line)):
        return _unfold_mixed(line)
    texts, enhanced = [], None
    for part in (*parts, body, mark[5:] + last):
        text = part
        if leading := _LEADING_ENHANCED.match(part):
            enhanced, text = leading[1], part[leading.end() :]
        if text := text.strip():
            texts.append(text)
    return " ".join([code, *([enhanced] if enhanced else []), *texts]), enhanced, int(code)


def _unfold_mixed(line: str) -> tuple[str, str | None, int]:
    """The same of a reply whose lines differ in their codes, or whose last line is cut off.

    Such a reply is judged by its last line (Postfix, smtp_chat.c).

    >>> _unfold_mixed("451-4.3.0 first 550 5.1.1 last")
    ('550 5.1.1 first last', '5.1.1', 550)
    """
    line = " " + line  # a pattern that starts with one literal is found several times faster
    marks = list(_CONTINUATION.finditer(line))
    # The lines before the last are marked with a hyphen; the last begins at a mark with a blank after those. The words
    # may hold such numbers too: a mark with the code of the lines before is the likelier one.
    hyphens = [mark for mark in marks if mark[2] == "-"]
    after = [mark for mark in marks if mark.start() > hyphens[-1].start() and mark[2] == " "]
    same = [mark for mark in after if mark[1] == hyphens[-1][1]]
    last = same[-1] if same else next(iter(after), None)
    heads = [*hyphens, last] if last else hyphens
    parts = [
        line[a.end() : b.start() if b else len(line)].strip() for a, b in zip(heads, [*heads[1:], None], strict=True)
    ]
    code = last[1] if last else hyphens[-1][1]
    enhanced = next((m[3] for m in reversed(heads) if m[3] and m[1] == code), None)
    head = f"{code} {enhanced} " if enhanced else f"{code} "
    return head + " ".join(part for part in parts if part), enhanced, int(code)
