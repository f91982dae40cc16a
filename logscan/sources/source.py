"""What a source is, and the way to its raw bytes, which neither hangs nor takes another file for the one found."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

from logscan.run import Problem


class SourceError(Exception):
    """A source could not be read, or not to its end; `problem` says what was met.

    >>> SourceError(Problem("mail.log", "does not exist")).problem.met
    'does not exist'
    """

    def __init__(self, problem: Problem):
        super().__init__(problem)
        self.problem = problem


class Pipe:
    """A stream: it can be read once, yet looked into before.

    >>> import io
    >>> pipe = Pipe(io.BytesIO(b"one two").read)
    >>> with pipe.ahead():
    ...     pipe.read(3)
    b'one'
    >>> pipe.read(3), pipe.read(3), pipe.read(3)
    (b'one', b' tw', b'o')
    """

    def __init__(self, read: Callable[[int], bytes]):
        self._read = read
        self._held = b""
        self._seen: list[bytes] | None = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises what the stream raises."""
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
        else:
            data = self._read(size)
        if self._seen is not None:
            self._seen.append(data)
        return data

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream can be read only in the process that found it")

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """What is read inside is read again after it."""
        self._seen = []
        try:
            yield
        finally:
            self._held = b"".join(self._seen) + self._held
            self._seen = None


@dataclass(frozen=True)
class Source:
    """A log file or a stream, as it was found.

    `name` is the path as given (members of a folder joined with "/"), valid UTF-8; `path` is None for standard input.
    `codec` is "gzip", "bz2", "xz", "zstd" or None. `size` is in bytes on disk when it was found, and nothing after
    them is read; 0 for a stream. `modified` is in seconds since 1970: the file's mtime, or the time at which the
    stream was found. A stream is held open in `pipe`, so it must be read in the process that found it.

    >>> Source("mail.log", Path("mail.log"), None, size=80, modified=0.0).splittable
    True
    """

    name: str
    path: Path | None
    codec: str | None
    size: int
    modified: float
    inode: int = 0
    pipe: Pipe | None = field(default=None, repr=False, compare=False)

    @property
    def splittable(self) -> bool:
        """Whether it can be read from any offset at the same cost: a plain file."""
        return self.codec is None and self.pipe is None and self.path is not None

    def error(self, met: str, advice: str) -> SourceError:
        """The error that says what was met here."""
        return SourceError(Problem(self.name, met, advice))


class RawBytes:
    """The bytes of a source as they lie on disk, up to its size when it was found; all that fails is a SourceError."""

    closed = False

    def __init__(self, source: Source, read: Callable[[int], bytes], left: int | None):
        self._source, self._read, self._left = source, read, left

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises SourceError."""
        if self._left is not None:
            size = min(size, self._left)
        try:
            data = self._read(size)
        except OSError as error:
            raise self._source.error(f"cannot be read: {error.strerror or error}", "check the disk") from error
        if self._left is not None:
            if size and not data:
                raise self._source.error(
                    f"ends {self._left} bytes earlier than when the scan began", "rotated meanwhile? scan again"
                )
            self._left -= len(data)
        return data

    def close(self) -> None:
        """Nothing: whoever opened it closes it."""


@contextmanager
def raw_bytes(source: Source, at: int = 0) -> Iterator[RawBytes]:
    """The raw bytes of a source from `at` on. Raises SourceError."""
    if source.pipe is not None:
        yield RawBytes(source, source.pipe.read, None)
        return
    if source.path is None:
        raise source.error("is a stream that is not open", "pipe a log into it")
    try:
        file = open_file(source.path)
    except FileNotFoundError as error:
        raise source.error("is gone since the scan began", "rotated meanwhile? scan again") from error
    except OSError as error:
        raise source.error(*cannot_open(error)) from error
    with file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise source.error("is a regular file no more", "scan again")
        # Both, for some network file systems number their files anew, and a log may well grow.
        if source.inode not in (0, about.st_ino) and about.st_mtime != source.modified:
            raise source.error("is another file than when the scan began", "rotated meanwhile? scan again")
        file.seek(at)
        yield RawBytes(source, file.read, max(source.size - at, 0))


def open_file(path: str | Path) -> BinaryIO:
    """A file open for reading, unbuffered; does not wait for a writer should it be a FIFO. Raises OSError."""
    return open(path, "rb", buffering=0, opener=_open_at_once)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def cannot_open(error: OSError | ValueError) -> tuple[str, str]:
    """What to say of a path that the system refuses, and what to do.

    >>> cannot_open(FileNotFoundError(2, "No such file or directory"))
    ('does not exist', 'check the path')
    """
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "does not exist", "check the path"
    if isinstance(error, PermissionError):
        return "may not be read", "run as a user who may (root, or a member of the group that owns the logs)"
    if isinstance(error, ValueError):  # Python refuses it before the system could, each version in other words
        return "cannot be a path: it holds a NUL", "check the path"
    return f"cannot be opened: {error.strerror or error}", "check the path"
