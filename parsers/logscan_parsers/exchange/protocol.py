"""SMTP protocol logs: what we answered clients (RECV), and what other servers answered us (SEND).

    date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context
    2020-11-27T09:34:39.159Z,EX\\Default Frontend,08D8A944,38,10.0.1.5:25,192.0.2.96:543,<,RCPT TO:<a@b.example>,
    2020-11-27T09:34:44.175Z,EX\\Default Frontend,08D8A944,41,10.0.1.5:25,192.0.2.96:543,>,550 5.7.1 Unable to relay,

`>` is sent by the server that logs, `<` received by it; `+` and `-` are connects and disconnects, `*` is information.
Sessions stand interleaved. In each, replies answer the commands in their order, also where these were pipelined
(RFC 2920): the n-th reply answers the n-th command. Without a command are the greeting, the reply to a message's text
(it answers what follows 354) and a good-bye in between. Replies of several lines are one row each in Exchange 2007 and
2010 (`250-SIZE`), and one row in all since 2013. Source: Microsoft Learn, "Protocol logging".

Proxied sessions inside the organisation tell a second time what the first server logged, and give no events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan import reply
from logscan.clock import Clock
from logscan.columns import timestamps, words
from logscan.spans import Bools, Bytes, Ints, Spans, table_of
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange.event import (
    address_of,
    is_probe,
    joined,
    known_again,
    moments,
    null_path,
    without_brackets,
)
from logscan_parsers.exchange.records import Records, plain
from logscan_parsers.exchange.tracking import INTERNAL

STAGES = {
    "EHLO": "helo",
    "HELO": "helo",
    "STARTTLS": "starttls",
    "X-ANONYMOUSTLS": "starttls",
    "AUTH": "auth",
    "X-EXPS": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "BDAT": "end-of-data",
    "text": "end-of-data",
    "VRFY": "vrfy",
    "QUIT": "quit",
}
_STAGE_NAMES = ["connect", *dict.fromkeys(STAGES.values())]
_NO_STAGE, _CONNECT, _AUTH = -1, 0, _STAGE_NAMES.index("auth")
# A 5xx to these ends the session, not the message: Exchange defers it.
_OF_SESSION = tuple(_STAGE_NAMES.index(name) for name in ("connect", "helo", "starttls", "auth"))

# The commands of servers of one organisation among each other ([MS-OXSMTP], XPROXY; shadow redundancy), and the ports
# of the services behind the one that the world talks to (Microsoft Learn, "Network ports for mail flow").
_PROXYING = ("XPROXY", "XPROXYFROM", "XPROXYTO", "XSHADOW", "XSHADOWREQUEST", "XSESSIONPARAMS")
_PROXY_PORTS = (b":2525", b":475", b":717")
_TEXT = "text"
_FAILED_TO_CONNECT = b"Failed to connect"
_MESSAGE = r"RecordId (?P<record>\d+) and InternetMessageId (?P<name>.*)$"
_QUEUED = r"^250 2\.6\.0 <(?P<name>[^>]*)> \[InternalId=(?P<record>\d+)"
_PATH = r'(?i)^[A-Z]+ (?:FROM|TO): ?(?P<path><(?:"(?:[^"\\]|\\.)*")?[^>]*>|\S+)(?: .*?\bSIZE=(?P<size>\d{1,15}))?'
_BIG = np.int64(1) << 40


@dataclass(frozen=True)
class Rows:
    """Rows of sessions, in the order of the log. `line` is the place of the line that each is of."""

    session: Spans
    remote: Spans
    local: Spans
    connector: tuple[Spans, Bools]
    data: tuple[Spans, Bools]
    context: tuple[Spans, Bools]
    mark: Bytes
    sequence: Ints
    stamp: Spans
    line: Ints
    sent: Bools
    """Whether it is of a SEND log."""
    by_line: Bools
    """Whether a reply of several lines has a row for each."""

    @classmethod
    def of(cls, pieces: list[Records]) -> Rows:
        """The rows of pieces of one stretch of lines."""
        pieces = sorted(pieces, key=lambda piece: int(piece.line[0]))

        def spans(name: str) -> Spans:
            columns = [piece.spans(name) for piece in pieces]
            start, end = (np.concatenate([getattr(c, side) for c in columns]) for side in ("start", "end"))
            return Spans(columns[0].buffer, start, end)

        def column(name: str) -> tuple[Spans, Bools]:
            return spans(name), np.concatenate([piece.column(name)[1] for piece in pieces])

        def each(values: list[bool]) -> Bools:
            return np.repeat(np.array(values), [len(piece) for piece in pieces])

        line = np.concatenate([piece.line for piece in pieces])
        return cls(
            spans("session-id"),
            spans("remote-endpoint"),
            spans("local-endpoint"),
            column("connector-id"),
            column("data"),
            column("context"),
            spans("event").byte(),
            spans("sequence-number").number()[0],
            spans("date-time"),
            line,
            each([piece.layout.log == layouts.SEND for piece in pieces]),
            each([0 < piece.layout.version < 15 for piece in pieces]),
        )

    def __len__(self) -> int:
        return len(self.line)

    @cached_property
    def keys(self) -> pa.StringArray:
        """What all rows of a session have, and no others: its id and the other side."""
        return pc.binary_join_element_wise(_text(self.session), _text(self.remote), " ")

    def take(self, rows: Ints) -> Rows:
        """Some of the rows, in ascending order."""
        pairs = {name: (spans.take(rows), quoted[rows]) for name, (spans, quoted) in self._pairs().items()}
        return Rows(
            self.session.take(rows),
            self.remote.take(rows),
            self.local.take(rows),
            pairs["connector"],
            pairs["data"],
            pairs["context"],
            self.mark[rows],
            self.sequence[rows],
            self.stamp.take(rows),
            self.line[rows],
            self.sent[rows],
            self.by_line[rows],
        )

    def _pairs(self) -> dict[str, tuple[Spans, Bools]]:
        return {"connector": self.connector, "data": self.data, "context": self.context}

    def whole(self) -> Bools:
        """Which rows are of sessions that are here from their first row to their last."""
        codes = self.keys.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        begins = _begins(codes[order], self.sequence[order])
        number = np.cumsum(begins) - 1
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(order)) - 1
        good = (self.sequence[order[first]] == 0) & (self.mark[order[last]] == ord("-"))
        whole = np.zeros(len(self), bool)
        whole[order] = good[number]
        return whole


def _text(spans: Spans) -> pa.StringArray:
    return spans.where(spans.length >= 0).to_arrow()


def _begins(codes: Ints, sequence: Ints) -> Bools:
    """Where a session begins among rows sorted by session, or goes on after rows that are missing."""
    begins = np.ones(len(codes), bool)
    begins[1:] = (codes[1:] != codes[:-1]) | (sequence[1:] != sequence[:-1] + 1)
    return begins


def read(rows: Rows, offsets: Ints, clock: Clock, order_of: Ints | None = None) -> tuple[pa.Table, Ints]:
    """Events of sessions, and the row that each comes from; `offsets` are those of the rows.

    order_of: what the rows of a session are to be sorted by, where they do not stand in order.
    """
    if not len(rows):
        return pa.table({}), np.zeros(0, np.int64)
    return _Sessions(rows, order_of).events(offsets, clock)


class _Sessions:
    """The rows of sessions, one session after the other; all arrays but those of `rows` are in that order."""

    def __init__(self, rows: Rows, order_of: Ints | None):
        self.rows = rows
        codes = rows.keys.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        self.order: Ints = np.lexsort((np.arange(len(rows)) if order_of is None else order_of, codes))
        begins = _begins(codes[self.order], rows.sequence[self.order])
        self.session: Ints = np.cumsum(begins) - 1
        self.first: Ints = np.flatnonzero(begins)
        self.sessions = len(self.first)
        self.sent = rows.sent[self.order]
        mark = rows.mark[self.order]
        self.mark = mark
        self.is_reply: Bools = mark == np.where(self.sent, ord("<"), ord(">"))
        self.is_command: Bools = mark == np.where(self.sent, ord(">"), ord("<"))
        data = rows.data[0]
        code, coded = Spans(data.buffer, data.start, np.minimum(data.end, data.start + 3)).number()
        separator = data.byte(3)
        coded &= (data.length == 3) | (separator == ord(" ")) | (separator == ord("-"))
        coded &= (code >= 200) & (code < 600)
        self.code: Ints = code[self.order]
        self.coded: Bools = coded[self.order] & self.is_reply
        self.folded: Bools = (separator == ord("-"))[self.order] & self.coded & (data.length > 3)[self.order]
        self.verb, self.verbs = self._verbs(data)

    def _verbs(self, data: Spans) -> tuple[Ints, list[str]]:
        """The command in each row as a place in a list; -1 where it is none."""
        is_command = np.zeros(len(self.rows), bool)
        is_command[self.order] = self.is_command
        rows = np.flatnonzero(is_command)
        codes, values, _ = data.take(rows).tokens(table_of(b" :\t\r\n"), 20)
        verbs = [value.decode(errors="replace").upper() for value in values]
        verb = np.full(len(self.rows), -1, np.int64)
        verb[rows] = codes
        return verb[self.order], [*verbs, _TEXT]

    def of_verb(self, verb: Ints, *names: str) -> Bools:
        """Which of some verbs, by their place, are of these."""
        return np.asarray(np.array([*(name in names for name in self.verbs), False])[verb])

    def begun(self) -> Bools:
        """Which sessions are here from their first row on."""
        return np.asarray((self.rows.sequence[self.order[self.first]] == 0) | (self.mark[self.first] == ord("+")))

    def events(self, offsets: Ints, clock: Clock) -> tuple[pa.Table, Ints]:
        """All events, and the row of each."""
        talk = _Talk.of(self)
        found = _join([*_failures(self, talk), _accepted(self, talk), _broken_off(self, talk), *_unspoken(self, talk)])
        found = found.take(~self._hops()[self.session[found.at]])
        row = self.order[found.at]
        time = moments(self.rows.stamp.take(row), offsets[row], clock)
        table = _table(self, talk, found).append_column("time", timestamps(time))
        real = ~(is_probe(table["sender"].combine_chunks()) | is_probe(table["recipient"].combine_chunks()))
        return table.filter(pa.array(real)), row[real]

    def texts(self, pair: tuple[Spans, Bools], at: Ints) -> pa.StringArray:
        """A column of some rows as strings."""
        rows, place = np.unique(self.order[at], return_inverse=True)
        return plain(pair[0].take(rows), pair[1][rows]).take(pa.array(place))

    def final_replies(self) -> tuple[Ints, Ints, Ints]:
        """The rows that end replies; the rows of all their lines; of each reply, the first of its lines among these."""
        lines = np.flatnonzero(self.coded)
        if not len(lines):
            return lines, lines, lines
        commands = np.cumsum(self.is_command)
        goes_on = self.folded[lines]
        next_line = np.append(lines[1:], lines[-1:])
        goes_on &= (self.session[next_line] == self.session[lines]) & (commands[next_line] == commands[lines])
        goes_on[-1] = False
        # A reply that stands whole in one row has its last line in it.
        alone = np.flatnonzero(goes_on & ~self.rows.by_line[self.order[lines]])
        if len(alone):
            whole = pc.match_substring_regex(self.texts(self.rows.data, lines[alone]), r" [2-5]\d\d ")
            goes_on[alone[whole.to_numpy(zero_copy_only=False)]] = False
        ends = np.flatnonzero(~goes_on)
        return lines[ends], lines, np.concatenate(([0], ends[:-1] + 1))

    def _hops(self) -> Bools:
        """Which sessions are between servers of the organisation."""
        rows, hop = self.rows, np.zeros(self.sessions, bool)
        verbs = np.array([*(name in _PROXYING for name in self.verbs), False])[self.verb]
        names = np.logical_or.reduce([rows.connector[0].startswith(name) for name in INTERNAL])
        sent, received = rows.remote, rows.local
        ports = np.logical_or.reduce(
            [np.where(rows.sent, sent.endswith(p), received.endswith(p)) for p in _PROXY_PORTS]
        )
        trusted = np.flatnonzero(np.array([*(name == "X-EXPS" for name in self.verbs), False])[self.verb])
        inside = verbs | (names | ports)[self.order]
        if len(trusted):
            exchange = pc.match_substring(self.texts(rows.data, trusted), "EXCHANGEAUTH", ignore_case=True)
            inside[trusted] |= exchange.fill_null(False).to_numpy(zero_copy_only=False)
        hop[self.session[inside]] = True
        return hop


@dataclass(frozen=True)
class _Talk:
    """Which reply answers which command. Commands and replies are told by their number, rows by their place.

    A message's text, which is not logged, is a command too: `text`.
    """

    command: Ints
    """The row of each command; of a text, that of the 354 before it."""
    verb: Ints
    transaction: Ints
    """Of each command: it begins with MAIL, or with what ends the one before."""
    answer: Ints
    """The reply to each command, -1 where there is none."""
    code: Ints
    """The code of the reply to each command, 0 where there is none."""
    reply: Ints
    """The row that ends each reply."""
    lines: Ints
    first_line: Ints
    """The rows of lines of replies, and of each reply the first among these."""
    asked: Ints
    """The command that each reply answers, -1 where there is none or it is not here."""
    opening: Bools
    """Whether a reply is the first thing said in its session."""
    pending: Ints
    """Of each session, the first command without a reply; -1 where there is none."""
    mail: Ints
    """Of each transaction, its MAIL; -1 where it has none, or it is not here."""

    @classmethod
    def of(cls, rows: _Sessions) -> _Talk:
        """The talk in some sessions."""
        final, lines, first_line = rows.final_replies()
        is_final = np.zeros(len(rows.mark), bool)
        is_final[final] = True
        items = np.flatnonzero(rows.is_command | is_final)
        at = np.repeat(items, 1 + (is_final & (rows.code == 354))[items])
        is_text = np.zeros(len(at), bool)
        is_text[1:] = at[1:] == at[:-1]
        asks = rows.is_command[at] | is_text
        begins = np.ones(len(at), bool)
        begins[1:] = rows.session[at[1:]] != rows.session[at[:-1]]
        start, which = np.flatnonzero(begins), np.cumsum(begins) - 1
        # How many commands wait for their reply, were none lost; a reply that comes when none does has no command.
        waiting = _within(np.where(asks, 1, -1), start, which)
        lost = _lost(rows, at, asks, waiting, start, which)
        waiting = waiting + lost[which]
        least = np.minimum.accumulate(np.minimum(waiting, 0) - which * _BIG) + which * _BIG
        before = np.concatenate(([0], least[:-1]))[: len(at)]
        before[start] = 0
        answers = ~asks & (waiting >= before)
        first_command: Ints = (np.cumsum(asks) - asks)[start]
        number = first_command[which] + _within(answers.astype(np.int64), start, which) - 1 - lost[which]
        asked = np.where(answers & (number >= first_command[which]), number, -1)[~asks]

        command = at[asks]
        verb = np.where(is_text[asks], len(rows.verbs) - 1, rows.verb[command])
        answer = np.full(len(command), -1, np.int64)
        answer[asked[asked >= 0]] = np.flatnonzero(asked >= 0)
        code = np.where(answer >= 0, rows.code[final][answer] if len(final) else 0, 0)
        new = rows.of_verb(verb, "MAIL", "RSET", "EHLO", "HELO") | begins[asks]
        new[1:] |= rows.session[command[1:]] != rows.session[command[:-1]]
        new[:1] = True
        heads = np.flatnonzero(new)
        mail = np.where(rows.of_verb(verb[heads], "MAIL"), heads, -1)

        pending = np.full(rows.sessions, -1, np.int64)
        if len(at):
            last = np.append(start[1:], len(at)) - 1
            left = (waiting - np.minimum(least, 0))[last]
            some = first_command + _within(answers.astype(np.int64), start, which)[last] - lost
            pending[rows.session[at[last]]] = np.where((left > 0) & (some >= first_command), some, -1)
        opening = (begins & ~asks)[~asks] & rows.begun()[rows.session[at[~asks]]]
        return cls(
            command, verb, np.cumsum(new) - 1, answer, code, final, lines, first_line, asked, opening, pending, mail
        )


def _within(values: Ints, start: Ints, which: Ints) -> Ints:
    """Running sums that begin anew with each stretch."""
    total = np.cumsum(values)
    return total - (total[start] - values[start])[which] if len(values) else total


def _lost(rows: _Sessions, at: Ints, asks: Bools, waiting: Ints, start: Ints, which: Ints) -> Ints:
    """For each session that began before the log, how many commands were lost whose replies are here.

    So many replies more than commands stand there before the first command that follows a reply.
    """
    replies = _within((~asks).astype(np.int64), start, which)
    later = np.flatnonzero(asks & (replies > 0))
    end = np.full(len(start), len(at), np.int64)
    end[which[later][::-1]] = later[::-1]
    early = np.arange(len(at)) < end[which]
    fewest = np.minimum.reduceat(np.where(early, waiting, 0), start) if len(start) else start
    return np.where(rows.begun()[rows.session[at[start]]], 0, np.maximum(-fewest, 0))


@dataclass(frozen=True)
class _Found:
    """Events: their row; reply, recipient's command and MAIL by number, or -1; stage and action by place."""

    at: Ints
    reply: Ints
    recipient: Ints
    stage: Ints
    action: Ints
    mail: Ints

    def take(self, rows: Ints | Bools) -> _Found:
        """Some of them."""
        return _Found(*(column[rows] for column in self._columns()))

    def _columns(self) -> tuple[Ints, ...]:
        return self.at, self.reply, self.recipient, self.stage, self.action, self.mail


