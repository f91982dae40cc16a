"""Is it at hand at once? The median time of `logscan --help`, and of `logscan explain`, over twenty runs by turns."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from rig import Target, logscan, seconds, verdict

RUNS = 20
COMMANDS: list[tuple[list[str | Path], float]] = [
    (["--help"], 0.3),
    (["explain", "421"], 0.25),
    (["explain", "5.7.26"], 0.25),
    (["explain", "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using Spamhaus"], 0.25),
]


def main() -> int:
    """Measure, print, and judge."""
    times = [[seconds([logscan(), *command]) for command, _ in COMMANDS] for _ in range(RUNS)]
    targets = []
    for (command, bound), column in zip(COMMANDS, zip(*times, strict=True), strict=True):
        words = " ".join(map(str, command))
        print(f"logscan {words}: {min(column):.3f} to {max(column):.3f} s over {RUNS} runs")
        targets.append(Target(f"median of {words[:20]}, in seconds", median(column), "<=", bound))
    return verdict(targets)


if __name__ == "__main__":
    sys.exit(main())
