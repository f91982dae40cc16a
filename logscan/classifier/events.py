"""Judges each reply: its class, its cause, the rule that said so, and whose host it was.

A log holds few replies in many spellings, so each is masked (addresses, names, ids and numbers out), and every distinct
masked reply is judged once, by the rules of `logscan.catalogue` in their order. The answer depends on that row alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan import catalogue

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# What is looked at of a reply, in characters: RFC 5321 has lines of 512, Postfix logs 2,000, Exim some 1,000.
# What a hostile server writes beyond costs no time.
MAX_LENGTH = 4096

CLASSES = ("none", "2xx", "3xx", "4xx", "5xx")

# The class of an action where no digits stand beside it. A message that expired has failed for good, though each of its
# replies was temporary; a rejection, an attempt or a failed login may be either, so they are not in this table.
ACTION_CLASS = {
    "delivered": "2xx",
    "accepted": "2xx",
    "relayed": "2xx",
    "relayed-filter": "2xx",
    "deferred": "4xx",
    "bounced": "5xx",
    "expired": "5xx",
}
# Actions that are no success, even beside a code of success.
FAILED = ("deferred", "bounced", "rejected", "expired", "auth-failed")

ADDRESS = "*@*"
NAME = "*"
NUMBER = "#"

# What the own server wrote around the other's words: no rule may take it for theirs.
_FRAME = (
    r"^(?:host \S+ \[[^\]]*\]:? )?[SL]MTP error (?:from remote mail(?: server|er) )?after "
    r"[A-Za-z ]+(?::?<[^>]*>)?[^:]*:(?: host \S+ \[[^\]]*\]:)?"  # Exim
    r"|^delivery temporarily suspended:|\bhost \S+ (?:said|refused to talk to me):"  # Postfix
    r"|\(in reply to [A-Za-z ]* command\)*"
    r"|[245]\.\d\.\d - [A-Za-z ()]+ [245]\d\d-'"  # Cisco
)
# Folds: Exim writes them as a backslash and an n, Postfix as a blank; both keep the codes at the start of every line.
_FOLD = (
    r"(?:^|(?:\\n|\s)+)[245]\d\d(?:[ -]+|$)(?:#?[245]\.\d{1,3}\.\d{1,3}\b[ -]?)?"
    r"|\\n|[\t\r\n]\s*|\s\s+"
)
_ADDRESS = r"""(?:"[^"@]*"|[^\s<>"'()\[\],;:]+)@[^\s<>"'()\[\],;:]+"""
_PLACE_OR_TIME = (
    r"\b\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
)
# Vendors' tags are shorter than ids (S3140, TSS04, LPN006_107), or stand in parentheses: AS(201806281).
_ID = r"\b(?:\w{1,6}-)?(?:[A-Za-z]+\d\w\w|\d+[A-Za-z])\w{5,}(?:-\w+|\.\d+)*"
# Each is one pass over the texts: first over all, then over the distinct ones that are left.
_MASK_EACH = ((f"{_FRAME}|{_FOLD}", " "), (_ADDRESS, ADDRESS), (_PLACE_OR_TIME, NAME))
_MASK_DISTINCT = (
    (_ID, NAME),
    (r"(^|[^\w.(])\d{3,}\b", rf"\1{NUMBER}"),
    (r'(user:? )"[^"]*"', rf"\1{NAME}"),
)
_TOP = "com|net|org|edu|gov|mil|info|biz|name|pro|arpa|example|test|invalid|local|localdomain|lan|internal|cloud|online"
# A block list is known by its host name: a text that speaks of lists keeps its names, and so does every link.
_KEEPS_NAMES = r"(?i)bl\b|bl\.|block|black|\blisted|spam|abus|barracuda|sorbs|senderscore|proofpoint|cloudmark"
_BEFORE_NAME = r"""(^|[\s\[(<"'=,;]|[^/]/)"""
_HOST_NAME = "|".join(
    rf"{_BEFORE_NAME}(?:[{letters}0-9_-]+\.)+(?:[{letters}]{{2}}|{top})\b"
    for letters, top in (("a-z", _TOP), ("A-Z", _TOP.upper()))
)


def classify(events: pa.Table) -> pa.Table:
    """The events with `code_class`, `cause`, `rule` and `provider`, each a dictionary of strings, added or replaced.

    Reads the columns action, stage, code, enhanced, reply and remote_host, each of which may be missing, null, or a
    dictionary; all others pass through. `rule` is null for successes, which no rule judges; `provider` where unknown.

    >>> events = pa.table({"code": [550, 250], "reply": ["550 5.1.1 No such user", "250 Ok"]})
    >>> judged = classify(events)
    >>> judged["cause"].to_pylist(), judged["rule"].to_pylist(), judged["code_class"].to_pylist()
    (['user-unknown', 'success'], ['no-such-user', None], ['5xx', '2xx'])
    """
    code = _codes(events)
    enhanced = Words.of(events, "enhanced")
    action = Words.of(events, "action")
    code_class = _code_class(code, enhanced, action)
    failed = np.flatnonzero((code_class != CLASSES.index("2xx")) | action.has(FAILED))

    verdict = np.full(len(events), -1, np.int64)
    if len(failed):
        stage = Words.of(events, "stage")
        replies = Words.of(events, "reply", failed)
        texts = Words.encode(mask(replies.values)).at(replies.index)
        verdict[failed] = _judge(code[failed], texts, enhanced[failed], stage[failed], action[failed])
    rules, causes = _verdicts()
    columns = {
        "code_class": _dictionary(code_class, CLASSES),
        "cause": _dictionary(causes[verdict], tuple(catalogue.causes())),
        "rule": _dictionary(verdict, rules),
        "provider": _provider(events),
    }
    for name, column in columns.items():
        at = events.schema.get_field_index(name)
        events = events.append_column(name, column) if at < 0 else events.set_column(at, name, column)
    return events


def mask(replies: pa.StringArray) -> pa.StringArray:
    """The replies without what differs from one message to the next, so that equal refusals read equal.

    >>> replies = ["550-5.1.1 <ann@a.example>: no such user\\n550 5.1.1 k12-20020a170902.118 - gsmtp"]
    >>> mask(pa.array(replies)).to_pylist()
    ['<*@*>: no such user * - gsmtp']
    """
    half = Words.encode(_replace(pc.utf8_slice_codeunits(replies, 0, MAX_LENGTH), _MASK_EACH))
    texts = _replace(half.values, _MASK_DISTINCT)
    named = pc.replace_substring_regex(texts, _HOST_NAME, rf"\1\2{NAME}")
    texts = pc.if_else(pc.match_substring_regex(texts, _KEEPS_NAMES), texts, named)
    return Words(pc.utf8_trim_whitespace(texts), half.index).to_arrow()


def _replace(texts: pa.StringArray, masks: tuple[tuple[str, str], ...]) -> pa.StringArray:
    for pattern, token in masks:
        texts = pc.replace_substring_regex(texts, pattern, token)
    return texts


class Words:
    """A column of strings as its distinct values and, for each row, the index of its value; -1 where null."""

    def __init__(self, values: pa.StringArray, index: Ints):
        self.values, self.index = values, index

    @classmethod
    def encode(cls, column: pa.Array | pa.ChunkedArray) -> Words:
        """The words of an array of strings or of a dictionary of strings."""
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        return cls(column.dictionary.cast(pa.string()), pc.fill_null(column.indices, -1).to_numpy().astype(np.int64))

    @classmethod
    def of(cls, events: pa.Table, name: str, rows: Ints | None = None) -> Words:
        """A column of the events, or some rows of it; all null where they have no such column."""
        if name not in events.column_names:
            return cls(pa.array([], pa.string()), np.full(len(events) if rows is None else len(rows), -1, np.int64))
        if rows is None:
            return cls.encode(events[name])
        # As plain strings, so that a dictionary does not bring along the values of the other rows.
        return cls.encode(events[name].take(pa.array(rows)).cast(pa.string()))

    def __getitem__(self, rows: Ints) -> Words:
        return Words(self.values, self.index[rows])

    def at(self, index: Ints) -> Words:
        """These words as the values of another index, in which -1 is null."""
        return Words(self.values, np.append(self.index, -1)[index])

    def has(self, words: tuple[str, ...]) -> Bools:
        """Which rows are one of the words."""
        return self.lookup(dict.fromkeys(words, 1)) > 0

    def lookup(self, table: Mapping[str, int]) -> Ints:
        """What the table has for each row, 0 where nothing."""
        return np.array([*(table.get(value, 0) for value in self.values.to_pylist()), 0], np.int64)[self.index]

    def to_arrow(self) -> pa.StringArray:
        """The rows as strings."""
        return self.values.take(pa.array(self.index, mask=self.index < 0))


def _judge(code: Ints, text: Words, enhanced: Words, stage: Words, action: Words) -> Ints:
    """The number of the first rule that holds for each row; each distinct case is judged once."""
    first, of_case = _distinct_rows(code, text.index, enhanced.index, stage.index, action.index)
    code = code[first]
    columns = [(words[first].to_arrow(), name) for words, name in ((stage, "stage"), (action, "action"))]
    patterns = [(words[first].to_arrow(), name) for words, name in ((enhanced, "enhanced"), (text, "text"))]
    verdict = np.full(len(first), -1, np.int64)
    left = np.arange(len(first))
    for number, rule in enumerate(catalogue.rules()):
        held = left
        if rule.code:
            held = held[np.isin(code[held], rule.code)]
        for column, condition in columns:
            if allowed := getattr(rule, condition):
                held = held[_true(pc.is_in(column.take(pa.array(held)), pa.array(allowed)))]
        for column, condition in patterns:
            if (pattern := getattr(rule, condition)) and len(held):
                held = held[_true(pc.match_substring_regex(column.take(pa.array(held)), pattern, ignore_case=True))]
        verdict[held] = number
        left = left[verdict[left] < 0]
        if not len(left):
            break
    return verdict[of_case]


def _distinct_rows(*columns: Ints) -> tuple[Ints, Ints]:
    """The first row of each distinct combination, and for each row the number of its combination."""
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        # Dense again after each column, so that the product cannot overflow.
        wide = key * (int(column.max()) + 2) + column + 1
        _, first, key = np.unique(wide, return_index=True, return_inverse=True)
    return first, key


def _codes(events: pa.Table) -> Ints:
    """The reply codes; -1 where null."""
    if "code" not in events.column_names:
        return np.full(len(events), -1, np.int64)
    return np.maximum(np.asarray(pc.fill_null(events["code"].cast(pa.int64()), -1), np.int64), -1)


def _code_class(code: Ints, enhanced: Words, action: Words) -> Ints:
    """The class of each row as an index of CLASSES: by the code, else by the enhanced code, else by the action."""
    by_code = np.where((code >= 200) & (code < 600), code // 100 - 1, 0)
    by_action = action.lookup({name: CLASSES.index(value) for name, value in ACTION_CLASS.items()})
    first = pc.index_in(pc.utf8_slice_codeunits(enhanced.values, 0, 1), pa.array([name[0] for name in CLASSES]))
    by_enhanced = np.append(pc.fill_null(first, 0).to_numpy(), 0)[enhanced.index]
    return np.where(code >= 0, by_code, np.where(by_enhanced > 0, by_enhanced, by_action))


@cache
def _verdicts() -> tuple[tuple[str, ...], Ints]:
    """The rules' names, and for each its cause as an index of the causes; the last, at -1, is success."""
    causes = list(catalogue.causes())
    rules = catalogue.rules()
    return tuple(rule.id for rule in rules), np.array(
        [*(causes.index(rule.cause) for rule in rules), causes.index("success")]
    )


@cache
def _suffixes() -> tuple[str, pa.Array, Ints]:
    """A pattern that finds the longest known suffix of a host name; the suffixes; and whose each is."""
    owners = {suffix: number for number, p in enumerate(catalogue.providers()) for suffix in p.suffixes}
    # The leftmost match is the longest suffix.
    pattern = r"(?i)(?:^|\.)(?P<suffix>" + "|".join(map(re.escape, owners)) + r")\.?$"
    return pattern, pa.array(list(owners)), np.array([*owners.values(), -1])


def _provider(events: pa.Table) -> pa.DictionaryArray:
    hosts = Words.of(events, "remote_host")
    pattern, suffixes, owners = _suffixes()
    found = pc.struct_field(pc.extract_regex(hosts.values, pattern), "suffix")
    of_host = owners[pc.fill_null(pc.index_in(pc.utf8_lower(found), suffixes), -1).to_numpy()]
    names = tuple(provider.name for provider in catalogue.providers())
    return _dictionary(np.append(of_host, -1)[hosts.index], names)


def _dictionary(index: Ints, names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), mask=index < 0), pa.array(names, pa.string())
    )


def _true(matches: pa.BooleanArray) -> Bools:
    return np.asarray(pc.fill_null(matches, False), np.bool_)
