"""One writer at a time: a file locked by the operating system, which lets go when the holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    # Windows keeps others from reading the locked bytes: these lie far behind the holder's number.
    LOCKED_BYTE = 1 << 30
else:
    import fcntl


PATIENCE = 0.1


class HeldError(Exception):
    """Somebody else holds the lock: `pid` is the process, None where it has not said so yet."""

    def __init__(self, pid: int | None):
        super().__init__(f"held by process {pid}" if pid else "held by another process")
        self.pid = pid


@contextmanager
def locked(path: Path, wait: float = 0) -> Iterator[None]:
    """Hold the lock at `path`; raises `HeldError` where somebody holds it, in this process or another.

    wait: for how many seconds it is tried again before.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder, "lock")):
    ...     try:
    ...         with locked(Path(folder, "lock")):
    ...             pass
    ...     except HeldError as error:
    ...         error.pid == os.getpid()
    True
    """
    with path.open("a+b") as file:
        until = time.monotonic() + wait
        while not (taken := _take(file)) and time.monotonic() < until:
            time.sleep(PATIENCE)
        if not taken:
            file.seek(0)
            pid = file.read(20)
            raise HeldError(int(pid) if pid.isdigit() else None)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        try:
            yield
        finally:
            _release(file)


def _take(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _release(file: IO[bytes]) -> None:
    """Let go, also for the children that inherited the open file."""
    if sys.platform == "win32":
        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)
