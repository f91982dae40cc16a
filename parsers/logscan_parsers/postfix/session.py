"""Sessions that ended badly before any reply was logged: lost connections, failed logins, failed TLS, limits.

    lost connection after DATA (7774180 bytes) from unknown[192.0.2.1]
    warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
    SSL_accept error from unknown[192.0.2.1]: lost connection
    warning: Connection rate limit exceeded: 31 from unknown[192.0.2.1] for service smtpd

The server did answer some of these (535, 421, 501), but the log shows no digits, so `code` stays null.
Sources: smtpd/smtpd.c, smtpd/smtpd_sasl_glue.c, tls/tls_server.c.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import word, words
from logscan.spans import Bools, Ints, Spans
from logscan_parsers.postfix.line import Lines, peer
from logscan_parsers.postfix.policy import STAGES


@cache
def _forms() -> list[dict[str, Any]]:
    """The shapes, from session.toml: `start` (literals to filter by), `pattern`, `action`, `stage`."""
    text = files("logscan_parsers.postfix").joinpath("session.toml").read_text("utf-8")
    return list(tomllib.loads(text)["form"])


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of events, and the rows they come from."""
    rest = np.flatnonzero(unread & ~lines.queue_id.present & ~lines.noqueue)
    for form in _forms():
        if not len(rest):
            return
        body = lines.body.take(rest)
        maybe = np.zeros(len(rest), bool)
        for literal in form["start"]:
            maybe |= body.startswith(literal.encode())
        if not maybe.any():
            continue
        rows = rest[maybe]
        text = lines.body.take(rows).to_arrow()
        cut = pc.extract_regex(text, form["pattern"])
        hit = cut.is_valid()
        rows = rows[hit.to_numpy(zero_copy_only=False)]
        if len(rows):
            yield _events(lines, rows, text.filter(hit), cut.filter(hit), form), rows, True
            rest = np.setdiff1d(rest, rows, assume_unique=True)


def _events(lines: Lines, rows: Ints, text: pa.StringArray, cut: pa.StructArray, form: dict[str, Any]) -> pa.Table:
    host, address = peer(Spans.of(cut.field("client")))
    if form["stage"] == "after":
        after = cut.field("stage").dictionary_encode()
        names = [STAGES.get(s, s.lower()) for s in after.dictionary.to_pylist()]
        stage = words(after.indices.to_numpy(), names)
    else:
        stage = word(form["stage"], len(rows))
    return pa.table(
        {
            "direction": word("inbound", len(rows)),
            "action": word(form["action"], len(rows)),
            "stage": stage,
            "reply": text,
            "remote_host": host,
            "remote_ip": address,
            "client_host": host,
            "client_ip": address,
        }
    )
