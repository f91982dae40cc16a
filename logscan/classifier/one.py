"""Judges one reply text, by the very rules and the very engine that judge a table of them."""

from __future__ import annotations

import pyarrow as pa

from logscan.catalogue import Case
from logscan.classifier.events import classify
from logscan.classifier.verdict import Verdict


def judge(
    text: str,
    *,
    code: int | None = None,
    enhanced: str | None = None,
    stage: str | None = None,
    server: str | None = None,
) -> Verdict:
    """What a reply means, with the words that decided.

    text:           the reply as it was met: raw, folded, or within a bounce message's sentence; any length
    code, enhanced: where known from elsewhere; else they are looked for in the text
    stage:          the SMTP stage of the reply: connect, helo, starttls, auth, mail, rcpt, data, end-of-data
    server:         the name of the host that said so

    >>> verdict = judge("550 5.1.1 <ann@there.example>: User unknown")
    >>> verdict.code, verdict.enhanced, verdict.code_class, verdict.cause
    (550, '5.1.1', '5xx', 'user-unknown')
    """
    stated = Case.of(text)
    code = stated.code if code is None else code
    enhanced = stated.enhanced if enhanced is None else enhanced
    columns = {"reply": text, "code": code, "enhanced": enhanced, "stage": stage, "remote_host": server}
    types = {"code": pa.int16()}
    event = pa.table({name: pa.array([value], types.get(name, pa.string())) for name, value in columns.items()})
    said = classify(event).to_pylist()[0]
    return Verdict(code, enhanced, said["code_class"], said["cause"], said["rule"], 0.5, None)
