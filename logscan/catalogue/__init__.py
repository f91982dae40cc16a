"""The catalogue says what a reply means, as data: causes, rules, codes and providers, each read from its TOML file.

What changes often is a few lines there, with the examples that prove it. Words stand apart, in `languages/`, a file
for each language: one more file is one more language.
Nothing here needs pyarrow, so `explain` and the command line's help start fast.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

Group = Literal[
    "success",
    "recipient",
    "sender-side setup",
    "reputation",
    "content",
    "receiving side",
    "network",
    "limits",
    "other",
]
Actor = Literal["sender", "our postmaster", "recipient", "their postmaster", "nobody"]
Retry = Literal["yes", "wait", "no"]

LANGUAGE = "en"

# How often rules that look at this are right; of several, the first counts.
CONFIDENCE = {"text": 0.9, "enhanced": 0.7, "code": 0.5, "stage": 0.5, "action": 0.5}
UNEXPLAINED = 0.1
OWN = 0.99
"""How sure the cause is of words that our own server writes."""

_MARKS = re.compile("[\u0300-\u036f]")
_WORD = re.compile(r"\{([a-z]+)\}")
_REPLY = re.compile(r"^(?:([2-5]\d\d)(?:[ -]|$))?(?:#?([245]\.\d{1,3}\.\d{1,3})(?:\s|$))?", re.ASCII)


@dataclass(frozen=True)
class Cause:
    """What went wrong. `steps` are what to do next, in this order; `retry` is explained in causes.toml."""

    name: str
    group: Group
    actor: Actor
    retry: Retry
    source: str
    meaning: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """A reply code. `source` is the standard that defines it, empty where none does.

    actor: who has to act, and step: what to do, where nothing but the code is known; empty for a code that no catalogue
           has.
    """

    number: int
    name: str
    meaning: str
    source: str = ""
    actor: str = ""
    step: str = ""


@dataclass(frozen=True)
class Enhanced:
    """An enhanced status code (RFC 3463).

    title:   as the registry has it, in English; that of its subject where the registry does not know the detail
    parts:   class, subject and, where known, detail: the name of each
    codes:   reply codes that the registry has beside it
    cause:   what it most often means in a failure; empty where it says too little
    known:   whether the registry has it
    """

    code: str
    title: str
    parts: tuple[str, ...]
    meaning: str
    step: str
    codes: tuple[str, ...]
    cause: str
    source: str
    known: bool


@dataclass(frozen=True)
class Case:
    """What a rule looks at, as an example.

    >>> Case.of("550 5.1.1 No such user here")
    Case(reply='550 5.1.1 No such user here', code=550, enhanced='5.1.1', stage=None, action=None)
    """

    reply: str | None = None
    code: int | None = None
    enhanced: str | None = None
    stage: str | None = None
    action: str | None = None

    @classmethod
    def of(cls, example: str | Mapping[str, Any]) -> Case:
        """An example as rules.toml has it: a reply that starts with its codes, or the columns by name."""
        if not isinstance(example, str):
            return cls(**example)
        code, enhanced = _REPLY.findall(example)[0]
        return cls(example, int(code) if code else None, enhanced or None)


@dataclass(frozen=True)
class Rule:
    """A way to know a cause. All of the conditions that are given must hold.

    text:       RE2 pattern, found anywhere in the masked reply, case ignored
    gate:       RE2 pattern that is found wherever `text` is: it is asked first, once for all rules that share it
    enhanced:   RE2 pattern of the whole enhanced code
    confidence: 0 to 1: how often such a rule is right, on replies that it was not written from
    own:        of words that our own server writes, not another: there is nothing to weigh
    """

    id: str
    cause: str
    text: str | None
    gate: str | None
    enhanced: str | None
    code: tuple[int, ...]
    stage: tuple[str, ...]
    action: tuple[str, ...]
    confidence: float
    examples: tuple[Case, ...]
    counterexamples: tuple[Case, ...]
    own: bool = False


@dataclass(frozen=True)
class Detail:
    """Something a reply may name beside its cause.

    kind:   what sort of thing: list, check, limit, vendor
    name:   as it is told
    text:   RE2 pattern, found anywhere in the masked reply, case ignored
    causes: told of these only; empty: of all
    """

    kind: str
    name: str
    text: str
    causes: tuple[str, ...]
    example: str


@dataclass(frozen=True)
class Provider:
    """Who runs a mail host whose name ends in one of the suffixes.

    ranges:    addresses in CIDR notation, asked where the name tells nothing; published: who says that they are its own
    page: where it tells senders its rules; form: where to ask it to let mail through; empty where none is published
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]
    page: str = ""
    form: str = ""
    ranges: tuple[str, ...] = ()
    published: str = ""


