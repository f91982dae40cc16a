"""The command line: a module for each command, which gathers, calls, prints and ends. What it does stands elsewhere."""

import atexit
import gc
import os

from logscan.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The command `logscan`."""
    # numpy's linear algebra, which nothing here asks for, would start a thread a core that spins for some 50 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What imports make stays: looking through it for garbage, over and over and once more at the end, is a tenth of a
    # short command's time.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    app()