_ACTIONS = ["accepted", "delivered", "deferred", "bounced", "rejected"]
_ACCEPTED, _DELIVERED, _DEFERRED, _BOUNCED, _REJECTED = range(5)


def _join(found: list[_Found]) -> _Found:
    columns = zip(*(f._columns() for f in found), strict=True)
    joined_columns = [np.concatenate(column).astype(np.int64) for column in columns]
    order = np.argsort(joined_columns[0], kind="stable")
    return _Found(*(column[order] for column in joined_columns))


def _each(transaction: Ints, of_command: Ints, wanted: Bools) -> tuple[Ints, Ints]:
    """For each of some transactions its commands that are wanted, or -1: the transaction's place, and the command."""
    commands = np.flatnonzero(wanted)
    low = np.searchsorted(of_command[commands], transaction)
    high = np.searchsorted(of_command[commands], transaction, "right")
    count = np.maximum(high - low, 1)
    place = np.repeat(np.arange(len(transaction)), count)
    step = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    none = (high == low)[place]
    return place, np.where(none, -1, np.append(commands, -1)[np.where(none, -1, low[place] + step)])


def _stages(rows: _Sessions, verb: Ints) -> Ints:
    names = [*(_STAGE_NAMES.index(STAGES[name]) if name in STAGES else _NO_STAGE for name in rows.verbs), _NO_STAGE]
    return np.array(names, np.int64)[verb]


