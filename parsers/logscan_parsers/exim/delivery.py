"""Deliveries: what became of one address, and what one host said on the way to it.

    ID => a@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.1] X=TLS1.3:... CV=yes C="250 2.0.0 OK" QT=1s
    ID => bob <bob@c.example> R=localuser T=local_delivery
    ID ** a@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.1]: SMTP error from remote mail server after
       RCPT TO:<a@b.example>: 550 5.1.1 no such user
    ID == a@b.example R=dnslookup T=remote_smtp defer (-44) H=mx.b.example [192.0.2.1]: SMTP error from ... 451 later
    ID == a@b.example R=dnslookup T=remote_smtp defer (111): Connection refused
    ID ** a@b.example: retry timeout exceeded
    ID H=mx1.b.example [192.0.2.1]: SMTP error from remote mail server after initial connection: 421 busy

The last is an attempt: one host's answer; the outcome for the address stands in another line.
Sources: deliver.c (delivery_log, deferral_log, failure_log, string_log_address), transports/smtp.c, transports/lmtp.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import put, word, words
from logscan.spans import DIGITS, Bools, Ints, Spans, table_of
from logscan_parsers.exim import reply
from logscan_parsers.exim.line import CUTTHROUGH, DEFERRED, FAILED, FURTHER, SENT, SUPPRESSED, Lines
from logscan_parsers.exim.peer import PATH, address, delivered_to

DELIVERED, EXPIRED, DISCARDED = "delivered", "expired", "discarded"
# *> is a delivery that -N suppressed.
ACTIONS = {SENT: DELIVERED, FURTHER: DELIVERED, CUTTHROUGH: DELIVERED, SUPPRESSED: "suppressed"}
ACTIONS |= {FAILED: "bounced", DEFERRED: "deferred"}
_ACTION_NAMES = [DELIVERED, "suppressed", "bounced", "deferred", EXPIRED, DISCARDED]
_RETRY_TIMEOUT = b"retry timeout exceeded"

# What the transports call the command that they wait on (smtp.c, check_response; lmtp.c), as a stage.
STAGES = {
    b"initial connection": "connect",
    b"HELO": "helo",
    b"EHLO": "helo",
    b"LHLO": "helo",
    b"STARTTLS": "starttls",
    b"AUTH": "auth",
    b"MAIL FROM": "mail",
    b"RCPT TO": "rcpt",
    b"DATA": "data",
    b"BDAT": "data",
    b"data block": "data",
    b"sending data block": "data",
    b"end of data": "end-of-data",
    b"XCLIENT": "xclient",
}
_WORDS = {
    b"TLS session": "starttls",
    b"a TLS session is required": "starttls",
    b"DANE error": "starttls",
    b"authentication required but": "auth",
    b"Connection refused": "connect",
    b"Connection timed out": "connect",
    b"No route to host": "connect",
    b"Network is unreachable": "connect",
    b"Host is unreachable": "connect",
}
_STAGE_NAMES = [*dict.fromkeys([*STAGES.values(), *_WORDS.values()])]
_SAID = (b"SMTP error from remote mail server after ", b"SMTP error from remote mailer after ", b"LMTP error after ")
_CLOSED = b"Remote host closed connection in response to "
_WAITED = (
    b"SMTP timeout after ",
    b"LMTP timeout after ",
    b"SMTP timeout while connected",
    _CLOSED,
    b"Malformed SMTP reply in response to ",
    b"Malformed LMTP reply in response to ",
)
_PIPELINED = b"pipelined "
_STOPS = table_of(b" :")

# The head of a line whose address is no plain one: new <old>, parents in parentheses, pipes, files, quoted local parts,
# the sender and the return path.
_HEAD = (
    r'^(?P<address>:blackhole:|"(?:[^"\\]|\\.)*"[^ ]*?|.*?)(?: \([^()]*\))?'
    rf"(?: <(?P<original>{PATH})>)?(?: F=<(?P<sender>{PATH})>)?(?: Q=[^ ]+)?(?: P=<{PATH}>)?"
    r"(?P<rest> R=.*| T=.*| Q=.*| routing defer .*| defer .*| ?: .*|)$"
)
# What cuts the rest of a line: its fields, and the words that follow them.
_How = Callable[[Spans, npt.NDArray[np.int8]], dict[str, pa.Array]]
_HEAD_GROUPS = ("address", "original", "sender", "rest")

# The kinds of failure that only a delivery over the network has (macros.h, ERRNO_*; errno.h of Linux and the BSDs):
# closed connections and replies, TLS, authentication, refusals, retry times of hosts, and unreachable hosts.
_NETWORK = frozenset((-18, -19, -36, -37, -38, -42, -44, -45, -46, -48, -49, -50, -52, -53, -54, -57))
_NETWORK |= frozenset((51, 60, 61, 64, 65, 101, 104, 110, 111, 113))
_NETWORK_WORDS = (b"retry time", b"DANE error", b"all hosts", b"SMTP ", b"TLS ", b"a TLS ")


def read(lines: Lines, unread: Bools) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of events, and the rows they come from."""
    flag = lines.flag
    accepted = np.flatnonzero(
        unread & ((flag == SENT) | (flag == FURTHER) | (flag == CUTTHROUGH) | (flag == SUPPRESSED))
    )
    if len(accepted):
        yield from _outcomes(lines, accepted, _accepted)
    failed = np.flatnonzero(unread & ((flag == FAILED) | (flag == DEFERRED)))
    if len(failed):
        yield from _outcomes(lines, failed, _failed)


