"""An Exim line after its envelope: its own stamp and pid, the message id, the flag, and what follows.

    2025-02-02 09:50:42.123 +0100 [4711] 10HmaX-000000005vi-0000 => a@b.example R=dnslookup T=remote_smtp ...

Milliseconds, zone and pid are options of Exim (log_selector millisec, log_timezone, pid); a syslog line may have no
stamp of Exim's at all (syslog_timestamp = false). Sources: log.c (log_write), tod.c (tod_stamp).
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

from logscan import syslog
from logscan.clock import SECOND
from logscan.columns import stretches
from logscan.parser import Block
from logscan.spans import DIGITS, Bools, Ints, Spans, table_of

Codes = npt.NDArray[np.int32]

# What became of a message or an address (deliver.c, receive.c), and the end of a message.
FLAGS = (b"<= ", b"(= ", b"=> ", b"-> ", b">> ", b"*> ", b"** ", b"== ", b"Com")
ARRIVED, FAKE, SENT, FURTHER, CUTTHROUGH, SUPPRESSED, FAILED, DEFERRED, COMPLETED = range(len(FLAGS))
_FLAG_WORDS = np.array([int.from_bytes(flag, "little") for flag in FLAGS], np.uint32)

_ALPHANUMERIC = table_of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# 16ZCW1-0005MB-00, and since 4.97 10HmaX-000000005vi-0000 (string.c, string_base62_64): the second dash, and the end.
_SHAPES = ((13, 16), (18, 23))
_DASH, _BLANK, _POINT, _BRACKET = b"- .["


@dataclass(frozen=True)
class Lines:
    """Lines of Exim, column by column.

    rows: the line's index in the block; time: microseconds since 1970 UTC; host, program: codes into the lists beside
    them, negative where the log names none; queue_id: missing where a line has none; flag: an index into FLAGS, else
    -1; body: what follows the flag, or the id, or the stamp.
    """

    rows: Ints
    time: Ints
    host: Codes
    hosts: list[str]
    program: Codes
    programs: list[str]
    queue_id: Spans
    flag: npt.NDArray[np.int8]
    body: Spans

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self, rows: Ints) -> pa.StringArray:
        """The message ids of some rows; null where a line has none."""
        ids = self.queue_id.take(rows)
        return ids.to_arrow() if ids.present.any() else pa.nulls(len(rows), pa.string())


def stamps(spans: Spans, block: Block, offsets: Ints) -> tuple[Ints, Bools, Spans]:
    """The moment of Exim's own stamp, whether there is one, and what follows it and the pid.

    >>> block = Block.of(b"2025-02-02 09:50:42.123 +0100 [4711] Start queue run: pid=1\\nStart queue run: pid=1\\n")
    >>> time, stamped, rest = stamps(block.spans, block, block.offsets)
    >>> str(time.astype("M8[us]")[0]), stamped.tolist()
    ('2025-02-02T08:50:42.123000', [True, False])
    >>> rest.to_arrow().to_pylist()
    ['Start queue run: pid=1', 'Start queue run: pid=1']
    """
    raw = spans.buffer.bytes
    # `2025-02-02 09:50:42`, then a blank or a fraction; where others have a T, there stands a blank.
    head = spans.heads(3)
    pointed = head[:, 19] == _POINT
    stamped = (spans.length > 19) & (head[:, 4] == _DASH) & (head[:, 10] == _BLANK)
    stamped &= pointed | (head[:, 19] == _BLANK)
    # Many lines are of one second, which is worked out once.
    words = head.view("<u8")
    first, which = stretches(words[:, 0], words[:, 1], words[:, 2] & np.uint64(0xFFFFFF))
    times, kinds, _ = syslog.stamps(spans.take(first))
    wall, good = (times - times % SECOND)[which], (kinds == syslog.NO_ZONE)[which]
    if len(alone := np.flatnonzero(stamped & ~good)):  # the first of them may be damaged after the second
        times, kinds, _ = syslog.stamps(spans.take(alone))
        wall[alone], good[alone] = times - times % SECOND, kinds == syslog.NO_ZONE
    stamped &= good
    start = np.where(stamped, spans.start + 20, spans.start)
    point = np.flatnonzero(stamped & pointed)
    if len(point):
        fraction = Spans(spans.buffer, start[point], spans.end[point]).run(DIGITS, 6)
        value, good = fraction.number(6)
        wall[point] += value * 10 ** (6 - np.clip(fraction.length, 0, 6))
        good &= raw[fraction.end] == _BLANK
        start[point] = np.where(good, fraction.end + 1, spans.start[point])
        stamped[point[~good]] = False
    next_ = raw[start]
    zoned = np.flatnonzero(stamped & ((next_ == ord("+")) | (next_ == ord("-"))))
    offset = np.zeros(len(spans), np.int64)
    if len(zoned):
        digits = Spans(spans.buffer, start[zoned] + 1, np.minimum(start[zoned] + 5, spans.end[zoned]))
        value, good = digits.number(4)
        good &= (digits.length == 4) & (raw[digits.end] == _BLANK)
        zoned, value = zoned[good], value[good]
        minutes = value // 100 * 60 + value % 100
        offset[zoned] = np.where(raw[start[zoned]] == _DASH, -minutes, minutes)
        start[zoned] += 6
    time = block.clock.zoned(wall, offsets)
    time[zoned] = wall[zoned] - offset[zoned] * 60 * SECOND
    rest = Spans(spans.buffer, start, spans.end)
    with_pid = np.flatnonzero(stamped & (raw[start] == _BRACKET))
    if len(with_pid):
        number = rest.take(with_pid).skip(1).run(DIGITS, 10)
        good = (number.length > 0) & spans.buffer.equal(number.end, b"] ") & (number.end + 2 <= spans.end[with_pid])
        rest.start[with_pid[good]] = number.end[good] + 2
    return time, stamped, rest


def cut(
    rows: Ints, time: Ints, host: Codes, hosts: list[str], program: Codes, programs: list[str], rest: Spans
) -> Lines:
    """Lines with their message id and flag cut off."""
    head, start, length = rest.heads(4), rest.start, rest.length
    size = np.zeros(len(rest), np.int64)
    flag = np.full(len(rest), -1, np.int8)
    for dash, end in _SHAPES:
        fits = (head[:, 6] == _DASH) & (head[:, dash] == _DASH) & (head[:, end] == _BLANK) & (length > end)
        named = np.flatnonzero(fits)
        size[named] = end
        word = np.zeros((len(named), 4), np.uint8)
        word[:, :3] = head[named, end + 1 : end + 4]
        for code, literal in enumerate(_FLAG_WORDS):
            flag[named[word.view("<u4")[:, 0] == literal]] = code
    named = np.flatnonzero(size)
    # A flag stands after nothing but an id; what has none is looked at letter by letter.
    doubtful = named[flag[named] < 0]
    letters = Spans(rest.buffer, start[doubtful], start[doubtful] + size[doubtful])
    is_id = letters.run(_ALPHANUMERIC | table_of(b"-"), 23).length == letters.length
    size[doubtful[~is_id]] = 0
    skip = np.where(size > 0, size + 1 + np.where((flag >= 0) & (flag != COMPLETED), 3, 0), 0)
    queue_id = Spans(rest.buffer, start, np.where(size > 0, start + size, start - 1))
    return Lines(rows, time, host, hosts, program, programs, queue_id, flag, Spans(rest.buffer, start + skip, rest.end))


@cache
def _known_pattern(kind: str) -> str:
    data = tomllib.loads(files("logscan_parsers.exim").joinpath("known.toml").read_text("utf-8"))
    return "^(?:" + "|".join(data[kind]) + ")"


_NEEDLESS = (
    b"SMTP connection from ",
    b"cwd=",
    b"no host name found for IP address ",
    b"Start queue run: ",
    b"End queue run: ",
)


def needless(lines: Lines) -> Bools:
    """Which rows begin or end a session or a queue run and nothing else: many of all lines, known at once."""
    hits = (lines.body.length <= 0) & ~lines.queue_id.present
    rows = np.flatnonzero(~lines.queue_id.present)
    some = lines.body.take(rows)
    starts = np.logical_or.reduce([some.startswith(literal) for literal in _NEEDLESS])
    if len(lost := np.flatnonzero(some.startswith(_NEEDLESS[0]))):
        starts[lost[some.take(lost).compact().has(b" lost")]] = False
    hits[rows[starts]] = True
    return np.asarray(hits)


def known(texts: pa.StringArray) -> Bools:
    """Which texts are known and not needed.

    >>> known(pa.array(["exim 4.98 daemon started: pid=1, no queue runs", "who knows"])).tolist()
    [True, False]
    """
    return np.asarray(pc.match_substring_regex(texts, _known_pattern("pattern")).to_numpy(zero_copy_only=False), bool)


def header(texts: pa.StringArray) -> Bools:
    """Which lines belong to the headers of a refused message, which the rejectlog keeps without a stamp.

    >>> header(pa.array(["Envelope-from: <a@b.example>", "F From: <a@b.example>", "\\tid 1", "what?"])).tolist()
    [True, True, True, False]
    """
    return np.asarray(pc.match_substring_regex(texts, _known_pattern("header")).to_numpy(zero_copy_only=False), bool)