def _failures(rows: _Sessions, talk: _Talk) -> list[_Found]:
    """Refusals, for each recipient that they are for."""
    number = np.flatnonzero(rows.code[talk.reply] >= 400)
    verb = _at(talk.verb, talk.asked[number])
    number = number[~_follows(rows, talk, number) & ~rows.of_verb(verb, "QUIT", "NOOP", "RSET")]
    number = number[~_tried_anew(rows, talk, number)]
    asked, at = talk.asked[number], talk.reply[number]
    verb, sent = _at(talk.verb, asked), rows.sent[at]
    transaction = _at(talk.transaction, asked)
    stage = _stages(rows, verb)
    stage[talk.opening[number]] = _CONNECT
    # A client's further words in AUTH are no command, and are not always logged.
    previous = talk.reply[np.maximum(number - 1, 0)]
    stage[(number > 0) & (rows.code[previous] == 334) & (rows.session[previous] == rows.session[at])] = _AUTH
    again = (rows.code[at] < 500) | np.isin(stage, _OF_SESSION)
    action = np.where(~sent, _REJECTED, np.where(again, _DEFERRED, _BOUNCED))
    own = np.where(rows.of_verb(verb, "RCPT"), asked, -1)
    refused = _Found(at, number, own, stage, action, _at(talk.mail, transaction))
    named = rows.of_verb(talk.verb, "RCPT")
    taken = named & (talk.code >= 200) & (talk.code < 300)
    for_all = sent & rows.of_verb(verb, "MAIL")
    for_taken = rows.of_verb(verb, "DATA", "BDAT", _TEXT)
    found = [refused.take(~for_all & ~for_taken)]
    for some, wanted in ((for_all, named), (for_taken, taken)):
        place, recipient = _each(transaction[some], talk.transaction, wanted)
        found.append(replace(refused.take(some).take(place), recipient=recipient))
    return found