def _outcomes(lines: Lines, rows: Ints, how: _How) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Cuts the address off each line, and gives the rest to `how`."""
    body = lines.body.take(rows).compact()
    first = body.find(b" R=")
    head = Spans(body.buffer, body.start, np.where(first >= 0, first, body.start - 1))
    alone = head.compact()
    odd = alone.has(b"<") | alone.has(b'"') | alone.has(b"(") | alone.has(b": ") | (first < 0)
    plain = np.flatnonzero(~odd)
    if len(plain):
        rest = Spans(body.buffer, first[plain], body.end[plain])
        columns = how(rest, lines.flag[rows[plain]])
        table = _table(lines, rows[plain], columns | {"recipient": head.take(plain).to_arrow()})
        yield from _whole(table, rows[plain])
    others = np.flatnonzero(odd)
    if len(others):
        cut = pc.extract_regex(body.take(others).to_arrow(), _HEAD)
        delivered, original, sender, rest_text = (cut.field(name) for name in _HEAD_GROUPS)
        # A line that ends within the address tells nobody's outcome; it stays unread.
        begun = pc.starts_with(body.take(others).to_arrow(), "blackhole (")
        mask = pc.fill_null(pc.and_(pc.not_equal(delivered, ""), pc.or_(pc.not_equal(rest_text, ""), begun)), False)
        others = others[mask.to_numpy(zero_copy_only=False)]
        if not len(others):
            return
        delivered, original, sender, rest_text = (c.filter(mask) for c in (delivered, original, sender, rest_text))
        columns = how(Spans.of(rest_text), lines.flag[rows[others]])
        columns["recipient"] = _recipient(delivered, original, _given(original))
        stated = pc.match_substring_regex(body.take(others).to_arrow(), rf" F=<{PATH}>")
        sender = pc.if_else(pc.equal(sender, ""), pc.if_else(stated, "<>", None), sender)
        table = _table(lines, rows[others], columns | {"sender": sender})
        discarded = begun.filter(mask)
        if pc.any(discarded).as_py():
            table = _discarded(table, discarded)
        yield from _whole(table, rows[others])


def _whole(table: pa.Table, rows: Ints) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """The table without failures whose words are missing: their lines are cut, and stay unread."""
    action = table["action"].cast(pa.string())
    failed = pc.is_in(action, pa.array(["bounced", "deferred", EXPIRED]))
    cut = pc.and_(failed, table["reply"].is_null()).combine_chunks()
    if pc.any(cut).as_py():
        keep = pc.invert(cut)
        table, rows = table.filter(keep), rows[keep.to_numpy(zero_copy_only=False)]
    if len(rows):
        yield table, rows, True


def _table(lines: Lines, rows: Ints, columns: dict[str, pa.Array]) -> pa.Table:
    return pa.table({"queue_id": lines.ids(rows), **columns})


def _given(texts: pa.StringArray) -> pa.BooleanArray:
    return pc.not_equal(pc.fill_null(texts, ""), "")


def _recipient(delivered: pa.StringArray, original: pa.StringArray, aliased: pa.BooleanArray) -> pa.StringArray:
    """The address that was delivered to; the one before aliasing, where that is a mailbox name, a pipe or a file.

    A quoted local part is logged without its quotes (deliver.c, string_get_localpart).
    """
    is_address = pc.match_substring_regex(delivered, r"^[^|/>: ][^ ]*@[^ ]+$")
    unquoted = pc.replace_substring_regex(original, r'^"(.*)"@', r"\1@")
    same = pc.equal(unquoted, delivered)
    return pc.if_else(pc.and_(aliased, pc.or_(pc.invert(is_address), same)), original, delivered)


def _discarded(table: pa.Table, mask: pa.BooleanArray) -> pa.Table:
    """`=> blackhole (DATA ACL discarded recipients)`: accepted from the client and thrown away (receive.c)."""
    action = pc.if_else(mask, DISCARDED, table["action"].cast(pa.string()))
    direction = pc.if_else(mask, "inbound", table["direction"].cast(pa.string()))
    recipient = pc.if_else(mask, None, table["recipient"])
    table = put(table, "action", action.combine_chunks().dictionary_encode())
    table = put(table, "direction", direction.combine_chunks().dictionary_encode())
    return put(table, "recipient", recipient)


def _accepted(rest: Spans, flag: npt.NDArray[np.int8]) -> dict[str, pa.Array]:
    confirmed = rest.find(b' C="')
    has = confirmed >= 0
    head = Spans(rest.buffer, rest.start, np.where(has, confirmed, rest.end))
    quoted = Spans(rest.buffer, np.where(has, confirmed + 4, rest.end + 1), rest.end)
    # Times may follow; most often nothing does.
    closing = np.where(rest.byte(-1) == ord('"'), rest.end - 1, -1)
    closing[closing < quoted.start] = -1
    more = np.flatnonzero(has & (closing < 0))
    if len(more):
        closing[more] = quoted.take(more).rfind(b'"')
    closed = closing >= 0
    text = Spans(rest.buffer, quoted.start, np.where(closed, closing, quoted.end))
    replies = reply.cut(text, escaped=True)
    host, ip = delivered_to(head)
    remote = ip.present
    coded = replies.code.is_valid().to_numpy(zero_copy_only=False)
    tail = Spans(rest.buffer, np.where(has, np.where(closed, closing, rest.end), rest.start), rest.end)
    return {
        "process": _process(head),
        "direction": words(np.where(remote, 0, 1), ["outbound", "local"]),
        "action": _actions(flag),
        "stage": words(np.where(coded, 0, -1), ["end-of-data"]),
        "code": replies.code,
        "enhanced": replies.enhanced,
        "reply": replies.text,
        "remote_host": host.to_arrow(),
        "remote_ip": address(ip.to_arrow()),
        "delay": _seconds(tail),
    }


def _failed(rest: Spans, flag: npt.NDArray[np.int8]) -> dict[str, pa.Array]:
    rest = _without_time(rest)
    number, after = _errno(rest)
    # Where an errno is, its words come before the host's name, and the transport's own after it.
    worded = number > 0
    start = np.where(worded, after.start + 2, after.start)
    tail = Spans(rest.buffer, np.minimum(start, rest.end + 1), rest.end)
    at = _first_words(tail)
    fields_end = np.where(at >= 0, at, rest.end)
    message = Spans(rest.buffer, np.where(at >= 0, at + 2, rest.end + 1), rest.end)
    host_at = tail.find(b" H=")
    time_at = tail.find(b" DT=")
    words_end = np.minimum.reduce([np.where(p >= 0, p, rest.end) for p in (host_at, time_at, at)])
    strerror = Spans(rest.buffer, tail.start, words_end).where(worded)
    head = Spans(rest.buffer, rest.start, fields_end)
    host, ip = delivered_to(head)

    # What failed is what the transport says; where it says nothing, the system's call did.
    columns = _answers(message.or_else(strerror))
    text = columns["reply"]
    strerror = strerror.where(message.present)
    if worded.any():
        system = strerror.to_arrow()
        both = pc.coalesce(pc.binary_join_element_wise(system, text, ": "), system)
        text = pc.if_else(pc.and_(system.is_valid(), columns["code"].is_null()), both, text)
    named = columns.pop("named_host"), columns.pop("named_ip")
    columns.pop("command_recipient")
    expired = message.is_(_RETRY_TIMEOUT) | message.endswith(b": " + _RETRY_TIMEOUT)
    action = _actions(flag, expired & (flag == FAILED))
    outward = ip.present | _network(rest, number, message, columns["code"])
    return columns | {
        "process": _process(head),
        "direction": words(np.where(outward, 0, 1), ["outbound", "local"]),
        "action": action,
        "reply": text,
        "remote_host": pc.coalesce(host.to_arrow(), named[0]),
        "remote_ip": pc.coalesce(address(ip.to_arrow()), named[1]),
    }


def _network(rest: Spans, number: Ints, message: Spans, code: pa.Array) -> Bools:
    """Whether a failure without a host was a remote delivery's: by its errno, or where no transport was chosen."""
    routed = rest.has(b" T=")
    hits = ~routed | np.isin(number, list(_NETWORK))
    for literal in _NETWORK_WORDS:
        hits |= message.startswith(literal)
    return np.asarray(hits)


