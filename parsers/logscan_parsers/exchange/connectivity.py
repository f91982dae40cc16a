"""The connectivity log: connections of ours that failed, and why.

    2025-06-30T21:07:31.236Z,08DC1E9EF7D92B77,SMTP,b.example,+,DnsConnectorDelivery f31898ac;QueueLength=TQ=1;
    2025-06-30T21:07:32.227Z,08DC1E9EF7D92B77,SMTP,b.example,>,Failed connection to 192.0.2.1:25 (ConnectionRefused)
    2025-06-30T21:07:32.427Z,08DC1E9EF7D92B77,SMTP,b.example,-,Messages: 0 Bytes: 0 (Retry : Unable to connect)

No recipient and no reply is named, so each is an attempt, and counts nowhere as a delivery.
Source: Microsoft Learn, "Connectivity logging".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.clock import Clock
from logscan.columns import timestamps, word
from logscan.spans import Ints, Spans
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange.event import joined, moments
from logscan_parsers.exchange.records import Records

_FAILED = r"(?i)\bfailed\b|\bfailure\b|\berror\w*\b|\brefused\b|timed out|unable to|\(retry ?:|could not|no such host"
_WITHIN = r"\(Retry ?: ?(?P<why>.*)\)$"


def read(records: Records, offsets: Ints, clock: Clock) -> tuple[pa.Table, Ints]:
    """Events, and the record that each comes from; `offsets` are the records'."""
    source = records.spans("source").startswith(b"SMTP")
    mark = records.spans("direction").byte()
    maybe = np.flatnonzero(source & (mark != ord("+")))
    described = records.take(maybe).text("description")
    failed = pc.match_substring_regex(described, _FAILED).fill_null(False).to_numpy(zero_copy_only=False)
    rows = maybe[failed]
    if not len(rows):
        return pa.table({}), rows
    records, described = records.take(rows), described.filter(pa.array(failed))
    why = pc.struct_field(pc.extract_regex(described, _WITHIN), "why")
    replies = reply.cut(Spans.of(pc.coalesce(why, described)))
    address = pc.extract_regex(described, r" to \[?(?P<ip>[0-9a-fA-F.:]*[0-9a-fA-F])\]?:\d+")
    table = pa.table(
        {
            "time": timestamps(moments(records.spans("date-time"), offsets[rows], clock)),
            "log": word(layouts.CONNECTIVITY, len(rows)),
            "process": joined(pa.array([layouts.CONNECTIVITY] * len(rows)), records.text("source")),
            "direction": word("outbound", len(rows)),
            "action": word("attempt", len(rows)),
            "stage": word("connect", len(rows)),
            "code": replies.code,
            "enhanced": replies.enhanced,
            "reply": replies.text,
            "remote_host": records.text("destination"),
            "remote_ip": pc.struct_field(address, "ip"),
        }
    )
    return table, rows
