"""Knows a log again by its content, whatever its file is called now: rotated, compressed, half copied, cut off.

Names, inodes and modification times are no identity: ext4 gives a deleted file's inode to the next one, and
copytruncate keeps it for other content. Content is: its first lines, a look at it at each power of two, and an anchor
just before the place read so far. Two logs that begin alike differ soon after, for each line has its stamp; so a look
at a kilobyte here and there tells as much as all of it, and no night reads again what it has read before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple, Protocol

HEAD = 65_536
LINES = 16
ANCHOR = 256
WINDOW = 1024
FIRST_STEP = 12
"""Each step is a power of two: 4096, 8192, ..."""


class Content(Protocol):
    """The bytes of a source, decompressed: all that recognising needs of it."""

    def read(self, start: int, size: int) -> bytes:
        """The `size` bytes from `start` on; fewer only where the content ends."""
        ...


class Mark(NamedTuple):
    """That a content up to `offset` has this hash."""

    offset: int
    hash: bytes


@dataclass(frozen=True)
class Fingerprint:
    """A content that was read up to `offset`.

    lines:  marks at the ends of its first `LINES` lines; where it has fewer, the last mark is at its end
    steps:  hashes of the `WINDOW` bytes before each power of two from 4096 on, as far as `offset` reaches
    anchor: hash of the `ANCHOR` bytes before `offset`, or of as many as there are
    """

    offset: int
    lines: tuple[Mark, ...]
    steps: tuple[bytes, ...]
    anchor: bytes

    @classmethod
    def of(cls, content: Content, offset: int) -> Fingerprint:
        """The fingerprint of a content read up to `offset`, which must lie inside it, else `ValueError`."""
        lines = _lines(_exactly(content, 0, min(offset, HEAD)), whole=offset <= HEAD)
        steps = tuple(_hash(_exactly(content, at - WINDOW, WINDOW)) for at in _places(offset))
        start = max(0, offset - ANCHOR)
        return cls(offset, lines, steps, _hash(_exactly(content, start, offset - start)))

    @property
    def begin(self) -> Mark:
        """The last mark of its first lines."""
        return self.lines[-1]

    @property
    def digest(self) -> str:
        """A short name of it."""
        parts = [b"%d %s" % (mark.offset, mark.hash) for mark in self.lines]
        return _hash(b"".join([b"%d" % self.offset, *parts, *self.steps, self.anchor])).hex()

    def held(self, content: Content) -> int:
        """How far the content is the one that this is of: up to `offset`, or to the last look that still agrees.

        0 where the first lines differ or are not all there.
        """
        agreed = 0
        try:
            if _hash(_exactly(content, 0, self.begin.offset)) != self.begin.hash:
                return 0
            agreed = self.begin.offset
            for at, step in zip(_places(self.offset), self.steps, strict=True):
                if _hash(_exactly(content, at - WINDOW, WINDOW)) != step:
                    return agreed
                agreed = max(agreed, at)
            start = max(0, self.offset - ANCHOR)
            same = _hash(_exactly(content, start, self.offset - start)) == self.anchor
        except ValueError:  # it ends before
            return agreed
        return self.offset if same else min(agreed, start)

    def covers(self, part: Fingerprint) -> bool:
        """Whether `part` is of the same content, read less far: of a copy that is not done yet."""
        return (
            part.offset < self.offset
            and set(part.lines) <= set(self.lines)
            and part.steps == self.steps[: len(part.steps)]
        )


UNREAD = Fingerprint(0, (Mark(0, blake2b(digest_size=16).digest()),), (), blake2b(digest_size=16).digest())


class Kind(Enum):
    """What a content is to those read before."""

    NEW = "new"
    KNOWN = "known"
    """One that was read up to an offset; it may go on there."""
    PART = "part"
    """The beginning of one that was read further: a copy under way, or one that never got done."""
    CUT = "cut"
    """One that was read, that lost its end since, and may have gone on."""


class Found(NamedTuple):
    """What a content is, the fingerprint that says so, and up to where it was read before."""

    kind: Kind
    known: Fingerprint
    offset: int


NOTHING = Found(Kind.NEW, UNREAD, 0)


@dataclass
class Fingerprints:
    """Contents read before, to find the one that a content continues.

    >>> class Log(bytes):
    ...     def read(self, start, size):
    ...         return self[start : start + size]
    >>> before = Fingerprints([Fingerprint.of(Log(b"first line\\nsecond\\n"), 18)])
    >>> def kind(log):
    ...     found = before.find(log, log.rfind(b"\\n") + 1)
    ...     return found.kind.value, found.offset
    >>> kind(Log(b"first line\\nsecond\\nthird\\n")), kind(Log(b"first line\\n")), kind(Log(b"first line\\nother\\n"))
    (('known', 18), ('part', 0), ('new', 0))
    """

    known: Iterable[Fingerprint]
    _by_begin: dict[Mark, list[Fingerprint]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.known = sorted(self.known, key=lambda f: -f.offset)
        self._by_begin = {}
        for fingerprint in self.known:
            self._by_begin.setdefault(fingerprint.begin, []).append(fingerprint)

    @cached_property
    def _begins(self) -> list[int]:
        """Where the first lines of those known end."""
        return sorted({mark.offset for mark in self._by_begin})

    @cached_property
    def _by_line(self) -> dict[Mark, list[Fingerprint]]:
        found: dict[Mark, list[Fingerprint]] = {}
        for fingerprint in self.known:
            for mark in fingerprint.lines:
                found.setdefault(mark, []).append(fingerprint)
        return found

    def find(self, content: Content, end: int) -> Found:
        """What a content is, whose last whole line ends at `end`."""
        head = content.read(0, HEAD)
        hashed, at = blake2b(digest_size=16), 0
        alike: list[Fingerprint] = []
        for size in self._begins:
            if size > len(head):
                break
            hashed.update(head[at:size])
            at = size
            alike += self._by_begin.get(Mark(size, hashed.digest()), ())
        best = NOTHING
        for known in sorted(alike, key=lambda f: -f.offset):
            reached = known.held(content)
            if reached == known.offset:
                # The longest that fits, unless one that lost its end reaches further.
                return Found(Kind.KNOWN, known, reached) if reached >= best.offset else best
            if reached >= known.begin.offset and len(known.lines) >= LINES and reached > best.offset:
                best = Found(Kind.CUT, known, reached)
        if not end:
            return best
        own = Fingerprint.of(content, end)
        for known in self._by_line.get(own.begin, ()):
            if known.covers(own):
                return Found(Kind.PART, known, 0)
        return best


def _places(offset: int) -> list[int]:
    """The powers of two from 4096 up to an offset."""
    return [1 << k for k in range(FIRST_STEP, offset.bit_length()) if 1 << k <= offset]


def _lines(head: bytes, *, whole: bool) -> tuple[Mark, ...]:
    """Marks at the ends of the first lines; `whole` says that the content, as far as it was read, is no longer."""
    marks: list[Mark] = []
    hashed, at = blake2b(digest_size=16), 0
    while len(marks) < LINES and (end := head.find(b"\n", at) + 1):
        hashed.update(head[at:end])
        marks.append(Mark(end, hashed.digest()))
        at = end
    if len(marks) < LINES and (at < len(head) or not marks) and (whole or not marks):
        hashed.update(head[at:])
        marks.append(Mark(len(head), hashed.digest()))
    return tuple(marks)


def _exactly(content: Content, start: int, size: int) -> bytes:
    found = content.read(start, size)
    if len(found) < size:
        raise ValueError(f"the content ends before byte {start + size}")
    return found


def _hash(part: bytes) -> bytes:
    return blake2b(part, digest_size=16).digest()
