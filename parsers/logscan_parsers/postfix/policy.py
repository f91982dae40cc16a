"""Refusals and other verdicts of Postfix's own server, its milters and its header checks.

    NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <c@d>: Recipient address rejected: User unknown; from=<a@b>
         to=<c@d> proto=ESMTP helo=<h>                                            smtpd; postscreen the same with commas
    QID: milter-reject: END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 Blocked; from=<a@b> to=<c@d> proto=ESMTP helo=<h>
    QID: reject: header Subject: CHEAP from h[192.0.2.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<h>: 5.7.1 no spam

The verbs are an open set. HELO names and addresses are the client's words and may look like the rest of the line.
Sources: smtpd/smtpd_check.c (log_whatsup), cleanup/cleanup_message.c, cleanup/cleanup_milter.c, postscreen_smtpd.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.columns import word, words
from logscan.spans import Bools, Ints, Spans
from logscan_parsers.postfix.line import Lines, bodies, peer

# What became of the recipient or message, by the last part of the verb (milter-reject, proxy-reject, header reject).
ACTIONS = {
    "reject": "rejected",
    "reject_warning": "warned",
    "warn": "warned",
    "hold": "held",
    "discard": "discarded",
    "redirect": "redirected",
    "filter": "filtered",
    "bounce": "bounced",
    "quarantine": "held",
}
# These state neither a reply nor an outcome.
_NOTES = frozenset(("permit", "info", "prepend", "bcc", "replace", "strip", "ignore", "dunno", "warning", "accept"))

STAGES = {
    "CONNECT": "connect",
    "HELO": "helo",
    "EHLO": "helo",
    "STARTTLS": "starttls",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "BDAT": "data",
    "END-OF-MESSAGE": "end-of-data",
    "VRFY": "vrfy",
    "ETRN": "etrn",
}

# An address: a quoted local part may hold anything.
_PATH = r'(?:"(?:[^"\\]|\\.)*")?[^>]*'
_TAIL = (
    rf"(?:from=<(?P<from>{_PATH})>,? ?)?(?:to=<(?P<to>{_PATH})>,? ?)?(?:proto=(?P<proto>[^ ,;]*),?)?"
    r"(?: ?helo=<?(?P<helo>.*?)>?)?(?:,? sasl_(?:method|username|sender)=.*)?"
)
_SESSION = (
    r"^(?P<verb>[a-z][a-z_-]*): (?P<stage>[A-Z][A-Z-]*)(?: from (?P<client>[^ ]+?))?: "
    rf"(?P<text>.*?)(?:; (?:{_TAIL}))?$"
)
_CONTENT = (
    r"^(?P<verb>[a-z][a-z_-]*): (?P<stage>(?:mime-|nested-)?header|body) (?P<what>.*?) from (?P<client>[^ ;]+)"
    rf"; {_TAIL}(?:: (?P<text>.*))?$"
)
_ENDING = re.compile(rf"{_TAIL}$")
_GROUPS = ("verb", "stage", "client", "text", "from", "to", "helo")
# `; from=<` twice in one line: a client's words imitate the line's end, and the true end has to be told from them.
_TWICE = r"; (?:from|to|proto)=.*; (?:from|to|proto)="
_LONGEST = 4096  # Postfix cuts at 2000 bytes; trying every place of a longer line would take too long
_HELO_TEXT = re.compile(r"<(.*)>: Helo command rejected")
# The end of a header check's line, strictly: here `smtpd` has made the HELO name harmless before (NEUTER_CHARACTERS).
_STRICT_PATH = r'(?:"(?:[^"\\]|\\.)*"@[^">]*|[^">]*)'
_CONTENT_END = re.compile(
    rf" from (?P<client>[^ ;]+); from=<(?P<from>{_STRICT_PATH})>(?: to=<(?P<to>{_STRICT_PATH})>)?"
    r"(?: proto=[^ ]+)?(?: helo=<(?P<helo>[^<>]*)>)?(?:: (?P<text>.*))?$"
)


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of events, and the rows they come from."""
    rows = np.flatnonzero(unread & (lines.noqueue | lines.queue_id.present))
    first = lines.body.take(rows).byte()
    rows = rows[(first >= ord("a")) & (first <= ord("z"))]
    rows = rows[bodies(lines, rows).until(b": ").length <= 30]
    # proxy-reject comes without NOQUEUE (smtpd_proxy.c)
    proxied = np.flatnonzero(unread & ~lines.noqueue & ~lines.queue_id.present)
    proxied = proxied[lines.body.take(proxied).startswith(b"proxy-")] if len(proxied) else proxied
    rows = np.sort(np.concatenate((rows, proxied)))
    if not len(rows):
        return
    text = lines.body.take(rows).to_arrow()
    content = pc.match_substring_regex(text, r"^[a-z_-]+: (?:mime-|nested-)?(?:header|body) ")
    for pattern, mask in ((_SESSION, pc.invert(content)), (_CONTENT, content)):
        some, places = text.filter(mask), rows[mask.to_numpy(zero_copy_only=False)]
        if len(some):
            yield from _events(lines, places, some, pattern)


