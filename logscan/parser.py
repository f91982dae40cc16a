"""The parser contract: a block of log lines in, columns of events and of message facts out.

A parser is a value made of functions, registered under the entry point group `logscan.parsers`:

    parser = Parser(name="postfix", title="Postfix", sniff=sniff, parse=parse)

`parse` is pure: the same block gives the same answer in this process, in a pool and on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from logscan.clock import Clock
from logscan.spans import Spans

MAX_SAMPLES = 5
SAMPLE_LENGTH = 300

BEGIN, END = 1, 2


@dataclass(frozen=True)
class Block:
    """Whole lines of one source, in file order.

    `spans` are the lines without their line ends, valid UTF-8 (bytes that are not stand as `\\xNN`);
    `offsets` is the byte offset at which each line starts in the source, decompressed; `clock` turns the source's
    stamps into moments.

    >>> block = Block.of(b"one\\ntwo\\n", source="mail.log")
    >>> block.lines.to_pylist(), block.offsets.tolist()
    (['one', 'two'], [0, 4])
    """

    spans: Spans
    offsets: np.ndarray
    source: str = ""
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def of(cls, data: bytes, offset: int = 0, source: str = "", clock: Clock | None = None) -> Block:
        """A block of `data`, whose first byte stands at `offset` of `source`."""
        spans, starts = Spans.lines(data)
        return cls(spans, starts + offset, source, clock or Clock())

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

    events:   a row per reply or outcome, in line order: `time`, `host` and `offset` (of the line), and those columns
              of `schema.EVENTS` that the log states.
    messages: a row per line that says something of a message, in any order: `time`, `host`, `queue_id`, `offset`, any
              of `schema.FACTS` (lines of one message must agree on them), and `mark` (int8): BEGIN on the line that
              begins the message's life, END on the one that ends it, else 0.
    others:   the rows of the block that are another program's; as many as `tally.other`.
    """

    events: pa.Table
    messages: pa.Table
    tally: Tally
    others: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Parser:
    """A log format. `sniff` looks at the first lines of a source and says how sure it is, 0 to 1.

    syslog: its lines may stand among those of other programs; then it gives `Parsed.others` exactly.
    """

    name: str
    title: str
    sniff: Callable[[Block], float]
    parse: Callable[[Block], Parsed]
    reads: str = ""
    syslog: bool = False
