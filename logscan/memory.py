"""How worker processes live and die. They keep freed memory: a scan frees and takes the same megabytes for each block.

By default malloc gives large blocks back to the system at once and gets them again page by page. On virtual machines
those page faults took as long as the parsing itself, most of all with several workers (2 cores, glibc 2.36: 105 ms a
block of 8 MB instead of 52).
"""

from __future__ import annotations

import ctypes
import signal
import sys

import pyarrow as pa

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20
# prctl(2)
_PR_SET_PDEATHSIG = 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for numpy and Arrow alike. For processes of our own; glibc only."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has no such thing
        return
    mallopt(_TRIM_THRESHOLD, 1 << 30)
    mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    pa.set_memory_pool(pa.system_memory_pool())


def die_with_parent() -> None:
    """Have this worker killed when its driver dies (Linux): it would wait for ever, and hold the driver's locks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