def _at(column: Ints, places: Ints) -> Ints:
    """A column at some places; -1 at place -1."""
    return np.append(column, -1)[places]


def _tried_anew(rows: _Sessions, talk: _Talk, number: Ints) -> Bools:
    """Which refusals are of an EHLO that a HELO followed."""
    asked = talk.asked[number]
    after = np.where((asked >= 0) & (asked + 1 < len(talk.command)), asked + 1, -1)
    same = _at(rows.session[talk.command], after) == rows.session[talk.reply[number]]
    ehlo, helo = rows.of_verb(_at(talk.verb, asked), "EHLO"), rows.of_verb(_at(talk.verb, after), "HELO")
    return np.asarray(ehlo & helo & same)


def _follows(rows: _Sessions, talk: _Talk, number: Ints) -> Bools:
    """Which refusals only say that an earlier one stands: `503 need MAIL` after a sender was refused."""
    count = len(talk.mail)
    refused = _at(talk.code, talk.mail) >= 400
    named = rows.of_verb(talk.verb, "RCPT")
    taken = np.bincount(talk.transaction[named & (talk.code >= 200) & (talk.code < 300)], minlength=count)
    denied = np.bincount(talk.transaction[named & (talk.code >= 400)], minlength=count)
    asked = talk.asked[number]
    verb, transaction, code = _at(talk.verb, asked), _at(talk.transaction, asked), rows.code[talk.reply[number]]
    of_text = rows.of_verb(verb, "DATA", "BDAT", _TEXT)
    after_sender = np.append(refused, False)[transaction] & (of_text | rows.of_verb(verb, "RCPT")) & (code == 503)
    none_left = np.append((taken == 0) & (denied > 0), False)[transaction]
    return np.asarray(after_sender | (none_left & of_text & np.isin(code, (503, 554))))


