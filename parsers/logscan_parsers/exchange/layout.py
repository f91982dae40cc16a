"""Which columns a log has, and which of Exchange's logs it is: from its `#Fields:` line, else from its rows.

    #Software: Microsoft Exchange Server
    #Version: 15.01.2375.007
    #Log-type: Message Tracking Log
    #Date: 2022-09-19T15:02:29.339Z
    #Fields: date-time,client-ip,client-hostname,...

Exchange Online's reports have a plain CSV header instead, in whatever order the reader chose. Sources: Microsoft Learn,
"Message tracking", "Protocol logging", "Connectivity logging", "Anti-spam agent logs" (Exchange 2007 to SE),
Get-MessageTraceV2, Get-MessageTraceDetailV2, "Message trace in the modern EAC" (historical search).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

TRACKING = "tracking"
RELAY = "tracking-relay"
SEND = "smtp-send"
RECEIVE = "smtp-receive"
PROTOCOL = "smtp"
AGENT = "agent"
CONNECTIVITY = "connectivity"
EXTENDED = "historical-search"
SUMMARY = "historical-summary"
DETAIL = "message-trace-detail"
TRACE = "message-trace"

# Where a happening stands in several, the first of these tells most of it: message tracking sees every recipient to the
# end; a protocol log has the reply that an agent gave, and when it was sent.
LOGS = (TRACKING, RELAY, SEND, RECEIVE, AGENT, CONNECTIVITY, EXTENDED, DETAIL, SUMMARY, TRACE)


@cache
def _columns(log: str) -> tuple[str, ...]:
    text = files("logscan_parsers.exchange").joinpath("layout.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)[log])


# Of headers without `#Fields:`; what names a log, and the columns that it cannot do without.
_REPORTS = (
    (EXTENDED, ("date-time", "event-id", "recipient-address")),
    (SUMMARY, ("origin-timestamp-utc", "recipient-status")),
    (DETAIL, ("date", "event", "detail")),
    (TRACE, ("received", "recipientaddress", "status")),
    (PROTOCOL, ("date-time", "session-id", "event", "data")),
    (CONNECTIVITY, ("date-time", "session", "direction", "description")),
    (AGENT, ("timestamp", "agent", "action", "smtpresponse")),
)
# What Exchange 2007 had, and 2010.
_LEAST_AGENT, _LEAST_TRACKING, _MOST_WITHOUT_NETWORK_ID = 16, 21, 26
_TIMES = ("date-time", "timestamp", "origin-timestamp-utc", "received", "date")
_RENAMED = {"date-time-utc": "date-time"}
_KINDS = {"Message Tracking Log": TRACKING, "SMTP Receive Protocol Log": RECEIVE, "SMTP Send Protocol Log": SEND}
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Layout:
    """The columns in force.

    log, fields: which log it is, and its columns; empty where no header said so. version: the major one, or 0.
    day_first:   how the dates of an online report are to be read, which are as its reader's locale has them.
    kind:        what the log should be by `#Log-type:`, its name or its rows.
    """

    log: str = ""
    fields: tuple[str, ...] = ()
    version: int = 0
    delimiter: str = ","
    day_first: bool = False
    kind: str = ""

    def column(self, name: str) -> int:
        """The place of a column, -1 where there is none."""
        return self.fields.index(name) if name in self.fields else -1

    @property
    def time(self) -> int:
        """The place of the column that says when, -1 where there is none."""
        return next((self.fields.index(name) for name in _TIMES if name in self.fields), -1)

    @property
    def lines_are_records(self) -> bool:
        """Whether no record has line ends inside: sessions are logged a line at a time."""
        return (self.log or self.kind) in (SEND, RECEIVE, PROTOCOL, CONNECTIVITY)

    def to_text(self) -> str:
        """All of it as text, for `of_text`.

        >>> layout = Layout("agent", ("a", "b"), 15)
        >>> Layout.of_text(layout.to_text()) == layout
        True
        """
        rest = (str(self.version), self.delimiter, str(int(self.day_first)), self.kind)
        return "\n".join((self.log, ",".join(self.fields), *rest))

    @classmethod
    def of_text(cls, text: str) -> Layout:
        """What `to_text` gave."""
        log, fields, version, delimiter, day_first, kind = text.split("\n")
        return cls(log, tuple(fields.split(",")) if fields else (), int(version), delimiter, day_first == "1", kind)


def is_header(line: bytes) -> bool:
    """Whether a line is of a header block.

    >>> [is_header(x) for x in (b"#Fields: date-time", b"#Log-Type: x", b"# 1 reply", b"2025-01-01T")]
    [True, True, False, False]
    """
    return re.match(rb"#(?:Software|Version|Log-type|Date|Fields|TYPE)\b", line, re.I) is not None


def read(line: bytes, before: Layout) -> Layout | None:
    """The layout that holds after a header line, and before it; None where the line is no header.

    >>> layout = read(b"#Fields: date-time,session,source,Destination,direction,description", Layout())
    >>> layout.log, layout.fields[3]
    ('connectivity', 'destination')
    >>> read(b'"Received";"SenderAddress";"RecipientAddress";"Status"', Layout()).log
    'message-trace'
    """
    text = line.decode(errors="replace").strip("\ufeff \t\r\n\0")
    if text.startswith("#"):
        if not is_header(text.encode()):
            return None
        name, _, value = text[1:].partition(":")
        return _marked(name.lower(), value.strip(), before)
    fields = _names(text)
    log = _log_of(fields)
    if log is None:
        return None
    if log == EXTENDED and "internal-message-id" in fields:
        log = TRACKING  # a server's own, without its marks
    delimiter = next((mark for mark in _DELIMITERS if mark in text), ",")
    return Layout(log, tuple(fields), before.version, delimiter, kind=before.kind)


def _marked(name: str, value: str, before: Layout) -> Layout | None:
    if name == "log-type":
        return replace(before, kind=_KINDS.get(value, before.kind))
    if name == "version":
        major = re.match(r"\d{1,3}", value)
        return replace(before, version=int(major[0]) if major else 0)
    if name != "fields":
        return before
    fields = _names(value)
    log = _log_of(fields)
    if log is None:
        return None  # of another program, or someone's words
    if log == EXTENDED:
        log = TRACKING
    if log == PROTOCOL and before.kind in (SEND, RECEIVE):
        log = before.kind
    return Layout(log, tuple(fields), before.version, kind=before.kind)


def _names(text: str) -> list[str]:
    delimiter = next((mark for mark in _DELIMITERS if mark in text), ",")
    names = [name.strip().strip('"').lower().replace("_", "-").replace(" ", "") for name in text.split(delimiter)]
    return [_RENAMED.get(name, name) for name in names]


def _log_of(fields: list[str]) -> str | None:
    return next((log for log, needed in _REPORTS if set(needed) <= set(fields)), None)


@cache
def guess(fields: int) -> Layout | None:
    """The layout of a row of so many fields in a log without header, where the number can be one of Exchange's logs.

    What the rows then hold must bear it out. Versions add columns at the end, but for network-message-id (2013).

    >>> [(n, layout.log) if (layout := guess(n)) else None for n in (5, 6, 9, 17, 21, 26, 30)]
    [None, (6, 'connectivity'), (9, 'smtp'), (17, 'agent'), (21, 'tracking'), (26, 'tracking'), (30, 'tracking')]
    """
    connectivity, spoken, agent, tracking = map(_columns, ("connectivity", "protocol", "agent", "tracking"))
    if fields == len(connectivity):
        return Layout(CONNECTIVITY, connectivity)
    if fields == len(spoken):
        return Layout(PROTOCOL, spoken)
    if _LEAST_AGENT <= fields <= len(agent):
        return Layout(AGENT, agent[:fields])
    if _LEAST_TRACKING <= fields <= _MOST_WITHOUT_NETWORK_ID:
        return Layout(TRACKING, tracking[:fields])
    if _MOST_WITHOUT_NETWORK_ID < fields <= len(tracking) + 1:
        after = tracking.index("message-id") + 1
        return Layout(TRACKING, (*tracking[:after], "network-message-id", *tracking[after:])[:fields])
    return None


_NAMES = (("RECV", RECEIVE), ("SEND", SEND), ("MSGTRK", TRACKING), ("AGENTLOG", AGENT), ("CONNECTLOG", CONNECTIVITY))
_REPLY = re.compile(rb',([<>]),"?\d{3}[ -]')
_COMMAND = re.compile(rb',([<>]),"?(?:EHLO|HELO|MAIL FROM|RCPT TO|DATA|BDAT|QUIT|STARTTLS|RSET|AUTH)\b', re.I)
# Only Exchange 2007 and 2010 write a row for each line of a reply.
_BY_LINE = re.compile(rb',[<>],"?250-(?:SIZE|PIPELINING|DSN|8BITMIME|STARTTLS|ENHANCEDSTATUSCODES)\b')
_DATE = re.compile(r'^"?(\d{1,2})[/.\-](\d{1,2})[/.\-]\d{4}')


def begin(head: bytes, source: str) -> Layout:
    """The layout in which a source starts: what its first lines say, else its name; of rows without a header, the log.

    >>> begin(b'2024-01-01T00:00:00.000Z,EX\\\\In,08D,1,,192.0.2.1:2,>,"220 ready, now",\\n', "forwarded.log").kind
    'smtp-receive'
    """
    layout = Layout()
    lines = head.split(b"\n")
    for line in lines[:16]:
        layout = read(line, layout) or layout
        if layout.fields:
            break
    if layout.log in ("", PROTOCOL):
        kind = layout.kind or _by_rows(head, source)
        layout = replace(layout, kind=kind, log=kind if layout.log and kind in (SEND, RECEIVE) else layout.log)
    if not layout.version and _BY_LINE.search(head):
        layout = replace(layout, version=14)
    if layout.log == TRACE or (layout.log and layout.time >= 0 and layout.fields[layout.time] in ("date", "received")):
        layout = replace(layout, day_first=_day_first(lines, layout))
    return layout


def settled(layout: Layout, before: Layout, head: bytes, source: str) -> Layout:
    """A layout met in mid-file, with what only the first lines and the name of the source say."""
    if layout.log == PROTOCOL:
        kind = before.kind if before.kind in (SEND, RECEIVE) else _by_rows(head, source)
        return replace(layout, kind=kind, log=kind if kind in (SEND, RECEIVE) else PROTOCOL)
    return replace(layout, day_first=before.day_first)


def _by_rows(head: bytes, source: str) -> str:
    replies = _REPLY.findall(head)
    commands = _COMMAND.findall(head)
    received = sum(mark == b">" for mark in replies) + sum(mark == b"<" for mark in commands)
    sent = len(replies) + len(commands) - received
    if received != sent:
        return RECEIVE if received > sent else SEND
    base = re.split(r"[\\/]", source)[-1].upper()
    return next((log for start, log in _NAMES if base.startswith(start)), "")


def _day_first(lines: Iterable[bytes], layout: Layout) -> bool:
    """Whether 01/02 is the first of February: by the first date that tells, else by the clock, as only America's is of
    twelve hours and puts the month first.
    """
    twelve = False
    for line in lines:
        fields = line.decode(errors="replace").split(layout.delimiter)
        found = _DATE.match(fields[layout.time]) if len(fields) > layout.time else None
        if found is None:
            continue
        if int(found[1]) > 12 or int(found[2]) > 12:
            return int(found[1]) > 12
        twelve |= re.search(r"[AaPp]\.?[Mm]", fields[layout.time]) is not None
    return not twelve
