"""Does it stay in bounds? Time for ten times the lines, and the memory of all processes together on a large log.

Memory is the sum of the proportional set sizes (PSS: a page shared by n processes counts 1/n in each) of the process
and all its children, read from /proc every 50 ms: on Linux only; elsewhere that part is left out and says so.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from rig import ENVIRONMENT, Target, arguments, make_log, scan, seconds, verdict

RATIO, MEGABYTES = 10.5, 700
# Of genlog's Postfix log.
BYTES_A_MESSAGE = {"postfix": 880, "exim": 497, "exchange": 1_424}


def family(pid: int) -> list[int]:
    """A process and all that descend from it (Linux)."""
    children: list[int] = []
    with suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, listed.read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def pss(pid: int) -> int:
    """The proportional set size of a process in bytes (Linux); 0 where it has just ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def peak_memory(command: list[str | Path]) -> int:
    """Run a command to its end and give the peak memory of it and its children together, in bytes (Linux)."""
    peak = 0
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(pss, family(process.pid))))
            time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}")
    if not peak:
        sys.exit("the memory of the processes cannot be read from /proc")
    return peak


def measure_time(folder: Path, shared: Path, messages: int, repeat: int, workers: int | None, mta: str) -> Target:
    """Time for `messages` and ten times as many, by turns."""
    logs = [folder / "one.log", folder / "ten.log"]
    for log, factor in zip(logs, (1, 10), strict=True):
        make_log(shared, factor * messages, log, mta)
    rounds = [[seconds(scan(log, folder / "events.parquet", workers)) for log in logs] for _ in range(repeat)]
    one, ten = map(median, zip(*rounds, strict=True))
    print(f"{one:.2f} s for {messages:,} messages, {ten:.2f} s for ten times as many")
    for log in logs:
        log.unlink()
    return Target("time for ten times the lines", ten / one, "<=", RATIO)


def measure_memory(folder: Path, shared: Path, gigabytes: float, workers: int | None, mta: str) -> Target:
    """Peak memory on a log of so many gigabytes."""
    log = folder / "large.log"
    make_log(shared, int(gigabytes * 1e9 / BYTES_A_MESSAGE[mta]), log, mta)
    print(f"{log.stat().st_size / 1e9:.2f} GB to scan ...", flush=True)
    peak = peak_memory(scan(log, folder / "events.parquet", workers))
    return Target(f"peak memory of all processes on {gigabytes:g} GB, in MB", peak / 1e6, "<=", MEGABYTES)


def main() -> int:
    """Measure both, print, and judge."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--messages", type=int, default=200_000, help="of the smaller log (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: %(default)s)")
    parser.add_argument("--gigabytes", type=float, default=5, help="of the large log (default: %(default)s)")
    parser.add_argument("--mta", choices=BYTES_A_MESSAGE, default="postfix", help="whose log (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        found = [measure_time(folder, options.shared, options.messages, options.repeat, options.workers, options.mta)]
        if sys.platform == "linux":
            found.append(measure_memory(folder, options.shared, options.gigabytes, options.workers, options.mta))
        else:
            print("memory: measured on Linux only")
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