@dataclass(frozen=True)
class Site:
    """The rules and providers of a site's own, which go before the catalogue's: see `logscan.catalogue.site`."""

    rules: tuple[Rule, ...] = ()
    providers: tuple[Provider, ...] = ()


NO_SITE = Site()

# Not by importlib.resources, which imports zipfile and tempfile: pyarrow is in no archive either.
_FOLDER = Path(__file__).parent


@cache
def causes(language: str = LANGUAGE) -> Mapping[str, Cause]:
    """All causes by name, in the order of reports.

    >>> causes()["mailbox-full"].actor
    'recipient'
    """
    words = language_words(language)
    return MappingProxyType({name: _cause(name, facts, words) for name, facts in _read("causes").items()})


def _cause(name: str, facts: Mapping[str, str], words: Mapping[str, Any]) -> Cause:
    own = words["causes"][name]
    first = words["steps"][facts["first"]] if "first" in facts else []
    told = {key: value for key, value in facts.items() if key != "first"}
    return Cause(name, **told, meaning=own["meaning"], steps=(*first, *own["steps"]))  # type: ignore[arg-type]


@cache
def codes(language: str = LANGUAGE) -> Mapping[int, Code]:
    """The reply codes that the catalogue knows, by number.

    >>> codes()[556].source
    'RFC 7504, section 4'
    >>> codes()[552].actor, codes()[552].step
    ('recipient', 'Tell the recipient to make room; if the message is large, send less.')
    """
    words: dict[str, tuple[str, str, str]] = language_words(language)["codes"]
    known: dict[int, Code] = {}
    for number, facts in sorted(_read("codes").items()):
        name, meaning, step = words[number]
        known[int(number)] = Code(int(number), name, meaning, facts.get("source", ""), facts["actor"], step)
    return MappingProxyType(known)


