"""The reply for each recipient, from the parallel lists that message tracking keeps of them.

    a@x.example;b@x.example    250 2.1.5 Recipient OK;550 5.1.1 User unknown; see our site
    a@x.example                [{LED=550 5.7.1 no};{MSG=};{FQDN=mx.x.example};{IP=192.0.2.1};{LRT=07.10.2020 16:27:19}]
    (online)                   Reason: [{LED=450 4.4.316 Connection refused};{MSG=Socket error code 10061};...]

A status may hold the mark between two of them, and whoever wrote it may mean it to. LED (last error details) is the
reply; MSG, FQDN, IP and LRT (last retry time) are Exchange's own and stand last, so they are looked for from the end.
LRT is in the server's locale, and is not needed.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.spans import Ints, Spans

_LED = b"{LED="
_END_OF_LED = b"};{MSG="
_NEXT_BLOCK = re.compile(r"(?<=\}\]);(?=\[\{LED=)")
_LRT_END = re.compile(r"\{LRT=[^{}\[\]]*\}\]$")
_NEXT_REPLY = re.compile(r";(?=[245]\d\d[ -])")


def split(status: str, recipients: int) -> list[str]:
    """The statuses of so many recipients.

    >>> split("250 2.1.5 ok;550 5.1.1 no; really", 2)
    ['250 2.1.5 ok', '550 5.1.1 no; really']
    >>> split("[{LED=550 a;b};{MSG=};{LRT=}];[{LED=551 c];[{LED=250 d};{MSG=};{LRT=}]", 2)
    ['[{LED=550 a;b};{MSG=};{LRT=}]', '[{LED=551 c];[{LED=250 d};{MSG=};{LRT=}]']
    >>> split("450 later", 2), split("To;Bcc", 2), split("", 2)
    (['450 later', '450 later'], ['To', 'Bcc'], ['', ''])
    """
    if recipients == 1 or not status:
        return [status] * recipients
    if status.startswith("[{LED="):
        parts = _NEXT_BLOCK.split(status)
        if len(parts) > recipients:
            parts = _whole(parts)
    else:
        parts = _NEXT_REPLY.split(status)
        if len(parts) != recipients and status.count(";") == recipients - 1:
            parts = status.split(";")
    if len(parts) > recipients:
        # Which of the marks are text cannot be told: what is left over goes to the last.
        parts = [*parts[: recipients - 1], ";".join(parts[recipients - 1 :])]
    return parts + [parts[-1]] * (recipients - len(parts))


def _whole(parts: list[str]) -> list[str]:
    """Parts put together until each ends as Exchange ends one."""
    made: list[str] = []
    held = ""
    for part in parts:
        held = f"{held};{part}" if held else part
        if _LRT_END.search(held[-64:]):
            made.append(held)
            held = ""
    return [*made, held] if held else made


def by_recipient(recipients: pa.StringArray, statuses: pa.StringArray) -> tuple[Ints, pa.StringArray, pa.StringArray]:
    """A row for each recipient: which of the given rows it comes from, the recipient, its status.

    >>> [c.tolist() if isinstance(c, np.ndarray) else c.to_pylist()
    ...  for c in by_recipient(pa.array(["a", "b;c", None]), pa.array(["250", None, "550 x"]))]
    [[0, 1, 1, 2], ['a', 'b', 'c', None], ['250', None, None, '550 x']]
    """
    several = pc.match_substring(recipients, ";").fill_null(False).to_numpy(zero_copy_only=False)
    rows = np.arange(len(recipients))
    if not several.any():
        return rows, recipients, statuses
    lists = pc.split_pattern(recipients, ";")
    lengths = pc.list_value_length(lists).fill_null(1).to_numpy(zero_copy_only=False)
    rows = np.repeat(rows, lengths)
    taken = recipients.take(pa.array(rows))
    mask = pa.array(several[rows])
    taken = pc.replace_with_mask(taken, mask, pc.list_flatten(lists.filter(pa.array(several))))
    lone = statuses.take(pa.array(rows))
    wanted = several & statuses.is_valid().to_numpy(zero_copy_only=False)
    if wanted.any():
        some = statuses.filter(pa.array(wanted)).to_pylist()
        parts = [part for status, n in zip(some, lengths[wanted].tolist(), strict=True) for part in split(status, n)]
        lone = pc.replace_with_mask(lone, pa.array(wanted[rows]), pa.array(parts, pa.string()))
    kept = pc.fill_null(pc.greater(pc.binary_length(taken), 0), True)
    if not pc.all(kept).as_py():
        # A mark after the last recipient makes none.
        keep = kept.to_numpy(zero_copy_only=False)
        return rows[keep], taken.filter(kept), lone.filter(kept)
    return rows, taken, lone


def answers(statuses: pa.StringArray) -> dict[str, pa.Array]:
    """Code, enhanced code and text of the reply in each status, and the remote host and address that it names.

    >>> made = answers(pa.array(["[{LED=550 5.1.1 no};{MSG=};{FQDN=mx.x.example};{IP=192.0.2.1};{LRT=}]", "To", None]))
    >>> [made[name].to_pylist() for name in ("code", "enhanced", "reply", "remote_host", "remote_ip")]
    [[550, None, None], ['5.1.1', None, None], ['550 5.1.1 no', 'To', None], ['mx.x.example', None, None],
     ['192.0.2.1', None, None]]
    """
    whole = Spans.of(statuses)
    led = whole.find(_LED)
    blocks = (led >= 0) & ((led <= whole.start + 1) | whole.startswith(b"Reason: "))
    start = np.where(blocks, led + len(_LED), whole.start)
    text = Spans(whole.buffer, start, whole.end)
    last = np.maximum(whole.start, whole.end)
    rest = Spans(whole.buffer, last, last)
    if blocks.any():
        inside = text.where(blocks)
        end = inside.rfind(_END_OF_LED)
        cut_off = inside.find(b"};{")
        end = np.where(end >= 0, end, np.where(cut_off >= 0, cut_off, _without_brackets(inside)))
        text = Spans(whole.buffer, start, np.where(blocks, end, whole.end))
        rest = Spans(whole.buffer, np.where(blocks, end, last), last)
    replies = reply.cut(text.where(text.length > 0))
    host = rest.after(b"{FQDN=").before(b"}")
    address = rest.after(b"{IP=").before(b"}")
    return {
        "code": replies.code,
        "enhanced": replies.enhanced,
        "reply": replies.text,
        "remote_host": host.where(host.length > 0).to_arrow(),
        "remote_ip": address.where(address.length > 0).to_arrow(),
    }


def _without_brackets(rows: Spans) -> Ints:
    """Where the rows end but for brackets."""
    end = rows.end.copy()
    for _ in range(2):
        end -= (end > rows.start) & np.isin(rows.buffer.bytes[end - 1], list(b"}]"))
    return end
