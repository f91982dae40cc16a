"""Tells what a reply names beside its cause: which list, which check, what was limited, whose words they are."""

from __future__ import annotations

from functools import cache
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import catalogue
from logscan.classifier.words import Ints

# Of this kind all that are named are told.
SEVERAL = "check"
# The name of a list that the catalogue does not know, by the words before it.
_LIST = "list"
_UNKNOWN_LIST = (
    r"(?i)(?:blocked (?:using|by)|listed (?:at|by|in|on)|found in|rejected by|see|rbl:?) "
    r"(?P<name>(?:[a-z0-9_-]+\.)*(?:[a-z]*bl|[a-z]*rbl|dnsbl\S*?|bl|black\w*|block\w*)\.(?:[a-z0-9_-]+\.)*[a-z]{2,})"
)


def details(texts: pa.StringArray, cause: Ints) -> pa.StringArray:
    """What each masked reply names beside its cause (an index of the causes), as `kind: name; kind: name`, or null.

    >>> causes = list(catalogue.causes())
    >>> texts = pa.array(["blocked using zen.spamhaus.org, see support.google.com"])
    >>> details(texts, np.array([causes.index("blocklisted")])).to_pylist()
    ['list: Spamhaus ZEN; vendor: Google']
    """
    told: list[list[str]] = [[] for _ in range(len(texts))]
    for kind, of_causes, pattern, several in _kinds():
        asked = np.flatnonzero(np.isin(cause, of_causes)) if len(of_causes) else np.arange(len(texts))
        some = texts.take(pa.array(asked))
        if kind == _LIST:
            unknown = pc.struct_field(pc.extract_regex(some, _UNKNOWN_LIST), "name").to_pylist()
        found = np.flatnonzero(pc.fill_null(pc.match_substring_regex(some, pattern, ignore_case=True), False))
        hits = some.take(pa.array(found))
        names: dict[int, list[str]] = {}
        for name, own in several:
            for hit in np.flatnonzero(pc.match_substring_regex(hits, own, ignore_case=True)).tolist():
                names.setdefault(int(asked[found[hit]]), []).append(name)
        if kind == _LIST:
            for row, name in zip(asked.tolist(), unknown, strict=True):
                if name:
                    names.setdefault(row, []).append(name.lower())
        for row, named in names.items():
            told[row].append(f"{kind}: {', '.join(named) if kind == SEVERAL else named[0]}")
    return pa.array(["; ".join(parts) if parts else None for parts in told], pa.string())


@cache
def _kinds() -> tuple[tuple[str, Ints, str, tuple[tuple[str, str], ...]], ...]:
    """Each kind, the causes it is told of, a pattern of all its names, and each name with its pattern."""
    causes = list(catalogue.causes())
    kinds = []
    for kind, group in groupby(catalogue.details(), key=lambda detail: detail.kind):
        members = list(group)
        of_causes = np.array([causes.index(cause) for cause in members[0].causes], np.int64)
        kinds.append(
            (kind, of_causes, "|".join(d.text for d in members), tuple((d.name, f"(?:{d.text})") for d in members))
        )
    return tuple(kinds)