def _events(lines: Lines, rows: Ints, text: pa.StringArray, pattern: str) -> Iterator[tuple[pa.Table, Ints, bool]]:
    cut = pc.extract_regex(text, pattern)
    encoded = cut.field("verb").dictionary_encode()
    names = [_action(v) for v in encoded.dictionary.to_pylist()]
    code = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    keep = np.array([*[n is not None for n in names], False])[code] & cut.is_valid().to_numpy(zero_copy_only=False)
    if not keep.any():
        return
    rows, code = rows[keep], code[keep]
    mask = pa.array(keep)
    columns = {name: cut.field(name).filter(mask) for name in _GROUPS}
    kept = text.filter(mask)
    forged = np.flatnonzero(pc.match_substring_regex(kept, _TWICE).to_numpy(zero_copy_only=False))
    if len(forged):
        columns = _unforged(columns, kept, forged, _session_end if pattern is _SESSION else _content_end)

    client_host, client_ip = peer(Spans.of(columns["client"]))
    replies = reply.cut(Spans.of(columns["text"]))
    # A milter's or header check's verdict has an enhanced code and no code.
    alone = reply.enhanced_codes(Spans.of(columns["text"]))
    enhanced = pc.coalesce(replies.enhanced.cast(pa.string()), alone.cast(pa.string())).dictionary_encode()
    stage = columns["stage"].dictionary_encode()
    stages = [
        STAGES.get(s, "end-of-data" if s.endswith(("header", "body")) else s.lower())
        for s in stage.dictionary.to_pylist()
    ]
    recipient = columns["to"]
    table = pa.table(
        {
            "queue_id": lines.queue_id.take(rows).to_arrow(),
            "direction": word("inbound", len(rows)),
            "action": words(code, names),
            "stage": words(stage.indices.fill_null(-1).to_numpy(zero_copy_only=False), stages),
            "code": replies.code,
            "enhanced": enhanced,
            "reply": replies.text,
            "sender": _sender(columns["from"], kept),
            "recipient": pc.if_else(pc.equal(recipient, ""), None, recipient),
            "remote_host": client_host,
            "remote_ip": client_ip,
            "client_host": client_host,
            "client_ip": client_ip,
        }
    )
    yield table, rows, True


def _action(verb: str | None) -> str | None:
    """The action of a verb, or None where it is a note.

    >>> [_action(verb) for verb in ("reject", "milter-reject", "milter-header-redirect", "permit", None)]
    ['rejected', 'rejected', 'redirected', None, None]
    """
    if not verb:
        return None
    last = verb.rpartition("-")[2]
    return None if last in _NOTES else ACTIONS.get(last)


def _sender(sender: pa.StringArray, text: pa.StringArray) -> pa.StringArray:
    """`from=<>` is the null reverse-path; a line without `from=` says nothing of the sender."""
    stated = pc.match_substring(text, "; from=<>")
    return pc.if_else(pc.equal(sender, ""), pc.if_else(stated, "<>", None), sender)


def _unforged(
    columns: dict[str, pa.StringArray],
    text: pa.StringArray,
    rows: Ints,
    end: Callable[[str], dict[str, str | None] | None],
) -> dict[str, pa.StringArray]:
    """The columns with the lines that hold their own ending twice cut where the server's words really end."""
    lines = text.take(pa.array(rows)).to_pylist()
    cuts = {
        row: found
        for row, line in zip(rows.tolist(), lines, strict=True)
        if len(line) <= _LONGEST and (found := end(line))
    }
    if not cuts:
        return columns
    mask = np.zeros(len(text), bool)
    mask[list(cuts)] = True
    names = next(iter(cuts.values()))
    return columns | {
        name: pc.replace_with_mask(
            columns[name], pa.array(mask), pa.array([c[name] for c in cuts.values()], pa.string())
        )
        for name in names
    }


_START = re.compile(r"; (?=(?:from|to|proto)=)")


def _session_end(line: str) -> dict[str, str | None] | None:
    """The end of a session's line: where the HELO name that the words quote is the whole of helo=, else the first.

    >>> _session_end("reject: EHLO from h[::1]: 504 <; to=y>: Helo command rejected: no; proto=SMTP helo=<; to=y>")
    {'text': '504 <; to=y>: Helo command rejected: no', 'from': None, 'to': None, 'helo': '; to=y'}
    """
    begin = line.index(": ", line.index(": ") + 2) + 2
    helo_refused = ": Helo command rejected" in line
    first: dict[str, str | None] | None = None
    for at in _START.finditer(line, begin):
        end = _ENDING.match(line, at.end())
        said = line[begin : at.start()]
        if not end or not _agrees(said, end["helo"]):
            continue
        first = first or {"text": said, **{name: end[name] for name in ("from", "to", "helo")}}
        if not helo_refused:
            break
        if _HELO_TEXT.search(said):
            return {"text": said, **{name: end[name] for name in ("from", "to", "helo")}}
    return first


def _content_end(line: str) -> dict[str, str | None] | None:
    """The end of a header check's line: the last that does not lie within another's addresses."""
    found: dict[str, str | None] | None = None
    at = line.find(" from ")
    while at >= 0:
        end = _CONTENT_END.match(line, at)
        if end:
            found = {name: end[name] for name in ("client", "text", "from", "to", "helo")}
            if not end["text"]:
                break
        at = line.find(" from ", end.start("text") if end else at + 1)
    return found


def _agrees(said: str, helo: str | None) -> bool:
    """Whether the server's words can end here: what they quote of the HELO name is all of it, and brackets close.

    >>> _agrees("504 5.5.2 <x", "y>: Helo command rejected: no; from=<a@b>")
    False
    >>> _agrees("554 <r@d>: Relay access denied", "h")
    True
    """
    quoted = _HELO_TEXT.search(said)
    if quoted:
        return quoted[1] == (helo or "")
    return said.count("<") == said.count(">")