def _errno(rest: Spans) -> tuple[Ints, Spans]:
    """The number of ` defer (number)` and what follows; 0 and the whole row where there is none.

    What is no number (test suites mask it) stands for a positive one, which comes with the system's words.
    """
    at = rest.find(b" defer (")
    first = rest.find(b": ")
    has = (at >= 0) & ((first < 0) | (at < first))
    inside = Spans(rest.buffer, np.where(has, at + 8, rest.end + 1), rest.end)
    inside = Spans(rest.buffer, inside.start, np.where(inside.find(b")") >= 0, inside.find(b")"), inside.start - 1))
    minus = inside.byte() == ord("-")
    value, good = inside.skip(minus.astype(np.int64)).number(6)
    value = np.where(good, np.where(minus, -value, value), 1)
    closed = inside.present & has
    after = np.where(closed, inside.end + 1, rest.start)
    return np.where(closed, value, 0), Spans(rest.buffer, after, rest.end)


def _first_words(tail: Spans) -> Ints:
    """Where `: ` and the words begin: the first that does not stand within DN="...", the name in a certificate."""
    at = tail.find(b": ")
    named = tail.find(b' DN="')
    rows = np.flatnonzero((named >= 0) & (named < at))
    if len(rows):
        inside = Spans(tail.buffer, named[rows] + 5, tail.end[rows])
        closing = inside.find(b'"')
        beyond = Spans(tail.buffer, np.where(closing >= 0, closing, inside.start), inside.end)
        at[rows] = beyond.find(b": ")
    return at


