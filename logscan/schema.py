"""The one schema: every column of the events table, its type and its meaning, in one place.

Parquet files, Python tables, JSON lines and the documentation are all made from `COLUMNS`.
A later version only adds columns.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 1

WORD = pa.dictionary(pa.int32(), pa.string())
TEXT = pa.string()


class Column(NamedTuple):
    """A column: its name, its Arrow type, and what it means in one line."""

    name: str
    type: pa.DataType
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("time", pa.timestamp("us", "UTC"), "when the server logged it"),
    Column("mta", WORD, "the mail server: postfix, ..."),
    Column("host", WORD, "the machine that logged it"),
    Column("log", WORD, "which of the server's logs, where it has several: main, reject, tracking, smtp-send, ..."),
    Column("copy", pa.bool_(), "true where another log of the server tells the same: leave it out of totals"),
    Column("process", WORD, "daemon and service as logged, such as postfix/submission/smtpd"),
    Column(
        "direction",
        WORD,
        "inbound (we answered a client), outbound (a remote server answered us), local (a delivery agent of ours did)",
    ),
    Column("action", WORD, "what became of it: delivered, deferred, bounced, expired, rejected, attempt, ..."),
    Column("stage", WORD, "the SMTP stage of the reply: connect, helo, starttls, auth, mail, rcpt, data, end-of-data"),
    Column("code", pa.int16(), "the three digits as the log shows them; null where it shows none"),
    Column(
        "code_implied", pa.bool_(), "true where the log shows no digits and code is the server's documented default"
    ),
    Column("enhanced", WORD, "enhanced status code: the reply's, else the server's own for it"),
    Column("reply", TEXT, "the reply's text as the server logged it, unfolded, uncut"),
    Column("sender", TEXT, "envelope sender; <> is the null reverse-path, null is unknown"),
    Column("sender_domain", WORD, "its domain, lower-case, IDNA A-label"),
    Column("recipient", TEXT, "envelope recipient"),
    Column("recipient_domain", WORD, "its domain, lower-case, IDNA A-label"),
    Column("remote_host", TEXT, "name of the other side"),
    Column("remote_ip", TEXT, "address of the other side"),
    Column("client_host", TEXT, "name of the client that handed the message in"),
    Column("client_ip", TEXT, "its address"),
    Column("provider", WORD, "whose the other side is, by its host name, else its address: google, ..."),
    Column("queue_id", TEXT, "the server's name for the message"),
    Column("message_id", TEXT, "the Message-ID header, without its angle brackets"),
    Column("size", pa.int64(), "message size in bytes"),
    Column("delay", pa.float64(), "seconds from arrival to this outcome"),
    Column("source", WORD, "the file the line stands in"),
    Column("offset", pa.int64(), "byte offset of the line in that file, decompressed"),
    Column("code_class", WORD, "2xx, 3xx, 4xx, 5xx or none: from code, else enhanced, else action"),
    Column("cause", WORD, "what went wrong: see `logscan causes`"),
    Column("rule", WORD, "the rule that said so"),
    Column("detail", WORD, "what the reply names beside its cause, as kind: name - list, check, limit, vendor"),
)

EVENTS: pa.Schema = pa.schema(
    [pa.field(c.name, c.type, metadata={"comment": c.meaning}) for c in COLUMNS],
    metadata={"logscan.schema": str(SCHEMA_VERSION)},
)

# What other lines say of a message, found again by host and queue_id.
FACTS: tuple[str, ...] = ("sender", "client_host", "client_ip", "message_id", "size")
