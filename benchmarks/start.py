"""Is it at hand at once? The median time of `logscan --help` over twenty runs."""

from __future__ import annotations

import sys
from statistics import median

from rig import Target, logscan, seconds, verdict

RUNS, SECONDS = 20, 0.3


def main() -> int:
    """Measure, print, and judge."""
    times = [seconds([logscan(), "--help"]) for _ in range(RUNS)]
    print(f"logscan --help: {min(times):.3f} to {max(times):.3f} s over {RUNS} runs")
    return verdict([Target("median start, in seconds", median(times), "<=", SECONDS)])


if __name__ == "__main__":
    sys.exit(main())
