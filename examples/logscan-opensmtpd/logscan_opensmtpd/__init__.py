"""OpenSMTPD: what it was answered, what it answered, and what became of each recipient. A plugin to learn from.

    Nov 24 01:18:46 mx1 smtpd[97]: d62fc82e34c8c20d mta delivery evpid=f33b86686fa039d8 from=<ann@mx.example>
        to=<user0@nouser.example> rcpt=<-> source="203.0.113.1" relay="203.0.113.2 (mx.nouser.example)" delay=0s
        result="PermFail" stat="550 5.1.1 <user0@nouser.example>: User unknown"
    Nov 24 01:18:47 mx1 smtpd[97]: d62fc892cdafa769 smtp connected address=198.51.100.2 host=spam.example
    Nov 24 01:18:47 mx1 smtpd[97]: d62fc892cdafa769 smtp failed-command command="rcpt TO:<x@ok.example>"
        result="550 Invalid recipient: <x@ok.example>"

A delivery says all of itself in one line. A session does not: who the client is stands in its first line, what it was
refused in a later one; so the lines of a session are settled together: at once, or at the end if the session reaches
beyond the block. The lines themselves are data, in forms.toml.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import syslog
from logscan.columns import concat, words
from logscan.parser import BEGIN, MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan_opensmtpd.lines import read, said, true

__all__ = ["parser"]

# The tag is smtpd; some packages install the program under the other name. (Postfix's says postfix/smtpd.)
TAGS = ("smtpd", "opensmtpd")

# A line of a session: `queue_id` is the session's name, `msgid` that of a message which it handed in; `opens` is true
# on the line that names the other side, `closes` on the session's last; `repeats` is how often syslog says it came.
SESSION = pa.schema(
    {
        "time": pa.timestamp("us", "UTC"),
        "host": pa.string(),
        "queue_id": pa.string(),
        "offset": pa.int64(),
        "process": pa.string(),
        "opens": pa.bool_(),
        "closes": pa.bool_(),
        "repeats": pa.int64(),
        "remote_host": pa.string(),
        "remote_ip": pa.string(),
        "msgid": pa.string(),
        "size": pa.int64(),
        "direction": pa.string(),
        "action": pa.string(),
        "stage": pa.string(),
        "recipient": pa.string(),
        "code": pa.int16(),
        "enhanced": pa.string(),
        "reply": pa.string(),
    }
)
_OF_SESSIONS = ["queue_id", "opens", "closes", "msgid", "size"]
_OF_MESSAGES = ["time", "host", "msgid", "offset", "size", "client_host", "client_ip"]


def sniff(block: Block) -> float:
    """How sure it is that these lines are OpenSMTPD's: the share of those with its tag and a form that it writes."""
    envelopes = syslog.read(block)
    fit = sum(len(rows) for head in envelopes.parts for _, rows, _ in read(head.take(_ours(head)).message.to_arrow()))
    # Other programs may fill the rest of a syslog file.
    return max(0.5, fit / len(block)) if fit else 0.0


def parse(block: Block) -> Parsed:
    """Events and message facts of a block. Every line with its tag is its own, every other one another program's."""
    envelopes = syslog.read(block)
    deliveries: list[pa.Table] = []
    sessions: list[pa.Table] = []
    unread = [envelopes.unread]
    others = []
    known = 0
    for head in envelopes.parts:
        ours = _ours(head)
        others.append(head.rows[~ours])
        head = head.take(ours)
        left = np.ones(len(head.rows), bool)
        for form, rows, groups in read(head.message.to_arrow()):
            left[rows] = False
            if form is None:
                known += len(rows)
            elif "session" in (columns := said(form, groups)):
                sessions.append(_session(_placed(columns, head, rows, block), form))
            else:
                deliveries.append(_placed(columns, head, rows, block).rename_columns({"msgid": "queue_id"}))
        unread.append(head.rows[left])
    whole, parts = _whole(concat(sessions) if sessions else SESSION.empty_table())
    settled = settle(whole)
    missed, other = np.sort(np.concatenate(unread)), np.sort(np.concatenate([np.empty(0, np.int64), *others]))
    read_lines = sum(map(len, deliveries)) + settled.tally.understood
    empty = len(block) - read_lines - known - len(other) - len(missed) - len(parts)
    lines = block.spans.take(missed[:MAX_SAMPLES]).to_arrow().to_pylist()
    samples = tuple((int(block.offsets[row]), text[:SAMPLE_LENGTH]) for row, text in zip(missed, lines, strict=False))
    events = [*map(_repeated, deliveries), settled.events]
    return Parsed(
        concat(events).sort_by("offset"),
        settled.messages,
        Tally(read_lines, known + empty, len(other), len(missed), samples),
        other,
        parts,
    )