def _accepted(rows: _Sessions, talk: _Talk) -> _Found:
    """Messages taken, for each recipient."""
    # A server that hands the text on as it comes does not log its 354.
    done = rows.of_verb(talk.verb, _TEXT, "DATA")
    chunks = np.flatnonzero(rows.of_verb(talk.verb, "BDAT"))
    if len(chunks):
        data = rows.rows.data[0].take(rows.order[talk.command[chunks]])
        done[chunks] = data.endswith(b" LAST") | data.endswith(b" last")
    commands = np.flatnonzero(done & (talk.code >= 200) & (talk.code < 300))
    taken = rows.of_verb(talk.verb, "RCPT") & (talk.code >= 200) & (talk.code < 300)
    place, recipient = _each(talk.transaction[commands], talk.transaction, taken)
    commands = commands[place]
    number = talk.answer[commands]
    at = talk.reply[number] if len(number) else number
    stage = np.full(len(at), _STAGE_NAMES.index("end-of-data"))
    action = np.where(rows.sent[at], _DELIVERED, _ACCEPTED)
    return _Found(at, number, recipient, stage, action, talk.mail[talk.transaction[commands]])


def _broken_off(rows: _Sessions, talk: _Talk) -> _Found:
    """Sessions of ours that ended while a command waited for its reply, for each recipient not yet refused."""
    last = np.append(rows.first[1:], len(rows.mark)) - 1
    session = np.flatnonzero((talk.pending >= 0) & (rows.mark[last] == ord("-")) & rows.sent[last])
    command = talk.pending[session]
    said = np.searchsorted(talk.reply, last[session], "right") - 1
    bye = (said >= 0) & (rows.code[np.append(talk.reply, 0)[said]] == 421)
    bye &= rows.session[np.append(talk.reply, 0)[said]] == session
    keep = ~rows.of_verb(talk.verb[command], "QUIT", "NOOP", "RSET") & ~bye
    if len(talk.mail):
        mail = talk.mail[talk.transaction[command]]
        keep &= ~((mail >= 0) & (talk.code[mail] >= 400))
    session, command = session[keep], command[keep]
    wanted = rows.of_verb(talk.verb, "RCPT") & (talk.code < 400)
    place, recipient = _each(talk.transaction[command], talk.transaction, wanted)
    at, command = last[session][place], command[place]
    nothing = np.full(len(at), -1, np.int64)
    stage = _stages(rows, talk.verb[command])
    action = np.full(len(at), _DEFERRED)
    return _Found(at, nothing, recipient, stage, action, talk.mail[talk.transaction[command]] if len(at) else nothing)