def code(number: int, language: str = LANGUAGE) -> Code:
    """What the catalogue has of a code; of one that it does not know, what its digits say (RFC 5321, section 4.2.1).

    >>> code(559).name, code(437).name, code(999).name
    ('permanent failure (mail system)', 'temporary failure', 'no SMTP reply code')
    """
    known = codes(language).get(number)
    if known:
        return known
    digits = language_words(language)["digits"]
    first, second = str(number // 100), str(number // 10 % 10)
    if first not in digits["first"]:
        return Code(number, *digits["no-code"])
    name, meaning = digits["first"][first]
    # 3 and 4 are unspecified: RFC 5321, section 4.2.1.
    subject = digits["second"].get(second) if second not in "34" else None
    return Code(number, f"{name} ({subject})" if subject else name, meaning)


def enhanced(code: str, language: str = LANGUAGE) -> Enhanced:
    """What the registry has of an enhanced code; a detail that it does not know is told by its subject.

    `5.7` and `5` are told as well, as a subject and a class. Raises `ValueError` for what is none.

    >>> enhanced("5.7.26").title, enhanced("5.7.26").cause, enhanced("5.7.26").codes
    ('Multiple authentication checks failed', 'authentication-policy', ('550',))
    >>> enhanced("4.4.999").parts, enhanced("4.4.999").known
    (('temporary failure', 'network and routing'), False)
    """
    facts, words = _read("enhanced"), language_words(language)["enhanced"]
    first, _, rest = code.partition(".")
    if first not in facts["classes"]:
        raise ValueError(f"{code}: no enhanced code: its class is 2, 4 or 5")
    subject = rest.partition(".")[0]
    name, meaning, step = words["classes"][first]
    parts, title, source = [name], name, facts["classes"][first]
    fact: Mapping[str, Any] = {}
    if subject in facts["subjects"]:
        fact = facts["subjects"][subject]
        name, meaning, step = words["subjects"][subject]
        parts.append(name)
    if rest in facts["details"]:
        fact = facts["details"][rest]
        name, meaning, step = words["details"][rest]
        parts.append(name)
    if fact:
        title, source = fact["title"], fact["source"]
    # Only a failure has a cause; what a success means is its class.
    cause = "success" if first == "2" else fact.get("cause", "")
    beside = tuple(str(number) for number in fact.get("codes", ()) if str(number)[0] == first)
    return Enhanced(code, title, tuple(parts), meaning, step, beside, cause, source, rest in facts["details"])


def enhanced_details() -> tuple[str, ...]:
    """What the registry knows behind the class of an enhanced code, as listed.

    >>> enhanced_details()[:2]
    ('0.0', '1.0')
    """
    return tuple(_read("enhanced")["details"])


def code_name(number: int, language: str = LANGUAGE) -> str:
    """The words to put beside a code.

    >>> code_name(550)
    'mailbox unavailable'
    """
    return code(number, language).name


@cache
def rules() -> tuple[Rule, ...]:
    """The rules in their order of trust: the first one that holds gives the cause.

    >>> rules()[-1].cause
    'other'
    """
    spelt = words()
    own = (replace(rule_of(table, spelt), own=True, confidence=OWN) for table in _read("own")["rule"])
    return (*own, *(rule_of(table, spelt) for table in _read("rules")["rule"]))


@cache
def words() -> Mapping[str, str]:
    """The vocabulary of the rules: what each {word} of a pattern stands for."""
    data = _read("rules")
    gates = {f"gate {name}": _spell(patterns, {}) for name, patterns in data["gates"].items()}
    return MappingProxyType(gates | spell_words(data["words"], {}))


@cache
def details() -> tuple[Detail, ...]:
    """What a reply may name beside its cause, as listed: of one kind, the first that it names counts.

    >>> details()[0].kind
    'list'
    """
    data = _read("details")
    return tuple(
        Detail(
            table["kind"],
            table["name"],
            _spell(table["text"], {}),
            tuple(data["causes"].get(table["kind"], ())),
            table["match"],
        )
        for table in data["detail"]
    )


@cache
def providers() -> tuple[Provider, ...]:
    """The providers, as listed.

    >>> providers()[0].name
    'google'
    """
    return tuple(provider_of(table) for table in _read("providers")["provider"])


def provider_of(table: Mapping[str, Any]) -> Provider:
    """A provider as providers.toml has it."""
    return Provider(
        table["name"],
        table.get("title", table["name"]),
        tuple(table.get("suffixes", ())),
        tuple(table.get("match", ())),
        tuple(table.get("not", ())),
        table.get("page", ""),
        table.get("form", ""),
        tuple(table.get("ranges", ())),
        table.get("published", ""),
    )


def rule_of(table: Mapping[str, Any], words: Mapping[str, str]) -> Rule:
    """A rule as rules.toml has it, its patterns joined and its words spelt out. Raises KeyError for an unknown word."""
    return Rule(
        id=table["id"],
        cause=table["cause"],
        text=_spell(table["text"], words) if "text" in table else None,
        gate=words[f"gate {table['gate']}"] if "gate" in table else None,
        enhanced=_enhanced(table.get("enhanced", ())),
        code=tuple(table.get("code", ())),
        stage=tuple(table.get("stage", ())),
        action=tuple(table.get("action", ())),
        confidence=table.get("confidence", _confidence(table)),
        examples=tuple(map(Case.of, table["match"])),
        counterexamples=tuple(map(Case.of, table.get("not", ()))),
    )


def spell_words(table: Mapping[str, str | list[str]], known: Mapping[str, str]) -> dict[str, str]:
    """A vocabulary as rules.toml has it, on top of a known one; a word may use those before it."""
    words = dict(known)
    for name, patterns in table.items():
        words[name] = _spell(patterns, words)
    return words


def fold(text: str) -> str:
    """A text without the accents of Latin, Greek and Cyrillic letters: servers and logs lose them.

    >>> fold("Empfänger, boîte, Ящик, กล่อง")
    'Empfanger, boite, Ящик, กล่อง'
    """
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _MARKS.sub("", apart))


def _confidence(table: Mapping[str, Any]) -> float:
    """How often a rule of this sort is right, rounded; benchmarks/replies.py measures it."""
    return next((share for condition, share in CONFIDENCE.items() if condition in table), UNEXPLAINED)


def _enhanced(forms: Iterable[str]) -> str | None:
    """One pattern of enhanced codes: X is any class, * any subject or detail."""
    parts = [form.replace("X", "[245]").replace(".", r"\.").replace("*", r"\d+") for form in forms]
    return "^(?:" + "|".join(parts) + ")$" if parts else None


def _spell(patterns: str | list[str], words: Mapping[str, str]) -> str:
    """A pattern, or several as one, with each {word} of the file's vocabulary put in."""
    pattern = fold(patterns if isinstance(patterns, str) else "|".join(patterns))
    return _WORD.sub(lambda found: "(?:" + words[found[1]] + ")", pattern)


def languages() -> Mapping[str, str]:
    """The languages that the catalogue speaks, and what each calls itself.

    >>> languages()["en"]
    'English'
    """
    return {name: language_words(name)["language"]["name"] for name in language_names()}


def language_names() -> tuple[str, ...]:
    """The languages that the catalogue speaks, without reading any.

    >>> "en" in language_names()
    True
    """
    return tuple(sorted(file.stem for file in (_FOLDER / "languages").glob("*.toml")))


def language_words(language: str = LANGUAGE) -> Mapping[str, Any]:
    """All words of a language, as its file has them."""
    return _read(f"languages/{language}")


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
