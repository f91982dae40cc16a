"""Is it at hand at once? The median time of `logscan --help`, and of `logscan explain`, over twenty runs by turns.

`--busy 1` measures beside a process that keeps one core busy. A first run of each, which may have to write Python's
bytecode as an installation does, is not counted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rig import ENVIRONMENT, Target, logscan, seconds, verdict

RUNS = 20
REPLY = "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using Spamhaus"
LINE = (
    "Nov 23 08:00:00 mx1 postfix/smtp[1]: 3F2A41C0DE: to=<ann@a.example>, relay=mx.a.example[192.0.2.2]:25, delay=1, "
    f"delays=0/0/0/1, dsn=5.7.1, status=bounced (host mx.a.example[192.0.2.2] said: {REPLY} (in reply to RCPT TO "
    "command))"
)
COMMANDS: list[tuple[list[str | Path], float]] = [
    (["--help"], 0.3),
    (["explain", "421"], 0.25),
    (["explain", "5.7.26"], 0.25),
    (["explain", REPLY], 0.25),
    (["explain", "--lang", "th", "--json", REPLY], 0.25),
    (["explain", LINE], 0.25),
]


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="keep so many cores busy meanwhile")
    wanted = parser.parse_args()
    ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
    with ExitStack() as stack:
        for _ in range(wanted.busy):
            stack.callback(subprocess.Popen([sys.executable, "-c", "while True: pass"]).kill)
        _, *times = [[seconds([logscan(), *command]) for command, _ in COMMANDS] for _ in range(RUNS + 1)]
    print(f"{os.cpu_count()} cores, {wanted.busy} of them kept busy")
    targets = []
    for (command, bound), column in zip(COMMANDS, zip(*times, strict=True), strict=True):
        words = " ".join(map(str, command))[:40]
        print(f"logscan {words}: {min(column):.3f} to {max(column):.3f} s over {RUNS} runs")
        targets.append(Target(f"median of {words}, in seconds", median(column), "<=", bound))
    return verdict(targets)


if __name__ == "__main__":
    sys.exit(main())