def _unspoken(rows: _Sessions, talk: _Talk) -> list[_Found]:
    """Sessions of ours that came to nothing: no connection, no SMTP spoken, no greeting."""
    context = rows.rows.context[0]
    failed = np.flatnonzero((context.startswith(_FAILED_TO_CONNECT) & rows.rows.sent)[rows.order])
    strange = np.flatnonzero(rows.is_reply & ~rows.coded & rows.sent)
    first = np.ones(len(strange), bool)
    first[1:] = rows.session[strange[1:]] != rows.session[strange[:-1]]
    spoken = np.zeros(rows.sessions, bool)
    spoken[rows.session[talk.reply]] = True
    spoken[rows.session[talk.command]] = True
    strange = strange[first]
    strange = strange[~spoken[rows.session[strange]]]
    silent = ~spoken & rows.begun()
    silent[rows.session[strange]] = False
    last = np.append(rows.first[1:], len(rows.mark)) - 1
    connected = np.zeros(rows.sessions, bool)
    connected[rows.session[rows.mark == ord("+")]] = True
    dropped = last[silent & connected & rows.sent[last] & (rows.mark[last] == ord("-"))]
    at = np.concatenate((failed, strange, dropped))
    nothing = np.full(len(at), -1, np.int64)
    return [_Found(at, nothing, nothing, np.full(len(at), _CONNECT), np.full(len(at), _DEFERRED), nothing)]


