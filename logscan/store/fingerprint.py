"""Knows a log again by its content, whatever its file is called now: rotated, compressed, copied elsewhere.

Names, inodes and modification times are no identity: ext4 gives a deleted file's inode to the next one, and
copytruncate keeps it for other content. Content is: its growing head, and an anchor just before the place read so far.
Not known again is a copy that ends before that place (a copytruncate half done): it looks new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

HEAD = 65_536
ANCHOR = 256


class Content(Protocol):
    """The bytes of a source, decompressed: all that recognising needs of it."""

    def read(self, start: int, size: int) -> bytes:
        """The `size` bytes from `start` on; fewer only where the content ends."""
        ...


@dataclass(frozen=True)
class Fingerprint:
    """A content that was read up to `offset`.

    head:   hash of its first `HEAD` bytes, or of all up to `offset` if that is less
    anchor: hash of the `ANCHOR` bytes before `offset`, or of as many as there are
    """

    offset: int
    head: bytes
    anchor: bytes

    @classmethod
    def of(cls, content: Content, offset: int) -> Fingerprint:
        """The fingerprint of a content read up to `offset`, which must lie inside it, else `ValueError`."""
        head = content.read(0, min(offset, HEAD))
        anchor = content.read(max(0, offset - ANCHOR), min(offset, ANCHOR))
        if len(head) < min(offset, HEAD) or len(anchor) < min(offset, ANCHOR):
            raise ValueError(f"the content ends before byte {offset}")
        return cls(offset, _hash(head), _hash(anchor))


UNREAD = Fingerprint(0, blake2b(digest_size=16).digest(), blake2b(digest_size=16).digest())


class Fingerprints:
    """Contents read before, to find the one that a content continues.

    >>> class Log(bytes):
    ...     def read(self, start, size):
    ...         return self[start : start + size]
    >>> before = Fingerprints([Fingerprint.of(Log(b"first line\\n"), 11)])
    >>> before.find(Log(b"first line\\nsecond line\\n")).offset, before.find(Log(b"another\\n")) is UNREAD
    (11, True)
    """

    def __init__(self, known: Iterable[Fingerprint]):
        self._by_head: dict[int, dict[bytes, list[Fingerprint]]] = {}
        for fingerprint in sorted(known, key=lambda f: -f.offset):
            heads = self._by_head.setdefault(min(fingerprint.offset, HEAD), {})
            heads.setdefault(fingerprint.head, []).append(fingerprint)

    def find(self, content: Content) -> Fingerprint:
        """The fingerprint furthest into this content, or `UNREAD` where none fits."""
        head = content.read(0, HEAD)
        hashed, so_far = blake2b(digest_size=16), 0
        candidates: list[Fingerprint] = []
        for size in sorted(s for s in self._by_head if s <= len(head)):
            hashed.update(head[so_far:size])
            so_far = size
            # Longer heads reach further.
            candidates = self._by_head[size].get(hashed.digest(), []) + candidates
        for known in candidates:
            anchor = content.read(max(0, known.offset - ANCHOR), min(known.offset, ANCHOR))
            if len(anchor) == min(known.offset, ANCHOR) and _hash(anchor) == known.anchor:
                return known
        return UNREAD


def _hash(part: bytes) -> bytes:
    return blake2b(part, digest_size=16).digest()
