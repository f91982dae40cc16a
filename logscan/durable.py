"""Files that survive a power cut: written beside their place, forced to the disk, then renamed into it.

A rename is durable only once the folder is forced to the disk as well (fsync(2), NOTES).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

if sys.platform == "darwin":
    import fcntl


def require_folder(path: Path) -> None:
    """Raise `FileNotFoundError`, naming the folder, unless a file can be made at `path`: asked before hours of work.

    >>> require_folder(Path("no-such-folder/mail.parquet"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] no such folder: 'no-such-folder'
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its place at `path` when the block ends well; after an error nothing is left.

    A symbolic link stays one; a device or a pipe is written to as it is.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "answer"
    ...     with replacing(target) as file:
    ...         _ = file.write(b"42")
    ...         hidden = not target.exists()
    ...     hidden, target.read_bytes(), len(os.listdir(folder))
    (True, b'42', 1)
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    beside = path.with_name(f".{uuid4().hex}.unfinished")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            sync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Force an open file to the disk."""
    if sys.platform == "darwin":
        # fsync stops at the drive's own cache there (fsync(2) of macOS).
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Force a file that somebody else wrote to the disk."""
    with path.open("r+b") as file:
        sync(file.fileno())


def sync_folder(path: Path) -> None:
    """Force a folder's names to the disk. Windows does so by itself and opens no folder as a file."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
