"""A line of OpenSMTPD after its envelope: which form of forms.toml it has, and what it says, as columns."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.spans import Spans

# What smtpd calls a result (mta.c, mda.c, queue.c); the last three are of forms whose lines have no word for it.
ACTIONS = {
    "Ok": "delivered",
    "TempFail": "deferred",
    "PermFail": "bounced",
    "Loop": "bounced",
    "Expire": "expired",
    "Remove": "discarded",
    "Refused": "rejected",
    "Attempt": "attempt",
    "Lost": "aborted",
}

# By the command that was refused: a client's to us, or (mta_session.c) ours to a host.
STAGES = {"": "connect", "BANNER": "connect", "HELO": "helo", "EHLO": "helo", "LHLO": "helo", "STARTTLS": "starttls"}
STAGES |= {"AUTH": "auth", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data", ".": "end-of-data"}

_WORDS = {
    "{id}": "[0-9a-f]{16}",
    "{msgid}": "(?P<msgid>[0-9a-f]{8})",
    # A quoted local part may hold anything, `>` too (RFC 5321, 4.1.2).
    "{path}": r'(?:"(?:[^"\\]|\\.)*")?[^>]*',
}
# smtp://192.0.2.1:25, [IPv6:2001:db8::1], 192.0.2.1 (mx.example); `local` and `-` are none (to.c).
_ADDRESS = (
    r"^(?:[a-z+]+://)?\[?(?:IPv6:)?(?P<ip>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+?)\]?(?::[0-9]{1,5})?"
    r"(?: \((?P<name>[^)]*)\))?$"
)
_COMMAND = r"^(?P<verb>[A-Za-z.]*)(?:[^<]*<(?P<path>[^>]*)>)?"
_REJECTED = r"^(?P<verb>[A-Z]+) rejected: (?P<reply>.*)$"
_DELAY = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?", re.ASCII)


@cache
def forms() -> tuple[list[dict[str, Any]], str]:
    """The forms of lines that say something, and one pattern of those that nobody needs; both from forms.toml."""
    data = tomllib.loads(files("logscan_opensmtpd").joinpath("forms.toml").read_text("utf-8"))
    for form in data["form"]:
        for name, pattern in _WORDS.items():
            form["pattern"] = form["pattern"].replace(name, pattern)
    return data["form"], "|".join(f"(?:{pattern})" for pattern in data["known"]["patterns"])


def read(lines: pa.StringArray) -> Iterator[tuple[dict[str, Any] | None, np.ndarray, pa.StructArray]]:
    """For each form that occurs: the form, the rows that have it, and its groups. Last, with None, what is not needed.

    >>> [(form, rows, groups)] = read(pa.array(["?", "d62fc8379b09f55f mta error reason=Connection timeout"]))
    >>> form["id"], rows.tolist(), groups.to_pylist()
    ('attempt', [1], [{'session': 'd62fc8379b09f55f', 'reply': 'Connection timeout'}])
    """
    every, known = forms()
    left = np.arange(len(lines))
    for form in every:
        # A literal is found many times faster than a pattern: only lines that hold it are tried.
        maybe = left[true(pc.match_substring(lines.take(pa.array(left)), form["has"]))]
        groups = pc.extract_regex(lines.take(pa.array(maybe)), form["pattern"])
        hit = true(groups.is_valid())
        if hit.any():
            yield form, maybe[hit], groups.filter(pa.array(hit))
            left = np.setdiff1d(left, maybe[hit], assume_unique=True)
    rows = left[true(pc.match_substring_regex(lines.take(pa.array(left)), known))]
    if len(rows):
        yield None, rows, pa.array([{}] * len(rows), pa.struct([]))


def said(form: dict[str, Any], groups: pa.StructArray) -> dict[str, pa.Array]:
    """What lines of a form say, as columns of events and facts; `session` and `msgid` are the server's names.

    >>> line = 'd62fc892cdafa769 smtp failed-command command="rcpt TO:<c@d.example>" result="550 5.1.1 no such user"'
    >>> [(form, _, groups)] = read(pa.array([line]))
    >>> {name: column[0].as_py() for name, column in said(form, groups).items()}
    {'session': 'd62fc892cdafa769', 'direction': 'inbound', 'action': 'rejected', 'recipient': 'c@d.example',
     'stage': 'rcpt', 'code': 550, 'enhanced': '5.1.1', 'reply': '550 5.1.1 no such user'}
    """
    rows = len(groups)
    group = {field.name: groups.field(field.name) for field in groups.type}
    columns = {name: group[name] for name in ("session", "msgid", "recipient") if name in group}
    if "sender" in group:
        columns["sender"] = pc.if_else(pc.equal(group["sender"], ""), "<>", group["sender"])
    if "size" in group:
        columns["size"] = group["size"].cast(pa.int64())
    if "delay" in group:
        columns["delay"] = _by_word(group["delay"], _seconds, pa.float64())
    if "address" in group:
        columns["remote_ip"] = _filled(pc.struct_field(pc.extract_regex(group["address"], _ADDRESS), "ip"))
        columns["remote_host"] = pc.if_else(pc.is_in(group["name"], pa.array(["<unknown>", ""])), None, group["name"])
    if "peer" in group:
        peer = pc.extract_regex(group["peer"], _ADDRESS)
        columns |= {
            "remote_ip": _filled(pc.struct_field(peer, "ip")),
            "remote_host": _filled(pc.struct_field(peer, "name")),
        }
    if "direction" not in form:
        return columns
    columns["direction"] = pa.repeat(form["direction"], rows)
    results = group.get("result", pa.repeat(form.get("result", ""), rows))
    columns["action"] = _by_word(results, lambda result: ACTIONS.get(result, result.lower()), pa.string())
    text = group["reply"]
    rejected = pc.extract_regex(text, _REJECTED)
    verb = pc.struct_field(rejected, "verb")
    text = pc.coalesce(pc.struct_field(rejected, "reply"), text)
    if "command" in group:
        command = pc.extract_regex(group["command"], _COMMAND)
        verb = pc.coalesce(verb, pc.utf8_upper(pc.struct_field(command, "verb")))
        columns["recipient"] = _filled(pc.if_else(pc.equal(verb, "RCPT"), pc.struct_field(command, "path"), None))
    stages = _by_word(verb, STAGES.get, pa.string())
    delivered = pc.and_(pc.equal(columns["action"], "delivered"), form["direction"] == "outbound")
    columns["stage"] = pc.if_else(delivered, "end-of-data", stages)
    replies = reply.cut(Spans.of(text))
    return columns | {"code": replies.code, "enhanced": replies.enhanced.cast(pa.string()), "reply": replies.text}


def _seconds(text: str) -> float | None:
    """Seconds of what duration_to_text (to.c) writes.

    >>> _seconds("1d2h3s"), _seconds("0s"), _seconds("soon")
    (93603.0, 0.0, None)
    """
    found = _DELAY.fullmatch(text)
    if not found or not text:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _by_word(texts: pa.StringArray, meaning: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """What each text means, worked out once for each distinct one; null where there is none."""
    encoded = texts.dictionary_encode()
    return pa.array([meaning(text) for text in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def _filled(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def true(mask: pa.BooleanArray) -> np.ndarray:
    """An Arrow mask as numpy's."""
    return np.asarray(mask.fill_null(False).to_numpy(zero_copy_only=False), bool)
