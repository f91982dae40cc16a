"""Message tracking: what became of each recipient, on this server.

    2022-09-19T15:02:29.450Z,192.0.2.1,EX01,198.51.100.7,mx.b.example,;250 2.0.0 Ok;ClientSubmitTime:,Outbound,SMTP,
        SENDEXTERNAL,438,<1@a.example>,6a638d20-1e63-493a-80a2-08da9a4ff8da,user@b.example,250 2.1.5 Ok,3750,1,,,...

Every server that a message passes logs its way; only its end counts: DELIVER, SENDEXTERNAL (2007, 2010: SEND), FAIL,
DEFER. Not counted: hops from one server of the organisation to the next (SEND by its own connector), shadow copies
(HA...), duplicates, health probes. Since 2013 the transport service hands a message to the mailbox transport service by
SMTP, which answers once it is in the mailbox (`SMSMBXD` in message-info): that SEND tells of a delivery too, and counts
where the DELIVER of the other service (MSGTRKMD) is not at hand.

The columns are those of Microsoft Learn, "Message tracking", "Fields in the message tracking log files".
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.clock import Clock
from logscan.columns import timestamps, words
from logscan.spans import Bools, Ints
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange import status
from logscan_parsers.exchange.event import (
    is_probe,
    joined,
    known_again,
    moments,
    null_path,
    without_brackets,
)
from logscan_parsers.exchange.records import Records

# Connectors between servers of the organisation, which every server has (Microsoft Learn, "Mail flow and the transport
# pipeline", "Implicit Send connectors").
INTERNAL = (b"Intra-Organization ", b"Inbound Proxy ", b"Outbound Proxy ", b"Client Proxy ")
_TO_MAILBOX = b"SMSMBXD="
_REMOTE = frozenset(("SMTP", "DNS", "QUEUE", "GATEWAY"))
_EXPIRED = r"QUEUE\.Expired|^\d{3}[ -]4\.4\.7\b"
# Exchange's words around what ended a session before it came to a recipient.
_QUOTED = r"^4\d\d 4\.4\.\d+ (?:Primary target IP address responded with|Error encountered while communicating with)"
_UNCONNECTED = "Failed to connect."
_LAST_REPLY = r"(?:^|;)(?P<reply>[245]\d\d[ -].*?)(?:;ClientSubmitTime:[^;]*)?$"


@cache
def actions(table: str) -> dict[str, str]:
    """What tracking.toml says of an event-id, by the table of a kind of log."""
    text = files("logscan_parsers.exchange").joinpath("tracking.toml").read_text("utf-8")
    return dict(tomllib.loads(text)[table])


def read(records: Records, offsets: Ints, clock: Clock) -> tuple[pa.Table, Ints]:
    """Events, and the record that each comes from; `offsets` are the records'."""
    codes, values, _ = records.spans("event-id").tokens(np.zeros(256, bool))
    names = [value.decode(errors="replace").upper() for value in values]
    known = actions("tracking")
    rows = np.flatnonzero(np.array([name in known for name in names] or [False])[codes])
    if not len(rows):
        return pa.table({}), rows
    records = records.take(rows)
    sent = np.array([name.startswith("SEND") for name in names])[codes[rows]]
    hop, to_mailbox = _hops(records, np.array([name == "SEND" for name in names])[codes[rows]])
    # Of an open set of events the names are few.
    action = np.array([known.get(name, "") for name in names])[codes[rows]]
    sender = null_path(pc.coalesce(records.text("return-path"), records.text("sender-address")))
    keep = np.flatnonzero((~hop | to_mailbox) & ~is_probe(sender))
    rows, records, sender = rows[keep], records.take(keep), sender.take(pa.array(keep))
    found = _Rows(records, action[keep], sent[keep], to_mailbox[keep], sender, offsets[rows], clock)
    table, place = found.events()
    return table, rows[place]


def _hops(records: Records, send: Bools) -> tuple[Bools, Bools]:
    """Which rows are hops inside the organisation, and which of them end in a mailbox."""
    hop, to_mailbox = np.zeros(len(records), bool), np.zeros(len(records), bool)
    rows = np.flatnonzero(send)
    if len(rows):
        connector = records.take(rows).spans("connector-id")
        hop[rows] = np.logical_or.reduce([connector.startswith(name) for name in INTERNAL])
        some = np.flatnonzero(hop)
        to_mailbox[some] = records.take(some).spans("message-info").compact().has(_TO_MAILBOX)
    return hop, to_mailbox


