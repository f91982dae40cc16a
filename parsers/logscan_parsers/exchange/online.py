"""Exchange Online's reports: what became of each recipient, as the reader exported it.

    "Received","SenderAddress","RecipientAddress","Subject","Status","ToIP","FromIP","Size","MessageId","MessageTraceId"
    "30/06/2025 23:08:52","a@b.example","c@d.example","Hi","Failed","","192.0.2.1","886058","<1@b.example>","51ce-..."

Message trace (above), its details (why a message failed), the summary report of a historical search, and its extended
report, which has the columns of message tracking and is read as that. Rows stand in no order; columns in the reader's;
dates of the first two as the reader's machine writes them, in UTC.
Sources: Microsoft Learn, Get-MessageTraceV2, Get-MessageTraceDetailV2, Start-HistoricalSearch, "Message trace".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logscan.columns import timestamps, word, words
from logscan.spans import Bools, Ints
from logscan_parsers.exchange import layout as layouts
from logscan_parsers.exchange import status
from logscan_parsers.exchange.event import known_again, null_path, without_brackets
from logscan_parsers.exchange.records import Records
from logscan_parsers.exchange.tracking import actions

_DATE = (
    r"^(?P<a>\d{1,4})[/.\-](?P<b>\d{1,2})[/.\-](?P<c>\d{1,4})[ T,]+(?P<hour>\d{1,2})[:.](?P<minute>\d{2})"
    r"(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?[ \x{a0}\x{202f}]?(?P<half>[AaPp])?"
)
_ANSWERED = r"(?P<reply>\b[245]\d\d [245]\.\d{1,3}\.\d{1,3} .*)$"
_OUTCOME = r"##(?:.*,)? *(?P<last>[^,]*)$"


def dates(texts: pa.StringArray, *, day_first: bool) -> tuple[Ints, Bools]:
    """Microseconds since 1970 of dates as people write them, and which could be read.

    >>> moments, good = dates(pa.array(["30/06/2025 23:08:52", "7/1/2025 12:45:14 AM", "x"]), day_first=True)
    >>> [str(moment) for moment in moments[good].astype("M8[us]").astype("M8[s]")]
    ['2025-06-30T23:08:52', '2025-01-07T00:45:14']
    """
    cut = pc.extract_regex(texts, _DATE)
    good = cut.is_valid().to_numpy(zero_copy_only=False)
    field = {f.name: pc.struct_field(cut, f.name).fill_null("") for f in cut.type}
    a, b, c, hour, minute, second = (_number(field[n]) for n in ("a", "b", "c", "hour", "minute", "second"))
    year_first = pc.equal(pc.utf8_length(field["a"]), 4).to_numpy(zero_copy_only=False)
    day, month = (a, b) if day_first else (b, a)
    # A date that cannot be so is the other way round.
    turned = (month > 12) & (day <= 12)
    day, month = np.where(turned, month, day), np.where(turned, day, month)
    year = np.where(year_first, a, c)
    month, day = np.where(year_first, b, month), np.where(year_first, c, day)
    year = np.where(year < 100, year + 2000, year)
    half = pc.utf8_lower(field["half"]).to_numpy(zero_copy_only=False)
    hour = np.where(half == "p", hour % 12 + 12, np.where(half == "a", hour % 12, hour))
    good &= (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour < 24) & (year > 1970) & (year < 2200)
    months = (np.where(good, (year - 1970) * 12 + month - 1, 0)).astype("M8[M]")
    start = months.astype("M8[D]").astype(np.int64) + np.where(good, day - 1, 0)
    part = _number(pc.utf8_slice_codeunits(pc.utf8_rpad(field["part"], 6, "0"), 0, 6))
    seconds = ((start * 24 + hour) * 60 + minute) * 60 + second
    return np.where(good, seconds * 1_000_000 + part, 0), good


def _number(texts: pa.StringArray) -> Ints:
    digits = pc.if_else(pc.equal(texts, ""), "0", texts)
    return np.asarray(digits.cast(pa.int64()).to_numpy(zero_copy_only=False))


def read(records: Records) -> tuple[pa.Table, Ints]:
    """Events, and the record that each comes from."""
    log = records.layout.log
    if log == layouts.TRACE:
        return _events(records, "received", records.text("status"), records.text("recipientaddress"), None)
    if log == layouts.DETAIL:
        detail = records.text("detail")
        return _events(records, "date", records.text("event"), records.text("recipientaddress"), detail)
    return _summary(records)


def _summary(records: Records) -> tuple[pa.Table, Ints]:
    place, each, _ = status.by_recipient(
        pc.utf8_rtrim(records.text("recipient-status"), ";"), pa.nulls(len(records), pa.string())
    )
    last = pc.struct_field(pc.extract_regex(each, _OUTCOME), "last")
    recipient = pc.struct_field(pc.extract_regex(each, r"^(?P<address>.*?)##"), "address")
    table, rows = _events(records.take(place), "origin-timestamp-utc", last, recipient, None)
    return table, place[rows]


def _events(
    records: Records, when: str, outcome: pa.StringArray, recipient: pa.StringArray, detail: pa.StringArray | None
) -> tuple[pa.Table, Ints]:
    known = actions(records.layout.log)
    encoded = pc.utf8_lower(pc.utf8_trim_whitespace(outcome)).dictionary_encode()
    names = [known.get(name) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    wanted = np.array([*(name is not None for name in names), False])[codes]
    time, dated = dates(_texts(records, when), day_first=records.layout.day_first)
    rows = np.flatnonzero(wanted & dated)
    if not len(rows):
        return pa.table({}), rows
    at = pa.array(rows)

    def text(*choices: str) -> pa.StringArray:
        return pc.coalesce(*(_texts(records, name) for name in choices)).take(at)

    action = words(codes[rows], names)
    recipient = null_path(recipient.take(at))
    sender = null_path(text("senderaddress", "sender-address"))
    message_id = without_brackets(text("messageid", "message-id"))
    to = text("toip")
    answer = status.answers(_reasons(detail.take(at), action)) if detail is not None else {}
    size = text("size", "total-bytes")
    sized = pc.match_substring_regex(size, r"^\d{1,15}$")
    table = pa.table(
        {
            "time": timestamps(time[rows]),
            "log": word(records.layout.log, len(rows)),
            "process": word(records.layout.log, len(rows)),
            "direction": words(np.where(to.is_valid().to_numpy(zero_copy_only=False), 0, 1), ["outbound", "local"]),
            "action": action,
            "sender": sender,
            "recipient": recipient,
            "client_ip": text("fromip", "original-client-ip"),
            "message_id": message_id,
            "size": pc.if_else(sized, size, None).cast(pa.int64()),
            **answer,
            "remote_ip": pc.coalesce(to, answer["remote_ip"]) if answer else to,
        }
    )
    none = np.zeros(len(rows), bool)
    happening = known_again(message_id, recipient, action.cast(pa.string()), none, pa.nulls(len(rows), pa.string()))
    return table.append_column("happening", happening), rows


def _texts(records: Records, name: str) -> pa.StringArray:
    """A column; rows may be repeated, and then lie out of the order that `text` asks for."""
    line, place = np.unique(records.rows.start, return_index=False, return_inverse=True)
    if len(line) == len(records):
        return records.text(name)
    first = np.full(len(line), -1, np.int64)
    first[place[::-1]] = np.arange(len(records))[::-1]
    return records.take(first).text(name).take(pa.array(place))


def _reasons(detail: pa.StringArray, action: pa.DictionaryArray) -> pa.StringArray:
    """The reply in a detail, from its code on; else the detail of a failure."""
    quoted = pc.struct_field(pc.extract_regex(detail, _ANSWERED), "reply")
    good = pc.equal(action.cast(pa.string()), "delivered")
    whole = pc.match_substring(detail, "{LED=")
    return pc.if_else(whole, detail, pc.coalesce(quoted, pc.if_else(good, None, detail)))
