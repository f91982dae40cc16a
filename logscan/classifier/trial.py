"""Tries a site's rules on their own examples, and tells of each rule that cannot hold, or that another takes first."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from logscan.catalogue import Case, Rule, Site
from logscan.catalogue.site import SiteFile
from logscan.classifier.events import classify
from logscan.classifier.masking import mask

SHOWN = 100


def try_rules(file: SiteFile) -> list[tuple[int, str]]:
    """What is wrong with the rules of a file, as lines of it and words, in the order of the lines; empty where nothing.

    A rule that has no example is told too: nothing shows that it can hold.
    """
    found: list[tuple[int, str]] = []
    for number, rule in enumerate(file.rules):
        if trouble := _broken(rule):
            found.append((file.line_of(number), f"rule {rule.id!r}: {trouble}"))
    if not found:
        # A pattern that does not compile would end every trial.
        for number in range(len(file.rules)):
            found += _try_rule(file, number)
    for provider in file.providers:
        found += _try_provider(file, provider.name, provider.examples, provider.counterexamples)
    return sorted(found)


def _broken(rule: Rule) -> str | None:
    """Why no reply at all can meet the rule's conditions, or None."""
    for what, pattern in (("text", rule.text), ("enhanced", rule.enhanced)):
        if pattern is not None:
            try:
                pc.match_substring_regex(pa.array([""]), pattern, ignore_case=True)
            except pa.ArrowInvalid as error:
                return f"{what} is no pattern of RE2: {error}"
    if rule.text and pc.match_substring_regex(pa.array([""]), rule.text, ignore_case=True)[0].as_py():
        return "text is found in every reply, even an empty one: it would judge them all"
    if rule.code and not any(400 <= code < 600 or code == 354 for code in rule.code):
        return "can't hold: its codes are no failures, and only failures are judged"
    return None


def _try_rule(file: SiteFile, number: int) -> Iterator[tuple[int, str]]:
    rule = file.rules[number]
    if not rule.examples:
        yield file.line_of(number), f"rule {rule.id!r} has no example: give it one under match"
        return
    cases = [*rule.examples, *rule.counterexamples]
    judges = _judges(cases, file.site)
    alone = _judges(cases, Site((rule,)))
    own = list(zip(rule.examples, judges, alone, strict=False))
    taken = [(case, judge) for case, judge, by_it in own if by_it == rule.id and judge != rule.id]
    for case, _, by_it in own:
        if by_it != rule.id:
            line = file.line_of(number, case.reply)
            yield line, f"rule {rule.id!r} does not hold for its example {_shown(case)}{_why_not(rule, case)}"
    if len(taken) == len(own):
        takers = ", ".join(sorted({_named(file, judge) for _, judge in taken}))
        yield file.line_of(number), f"rule {rule.id!r} is shadowed: all of its examples are judged before, by {takers}"
    else:
        for case, judge in taken:
            line = file.line_of(number, case.reply)
            yield line, f"example {_shown(case)} of rule {rule.id!r} is judged before, by {_named(file, judge)}"
    for case, judge in zip(rule.counterexamples, judges[len(rule.examples) :], strict=True):
        if judge == rule.id:
            yield file.line_of(number, case.reply), f"rule {rule.id!r} judges what it must not: {_shown(case)}"


def _judges(cases: list[Case], site: Site) -> list[str | None]:
    columns = {name: [getattr(case, name) for case in cases] for name in ("reply", "enhanced", "stage", "action")}
    table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    table["code"] = pa.array([case.code for case in cases], pa.int16())
    judges: list[str | None] = classify(pa.table(table), site)["rule"].to_pylist()
    return judges


def _why_not(rule: Rule, case: Case) -> str:
    """Why a rule does not hold for a reply, as far as that can be told."""
    if not rule.text or not case.reply:
        return ""
    plain = pa.array([case.reply])
    masked = mask(plain)
    whole, seen = (pc.match_substring_regex(text, rule.text, ignore_case=True)[0].as_py() for text in (plain, masked))
    if whole and not seen:
        return f": its text is found before masking only; rules see {masked[0].as_py()!r}"
    if not seen:
        return f": its text is not found in {masked[0].as_py()[:SHOWN]!r}"
    return ": another of its conditions does not hold"


def _try_provider(
    file: SiteFile, name: str, examples: tuple[str, ...], counterexamples: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    line = file.line_of_provider(name)
    hosts = pa.array([*examples, *counterexamples], pa.string())
    owners = classify(pa.table({"remote_host": hosts}), file.site)["provider"].to_pylist()
    for host, owner in zip(examples, owners, strict=False):
        if owner != name:
            yield line, f"provider {name!r}: its example {host!r} is {owner or 'nobody'}'s"
    for host, owner in zip(counterexamples, owners[len(examples) :], strict=True):
        if owner == name:
            yield line, f"provider {name!r} takes what it must not: {host!r}"


def _named(file: SiteFile, judge: str | None) -> str:
    for number, rule in enumerate(file.rules):
        if rule.id == judge:
            return f"rule {judge!r} of line {file.line_of(number)}"
    return f"rule {judge!r}" if judge else "no rule: it is a success"


def _shown(case: Case) -> str:
    text = case.reply if case.reply is not None else str({k: v for k, v in vars(case).items() if v is not None})
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")
