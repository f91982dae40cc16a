"""Refusals of Exim's own server: by its access control lists, its checks of the protocol, and failed logins.

    H=mail.b.example (helo) [192.0.2.1]:2525 I=[192.0.2.9]:25 F=<a@b.example> rejected RCPT <c@d.example>: relay not
        permitted
    H=(helo) [192.0.2.1] temporarily rejected connection in "connect" ACL: 451 too fast
    ID H=(helo) [192.0.2.1] F=<a@b.example> rejected after DATA: 550 5.7.1 looks like spam
    rejected MAIL from [192.0.2.1]: no HELO/EHLO given
    plain authenticator failed for (helo) [192.0.2.1]: 535 Incorrect authentication data (set_id=user)

An ACL's line shows the code only where its message names one. What Exim sends then is known (acl.c, acl_wherecodes;
smtp_in.c, smtp_handle_acl_fail), and stands as `code` with `code_implied`. Other refusals have replies of many kinds
(501, 503, 554), which the log does not tell. The forms are data: policy.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import word, words
from logscan.reply import Replies
from logscan.spans import Bools, Ints, Spans
from logscan_parsers.exim import reply
from logscan_parsers.exim.line import Lines
from logscan_parsers.exim.peer import FIELDS, PATH, PEER, address

# One pattern for every verdict of an ACL. The client's words stand before it (HELO name, sender) and after it: only
# what has the shape of fields may come between.
_VERDICT = (
    rf"^(?:F=(?P<early_from><{PATH}>|[^ <]+) )?(?:{PEER}|[UF]=[^ <]+|)(?:{FIELDS} ?)?"
    rf"(?:F=(?P<from><{PATH}>|[^ <]+))?{FIELDS} ?(?P<temporarily>temporarily )?rejected (?P<verb>{{verbs}})"
    rf"(?: (?:<(?P<path>{PATH})>|(?P<argument>.*?)))?(?:: (?P<text>.*)| )?$"
)
_GROUPS = ("host", "ip", "early_from", "from", "temporarily", "verb", "path", "argument", "text")
_ALL_FORMS = ("host", "ip", "stage", "from", "to", "text", "command", "temporarily")


@cache
def _data() -> dict[str, Any]:
    data = tomllib.loads(files("logscan_parsers.exim").joinpath("policy.toml").read_text("utf-8"))
    verbs = "|".join(verb["pattern"] for verb in data["verb"])
    data["verdict"] = _VERDICT.replace("{verbs}", verbs)
    for form in data["form"]:
        form["pattern"] = form["pattern"].replace("{peer}", PEER).replace("{fields}", FIELDS).replace("{path}", PATH)
    return data


def read(lines: Lines, rows: Ints) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of events among rows without a flag, and the rows they come from."""
    body = lines.body.take(rows).compact()
    plain, columns = _plain(body)
    if len(plain):
        yield _verdicts(lines, rows[plain], columns), rows[plain], True
        left = np.ones(len(rows), bool)
        left[plain] = False
        rows = rows[left]
        body = lines.body.take(rows).compact()
    refused = np.flatnonzero(body.has(b"rejected ")) if len(rows) else rows
    if len(refused):
        texts = body.take(refused).to_arrow()
        cut = pc.extract_regex(texts, _data()["verdict"])
        # `rejected MAIL from H=...` and `rejected MAIL FROM:<...>` are checks of the protocol, which follow below.
        hit = pc.and_(cut.is_valid(), pc.invert(pc.match_substring_regex(cut.field("argument"), "^(?i:from)[ :]")))
        hit = pc.fill_null(hit, False)
        mask = hit.to_numpy(zero_copy_only=False)
        if mask.any():
            kept = cut.filter(hit)
            columns = {name: kept.field(name) for name in _GROUPS}
            columns["verdict"] = _from_verdict(texts.filter(hit))
            yield _verdicts(lines, rows[refused[mask]], columns), rows[refused[mask]], True
            left = np.ones(len(rows), bool)
            left[refused[mask]] = False
            rows, body = rows[left], body.take(left)
    for form in _data()["form"]:
        if not len(rows):
            return
        maybe = np.flatnonzero(body.has(form["holds"].encode()))
        if not len(maybe):
            continue
        texts = body.take(maybe).to_arrow()
        cut = pc.extract_regex(texts, form["pattern"])
        hit = cut.is_valid()
        found = maybe[hit.to_numpy(zero_copy_only=False)]
        if len(found):
            yield _formed(lines, rows[found], texts.filter(hit), cut.filter(hit), form), rows[found], True
            left = np.ones(len(rows), bool)
            left[found] = False
            rows, body = rows[left], body.take(left)


_REFUSED = b"> rejected RCPT <"