def _without_time(rest: Spans) -> Spans:
    """The rows without ` DT=0.012s` at their end (log_selector deliver_time)."""
    at = rest.rfind(b" DT=")
    tail = Spans(rest.buffer, at + 4, rest.end)
    timed = (at >= 0) & rest.endswith(b"s") & (tail.length <= 12)
    digits = tail.where(timed).run(DIGITS | table_of(b".smhdw"), 12)
    timed &= digits.end == rest.end
    return Spans(rest.buffer, rest.start, np.where(timed, at, rest.end))


def _answers(message: Spans) -> dict[str, pa.Array]:
    """Code, enhanced code, text and stage of the words of a transport; host and recipient where only they name them."""
    said = np.full(len(message), -1, np.int64)
    for literal in _SAID:
        starts = message.startswith(literal)
        said = np.where(starts, message.start + len(literal), said)
    waited = np.full(len(message), -1, np.int64)
    for literal in _WAITED:
        starts = message.startswith(literal)
        waited = np.where(starts, message.start + len(literal), waited)
    quoting = said >= 0
    start = np.maximum(said, waited)
    command = Spans(message.buffer, np.where(start >= 0, start, message.end + 1), message.end)
    command = command.skip(np.where(command.startswith(_PIPELINED), len(_PIPELINED), 0))
    path = command.startswith(b"RCPT TO:<") | command.startswith(b"MAIL FROM:<")
    inside = command.where(path)
    closing = _end_of_path(inside)
    end = Spans(command.buffer, np.where(closing >= 0, closing, command.start), command.end).find(b": ")
    quoted = Spans(message.buffer, np.where(quoting & (end >= 0), end + 2, message.start), message.end)
    named_host = named_ip = pa.nulls(len(message), pa.string())
    # Exim 4.8x and older: after RCPT TO:<a@b>: host mx.b [192.0.2.1]: 550 ...; Remote host mx.b [192.0.2.1] closed ...
    for literal, mark, hits in (
        (b"host ", b"]: ", quoting & quoted.startswith(b"host ")),
        (b"Remote host ", b"] ", quoted.startswith(b"Remote host ") & ~message.startswith(_CLOSED)),
    ):
        old = np.flatnonzero(hits)
        host, beyond = quoted.take(old).skip(len(literal)).partition(b" [")
        number, words_after = beyond.partition(mark)
        good = np.flatnonzero(words_after.present)
        if not len(good):
            continue
        old = old[good]
        if literal == b"host ":
            quoted.start[old] = words_after.start[good]
        mask = np.zeros(len(message), bool)
        mask[old] = True
        named_host = pc.replace_with_mask(named_host, pa.array(mask), host.take(good).to_arrow())
        named_ip = pc.replace_with_mask(named_ip, pa.array(mask), address(number.take(good).to_arrow()))
    replies = reply.cut(quoted)
    # Digits that no host said are no code: "550 rows in the lookup".
    code = pc.if_else(pa.array(quoting), replies.code, None)
    enhanced = pc.if_else(pa.array(quoting), replies.enhanced.cast(pa.string()), None)
    stage = np.full(len(message), -1, np.int64)
    for literal, name in STAGES.items():
        stage[command.startswith(literal)] = _STAGE_NAMES.index(name)
    for literal, name in _WORDS.items():
        stage[message.startswith(literal)] = _STAGE_NAMES.index(name)
    to = command.startswith(b"RCPT TO:<") & (closing >= 0)
    recipient = Spans(command.buffer, command.start + len(b"RCPT TO:<"), np.where(to, closing, command.start))
    return {
        "stage": words(stage, _STAGE_NAMES),
        "code": code,
        "enhanced": enhanced.dictionary_encode(),
        "reply": replies.text,
        "named_host": named_host,
        "named_ip": named_ip,
        "command_recipient": recipient.where(to).to_arrow(),
    }