def _table(rows: _Sessions, talk: _Talk, found: _Found) -> pa.Table:
    at, source = found.at, rows.rows
    sent = rows.sent[at]
    path, _ = _paths(rows, talk, found.recipient)
    sender, size = _paths(rows, talk, found.mail)
    replies = reply.cut(Spans.of(_replies(rows, talk, found)))
    names, records = _messages(rows, at)
    queued = pc.extract_regex(replies.text, _QUEUED)
    remote = address_of(rows.texts((source.remote, np.zeros(len(source), bool)), at))
    host = _greeters(rows, talk, at)
    connector = rows.texts(source.connector, at)
    log = words(sent.astype(np.int64), [layouts.RECEIVE, layouts.SEND])
    inbound = pa.array(~sent)
    nothing = pa.scalar(None, pa.string())
    message_id = pc.coalesce(names, pc.struct_field(queued, "name"))
    outcome = pa.array(np.array(_ACTIONS)[found.action], pa.string())
    whole = sent & ((found.reply < 0) | (found.recipient < 0))
    known = known_again(sender, path, outcome, whole, pc.coalesce(names, remote))
    return pa.table(
        {
            "host": pc.if_else(inbound, _server(connector), nothing).dictionary_encode(),
            "log": log,
            "process": joined(log.cast(pa.string()), connector),
            "direction": words(sent.astype(np.int64), ["inbound", "outbound"]),
            "action": outcome.dictionary_encode(),
            "stage": words(found.stage, _STAGE_NAMES),
            "code": replies.code,
            "enhanced": replies.enhanced,
            "reply": replies.text,
            "sender": sender,
            "recipient": path,
            "remote_host": host,
            "remote_ip": remote,
            "client_ip": pc.if_else(inbound, remote, nothing),
            "queue_id": pc.coalesce(records, pc.struct_field(queued, "record")),
            "message_id": message_id,
            "size": size,
            "happening": known,
        }
    )


