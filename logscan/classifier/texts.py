"""Judges free texts, one or a column of them, by the very rules and the very engine that judge a table of events."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.catalogue import NO_SITE, Rule, Site
from logscan.classifier.codes import codes
from logscan.classifier.events import classify, rulebook
from logscan.classifier.masking import MAX_LENGTH, mask
from logscan.classifier.verdict import Verdict
from logscan.classifier.words import Words

COLUMNS = ("code", "enhanced", "code_class", "cause", "confidence", "rule", "detail")
SURE = 1.0


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
    >>> judged["cause"].to_pylist(), judged["confidence"].to_pylist()
    (['user-unknown', 'success', 'other'], [0.7, 1.0, 0.1])
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
    judged = classify(pa.table(columns), site)
    rule = Words.encode(judged["rule"])
    table = {r.id: r.confidence for r in rulebook(site)}
    sure = np.array([*(table.get(name, SURE) for name in rule.values.to_pylist()), SURE])[rule.index]
    return judged.append_column("confidence", pa.array(sure)).select(list(COLUMNS))


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
    said = classify_texts(pa.array([text], pa.string()), **given, site=site).to_pylist()[0]
    rule = next((rule for rule in rulebook(site) if rule.id == said["rule"]), None)
    return Verdict(**said, why=_why(rule, text, said["code"], said["enhanced"], stage) if rule else ())


def _why(rule: Rule, text: str, code: int | None, enhanced: str | None, stage: str | None) -> tuple[str, ...]:
    """What of a case a rule looks at: the words that its pattern finds, as they are once masked, and codes."""
    found = []
    if rule.text:
        pattern = f"(?i)(?P<words>{rule.text})"
        words = pc.struct_field(pc.extract_regex(mask(pa.array([text])), pattern), "words")[0].as_py()
        found.append(words.strip() if words else "")
    if rule.enhanced:
        found.append(enhanced or "")
    if rule.code:
        found.append(str(code))
    if rule.stage:
        found.append(stage or "")
    return tuple(word for word in found if word)
