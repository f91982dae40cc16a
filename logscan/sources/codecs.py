"""Compressed logs, and those in UTF-16, known by their first bytes and decoded piece by piece.

A bomb costs time alone, and a cut is told.

The standard library decodes gzip, bz2 and xz: its decoders give all that can be had before a cut, say where a member
ends, and with zlib they are as fast as Arrow's. Python before 3.14 has no zstd; Arrow's stream reads it.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

UTF_16 = "utf-16"
_BZ2_BLOCK, _BZ2_EMPTY = bytes.fromhex("314159265359"), bytes.fromhex("177245385090")
MAGIC: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b\x08",),
    "bz2": tuple(b"BZh%d" % level + start for level in range(1, 10) for start in (_BZ2_BLOCK, _BZ2_EMPTY)),
    "xz": (b"\xfd7zXZ\0",),
    # RFC 8878: a frame, or one of the sixteen kinds of skippable frame (pzstd writes one first).
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([kind]) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60))),
    # Windows' own text files: what PowerShell exports, for one.
    UTF_16: (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
MAGIC_LENGTH = max(len(magic) for magics in MAGIC.values() for magic in magics)

_FEED = 1 << 16
_XZ_MEMORY = 1 << 28  # xz -9 needs 65 MiB; a header may ask for 4 GiB


class CodecError(Exception):
    """Compressed data that is cut, broken, or followed by something else."""


def codec_of(head: bytes, suffix: str = "") -> str | None:
    """The codec of data that starts with `head`, or None.

    The suffix of the file's name counts only where the data ends within the codec's first bytes.

    >>> codec_of(b"\\x1f\\x8b\\x08\\0\\0\\0"), codec_of(b"Nov 20 10:00:00 mx", ".gz"), codec_of(b"\\x1f", ".gz")
    ('gzip', None, 'gzip')
    """
    for codec, magics in MAGIC.items():
        if head.startswith(magics):
            return codec
    cut = SUFFIXES.get(suffix.lower())
    return cut if cut and any(magic.startswith(head) for magic in MAGIC[cut]) else None


def decode(codec: str, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """The decompressed data, in pieces of at most `size` bytes, all members or frames one after another.

    Raises CodecError after all that could be decoded, and whatever `read` raises.

    >>> import gzip, io
    >>> list(decode("gzip", io.BytesIO(gzip.compress(b"one") + gzip.compress(b"two")).read, 100))
    [b'one', b'two']
    """
    if codec == UTF_16:
        return _utf_16(read, size)
    return _zstd(read, size) if codec == "zstd" else _members(codec, read, size)


class _Decoder(Protocol):
    """What the decoders of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decoder with the face of bz2's."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": _Gzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
}


def _members(codec: str, read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    data = read(_FEED)
    while True:
        decoder = _DECODERS[codec]()
        while not decoder.eof:
            try:
                piece = decoder.decompress(data, size)
            except (zlib.error, lzma.LZMAError, OSError) as error:
                raise CodecError(f"the {codec} data cannot be decoded ({error})") from error
            if piece:
                yield piece
            data = b""
            if decoder.needs_input and not decoder.eof:
                data = read(_FEED)
                if not data and not piece:  # with a piece, zlib may still hold another
                    raise CodecError(f"the {codec} data ends too early")
        data = _next_member(decoder.unused_data, read)
        if not data:
            return
        if codec_of(data) != codec:
            raise CodecError(f"something that is not {codec} follows the {codec} data")


def _next_member(data: bytes, read: Callable[[int], bytes]) -> bytes:
    """The data with the first bytes of the next member, past zero padding (`man gzip`, xz file format 2.2)."""
    data = data.lstrip(b"\0")
    while len(data) < MAGIC_LENGTH and (more := read(_FEED)):
        data = (data + more).lstrip(b"\0")
    return data


class _Reader:
    """What Arrow asks of a Python file."""

    closed = False

    def __init__(self, read: Callable[[int], bytes]):
        self._read = read
        self.empty = True

    def read(self, size: int) -> bytes:
        data = self._read(size)
        self.empty = self.empty and not data
        return data

    def close(self) -> None:
        """Nothing: whoever opened it closes it."""


def _zstd(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    import pyarrow as pa

    reader = _Reader(read)
    with pa.CompressedInputStream(pa.PythonFile(reader, "r"), "zstd") as stream:
        while True:
            buffer = bytearray(size)
            try:
                count = stream.readinto(buffer)
            except Exception as error:
                # Arrow has put into the buffer what it could decode, and does not tell how much.
                yield bytes(buffer.rstrip(b"\0"))
                if not isinstance(error, OSError):
                    raise
                cut = str(error).startswith("Truncated")
                raise CodecError(
                    "the zstd data ends too early" if cut else f"the zstd data cannot be decoded ({error})"
                ) from error
            if not count:
                break
            yield bytes(memoryview(buffer)[:count])
    if reader.empty:
        raise CodecError("the zstd data ends too early")


def _utf_16(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """The text as UTF-8, without its byte order mark; what is no UTF-16 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    step = max(size // 3, 2)  # two bytes of UTF-16 are up to three of UTF-8
    while data := read(step):
        if piece := decoder.decode(data).encode():
            yield piece
    if piece := decoder.decode(b"", final=True).encode():
        yield piece
