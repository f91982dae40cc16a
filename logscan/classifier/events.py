"""Judges each event of a table: its class, its cause, the rule that said so, its detail, and whose host it was.

A log holds few replies in many spellings, so each is masked (addresses, names, ids and numbers out), and every distinct
masked reply is judged once, by the rules in their order: the site's own, then those of `logscan.catalogue`. The answer
depends on that row alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import catalogue
from logscan.catalogue import NO_SITE, Site
from logscan.classifier.details import details
from logscan.classifier.masking import mask
from logscan.classifier.model import Floats, trained
from logscan.classifier.ranges import Ranges
from logscan.classifier.words import Bools, Ints, Words

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
_CAUSES = tuple(catalogue.causes())
MODEL = "model"
"""The rule of a cause that the model found against the rules."""
RULE_WEIGHT = 0.7
"""What a rule's word counts beside the model's, in units of its log odds: chosen on replies kept apart."""
OVERRULES, EXPLAINS = 0.35, 0.5
"""How sure the model must be of another cause to overrule a rule; and to name one where no rule does."""
SUREST = 0.99
DROPPED_BELOW = 0.95
SMALL, TOGETHER = 1100, 4500
# Some 2 MB of what replies say as a rule; at the worst, each of them 4,096 characters long, 10 MB.
CASES_REMEMBERED = 2500
# Actions that are no success, even beside a code of success.
FAILED = ("deferred", "bounced", "rejected", "expired", "auth-failed")


def classify(events: pa.Table, site: Site = NO_SITE) -> pa.Table:
    """The events with code_class, cause, rule, detail and provider, each a dictionary of strings, added or replaced.

    Reads the columns action, stage, code, enhanced, reply, remote_host and remote_ip, each of which may be missing,
    null, or a dictionary; all others pass through. `rule` is null for successes, which no rule judges; `detail` where
    nothing is named, `provider` where unknown. The site's rules and providers go before the catalogue's.

    >>> events = pa.table({"code": [550, 250], "reply": ["550 5.1.1 No such user", "250 Ok"]})
    >>> judged = classify(events)
    >>> judged["cause"].to_pylist(), judged["rule"].to_pylist(), judged["code_class"].to_pylist()
    (['user-unknown', 'success'], ['no-such-user', None], ['5xx', '2xx'])
    """
    columns, _ = judged(events, site)
    columns["provider"] = _provider(events, site)
    for name, column in columns.items():
        at = events.schema.get_field_index(name)
        events = events.append_column(name, column) if at < 0 else events.set_column(at, name, column)
    return events


def judged(events: pa.Table, site: Site = NO_SITE) -> tuple[dict[str, pa.DictionaryArray], Floats]:
    """What `classify` adds of a reply (not whose host it was), and how sure the cause of each row is (0 to 1)."""
    code = _codes(events)
    enhanced = Words.of(events, "enhanced")
    action = Words.of(events, "action")
    code_class = _code_class(code, enhanced, action)
    failed = np.flatnonzero((code_class != CLASSES.index("2xx")) | action.has(FAILED))

    rule = np.full(len(events), -1, np.int64)
    cause = np.full(len(events), _CAUSES.index("success"), np.int64)
    sure = np.ones(len(events), np.float32)
    detail = Words(pa.array([], pa.string()), np.full(len(events), -1, np.int64))
    if len(failed):
        stage = Words.of(events, "stage")
        replies = Words.of(events, "reply", failed)
        texts = Words.encode(mask(replies.values)).at(replies.index)
        # Each distinct case is judged once.
        others = [enhanced[failed], stage[failed], action[failed]]
        first, case = distinct_rows(code[failed], texts.index, *(words.index for words in others))
        beside = [words[first].to_arrow() for words in others]
        said = _answers(code[failed][first], texts[first].to_arrow(), beside, site)
        rule[failed], cause[failed], sure[failed] = (answer[case] for answer in said[:3])
        named = Words.encode(said[3])
        detail.values, detail.index[failed] = named.values, named.index[case]
    columns = {
        "code_class": _dictionary(code_class, CLASSES),
        "cause": _dictionary(cause, _CAUSES),
        "rule": _dictionary(rule, _rule_names(site)),
        "detail": detail.to_dictionary(),
    }
    return columns, sure


def _answers(
    code: Ints, text: pa.StringArray, beside: list[pa.StringArray], site: Site
) -> tuple[Ints, Ints, Floats, pa.Array]:
    """Rule, cause, confidence and detail of each case; what was judged just before is not judged again.

    A pass of the rules takes its time even for few texts, and one hour of a log says much the same as the next.
    """
    if len(code) > CASES_REMEMBERED:
        return _judge(code, text, beside, site)
    known = _remembered(site)
    cases = list(zip(code.tolist(), text.to_pylist(), *(column.to_pylist() for column in beside), strict=True))
    new = [i for i, case in enumerate(cases) if case not in known]
    if new:
        if len(known) > CASES_REMEMBERED:
            known.clear()
            new = list(range(len(cases)))
        some = pa.array(new)
        answers = _judge(code[new], text.take(some), [column.take(some) for column in beside], site)
        columns = (column.tolist() if isinstance(column, np.ndarray) else column.to_pylist() for column in answers)
        known.update(zip((cases[i] for i in new), zip(*columns, strict=True), strict=True))
    rule, cause, sure, detail = zip(*(known[case] for case in cases), strict=True)
    return np.array(rule), np.array(cause), np.array(sure, np.float32), pa.array(detail, pa.string())


@cache
def _remembered(site: Site) -> dict[tuple[object, ...], tuple[int, int, float, str | None]]:
    return {}


def _judge(
    code: Ints, text: pa.StringArray, beside: list[pa.StringArray], site: Site
) -> tuple[Ints, Ints, Floats, pa.Array]:
    rule, cause, sure = weighed(first_rules(code, text, beside, site), code, text, beside[0], site)
    return rule, cause, sure, details(text, cause)


def weighed(
    held: Ints, code: Ints, text: pa.StringArray, enhanced: pa.StringArray, site: Site = NO_SITE
) -> tuple[Ints, Ints, Floats]:
    """Rule, cause and confidence of each case, when the model has weighed all words beside the rule that holds.

    The rule adds to its own cause what it is trusted with; the cause with the most wins. Where the model overrules it,
    the rule is `MODEL`. A site's rule, one of our own server's words, and a case without words are beyond doubt.
    """
    book = rulebook(site)
    trust = np.array([r.confidence for r in book], np.float32)[held]
    cause = np.array([_CAUSES.index(r.cause) for r in book])[held]
    rule, sure = held.copy(), trust.copy()
    worded = np.asarray(pc.fill_null(pc.greater(pc.utf8_length(text), 0), False), np.bool_)
    open_to_doubt = np.array([not r.own for r in book]) & (np.arange(len(book)) >= len(site.rules))
    rows = np.flatnonzero(open_to_doubt[held] & worded)
    if len(rows):
        some = pa.array(rows)
        scores = trained().scores(text.take(some), code[rows], enhanced.take(some))
        scores[:, _CAUSES.index("success")] = -np.inf
        # Words that a rule knows are never nothing, but where the rule says so.
        nothing = _CAUSES.index("other")
        scores[(trust[rows] >= catalogue.CONFIDENCE["text"]) & (cause[rows] != nothing), nothing] = -np.inf
        own = np.arange(len(rows)), cause[rows]
        trusted = np.clip(trust[rows], 0.5, 0.999)
        scores[own] += RULE_WEIGHT * np.log(trusted / (1 - trusted))
        best = scores.argmax(1)
        most = scores.max(1, keepdims=True)
        all_ = np.exp(scores - most).sum(1)
        needed = np.where(trust[rows] <= catalogue.UNEXPLAINED, EXPLAINS, OVERRULES)
        overruled = (best != cause[rows]) & (1 / all_ >= needed)
        sure[rows] = np.minimum(np.where(overruled, 1, np.exp(scores[own] - most[:, 0])) / all_, SUREST)
        rule[rows] = np.where(overruled, len(book), held[rows])
        cause[rows] = np.where(overruled, best, cause[rows])
    return rule, cause, sure


def first_rules(code: Ints, text: pa.StringArray, beside: Iterable[pa.StringArray], site: Site = NO_SITE) -> Ints:
    """The number of the first rule of `rulebook` that holds for each case.

    text:   the masked replies
    beside: enhanced codes, stages and actions
    """
    enhanced, stage, action = map(Words.encode, beside)
    verdict = np.full(len(code), -1, np.int64)
    # The cases that are looked at, which of them no rule has judged yet, and what the gates said of them. Judged ones
    # are dropped by the way, not after each rule: copying texts takes as long as searching them.
    rows, open_ = np.arange(len(code)), np.ones(len(code), np.bool_)
    gates: dict[str, Bools] = {}
    for number, (rule, gate) in enumerate(zip(rulebook(site), _gates(site), strict=True)):
        held = open_
        if rule.code:
            held = held & np.isin(code[rows], rule.code)
        for words, allowed in ((stage, rule.stage), (action, rule.action)):
            if allowed:
                held = held & words[rows].has(allowed)
        if rule.enhanced:
            held = held & enhanced[rows].matches(rule.enhanced)
        if gate and held.any():
            if gate not in gates:
                gates[gate] = _true(pc.match_substring_regex(text, gate, ignore_case=True))
            held = held & gates[gate]
        if rule.text and held.any():
            held = held & _found(text, rule.text, held)
        verdict[rows[held]] = number
        open_ = open_ & ~held
        if np.count_nonzero(open_) < DROPPED_BELOW * len(rows):
            rows, text = rows[open_], text.filter(pa.array(open_))
            gates = {pattern: found[open_] for pattern, found in gates.items()}
            open_ = np.ones(len(rows), np.bool_)
        if not len(rows):
            break
    return verdict


@cache
def _gates(site: Site) -> tuple[str | None, ...]:
    """What is asked before each rule's own pattern: its gate, or all patterns of small neighbours at once.

    A search takes its time, whether for one word or for twenty, and most texts hold none of them.
    """
    gates: list[str | None] = []
    together: list[str] = []
    for rule in (*rulebook(site), None):
        small = rule is not None and rule.text and not rule.gate and len(rule.text) <= SMALL
        if together and not (small and sum(map(len, together)) < TOGETHER):
            gates += ["|".join(together) if len(together) > 1 else None] * len(together)
            together = []
        if rule is None:
            break
        if small:
            together.append(rule.text or "")
        else:
            gates.append(rule.gate)
    return tuple(gates)


def _found(text: pa.StringArray, pattern: str, asked: Bools) -> Bools:
    """In which texts a pattern is found; only those that are asked of count."""
    if np.count_nonzero(asked) > len(text) / 2:
        return _true(pc.match_substring_regex(text, pattern, ignore_case=True))
    found = np.zeros(len(text), np.bool_)
    some = text.filter(pa.array(asked))
    found[asked] = _true(pc.match_substring_regex(some, pattern, ignore_case=True))
    return found


def distinct_rows(*columns: Ints) -> tuple[Ints, Ints]:
    """The first row of each distinct combination, and for each row the number of its combination.

    >>> distinct_rows(np.array([7, 7, 8]), np.array([1, 1, 1]))
    (array([0, 2]), array([0, 0, 1]))
    """
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        # Dense again after each column, so that the product cannot overflow.
        wide = key * (int(column.max()) + 2) + column + 1
        _, first, key = np.unique(wide, return_index=True, return_inverse=True)
    return first, key


def rulebook(site: Site = NO_SITE) -> tuple[catalogue.Rule, ...]:
    """All rules in their order: the site's own go before the catalogue's."""
    return (*site.rules, *catalogue.rules())


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
def _rule_names(site: Site) -> tuple[str, ...]:
    return (*(rule.id for rule in rulebook(site)), MODEL)


def _providers(site: Site) -> tuple[catalogue.Provider, ...]:
    # Of one suffix the last owner counts: the site's.
    return (*catalogue.providers(), *site.providers)


@cache
def _suffixes(site: Site) -> tuple[str, pa.Array, Ints]:
    """A pattern that finds the longest known suffix of a host name; the suffixes; and whose each is."""
    owners = {suffix: number for number, p in enumerate(_providers(site)) for suffix in p.suffixes}
    # The leftmost match is the longest suffix.
    pattern = r"(?i)(?:^|\.)(?P<suffix>" + "|".join(map(re.escape, owners)) + r")\.?$"
    return pattern, pa.array(list(owners)), np.array([*owners.values(), -1])


def _provider(events: pa.Table, site: Site) -> pa.DictionaryArray:
    hosts = Words.of(events, "remote_host")
    pattern, suffixes, owners = _suffixes(site)
    found = pc.struct_field(pc.extract_regex(hosts.values, pattern), "suffix")
    of_host = owners[pc.fill_null(pc.index_in(pc.utf8_lower(found), suffixes), -1).to_numpy()]
    owner = np.append(of_host, -1)[hosts.index]
    nameless = np.flatnonzero(owner < 0)
    addresses = Words.of(events, "remote_ip", nameless)
    owner[nameless] = np.append(_ranges(site).owners(addresses.values), -1)[addresses.index]
    return _dictionary(owner, tuple(provider.name for provider in _providers(site)))


@cache
def _ranges(site: Site) -> Ranges:
    return Ranges((text, number) for number, p in enumerate(_providers(site)) for text in p.ranges)


def _dictionary(index: Ints, names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), mask=index < 0), pa.array(names, pa.string())
    )


def _true(matches: pa.BooleanArray) -> Bools:
    return np.asarray(pc.fill_null(matches, False), np.bool_)
