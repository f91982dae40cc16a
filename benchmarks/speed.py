"""Is it fast, and right at that? Scans a large made log, by turns with the server's own tool: pflogsumm, eximstats.

The log is genlog's, with the line mix of a real relay. The counts of the scan are compared with those that genlog
took while writing; any difference ends in exit code 1.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rig import arguments, cut, make_log, scan, seconds

Counts = dict[str, dict[str, int]]
COLUMNS = ["time", "action", "code", "code_implied", "enhanced", "recipient_domain"]
PEERS = {"postfix": "pflogsumm", "exim": "eximstats"}
PACKAGES = {"postfix": "pflogsumm", "exim": "exim4-base"}


def counts(events: pa.Table) -> Counts:
    """The counts of a table of events, as genlog states them.

    events: by action|code|enhanced; domain_failures and day_failures (UTC): replies of 4xx and 5xx. Codes that the log
    does not show are none.
    """
    shown = pc.if_else(pc.fill_null(events["code_implied"], False), None, events["code"])
    events = events.set_column(events.column_names.index("code"), "code", shown)
    failures = events.filter(pc.greater_equal(events["code"], 400))
    days = pa.table({"day": pc.strftime(failures["time"], "%Y-%m-%d")})
    return {
        "events": _count(events, "action", "code", "enhanced"),
        "domain_failures": _count(failures, "recipient_domain"),
        "day_failures": _count(days, "day"),
    }


def _count(table: pa.Table, *names: str) -> dict[str, int]:
    rows = (
        table.select(names)
        .unify_dictionaries()
        .combine_chunks()
        .group_by(names)
        .aggregate([([], "count_all")])
        .to_pylist()
    )
    return {"|".join("" if row[n] is None else str(row[n]) for n in names): row["count_all"] for row in rows}


def differences(truth: Counts, found: Counts) -> list[str]:
    """What differs, one line each.

    >>> differences({"events": {"bounced|550|5.1.1": 2}}, {"events": {"bounced|550|": 2}})
    ['events bounced|550|: 0 in the log, 2 found', 'events bounced|550|5.1.1: 2 in the log, 0 found']
    """
    return [
        f"{kind} {key}: {truth[kind].get(key, 0)} in the log, {found[kind].get(key, 0)} found"
        for kind in found
        for key in sorted(truth[kind].keys() | found[kind].keys())
        if truth[kind].get(key, 0) != found[kind].get(key, 0)
    ]


def main() -> int:
    """Make the log, run both by turns, print the medians, compare the counts."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--messages", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each (default: %(default)s)")
    parser.add_argument(
        "--mta", choices=("postfix", "exim", "exchange"), default="postfix", help="default: %(default)s"
    )
    parser.add_argument("--files", type=int, default=1, metavar="N", help="cut the log into N files")
    options = parser.parse_args()
    name = PEERS.get(options.mta, "")
    peer = shutil.which(name) if name else None
    if name and peer is None:
        print(f"{name} is missing (Debian, Ubuntu: apt install {PACKAGES[options.mta]}): logscan runs alone")
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        log, out = Path(temporary, "mail.log"), Path(temporary, "events.parquet")
        truth = json.loads(make_log(options.shared, options.messages, log, options.mta).read_text())
        # Where Exim's refusals show no digits, genlog says so by Python's word.
        truth["events"] = {key.replace("|None|", "||"): count for key, count in truth["events"].items()}
        logs = cut(log, options.files, Path(temporary, "logs")) if options.files > 1 else log
        ours, theirs = [], []
        for _ in range(options.repeat):
            if peer:
                theirs.append(seconds([peer, log]))
            ours.append(seconds(scan(logs, out, options.workers)))
        found = counts(pq.read_table(out, columns=COLUMNS))
    mine = median(ours)
    print(f"{truth['lines']:,} lines, {truth['bytes'] / 1e6:,.0f} MB, medians of {options.repeat} runs by turns")
    print(
        f"logscan scan  {mine:8.2f} s  {truth['lines'] / mine:12,.0f} lines/s  {truth['bytes'] / mine / 1e6:6.0f} MB/s"
    )
    if theirs:
        print(f"{name:13} {median(theirs):8.2f} s\n{name} takes {median(theirs) / mine:.1f} times as long")
    wrong = differences({kind: truth[kind] for kind in found}, found)
    print(*wrong[:20], f"{len(wrong)} counts differ", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
