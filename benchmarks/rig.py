"""What the benchmarks share: the command they measure, the tools that judge it, and the verdict."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

# Stamps without zone are read in the local one: the made logs are in UTC.
ENVIRONMENT = os.environ | {"TZ": "UTC"}
# Nor have genlog's stamps, all of October 2026, a year: the file's own time tells it.
WRITTEN = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


class Target(NamedTuple):
    """A figure and the bound that it must keep."""

    what: str
    found: float
    sense: Literal["<=", ">="]
    bound: float

    @property
    def met(self) -> bool:
        """Whether it keeps it."""
        return self.found <= self.bound if self.sense == "<=" else self.found >= self.bound

    def __str__(self) -> str:
        return f"{'ok' if self.met else 'MISSED':8}{self.what}: {self.found:.4g} (target {self.sense} {self.bound:g})"


def verdict(targets: list[Target]) -> int:
    """Print each target, and give the exit code: 1 where one is missed."""
    print(*targets, sep="\n")
    return 0 if all(target.met for target in targets) else 1


def arguments(about: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shared", type=Path, default=Path("../shared"), help="folder with tools/ and data/ (default: %(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="where to put large files (default: the system's temporary folder)")
    parser.add_argument("--workers", type=int, help="passed on to logscan scan")
    return parser


def shared(folder: Path, *parts: str) -> Path:
    """A file of the shared folder; ends the program where it is missing."""
    path = folder.joinpath(*parts)
    if not path.exists():
        sys.exit(f"{path} is missing: say by --shared where the folder is that has {'/'.join(parts)}")
    return path


def logscan() -> str:
    """The command line: that of this Python's environment, else of the PATH."""
    beside = shutil.which("logscan", path=Path(sys.executable).parent)
    command = beside or shutil.which("logscan")
    if command is None:
        sys.exit("the command logscan is missing: install it by `pip install -e .`")
    return command


def cut(log: Path, files: int, folder: Path) -> list[Path]:
    """The log cut into so many files of a new folder, each with the log's header lines (`#`) before its own."""
    folder.mkdir()
    parts = [folder / f"{log.stem}-{number + 1}{log.suffix}" for number in range(files)]
    with log.open("rb") as whole:
        header = b""
        while (line := whole.readline()).startswith(b"#"):
            header += line
        whole.seek(len(header))
        size = log.stat().st_size // files + 1
        for part in parts:
            part.write_bytes(header + whole.read(size) + whole.readline())
    return parts


def scan(log: Path | list[Path], out: Path, workers: int | None, *options: str | Path) -> list[str | Path]:
    """The command that scans a log, or several, into `out`."""
    logs = log if isinstance(log, list) else [log]
    return [logscan(), "scan", *logs, "-o", out, *(["--workers", str(workers)] if workers else []), *options]


def seconds(command: list[str | Path]) -> float:
    """Run a command to its end and give its wall time in seconds; ends the program where it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return took


def make_log(folder: Path, messages: int, log: Path, mta: str = "postfix") -> Path:
    """Write a server's log of so many messages by genlog; gives the file with its counts."""
    truth = log.with_suffix(".json")
    tool = shared(folder, "tools", "genlog.py")
    options: list[str | Path] = ["--mta", mta, "--messages", str(messages), "--out", log, "--truth", truth]
    print(f"writing a log of {messages:,} messages ...", flush=True)
    seconds([sys.executable, tool, *options])
    os.utime(log, (WRITTEN, WRITTEN))
    return truth
