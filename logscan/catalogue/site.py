"""Reads a site's own rules and provider names from a TOML file of the form of rules.toml and providers.toml.

[[rule]]
id = "our-gateway-quarantine"
cause = "spam-content"
text = ['held by the gateway']
match = ["550 5.7.1 Message held by the gateway, case 7"]

[[provider]]
name = "parent-company"
suffixes = ["mx.parent.example"]
ranges = ["192.0.2.0/24", "2001:db8::/32"]
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from logscan import catalogue
from logscan.catalogue import Provider, Rule, Site

RULE_KEYS = ("id", "cause", "text", "enhanced", "code", "stage", "action", "confidence", "match", "not")
CONDITIONS = ("text", "enhanced", "code", "stage", "action")
PROVIDER_KEYS = ("name", "title", "suffixes", "ranges", "match", "not")
TABLES = ("words", "rule", "provider")
_HEADER = re.compile(r"\s*\[\[\s*(rule|provider)\s*\]\]")
_PLACE = re.compile(r"\(at line (\d+), column \d+\)")


class RulesError(ValueError):
    """A rules file that cannot be used. It tells the file, the line and what to do."""


class SiteFile:
    """A rules file, with the lines that its rules and examples stand on.

    Raises RulesError where it is no such file, OSError where it cannot be read.
    """

    def __init__(self, path: str | PathLike[str]):
        self.path = Path(path)
        data = self.path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
            self._tables: dict[str, Any] = tomllib.loads(text)
        except UnicodeDecodeError as error:
            raise self.error(data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            place = _PLACE.search(str(error))
            # Where the end of the file is the trouble, no line is told.
            line = int(place[1]) if place else text.count("\n") + (not text.endswith("\n"))
            raise self.error(line, f"is no TOML: {error}") from error
        self._lines = text.splitlines()
        self._blocks = self._find_blocks()
        self._check_keys(self._tables, TABLES, 1, "table")
        words = self._words()
        self.rules = tuple(self._rule(number, table, words) for number, table in enumerate(self._all("rule")))
        self.providers = tuple(self._provider(number, table) for number, table in enumerate(self._all("provider")))
        self._check_ids()

    @property
    def site(self) -> Site:
        """What the file says, for `classify`."""
        return Site(self.rules, self.providers)

    def line_of(self, rule: int, example: str | None = None) -> int:
        """The line of a rule, or of an example of it."""
        first, last = self._blocks["rule"][rule]
        if example:
            # As it stands in a literal string, or as it is escaped in a basic one.
            forms = {example, example.replace("\\", "\\\\").replace('"', '\\"')}
            for number in range(first, last):
                if any(form in self._lines[number - 1] for form in forms):
                    return number
        return first

    def line_of_provider(self, name: str) -> int:
        """The line of a provider."""
        return self._blocks["provider"][[provider.name for provider in self.providers].index(name)][0]

    def _line_of(self, text: str, first: int) -> int:
        """The first line from there on that holds a text."""
        lines = (number for number in range(first, len(self._lines) + 1) if text in self._lines[number - 1])
        return next(lines, first)

    def error(self, line: int, met: str) -> RulesError:
        """The error of a line."""
        return RulesError(f"{self.path}:{line}: {met}")

    def _find_blocks(self) -> dict[str, list[tuple[int, int]]]:
        """The first line of each [[rule]] and [[provider]], and the line after its last."""
        heads = [(n, found[1]) for n, line in enumerate(self._lines, 1) if (found := _HEADER.match(line))]
        ends = [*(n for n, _ in heads[1:]), len(self._lines) + 1]
        blocks: dict[str, list[tuple[int, int]]] = {"rule": [], "provider": []}
        for (start, kind), end in zip(heads, ends, strict=False):
            blocks[kind].append((start, end))
        for kind, places in blocks.items():
            # Written in another way (an array of inline tables): all stand somewhere in the file.
            missing = max(0, len(self._all(kind)) - len(places))
            places += [(1, len(self._lines) + 1)] * missing
        return blocks

    def _all(self, kind: str) -> list[dict[str, Any]]:
        tables = self._tables.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self.error(1, f"write each {kind} as a table that begins with [[{kind}]]")
        return tables

    def _words(self) -> Mapping[str, str]:
        own = self._tables.get("words", {})
        if not isinstance(own, dict) or not all(_texts(value) for value in own.values()):
            raise self.error(1, "[words] has a name and a pattern, or a list of patterns, on each line")
        try:
            return catalogue.spell_words(own, catalogue.words())
        except KeyError as error:
            raise self.error(1, f"[words]: no word {{{error.args[0]}}} before this one") from error

    def _rule(self, number: int, table: dict[str, Any], words: Mapping[str, str]) -> Rule:
        line = self.line_of(number)
        self._check_keys(table, RULE_KEYS, line, "key")
        table = {"match": [], **table}
        for key, kind in (("id", str), ("cause", str), ("match", list), ("not", list), ("confidence", (float, int))):
            if key in table and not isinstance(table[key], kind):
                raise self.error(line, f"{key} is of the wrong type")
        for key in ("id", "cause"):
            if key not in table:
                raise self.error(line, f"the rule has no {key}")
        if table["cause"] not in catalogue.causes():
            raise self.error(line, f"no cause {table['cause']!r}{_meant(table['cause'], catalogue.causes())}")
        if not any(key in table for key in CONDITIONS):
            raise self.error(line, f"rule {table['id']!r} has no condition: give text, enhanced or code")
        if "text" in table and not _texts(table["text"]):
            raise self.error(line, "text is a pattern or a list of patterns")
        for key in ("enhanced", "stage", "action"):
            if key in table and not (isinstance(table[key], list) and _texts(table[key])):
                raise self.error(line, f"{key} is a list of strings")
        if not all(isinstance(code, int) and 0 <= code <= 999 for code in table.get("code", [])):
            raise self.error(line, "code is a list of numbers of three digits")
        try:
            return catalogue.rule_of(table, words)
        except KeyError as error:
            raise self.error(line, f"no word {{{error.args[0]}}}{_meant(error.args[0], words)}") from error
        except (TypeError, ValueError, IndexError) as error:
            raise self.error(line, f"an example of rule {table['id']!r} is neither a reply nor columns") from error

    def _provider(self, number: int, table: dict[str, Any]) -> Provider:
        line = self._blocks["provider"][number][0]
        self._check_keys(table, PROVIDER_KEYS, line, "key")
        name, suffixes, ranges = table.get("name"), table.get("suffixes", []), table.get("ranges", [])
        lists = all(isinstance(one, list) and _texts(one) for one in (suffixes, ranges))
        if not isinstance(name, str) or not lists or not (suffixes or ranges):
            raise self.error(line, "a provider has a name and suffixes, a list of host names, or ranges of addresses")
        for text in ranges:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise self.error(self._line_of(text, line), f"no range of addresses: {error}") from error
        return catalogue.provider_of(table)

    def _check_ids(self) -> None:
        seen = {rule.id: "the catalogue" for rule in catalogue.rules()}
        for number, rule in enumerate(self.rules):
            if rule.id in seen:
                raise self.error(self.line_of(number), f"the id {rule.id!r} is taken by {seen[rule.id]}: give another")
            seen[rule.id] = f"line {self.line_of(number)}"

    def _check_keys(self, table: Mapping[str, Any], known: tuple[str, ...], line: int, what: str) -> None:
        for key in table:
            if key not in known:
                raise self.error(line, f"no {what} {key!r}{_meant(key, known)}; there are: {', '.join(known)}")


def _texts(value: Any) -> bool:
    """Whether it is a text, or a list of texts."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _meant(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