def _end_of_path(command: Spans) -> Ints:
    """Where the `>` of MAIL FROM:<> and RCPT TO:<> stands; -1 where there is none."""
    closing = command.find(b">")
    for row in np.flatnonzero(command.has(b':<"')).tolist():
        text = command.buffer.bytes[command.start[row] : command.end[row]].tobytes()
        closing[row] = _after_quotes(text, command.start[row])
    return closing


def _after_quotes(text: bytes, base: int) -> int:
    place = text.index(b':<"') + 3
    while place < len(text) and text[place] != ord('"'):
        place += 2 if text[place] == ord("\\") else 1
    closing = text.find(b">", place)
    return base + closing if closing >= 0 else -1


def _actions(flag: npt.NDArray[np.int8], expired: Bools | None = None) -> pa.DictionaryArray:
    place = np.full(len(ACTIONS) + 10, -1, np.int64)
    for code, name in ACTIONS.items():
        place[code] = _ACTION_NAMES.index(name)
    codes = place[flag]
    if expired is not None:
        codes = np.where(expired, _ACTION_NAMES.index(EXPIRED), codes)
    return words(codes, _ACTION_NAMES)


def _process(head: Spans) -> pa.DictionaryArray:
    """Router and transport as `dnslookup+remote_smtp`; what of them the line names."""
    parts = []
    rest = head
    for literal in (b" R=", b" T="):
        # As a rule they stand at the start, one after the other.
        here = rest.startswith(literal)
        value = rest.skip(len(literal)) if here.all() else head.after(literal)
        codes, tokens, sizes = value.tokens(_STOPS)
        parts.append((codes, [token.decode(errors="backslashreplace") for token in tokens] or [""]))
        rest = value.skip(sizes)
    (routers, router_names), (transports, transport_names) = parts
    joined = ["+".join(filter(None, (r, t))) or None for r in router_names for t in transport_names]
    return words(routers.astype(np.int64) * len(transport_names) + transports, joined)


