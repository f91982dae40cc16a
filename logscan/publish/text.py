"""Words and numbers as a reader sees them, and text from logs made harmless: anybody may write into a mail log."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from logscan.language import ENGLISH, Language

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = "—"
# Columns of numbers from 0 to 1 that are shown in per cent: see `report.Answer`.
SHARES = ("rate", "share")
# What a spreadsheet takes for the start of a formula (OWASP, CSV Injection), full-width forms too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Escapes(dict[int, str]):
    """Each character's harmless form, found out once: controls, formats (bidi among them), line and paragraph ends."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
            character = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        self[code] = character
        return character


_ESCAPES = _Escapes()


def safe(text: str, limit: int | None = None) -> str:
    r"""Text from a log, harmless in a terminal, a chart or a page: what is not seen is written out; cut at `limit`.

    Letters of all scripts stay. Quoting is left to who shows it: HTML and CSV have their own.

    >>> safe("\x1b]0;owned\x07 \u202etxt.exe สวัสดี")
    '\\x1b]0;owned\\x07 \\u202etxt.exe สวัสดี'
    >>> safe("a" * 5000, limit=10)
    'aaaaaaaaa…'
    """
    if limit is not None:
        # One escape is at most ten characters for one: what is cut need not be looked at.
        text = text[: limit + 1]
    if not text.isprintable():
        text = text.translate(_ESCAPES)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def spreadsheet(text: str) -> str:
    """Text as a cell of a CSV file: never a formula.

    >>> spreadsheet("=cmd()"), spreadsheet("-1"), spreadsheet("example.org")
    ("'=cmd()", "'-1", 'example.org')
    """
    return ("'" if text.startswith(FORMULA) else "") + safe(text)


def percent(share: float, digits: int = 1) -> str:
    """A share of 0 to 1 in per cent; never rounded to all or to nothing.

    >>> percent(0.1234), percent(0.00001), percent(0.99999), percent(1.0), percent(0)
    ('12.3 %', '< 0.1 %', '> 99.9 %', '100 %', '0 %')
    """
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", " %")
    step = 10**-digits
    if 100 * share < step:
        return f"< {step:.{digits}f} %"
    if 100 * share > 100 - step:
        return f"> {100 - step:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and its noun.

    >>> counted(1, "delivery", "deliveries"), counted(8120, "delivery", "deliveries"), counted(2, "line")
    ('1 delivery', '8,120 deliveries', '2 lines')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: datetime, *, seconds: bool = True) -> str:
    """A time in UTC, without saying so: the heading does.

    >>> moment(datetime(2026, 9, 20, 7, 5, 1, tzinfo=UTC))
    '2026-09-20 07:05:01'
    """
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def narrow(text: str, width: int) -> str:
    """Safe text cut to so many cells of a terminal: a Chinese letter takes two, a mark above another none.

    >>> narrow("example.org", 8), narrow("漢字漢字", 5)
    ('example…', '漢字…')
    """
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def is_number(type_: pa.DataType) -> bool:
    """Whether a column is set to the right."""
    import pyarrow as pa

    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def cell(value: Any, column: str, limit: int | None = None, language: Language = ENGLISH) -> str:
    """A value of a report's table as text: safe, thousands marked, shares in per cent, our own words in a language.

    >>> cell(8120, "failures"), cell(0.5, "rate"), cell(None, "provider"), cell(["a", "b"], "next_steps")
    ('8,120', '50.0 %', '—', 'a; b')
    """
    match value:
        case None:
            return MISSING
        case bool():
            return language.say("report.yes" if value else "report.no")
        case int():
            return f"{value:,}"
        case float():
            return percent(value) if column in SHARES else f"{value:,.1f}"
        case datetime():
            return moment(value)
        case list():
            return safe("; ".join(map(str, value)), limit)
        case _:
            return safe(language.value(str(value), column), limit)
