"""The words of a report in one language: sentences with their values, numbers with their nouns, names of columns.

All of them stand in `catalogue/languages/`, a file for each language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logscan.catalogue import LANGUAGE, language_words


@dataclass(frozen=True)
class Language:
    """A language by the name of its file.

    >>> Language("en").say("screen.not-understood", lines=Language("en").counted(8120, "line"))
    '8,120 lines not understood, such as'
    """

    name: str = LANGUAGE

    def say(self, key: str, **values: object) -> str:
        """A sentence, by where it stands in the file; numbers have their thousands marked. Raises `KeyError`."""
        return _put(self._find(key), values)

    def counted(self, number: int, noun: str, **values: object) -> str:
        """A number and its noun, of those under `counted`.

        >>> Language("en").counted(1, "delivery"), Language("th").counted(8120, "delivery")
        ('1 delivery', 'การส่ง 8,120 ครั้ง')
        """
        forms = self._find(f"counted.{noun}")
        return _put(forms[0 if number == 1 else -1], {"number": number, **values})

    def heading(self, column: str) -> str:
        """A column as a heading; one that no language has, such as a stranger's report may, by its name.

        >>> Language("th").heading("cause"), Language("th").heading("their_own")
        ('สาเหตุ', 'their own')
        """
        from logscan.publish.text import safe

        known: Mapping[str, str] = self._find("columns")
        return known[column] if column in known else safe(column).replace("_", " ")

    def value(self, value: str, column: str) -> str:
        """What stands in a column, where that is a word of ours; else as it is.

        >>> Language("th").value("sender", "who_acts"), Language("th").value("google", "provider")
        ('ผู้ส่ง', 'google')
        """
        known: Mapping[str, Mapping[str, str]] = self._find("values")
        return known[column].get(value, value) if column in known else value

    def title(self, report: str, own: str = "") -> str:
        """A report's title by its name; `own` is that of a stranger's report.

        >>> Language("th").title("causes"), Language("th").title("senders", "Failures by sender")
        ('สาเหตุ', 'Failures by sender')
        """
        known: Mapping[str, Mapping[str, str]] = self._find("reports")
        return known[report]["title"] if report in known else own or self.heading(report.replace("-", "_"))

    def _find(self, key: str) -> Any:
        found: Any = language_words(self.name)
        for part in key.split("."):
            found = found[part]
        return found


ENGLISH = Language()


def _put(sentence: str, values: Mapping[str, object]) -> str:
    """The values in the place of their names; what they hold is not read again."""
    shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
    return sentence.format_map(shown)