_QT = (
    r"^(?:(?P<w>\d{1,4})w)?(?:(?P<d>\d{1,4})d)?(?:(?P<h>\d{1,4})h)?(?:(?P<m>\d{1,4})m)?"
    r"(?:(?P<s>\d{1,9}(?:\.\d{1,6})?)s)?(?: |$)"
)
_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def _seconds(tail: Spans) -> pa.DoubleArray:
    """QT=1h2m3s, the time in the queue (log_selector queue_time), in seconds (readconf.c, readconf_printtime)."""
    long = np.flatnonzero(tail.length > 1)
    timed = tail.take(long).compact().after(b" QT=")
    rows = long[timed.present]
    if not len(rows):
        return pa.nulls(len(tail), pa.float64())
    cut = pc.extract_regex(timed.take(timed.present).to_arrow(), _QT)
    total = np.zeros(len(rows))
    stated = np.zeros(len(rows), bool)
    for unit, size in _UNITS.items():
        part = pc.if_else(pc.equal(cut.field(unit), ""), None, cut.field(unit)).cast(pa.float64())
        stated |= part.is_valid().to_numpy(zero_copy_only=False)
        total += pc.fill_null(part, 0).to_numpy(zero_copy_only=False) * size
    delay = np.zeros(len(tail))
    missing = np.ones(len(tail), bool)
    delay[rows], missing[rows] = total, ~stated
    return pa.array(delay, mask=missing)


# One host's answer or none, of a message that may have other hosts (smtp.c, write_logs; deliver.c). Lines of a session
# of our own server may have a message id too.
_ATTEMPT = (
    r"^(?:H=)?(?P<host>[^ =\[\]:]+) \[(?P<ip>[^ \]]+)\](?::\w+)?\*?(?: I=\[[^ \]]*\](?::\w+)?)?"
    r"(?: (?:DT|TFO|X|CV|DN|PRX)=(?:\"[^\"]*\"|[^ ]+))*(?::? )(?P<text>[^ ].*)$"
)
_OWN_SESSION = (
    r"^(?:Warning: |[A-Z][A-Za-z]{0,3}=|sender |recipient |(?:temporarily )?rejected |incomplete |RCPT |MAIL )"
)
_OLDER = r"^(?P<text>(?:(?:SMTP|LMTP) error from remote mail(?:er| server) after |Remote host ).*\[.*)$"
_LOGIN = (
    r"^(?:.*?: )?(?P<name>[^ ]+) authenticator (?:failed|cancelled authentication) H=(?P<host>[^ ]*) "
    r"\[(?P<ip>[^ \]]+)\](?::\w+)? (?P<text>.*)$"
)


def attempts(lines: Lines, rows: Ints) -> Iterator[tuple[pa.Table, Ints, bool]]:
    """Tables of attempts among rows with a message id and no flag, and the rows they come from."""
    texts = lines.body.take(rows).to_arrow()
    for pattern in (_ATTEMPT, _LOGIN, _OLDER):
        cut = pc.extract_regex(texts, pattern)
        own = pc.match_substring_regex(cut.field("text"), _OWN_SESSION)
        hit = pc.and_(cut.is_valid(), pc.invert(pc.fill_null(own, False)))
        mask = hit.to_numpy(zero_copy_only=False)
        if mask.any():
            yield _attempts(lines, rows[mask], cut.filter(hit), pattern), rows[mask], True
            rows, texts = rows[~mask], texts.filter(pc.invert(hit))
        if not len(rows):
            return


def _attempts(lines: Lines, rows: Ints, cut: pa.StructArray, pattern: str) -> pa.Table:
    text = Spans.of(cut.field("text"))
    nothing = pa.nulls(len(rows), pa.string())
    host, ip = (nothing, nothing) if pattern is _OLDER else (cut.field("host"), address(cut.field("ip")))
    if pattern is _LOGIN:
        replies = reply.cut(text)
        columns: dict[str, pa.Array] = {"stage": word("auth", len(rows)), "code": replies.code}
        columns |= {"enhanced": replies.enhanced, "reply": replies.text, "recipient": nothing}
    else:
        columns = _answers(text)
        columns["recipient"] = columns.pop("command_recipient")
        host = pc.coalesce(host, columns.pop("named_host"))
        ip = pc.coalesce(ip, columns.pop("named_ip"))
    return _table(
        lines,
        rows,
        columns
        | {
            "direction": word("outbound", len(rows)),
            "action": word("attempt", len(rows)),
            "remote_host": pc.if_else(pc.equal(host, ""), None, host),
            "remote_ip": ip,
        },
    )