def _plain(body: Spans) -> tuple[Ints, dict[str, pa.Array]]:
    """Rows such as `H=name (helo) [ip] F=<a@b> rejected RCPT <c@d>: words`, most of all refusals, without a pattern.

    Only where no word of the client's can look like something else: no quotes, and a HELO name without blanks.
    """
    at = body.find(_REFUSED)
    rows = np.flatnonzero((at >= 0) & body.startswith(b"H="))
    if not len(rows):
        return rows, {}
    some = body.take(rows).compact()
    at = some.find(_REFUSED)
    from_at = some.find(b" F=<")
    peer = Spans(some.buffer, some.start + 2, from_at).where(from_at < at)
    sender = Spans(some.buffer, from_at + 4, at)
    path, text = Spans(some.buffer, at + len(_REFUSED), some.end).partition(b">")
    parenthesis, bracket = peer.find(b"("), peer.find(b"[")
    helo = Spans(some.buffer, parenthesis + 1, peer.end).before(b") [")
    has_helo = parenthesis >= 0
    ip_at = np.where(has_helo, helo.end + 3, bracket + 1)
    ip = Spans(some.buffer, ip_at, peer.end).before(b"]")
    name_end = np.where(has_helo, parenthesis, bracket) - 1
    name = Spans(some.buffer, peer.start, np.maximum(name_end, peer.start))
    good = (from_at >= 0) & peer.present & sender.present & path.present & (bracket >= 0) & ip.present
    good &= (text.length == 0) | text.startswith(b": ")
    good &= ~has_helo | (helo.present & ~helo.has(b" ") & ~helo.has(b"("))
    good &= has_helo | (peer.byte() != ord("["))
    for part in (sender, path, name):
        good &= ~(part.has(b" ") | part.has(b"<") | part.has(b">") | part.has(b'"'))
    keep = np.flatnonzero(good)
    if not len(keep):
        return rows[:0], {}
    count = len(keep)
    nothing = pa.array(np.full(count, ""))
    brackets = Spans(some.buffer, from_at + 3, at + 1).take(keep)
    return rows[keep], {
        "host": name.take(keep).to_arrow(),
        "ip": ip.take(keep).to_arrow(),
        "early_from": nothing,
        "from": brackets.to_arrow(),
        "temporarily": nothing,
        "verb": pa.array(np.full(count, "RCPT")),
        "path": path.take(keep).to_arrow(),
        "argument": nothing,
        "text": text.skip(2)
        .where(text.length > 0)
        .or_else(Spans(some.buffer, some.end, some.end))
        .take(keep)
        .to_arrow(),
        "verdict": Spans(some.buffer, at + 2, some.end).take(keep).to_arrow(),
    }


def _verdicts(lines: Lines, rows: Ints, column: dict[str, pa.Array]) -> pa.Table:
    temporary = pc.not_equal(column["temporarily"], "").to_numpy(zero_copy_only=False)
    # Without words of an ACL, all that was said is the verdict itself.
    worded = pc.not_equal(column["text"], "")
    replies = reply.cut(Spans.of(pc.if_else(worded, column["text"], column["verdict"])))
    # A code of another class is not sent (smtp_in.c, smtp_message_code).
    code_class = pc.fill_null(pc.divide(replies.code, 100), 0).to_numpy(zero_copy_only=False)
    own = code_class == np.where(temporary, 4, 5)
    # A callout's reply is passed on to the client (verify.c, do_callout).
    replies, own = _with_callouts(replies, own, temporary, column["text"])
    stage, implied = _verbs(column["verb"])
    implied = np.where(temporary & (implied > 0), 451, implied)
    codes = pa.array(implied.astype(np.int16), mask=implied == 0)
    is_rcpt = pc.match_substring_regex(column["verb"], "^RCPT$")
    is_mail = pc.match_substring_regex(column["verb"], "^MAIL$")
    argument = pc.if_else(pc.equal(column["path"], ""), column["argument"], column["path"])
    recipient = pc.if_else(pc.and_(is_rcpt, pc.not_equal(argument, "")), argument, None)
    sender = _unbracketed(pc.if_else(pc.equal(column["from"], ""), column["early_from"], column["from"]))
    from_mail = pc.if_else(is_mail, pc.if_else(pc.equal(argument, ""), "<>", argument), None)
    own_mask = pa.array(own)
    return _events(
        lines,
        rows,
        column["host"],
        column["ip"],
        {
            "action": word("rejected", len(rows)),
            "stage": stage,
            "code": pc.if_else(own_mask, replies.code, codes),
            "code_implied": pa.array(~own & (implied > 0)),
            "enhanced": pc.if_else(own_mask, replies.enhanced.cast(pa.string()), None).dictionary_encode(),
            "reply": replies.text,
            "sender": pc.coalesce(sender, from_mail),
            "recipient": recipient,
        },
    )


