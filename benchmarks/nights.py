"""Is a scan into a store of 400 days as fast as a plain scan of the same log, and in bounded memory?"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree
from statistics import median

import pyarrow as pa
from rig import Target, arguments, make_log, scan, seconds, verdict
from scale import BYTES_A_MESSAGE, peak_memory

from logscan.schema import EVENTS
from logscan.store import Store

DAYS = 400
LAST = datetime(2026, 10, 1, tzinfo=UTC)  # the first day of the new log
SLOWER = 1.15
MEGABYTES = 700


def old_store(folder: Path, events: int) -> None:
    """A store of `DAYS` days with so many events in each."""
    with Store.open(folder).commit() as commit:
        for number in range(DAYS):
            day = LAST - timedelta(days=number)
            step = timedelta(days=1) / events
            rows = {
                "time": [day + step * i for i in range(events)],
                "offset": range(events),
                "source": ["old"] * events,
            }
            table = pa.table({name: pa.array(rows[name], EVENTS.field(name).type) for name in rows})
            for field in EVENTS:
                if field.name not in rows:
                    table = table.append_column(field, pa.nulls(events, field.type))
            commit.add(day.date(), [table.select(EVENTS.names)])


def main() -> int:
    """Measure, print, and judge."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--gigabytes", type=float, default=5, help="of new log (default: %(default)s)")
    parser.add_argument("--events", type=int, default=2000, help="of each old day (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        log, store = folder / "mail.log", folder / "store"
        make_log(options.shared, int(options.gigabytes * 1e9 / BYTES_A_MESSAGE), log)
        old_store(folder / "old", options.events)

        def fresh() -> None:
            rmtree(store, ignore_errors=True)
            copytree(folder / "old", store)

        plain, into = [], []
        for _ in range(options.repeat):
            plain.append(seconds(scan(log, folder / "events.parquet", options.workers)))
            fresh()
            into.append(seconds(scan(log, store, options.workers)))
        print(f"{median(plain):.2f} s plain, {median(into):.2f} s into the store")
        fresh()
        memory = peak_memory(scan(log, store, options.workers)) / 1e6
        again = seconds(scan(log, store, options.workers))
        print(f"{again:.2f} s to find nothing new")
    return verdict(
        [
            Target("time into a store of 400 days, beside a plain scan", median(into) / median(plain), "<=", SLOWER),
            Target("peak memory of all processes, in MB", memory, "<=", MEGABYTES),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