@dataclass(frozen=True)
class _Rows:
    """Records that give events."""

    records: Records
    action: npt.NDArray[np.str_]
    sent: Bools
    to_mailbox: Bools
    sender: pa.StringArray
    offsets: Ints
    clock: Clock

    def events(self) -> tuple[pa.Table, Ints]:
        """An event for each recipient, and its record."""
        records = self.records
        statuses = self._statuses()
        place, recipient, lone = status.by_recipient(records.text("recipient-address"), statuses)
        real = ~is_probe(recipient)
        if not real.all():
            place, recipient, lone = place[real], recipient.filter(pa.array(real)), lone.filter(pa.array(real))
        at = pa.array(place)
        answer = status.answers(lone)
        action = self.action[place]
        action[_true(pc.match_substring_regex(answer["reply"], _EXPIRED)) & (action == "bounced")] = "expired"
        outcome = pa.array(action, pa.string())
        per_row = self._columns()
        sender = self.sender.take(at)
        remote_ip = pc.coalesce(per_row["remote_ip"].take(at), answer["remote_ip"])
        message_id = per_row["message_id"].take(at)
        quoted = _true(pc.match_substring_regex(answer["reply"], _QUOTED))
        unconnected = pc.match_substring(answer["reply"], _UNCONNECTED)
        by = pc.if_else(unconnected, remote_ip, message_id)
        # The online reports all name the message, and know no sessions.
        online = records.layout.log == layouts.EXTENDED
        sent_by, quoted = (message_id, np.zeros(len(place), bool)) if online else (sender, quoted)
        table = pa.table(
            {name: column.take(at) for name, column in per_row.items()}
            | answer
            | {
                "sender": sender,
                "recipient": recipient,
                "action": outcome.dictionary_encode(),
                "remote_host": pc.coalesce(per_row["remote_host"].take(at), answer["remote_host"]),
                "remote_ip": remote_ip,
                "happening": known_again(sent_by, recipient, outcome, quoted, by),
            }
        )
        return table, place

    def _statuses(self) -> pa.StringArray:
        """recipient-status; where a server left it empty, the last reply of the other side, from source-context."""
        statuses = self.records.text("recipient-status")
        bare = np.flatnonzero(self.sent & ~statuses.is_valid().to_numpy(zero_copy_only=False))
        if not len(bare):
            return statuses
        context = self.records.take(bare).text("source-context")
        reply = pc.struct_field(pc.extract_regex(context, _LAST_REPLY), "reply")
        mask = np.zeros(len(statuses), bool)
        mask[bare] = True
        return pc.replace_with_mask(statuses, pa.array(mask), reply)

    def _columns(self) -> dict[str, pa.Array]:
        records = self.records
        codes, values, _ = records.spans("source").tokens(np.zeros(256, bool))
        sources = [value.decode(errors="replace").upper() for value in values]
        outside = np.array([name in _REMOTE for name in sources] or [False])[codes] & ~self.to_mailbox
        spoken = pa.array(np.array([name == "SMTP" for name in sources] or [False])[codes])
        time = moments(records.spans("date-time"), self.offsets, self.clock)
        # message-info starts with the time of origin, where it is logged (DELIVER, SEND).
        since = moments(records.spans("message-info"))
        delay = (time - since) / 1e6
        size, sized = records.spans("total-bytes").number()
        # The other side stands in server-..., and the server that logs then in client-...
        server, client = records.text("server-hostname"), records.text("client-hostname")
        nothing = pa.scalar(None, pa.string())
        return {
            "time": timestamps(time),
            "host": pc.if_else(spoken, client, server).dictionary_encode(),
            "log": words(self.to_mailbox.astype(np.int64), [records.layout.log, layouts.RELAY]),
            "process": joined(records.text("source"), records.text("connector-id")),
            "direction": words(np.where(outside, 0, 1), ["outbound", "local"]),
            "stage": words(np.where(self.sent, 0, -1), ["end-of-data"]),
            "remote_host": pc.if_else(spoken, server, nothing),
            "remote_ip": pc.if_else(spoken, records.text("server-ip"), nothing),
            "client_ip": records.text("original-client-ip"),
            "queue_id": records.text("internal-message-id"),
            "message_id": without_brackets(records.text("message-id")),
            "size": pa.array(size, mask=~sized),
            "delay": pa.array(delay, mask=(since <= 0) | (delay < 0)),
        }


def _true(column: pa.BooleanArray) -> Bools:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), bool)