_CALLOUT = (
    r" : (?:(?:SMTP|LMTP) error from remote mail server after .*?|response to \".*?\" was): "
    r"(?P<code>[45]\d\d)[- ](?P<enhanced>[45]\.\d{1,3}\.\d{1,3} )?"
)


def _with_callouts(replies: Replies, own: Bools, temporary: Bools, texts: pa.StringArray) -> tuple[Replies, Bools]:
    """The replies with the code of the host that was asked, where a verdict quotes one of its own class."""
    if not Spans.of(texts).has(b"] : ").any():
        return replies, own
    cut = pc.extract_regex(texts, _CALLOUT)
    if cut.null_count == len(cut):
        return replies, own
    asked = pc.if_else(pc.equal(cut.field("code"), ""), None, cut.field("code")).cast(pa.int16())
    first = pc.fill_null(pc.divide(asked, 100), 0).to_numpy(zero_copy_only=False)
    use = ~own & (first == np.where(temporary, 4, 5))
    mask = pa.array(use)
    enhanced = pc.utf8_trim_whitespace(cut.field("enhanced"))
    enhanced = pc.if_else(pc.equal(enhanced, ""), None, enhanced)
    code = pc.if_else(mask, asked, replies.code)
    enhanced = pc.if_else(mask, enhanced, replies.enhanced.cast(pa.string())).dictionary_encode()
    return Replies(code, enhanced, replies.text), own | use


def _from_verdict(texts: pa.StringArray) -> pa.StringArray:
    return pc.extract_regex(texts, r"(?P<verdict>(?:temporarily )?rejected .*)$").field("verdict")


def _verbs(column: pa.StringArray) -> tuple[pa.DictionaryArray, npt.NDArray[np.int64]]:
    """The stage of each verb, and the code that is sent where an ACL names none; 0 where that is not known."""
    encoded = column.dictionary_encode()
    codes = encoded.indices.to_numpy()
    kinds = [_verb(text) for text in encoded.dictionary.to_pylist()]
    implied = np.array([kind.get("implied", 0) for kind in kinds] or [0], np.int64)
    return words(codes, [kind.get("stage") for kind in kinds]), implied[codes]


def _verb(text: str) -> dict[str, Any]:
    return next((verb for verb in _data()["verb"] if re.fullmatch(verb["pattern"], text)), {})


def _formed(lines: Lines, rows: Ints, texts: pa.StringArray, cut: pa.StructArray, form: dict[str, Any]) -> pa.Table:
    names = {field.name for field in cut.type}
    nothing = pa.nulls(len(rows), pa.string())
    column = {name: cut.field(name) if name in names else nothing for name in _ALL_FORMS}
    if "stage" in names:
        encoded = pc.utf8_lower(column["stage"]).dictionary_encode()
        stages = _data()["stages"]
        stage = words(encoded.indices.to_numpy(), [stages.get(word) for word in encoded.dictionary.to_pylist()])
    else:
        stage = words(np.zeros(len(rows), np.int64), [form.get("stage")])
    said = pc.fill_null(pc.not_equal(column["text"], ""), False) if form.get("reply") else pa.array([False] * len(rows))
    replies = reply.cut(Spans.of(pc.if_else(said, column["text"], texts)))
    said_mask = said.to_numpy(zero_copy_only=False)
    coded = pc.and_(pa.array(said_mask), replies.code.is_valid())
    return _events(
        lines,
        rows,
        column["host"],
        column["ip"],
        {
            "action": word(form["action"], len(rows)),
            "stage": stage,
            "code": pc.if_else(coded, replies.code, None),
            "enhanced": pc.if_else(coded, replies.enhanced.cast(pa.string()), None).dictionary_encode(),
            "reply": replies.text,
            "sender": _unbracketed(column["from"]),
            "recipient": pc.if_else(pc.equal(column["to"], ""), None, column["to"]),
        },
    )


def _unbracketed(paths: pa.StringArray) -> pa.StringArray:
    """Reverse-paths without their brackets; the null one stays `<>`; null where the line has none."""
    bare = pc.replace_substring_regex(paths, r"^<(.+)>$", r"\1")
    return pc.if_else(pc.equal(bare, ""), None, bare)


def _events(
    lines: Lines, rows: Ints, host: pa.StringArray, ip: pa.StringArray, columns: dict[str, pa.Array]
) -> pa.Table:
    host, ip = pc.if_else(pc.equal(host, ""), None, host), address(ip)
    return pa.table(
        {
            "queue_id": lines.ids(rows),
            "direction": word("inbound", len(rows)),
            **columns,
            "remote_host": host,
            "remote_ip": ip,
            "client_host": host,
            "client_ip": ip,
        }
    )
