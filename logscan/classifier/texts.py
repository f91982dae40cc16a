"""Judges free texts, one or a column of them, by the very rules and the very engine that judge a table of events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import catalogue
from logscan.catalogue import NO_SITE, Site
from logscan.classifier.codes import codes
from logscan.classifier.events import MODEL, judged, rulebook
from logscan.classifier.masking import MAX_LENGTH, mask
from logscan.classifier.model import features, trained
from logscan.classifier.verdict import Verdict
from logscan.classifier.words import Words

COLUMNS = ("code", "enhanced", "code_class", "cause", "confidence", "rule", "detail")
WORDS_SHOWN = 3
# A success that is told without a code.
_DELIVERED = (
    r"^\W*(?:(?:message|mail) )?(?:(?:was|is|has been|successfully) )*(?:delivered|relayed|saved|queued|sent|accepted)"
    r"(?: (?:to|via|as|for|into|in|mail)\b|\W*$)"
)


def classify_texts(
    texts: pa.Array | pa.ChunkedArray,
    *,
    stage: pa.Array | None = None,
    server: pa.Array | None = None,
    code: pa.Array | None = None,
    enhanced: pa.Array | None = None,
    site: Site = NO_SITE,
) -> pa.Table:
    """A row for each text, with the columns of `COLUMNS`; each distinct text is looked at once.

    stage, server, code, enhanced: what is known of each text beside it; codes that are null are looked for in the text.

    >>> judged = classify_texts(pa.array(["550 no (#5.1.1)", "250 Ok", None]))
    >>> judged.select(["code", "enhanced", "cause"]).to_pylist()[0]
    {'code': 550, 'enhanced': '5.1.1', 'cause': 'user-unknown'}
    >>> judged["cause"].to_pylist()
    ['user-unknown', 'success', 'other']
    """
    words = Words.encode(texts)
    values = pc.utf8_slice_codeunits(words.values, 0, MAX_LENGTH)
    rows = pa.array(words.index, mask=words.index < 0)
    stated_code, stated_enhanced = (column.take(rows) for column in codes(values))
    columns = {
        "reply": Words(values, words.index).to_dictionary(),
        "code": stated_code if code is None else pc.coalesce(code.cast(pa.int16()), stated_code),
        "enhanced": stated_enhanced if enhanced is None else pc.coalesce(enhanced.cast(pa.string()), stated_enhanced),
    }
    if stage is not None:
        columns["stage"] = stage
    if server is not None:
        columns["remote_host"] = server
    delivered = pc.match_substring_regex(values, _DELIVERED, ignore_case=True).take(rows)
    columns["action"] = pc.if_else(
        pc.and_(columns["code"].is_null(), delivered), "delivered", pa.scalar(None, pa.string())
    )
    said, sure = judged(pa.table(columns), site)
    return pa.table({**columns, **said, "confidence": np.round(sure.astype(np.float64), 2)}).select(list(COLUMNS))


def judge(
    text: str,
    *,
    code: int | None = None,
    enhanced: str | None = None,
    stage: str | None = None,
    server: str | None = None,
    site: Site = NO_SITE,
) -> Verdict:
    """What a reply means, with the words that decided.

    text:           the reply as it was met: raw, folded, or within a bounce message's sentence; any length
    code, enhanced: where known from elsewhere; else they are looked for in the text
    stage:          the SMTP stage of the reply: connect, helo, starttls, auth, mail, rcpt, data, end-of-data
    server:         the name of the host that said so

    >>> verdict = judge("550 5.1.1 <ann@there.example>: User unknown")
    >>> verdict.code, verdict.enhanced, verdict.code_class, verdict.cause
    (550, '5.1.1', '5xx', 'user-unknown')
    >>> verdict.why
    ('User unknown',)
    """
    known = {"code": code, "enhanced": enhanced, "stage": stage, "server": server}
    types = {"code": pa.int16()}
    given = {
        name: pa.array([value], types.get(name, pa.string())) for name, value in known.items() if value is not None
    }
    column = pa.array([text], pa.string())
    said = classify_texts(column, **given, site=site)
    (why,) = reasons(column, said, pa.array([stage], pa.string()), site)
    return Verdict(**said.to_pylist()[0], why=why)


def reasons(texts: pa.Array, said: pa.Table, stage: pa.Array, site: Site = NO_SITE) -> list[tuple[str, ...]]:
    """What decided in each text, of what `classify_texts` said of it: the words as they are once masked, and codes.

    >>> texts = pa.array(["452 4.2.2 <a@b.example> is over quota", "250 Ok"])
    >>> reasons(texts, classify_texts(texts), pa.nulls(2, pa.string()))
    [('over quota',), ()]
    """
    masked = mask(texts)
    rule = np.array([name or "" for name in said["rule"].to_pylist()])
    found: list[tuple[str, ...]] = [()] * len(texts)
    for known in rulebook(site):
        rows = np.flatnonzero(rule == known.id)
        if not len(rows):
            continue
        some = pa.array(rows)
        columns = [_found(masked.take(some), known.text)] if known.text else []
        beside = ((known.enhanced, said["enhanced"]), (known.code, said["code"]), (known.stage, stage))
        columns += [column.take(some).cast(pa.string()).to_pylist() for condition, column in beside if condition]
        for row, words in zip(rows, zip(*columns, strict=True), strict=bool(columns)):
            found[row] = tuple(word for word in words if word)
    for row in np.flatnonzero(rule == MODEL):
        found[row] = _weightiest(masked.slice(row, 1), said.slice(row, 1).to_pylist()[0])
    return found


def _found(masked: pa.StringArray, pattern: str) -> list[str]:
    """The words in which a pattern is found."""
    words = pc.struct_field(pc.extract_regex(masked, rf"(?i)(?P<words>[^\s]*(?:{pattern})[^\s]*)"), "words")
    return [(word or "").strip(" <>()[]\"'.,;:") for word in words.to_pylist()]


def _weightiest(masked: pa.StringArray, said: dict[str, Any]) -> tuple[str, ...]:
    """The words that spoke most for the model's cause."""
    words, _ = features(masked, np.array([said["code"] or -1]), pa.array([said["enhanced"]], pa.string()))
    model = trained()
    place = pc.fill_null(pc.index_in(words, model.features), -1).to_numpy()
    weights = model.weights[:, list(catalogue.causes()).index(said["cause"])]
    spoke = {word: int(weights[at]) for word, at in zip(words.to_pylist(), place, strict=True) if at >= 0}
    most = sorted(spoke, key=lambda word: -spoke[word])[:WORDS_SHOWN]
    return tuple(word for word in most if spoke[word] > 0)
