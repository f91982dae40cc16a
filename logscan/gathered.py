"""What recognising a compressed log again needs of its bytes, kept while they pass: so it is decompressed once."""

from __future__ import annotations

from logscan.store.fingerprint import ANCHOR, FIRST_STEP, HEAD, WINDOW


class Gathered:
    """A content that passes in order; of it the head, the looks at powers of two, and the end are kept.

    >>> gathered = Gathered()
    >>> gathered.add(0, b"one\\n"); gathered.add(4, b"two\\n")
    >>> gathered.read(2, 4)
    b'e\\ntw'
    """

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        """Stretches of bytes by their offset."""
        self._head = b""
        self._tail = b""
        self._end = 0
        self._step = 1 << FIRST_STEP

    def add(self, offset: int, data: bytes) -> None:
        """The next bytes; where some before them are missing, nothing can be told of those."""
        if offset != self._end:
            self._tail = b""
        if offset == len(self._head) < HEAD:
            self._head += data[: HEAD - offset]
        seen, start = self._tail + data, offset - len(self._tail)
        self._end = offset + len(data)
        while self._step <= self._end:
            at = self._step - WINDOW
            if at >= start:
                self._kept[at] = seen[at - start : at - start + WINDOW]
            self._step *= 2
        self._tail = seen[-max(WINDOW, ANCHOR) :]

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on; none where they were not kept."""
        stretches = {0: self._head, self._end - len(self._tail): self._tail, **self._kept}
        for at, data in stretches.items():
            if at <= start and start + size <= at + len(data):
                return data[start - at : start - at + size]
        return b""
