"""Cuts the bytes of a source into chunks of whole lines, so that every line is given once, whatever the splits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import NamedTuple

from logscan.sources.codecs import CodecError, decode
from logscan.sources.source import RawBytes, Source, SourceError, raw_bytes

MAX_LINE = 1 << 20
"""Bytes, the line end included. A longer line is not loaded."""

OVERLONG_SAMPLE = 300
"""Bytes of a longer line that are shown."""


_STEP = 1 << 16


class Chunk(NamedTuple):
    """Whole lines of a source; the first starts at `offset`, in bytes, decompressed.

    Where `overlong` is not 0, the chunk stands for one line of that many bytes (its line end included), of which
    `data` is the start. The next line starts at `offset + (overlong or len(data))`.
    """

    offset: int
    data: bytes
    overlong: int = 0


def split(source: Source, block_size: int) -> list[tuple[int, int]]:
    """The (start, end) pairs, about `block_size` bytes apart, with which `chunks` gives each line of a source once.

    A compressed file and a stream are one split.

    >>> from pathlib import Path
    >>> split(Source("mail.log", Path("mail.log"), None, size=25, modified=0.0), 10)
    [(0, 10), (10, 20), (20, 25)]
    """
    if not source.splittable:
        return [(0, sys.maxsize)]
    return [(at, min(at + block_size, source.size)) for at in range(0, source.size, block_size)]


def chunks(
    source: Source, block_size: int, start: int = 0, end: int | None = None, *, whole_lines: bool = False
) -> Iterator[Chunk]:
    """The lines whose first byte lies in [start, end), in chunks of about `block_size` bytes.

    Lines end with LF only. The last line comes without one too, unless `whole_lines`: then it is left for the next
    run. Offsets count decompressed bytes. Raises SourceError after all whole lines that could be read.

    >>> import io
    >>> from logscan.sources import Pipe
    >>> two_lines = lambda: Source("-", None, None, 0, 0.0, pipe=Pipe(io.BytesIO(b"one\\ntwo").read))
    >>> list(chunks(two_lines(), 1 << 20, start=1))
    [Chunk(offset=4, data=b'two', overlong=0)]
    >>> list(chunks(two_lines(), 1 << 20, whole_lines=True))
    [Chunk(offset=0, data=b'one\\n', overlong=0)]
    """
    stop = sys.maxsize if end is None else end
    if stop <= start:
        return
    # The byte before `start` tells whether a line starts there.
    at = max(start - 1, 0) if source.splittable else 0
    with raw_bytes(source, at) as raw:
        cutter = _Cutter(start, block_size)
        try:
            for offset, piece in _stretch(pieces(source, raw, block_size, stop - at), at, start, stop):
                yield from cutter.cut(offset, piece)
        except SourceError as error:
            yield from cutter.finish(unfinished=False)
            met = error.problem.met + (f" (an unfinished line of {cutter.torn} bytes left out)" if cutter.torn else "")
            raise SourceError(replace(error.problem, met=met, offset=cutter.at)) from error
        yield from cutter.finish(unfinished=not whole_lines)


def first_lines(source: Source, size: int = 65536) -> bytes:
    """The first lines, decompressed, `size` bytes at most; those of a stream come again in `chunks`.

    A line cut short is left out, unless it is the only one. Raises SourceError where not a byte can be had.

    >>> import io
    >>> from logscan.sources import Pipe
    >>> first_lines(Source("-", None, None, 0, 0.0, pipe=Pipe(io.BytesIO(b"one\\ntwo\\nthree\\n").read)), size=10)
    b'one\\ntwo\\n'
    """
    data, torn = b"", False
    try:
        with source.pipe.ahead() if source.pipe else nullcontext(), raw_bytes(source) as raw:
            for piece in pieces(source, raw, size, size):
                data += piece
                if torn := len(data) >= size:
                    break
    except SourceError:
        if not data:
            raise
        torn = True
    data = data[:size]
    return data[: data.rfind(b"\n") + 1] or data if torn else data


def pieces(source: Source, raw: RawBytes, size: int, wanted: int) -> Iterator[bytes]:
    """The bytes that follow, decompressed, in pieces of at most `size`. Raises SourceError.

    Past the `wanted` ones, only the end of a line is still looked for: a plain file is read on in small steps.
    """
    if size < 1:
        raise ValueError(f"a piece of {size} bytes")
    if source.codec is None:
        while piece := raw.read(min(size, wanted if wanted > 0 else _STEP)):
            wanted -= len(piece)
            yield piece
        return
    try:
        yield from decode(source.codec, raw.read, size)
    except CodecError as error:
        raise source.error(str(error), "copy the file again, or scan again once it is written whole") from error


def _stretch(pieces: Iterator[bytes], at: int, start: int, end: int) -> Iterator[tuple[int, memoryview]]:
    """The lines whose first byte lies in [start, end), as views of the pieces, with their offsets.

    The first of the given pieces lies at offset `at`, which is before `start` unless that is 0.
    """
    begun = start == 0
    for piece in pieces:
        here, at = at, at + len(piece)
        first, last = 0, len(piece)
        if not begun:
            first = piece.find(b"\n", max(start - 1 - here, 0)) + 1
            begun = first > 0
        if at >= end:
            last = piece.find(b"\n", max(end - 1 - here, 0)) + 1
        if begun and (mine := memoryview(piece)[first : last or None]):
            yield here + first, mine
        if at >= end and (last or not begun):
            return


class _Cutter:
    """Gathers pieces of one stretch and gives them back as chunks of whole lines."""

    def __init__(self, at: int, block_size: int):
        self.at = at
        """The offset up to which all was given."""
        self._block_size = self._enough = block_size
        self._held: list[memoryview | bytes] = []
        self._size = 0
        self._overlong = 0

    @property
    def torn(self) -> int:
        """Bytes of a line whose end was not met."""
        return self._overlong or self._size

    def cut(self, offset: int, piece: memoryview) -> Iterator[Chunk]:
        """The chunks that this piece, which lies at `offset`, completes."""
        if self._overlong:
            end = bytes(piece).find(b"\n") + 1
            self._overlong += end or len(piece)
            if not end:
                return
            yield self._long_line()
            offset, piece = offset + end, piece[end:]
        if not self._held:
            self.at = offset
        self._held.append(piece)
        self._size += len(piece)
        if self._size < self._enough:
            return
        yield from self._lines(unfinished=False)
        if self._size > MAX_LINE:
            self._overlong, self._held = self._size, [self._held[0][:OVERLONG_SAMPLE]]
        # Doubled, so that a long line is not joined anew with every piece.
        self._enough = max(self._block_size, 2 * self._size)

    def finish(self, *, unfinished: bool) -> Iterator[Chunk]:
        """The lines still held, also one without its end if told so."""
        if not self._overlong:
            yield from self._lines(unfinished=unfinished)
        elif unfinished:
            yield self._long_line()

    def _lines(self, *, unfinished: bool) -> Iterator[Chunk]:
        data = b"".join(self._held)
        end = len(data) if unfinished else data.rfind(b"\n") + 1
        self._held, self._size = [data[end:]], len(data) - end
        begin = at = 0
        while end - at > MAX_LINE:
            if short := data.rfind(b"\n", at, at + MAX_LINE) + 1:
                at = short
                continue
            if at > begin:
                yield Chunk(self.at + begin, data[begin:at])
            begin = data.find(b"\n", at, end) + 1 or end
            yield Chunk(self.at + at, data[at : at + OVERLONG_SAMPLE], begin - at)
            at = begin
        if end > begin:
            yield Chunk(self.at + begin, data[begin:end])
        self.at += end

    def _long_line(self) -> Chunk:
        chunk = Chunk(self.at, bytes(self._held[0]), self._overlong)
        self.at += self._overlong
        self._held, self._size, self._overlong = [], 0, 0
        return chunk