def _paths(rows: _Sessions, talk: _Talk, commands: Ints) -> tuple[pa.StringArray, pa.Int64Array]:
    """The address in each of some MAIL or RCPT commands, and the size stated; null for -1."""
    named = np.flatnonzero(commands >= 0)
    distinct, place = np.unique(commands[named], return_inverse=True)
    cut = pc.extract_regex(rows.texts(rows.rows.data, talk.command[distinct]), _PATH)
    index = np.full(len(commands), -1, np.int64)
    index[named] = place
    taken = cut.take(pa.array(index, mask=index < 0))
    size = pc.struct_field(taken, "size")
    size = pc.if_else(pc.equal(size, ""), None, size).cast(pa.int64())
    path = null_path(pc.struct_field(taken, "path"))
    return path, size


def _replies(rows: _Sessions, talk: _Talk, found: _Found) -> pa.StringArray:
    """The reply of each event; where there was none, what the log says of the session."""
    last = np.append(talk.reply, 0)[found.reply]
    texts = rows.texts(rows.rows.data, np.where(found.reply >= 0, last, found.at))
    wordless = found.reply < 0
    if wordless.any():
        why = rows.texts(rows.rows.context, found.at[wordless])
        said = pc.if_else(pa.array(rows.is_reply[found.at[wordless]]), texts.filter(pa.array(wordless)), why)
        texts = pc.replace_with_mask(texts, pa.array(wordless), said)
    first = np.append(talk.first_line, 0)[found.reply]
    long = np.flatnonzero(~wordless & (np.append(talk.lines, 0)[first] != last))
    if len(long):
        parts = []
        for number, start in zip(found.reply[long].tolist(), first[long].tolist(), strict=True):
            end = int(np.searchsorted(talk.lines, talk.reply[number], "right"))
            lines = rows.texts(rows.rows.data, talk.lines[start:end]).to_pylist()
            parts.append(" ".join(line for line in lines if line))
        mask = np.zeros(len(texts), bool)
        mask[long] = True
        texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(parts, pa.string()))
    return texts


def _messages(rows: _Sessions, at: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    """Message-ID and record of the message that was being sent, by the last row before that says so."""
    context = rows.rows.context[0]
    said = np.flatnonzero((context.startswith(b"sending message") & rows.rows.sent)[rows.order])
    place = np.searchsorted(said, at, "right") - 1
    good = place >= 0
    good &= rows.session[np.append(said, 0)[place]] == rows.session[at]
    cut = pc.extract_regex(rows.texts(rows.rows.context, said), _MESSAGE)
    taken = cut.take(pa.array(place, mask=~good))
    return without_brackets(pc.struct_field(taken, "name")), pc.struct_field(taken, "record")


def _greeters(rows: _Sessions, talk: _Talk, at: Ints) -> pa.StringArray:
    """The name with which the other server greeted, in each session of ours."""
    said = talk.reply[talk.opening & rows.sent[talk.reply] & (rows.code[talk.reply] == 220)]
    of_session = np.full(rows.sessions, -1, np.int64)
    of_session[rows.session[said]] = np.arange(len(said))
    place = of_session[rows.session[at]]
    names = pc.struct_field(
        pc.extract_regex(rows.texts(rows.rows.data, said), r"^220[ -](?P<name>[^\s,]+\.[^\s,]+)"), "name"
    )
    return names.take(pa.array(place, mask=place < 0))


def _server(connector: pa.StringArray) -> pa.StringArray:
    """The server in the name of its receive connector, `EX01\\Default Frontend EX01`."""
    return pc.struct_field(pc.extract_regex(connector, r"^(?P<server>[^\\]+)\\"), "server")
