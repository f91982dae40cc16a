"""The parser contract: a block of log lines in, columns of events and of message facts out.

A parser is a value made of functions, registered under the entry point group `logscan.parsers`:

    parser = Parser(name="postfix", title="Postfix", sniff=sniff, parse=parse)

`parse` is pure: the same block gives the same answer in this process, in a pool and on a cluster.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from logscan.clock import Clock
from logscan.spans import Spans

MAX_SAMPLES = 5
SAMPLE_LENGTH = 300
PREAMBLE = 64 << 10

BEGIN, END = 1, 2


@dataclass(frozen=True)
class Block:
    """Whole lines of one source, in file order.

    `spans` are the lines without their line ends, valid UTF-8 (bytes that are not stand as `\\xNN`);
    `offsets` is the byte offset at which each line starts in the source, decompressed; `clock` turns the source's
    stamps into moments; `preamble` is the head of the source, up to 64 KB, for what only the head says (`#Fields:`), or
    what the parser put in its place since (`Parsed.preamble`).

    >>> block = Block.of(b"one\\ntwo\\n", source="mail.log")
    >>> block.lines.to_pylist(), block.offsets.tolist()
    (['one', 'two'], [0, 4])
    """

    spans: Spans
    offsets: np.ndarray
    source: str = ""
    clock: Clock = field(default_factory=Clock)
    preamble: bytes = b""

    @classmethod
    def of(
        cls, data: bytes, offset: int = 0, source: str = "", clock: Clock | None = None, preamble: bytes | None = None
    ) -> Block:
        """A block of `data`, whose first byte stands at `offset` of `source`; a byte order mark at its start goes.

        Its preamble is its own first bytes unless another is given.

        >>> Block.of(b"\\xef\\xbb\\xbf#Fields: a").lines.to_pylist()
        ['#Fields: a']
        """
        spans, starts = Spans.lines(data)
        if offset == 0 and data.startswith(BOM_UTF8):
            start = spans.start.copy()
            start[0] += len(BOM_UTF8)
            spans = Spans(spans.buffer, start, spans.end)
        head = data[:PREAMBLE] if preamble is None else preamble
        return cls(spans, starts + offset, source, clock or Clock(), head.removeprefix(BOM_UTF8))

    @cached_property
    def lines(self) -> pa.StringArray:
        """The lines as an Arrow array of strings."""
        return self.spans.to_arrow()

    def take(self, rows: np.ndarray) -> Block:
        """Some of its lines, by index.

        >>> Block.of(b"one\\ntwo\\n").take(np.array([1])).lines.to_pylist()
        ['two']
        """
        return replace(self, spans=self.spans.take(rows), offsets=self.offsets[rows])

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class Tally:
    """How many lines were what. The four counts add up to the lines of the block.

    understood: gave an event or a fact; known: the server's own, and not needed;
    other: another program's; unread: should be known and is not, with samples (offset, line).

    >>> Tally(understood=2, unread=1) + Tally(known=1)
    Tally(understood=2, known=1, other=0, unread=1, samples=())
    """

    understood: int = 0
    known: int = 0
    other: int = 0
    unread: int = 0
    samples: tuple[tuple[int, str], ...] = ()

    @property
    def lines(self) -> int:
        """All lines."""
        return self.understood + self.known + self.other + self.unread

    @property
    def share_understood(self) -> float:
        """Share of the lines that are not unread, 0 to 1; 1 where there are none.

        >>> Tally(understood=999, unread=1).share_understood
        0.999
        """
        return 1 - self.unread / self.lines if self.lines else 1.0

    def __add__(self, more: Tally) -> Tally:
        return Tally(
            self.understood + more.understood,
            self.known + more.known,
            self.other + more.other,
            self.unread + more.unread,
            tuple(sorted(self.samples + more.samples)[:MAX_SAMPLES]),
        )


@dataclass(frozen=True)
class Parsed:
    """What a parser made of a block.

    events:   a row per reply or outcome, in any order: `time`, `host` and `offset` (of the line), and those columns
              of `schema.EVENTS` that the log states; also `happening` (int64), where several logs of the server may
              tell the same (copies.py).
    messages: a row per line that says something of a message, in any order: `time`, `host`, `queue_id`, `offset`, any
              of `schema.FACTS` (lines of one message must agree on them), and `mark` (int8): BEGIN on the line that
              begins the message's life, END on the one that ends it, else 0.
    others:   the rows of the block that are another program's; as many as `tally.other`.
    parts:    lines that can be understood only together with lines elsewhere (a session begun in an earlier file, an
              entry that syslog has split), a row each: `time`, `host`, `queue_id` (what belongs together, such as a
              session id), `offset`, and columns of the parser's own, always the same. They are tallied when settled.
    preamble: what later blocks of the source are to get as their preamble, where a line of this one changed it.
    """

    events: pa.Table
    messages: pa.Table
    tally: Tally
    others: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    parts: pa.Table = field(default_factory=lambda: pa.table({}))
    preamble: bytes | None = None


@dataclass(frozen=True)
class Parser:
    """A log format. `sniff` looks at the first lines of a source and says how sure it is, 0 to 1.

    syslog: its lines may stand among those of other programs; then it gives `Parsed.others` exactly.
    logs:   the names that it gives in the column `log`, best first: what two of them tell is counted in the first.
    facts:  whether it ever gives `Parsed.messages`. Where each event says all there is to know, it need not wait.
    settle: what `Parsed.parts` of all sources come to: all rows of some `queue_id`s, in the order of their sources and
            offsets, with `source` and `source_rank`, which its events (and messages) then carry too.
    """

    name: str
    title: str
    sniff: Callable[[Block], float]
    parse: Callable[[Block], Parsed]
    reads: str = ""
    syslog: bool = False
    logs: tuple[str, ...] = ()
    facts: bool = True
    settle: Callable[[pa.Table], Parsed] | None = None