def _whole(lines: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Lines of sessions whose first and last lines are among them, and all others."""
    session = lines.select(["host", "queue_id", "opens", "closes"])
    ends = session.group_by(["host", "queue_id"]).aggregate([("opens", "max"), ("closes", "max")])
    kept = ends.filter(pc.and_(ends["opens_max"], ends["closes_max"]))
    key = pc.binary_join_element_wise(lines["host"], lines["queue_id"], " ")
    whole = pc.is_in(key, pc.binary_join_element_wise(kept["host"], kept["queue_id"], " ").combine_chunks())
    return lines.filter(whole), lines.filter(pc.invert(whole))


def settle(parts: pa.Table) -> Parsed:
    """Events and facts of sessions (rows of `SESSION`): each line gets the other side that its session opened with."""
    keys = [name for name in ("host", "queue_id", "source_rank", "offset") if name in parts.column_names]
    parts = parts.sort_by([(name, "ascending") for name in keys])
    first = np.ones(len(parts), bool)
    first[1:] = ~(_same(parts["host"]) & _same(parts["queue_id"]))
    start = np.maximum.accumulate(np.where(first, np.arange(len(parts)), 0))
    opener = np.maximum.accumulate(np.where(true(parts["opens"]), np.arange(len(parts)), -1))
    opener = pa.array(opener, mask=opener < start)
    client = pc.not_equal(parts["direction"].fill_null("inbound"), "outbound")
    for name in ("host", "ip"):
        other_side = parts[f"remote_{name}"].take(opener)
        parts = parts.set_column(parts.column_names.index(f"remote_{name}"), f"remote_{name}", other_side)
        parts = parts.append_column(f"client_{name}", pc.if_else(client, other_side, None))
    source = [name for name in ("source", "source_rank") if name in parts.column_names]
    messages = parts.filter(parts["msgid"].is_valid()).select(_OF_MESSAGES + source)
    messages = messages.rename_columns({"msgid": "queue_id"})
    return Parsed(
        _repeated(parts.filter(parts["action"].is_valid()).drop_columns(_OF_SESSIONS)),
        messages.append_column("mark", pa.array(np.full(len(messages), BEGIN, np.int8))),
        Tally(understood=len(parts)),
    )


def _ours(head: syslog.Heads) -> np.ndarray:
    return np.array([program in TAGS for program in head.programs] or [False])[head.program]


def _placed(columns: dict[str, pa.Array], head: syslog.Heads, rows: np.ndarray, block: Block) -> pa.Table:
    """The columns with what the envelope says: when, where, who."""
    return pa.table(
        columns
        | {
            "time": pa.array(head.time[rows].astype("M8[us]")).cast(SESSION.field("time").type),
            "host": words(head.host[rows], head.hosts).cast(pa.string()),
            "offset": pa.array(block.offsets[head.rows[rows]]),
            "repeats": pa.array(head.repeats[rows]),
            "process": words(head.program[rows], head.programs).cast(pa.string()),
        }
    )


def _repeated(events: pa.Table) -> pa.Table:
    """The events as often as each came."""
    again = np.repeat(np.arange(len(events)), events["repeats"])
    return events.drop_columns(["repeats"]).take(pa.array(again))


def _session(table: pa.Table, form: dict[str, object]) -> pa.Table:
    for name in ("opens", "closes"):
        table = table.append_column(name, pa.array(np.full(len(table), form.get(name, False))))
    table = table.rename_columns({"session": "queue_id"})
    missing = [field for field in SESSION if field.name not in table.column_names]
    for field in missing:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(SESSION.names).cast(SESSION)


def _same(column: pa.ChunkedArray) -> np.ndarray:
    return true(pc.equal(column[1:], column[:-1]))


parser = Parser(
    name="opensmtpd",
    title="OpenSMTPD",
    sniff=sniff,
    parse=parse,
    reads="syslog files (BSD, RFC 3339, RFC 5424, journalctl); OpenSMTPD 5.3 to 7",
    syslog=True,
    settle=settle,
)
