"""The agent log: what an anti-spam agent did to a connection, a command or a message.

    2025-06-30T22:41:09.776Z,08DC1E9EF7D92D5F,10.20.30.11:25,192.0.2.7:25000,192.0.2.7,,a@b.example,,c@d.example,1,
        Recipient Filter Agent,OnRcptCommand,RejectCommand,550 5.1.1 User unknown,RecipientDoesNotExist,,

Only refusals and what else kept a message back give events; AcceptMessage, ModifyHeaders and the like do not.
Source: Microsoft Learn, "Anti-spam agent logging".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.clock import Clock
from logscan.columns import timestamps, word, words
from logscan.spans import Ints, Spans
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange import status
from logscan_parsers.exchange.event import (
    address_of,
    is_probe,
    known_again,
    moments,
    null_path,
    without_brackets,
)
from logscan_parsers.exchange.records import Records

_ACTIONS = {b"Reject": "rejected", b"Disconnect": "rejected", b"Delete": "discarded", b"Quarantine": "held"}
_STAGES = {
    "OnConnect": "connect",
    "OnEhlo": "helo",
    "OnHelo": "helo",
    "OnAuth": "auth",
    "OnMail": "mail",
    "OnRcpt": "rcpt",
    "OnData": "data",
    "OnEndOfHeaders": "end-of-data",
    "OnEndOfData": "end-of-data",
}


def read(records: Records, offsets: Ints, clock: Clock) -> tuple[pa.Table, Ints]:
    """Events, and the record that each comes from; `offsets` are the records'."""
    codes, values, _ = records.spans("action").tokens(np.zeros(256, bool))
    actions = [next((name for start, name in _ACTIONS.items() if value.startswith(start)), None) for value in values]
    rows = np.flatnonzero(np.array([action is not None for action in actions] or [False])[codes])
    if not len(rows):
        return pa.table({}), rows
    records, codes = records.take(rows), codes[rows]
    # The one reply is for all recipients.
    recipients = pc.utf8_rtrim(records.text("recipient"), ";")
    place, recipient, _ = status.by_recipient(recipients, pa.nulls(len(rows), pa.string()))
    at = pa.array(place)
    replies = reply.cut(Spans.of(records.text("smtpresponse")))
    outcome = words(codes, actions)
    remote = pc.coalesce(records.text("enteredorgfromip"), address_of(records.text("remoteendpoint")))
    event_codes, events, _ = records.spans("event").tokens(np.zeros(256, bool))
    stages = [_stage(event.decode(errors="replace")) for event in events]
    sender = null_path(records.text("p1fromaddress"))
    columns = {
        "time": timestamps(moments(records.spans("timestamp"), offsets[rows], clock)),
        "log": word(layouts.AGENT, len(rows)),
        "process": records.text("agent").dictionary_encode(),
        "direction": word("inbound", len(rows)),
        "action": outcome,
        "stage": words(event_codes, stages),
        "code": replies.code,
        "enhanced": replies.enhanced,
        "reply": pc.coalesce(replies.text, records.text("reason")),
        "sender": sender,
        "remote_ip": remote,
        "client_ip": remote,
        "message_id": without_brackets(records.text("messageid")),
    }
    table = pa.table({name: column.take(at) for name, column in columns.items()} | {"recipient": recipient})
    none = np.zeros(len(place), bool)
    nothing = pa.nulls(len(place), pa.string())
    action = table["action"].combine_chunks().cast(pa.string())
    known = known_again(table["sender"].combine_chunks(), recipient, action, none, nothing)
    table = table.append_column("happening", known)
    real = ~(is_probe(table["sender"].combine_chunks()) | is_probe(recipient))
    return table.filter(pa.array(real)), rows[place[real]]


def _stage(event: str) -> str | None:
    return next((stage for start, stage in _STAGES.items() if event.startswith(start)), None)
