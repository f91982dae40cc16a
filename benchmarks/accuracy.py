"""Is it right? Scans logs whose truth is known, of Postfix, Exim (real) and Exchange (made), and other projects' lines.

Asked of every log of data/mta: the share of the recoverable replies found exactly, of events that never were,
and of the lines understood; of the lines of data/corpora: the share of the expected fields, and of its whole logs the
share of the totals. Exits 1 below the targets.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rig import ENVIRONMENT, Target, arguments, scan, seconds, shared, verdict

RECALL, FALSE, UNDERSTOOD, FIELDS, TOTALS = 0.995, 0.005, 0.999, 0.99, 1
LOG_FIELDS = ("code", "enhanced", "recipient", "sender", "queue_id", "status", "client_ip", "relay_ip")


INSTANCES = {
    "postfix": "postfix",
    "mail": "postfix-sys,postfix-out",
    "exim": "exim",
    "exim-all": "exim-all",
}
# Told together, the copies in the others are to be counted once.
TOGETHER = ("exim-all.mainlog", "exim-all.rejectlog", "exim-all.paniclog", "exim-all.syslog-traditional.log")


def instances(name: str) -> str | None:
    """Whose log it is, in the truth's words; None where it is no server's, or only the copy of another.

    >>> instances("postfix.log"), instances("mail.iso.log"), instances("exim-all.mainlog"), instances("exim.rejectlog")
    ('postfix', 'postfix-sys,postfix-out', 'exim-all', None)
    """
    log, _, kind = name.partition(".")
    return None if kind in ("rejectlog", "paniclog") else INSTANCES.get(log)


def targets(name: str, checked: dict[str, Any], tally: dict[str, int]) -> list[Target]:
    """The figures of a log, from check.py's answer and the scan's tally."""
    recall = checked["exact"] / checked["recoverable"]
    false = checked["false_events"] / max(checked["events_with_code"], 1)
    understood = 1 - tally["unread"] / max(tally["lines"], 1)
    return [
        Target(f"{name}: recall", recall, ">=", RECALL),
        Target(f"{name}: false share", false, "<=", FALSE),
        Target(f"{name}: lines understood", understood, ">=", UNDERSTOOD),
    ]


def measure_organisation(folder: Path, flavour: str, workers: int | None) -> list[Target]:
    """Scan an Exchange organisation's logs, all together, and compare each kind of log with its truth."""
    organisation = shared(folder, "data", "exchange", flavour)
    with tempfile.TemporaryDirectory() as temporary:
        events, tally = Path(temporary, "events.parquet"), Path(temporary, "tally.json")
        logs = sorted(path for path in organisation.iterdir() if path.is_dir())
        seconds(scan(logs, events, workers, "--tally-json", tally))
        tool = shared(folder, "tools", "check_exchange.py")
        check: list[str | Path] = [sys.executable, tool, organisation, events]
        subprocess.run(check, check=True)
        checked = json.loads(subprocess.run([*check, "--json"], stdout=subprocess.PIPE, check=True).stdout)["logs"]
        counts = json.loads(tally.read_text())
    found = [Target(f"exchange {flavour} {log}: recall", was["recall"], ">=", RECALL) for log, was in checked.items()]
    share = sum(was["false"] for was in checked.values()) / max(sum(was["events"] for was in checked.values()), 1)
    understood = 1 - counts["unread"] / max(counts["lines"], 1)
    return [
        *found,
        Target(f"exchange {flavour}: false share", share, "<=", FALSE),
        Target(f"exchange {flavour}: lines understood", understood, ">=", UNDERSTOOD),
    ]


def share_of_fields(scored: dict[str, int]) -> float:
    """The share of the expected fields that are right, from score.py's totals."""
    wanted = sum(scored.get(f"{field}_n", 0) for field in LOG_FIELDS)
    return sum(scored.get(field, 0) for field in LOG_FIELDS) / max(wanted, 1)


def check(folder: Path, events: Path, mta: str) -> dict[str, Any]:
    """What check.py says of events."""
    truth, tool = shared(folder, "data", "mta", "truth.jsonl"), shared(folder, "tools", "check.py")
    command: list[str | Path] = [sys.executable, tool, truth, events, "--mta", mta, "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def measure_log(folder: Path, logs: list[Path], mta: str, workers: int | None) -> list[Target]:
    """Scan logs of a server, compare them with the truth, print what was found, and give the targets."""
    name = " + ".join(log.name for log in logs)
    with tempfile.TemporaryDirectory() as temporary:
        events, tally = Path(temporary, "events.parquet"), Path(temporary, "tally.json")
        counted = Path(temporary, "counted.parquet")
        command = scan(logs, events, workers, "--tally-json", tally)
        scanned = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if scanned.returncode or not events.exists() or not tally.exists():
            print(f"\n{name}: logscan scan: exit code {scanned.returncode}\n{scanned.stderr}")
            return [Target(f"{name}: scanned", 0, ">=", 1)]
        table = pq.read_table(events)
        pq.write_table(table.filter(pc.invert(table["copy"])), counted)
        checked = check(folder, events, mta)
        # What a log has twice is to be counted once, but which of the two knows more does not matter.
        checked["false_events"], checked["events_with_code"] = (
            check(folder, counted, mta)[key] for key in ("false_events", "events_with_code")
        )
        found = targets(name, checked, json.loads(tally.read_text()))
    print(f"\n{name}")
    for what, value in checked.items():
        print(f"  {what:38}{value:.4f}" if isinstance(value, float) else f"  {what:38}{value}")
    return found


def score(folder: Path, cases: Path, kind: str, *options: str | Path) -> str:
    """What score.py prints of cases as log_cases.py answers them."""
    command = [sys.executable, str(Path(__file__).with_name("log_cases.py"))]
    quoted = subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)
    tool = shared(folder, "tools", "score.py")
    call: list[str | Path] = [sys.executable, tool, "--cases", cases, "--kind", kind, "--command", quoted, *options]
    printed = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(printed, flush=True)
    return printed


def measure_lines(folder: Path, mta: str, file: str) -> list[Target]:
    """Score a server's lines of the corpora."""
    with shared(folder, "data", "corpora", file).open() as lines:
        cases = [line for line in lines if json.loads(line)["mta"] == mta]
    with tempfile.TemporaryDirectory() as temporary:
        chosen, totals = Path(temporary, "cases.jsonl"), Path(temporary, "totals.json")
        chosen.write_text("".join(cases))
        score(folder, chosen, "log", "--json", totals)
        scored = json.loads(totals.read_text())["log"]
    if wanted := scored.get("quiet_n", 0):
        print(f"  {len(cases)} lines; of those that hold no reply, {scored.get('quiet', 0) / wanted:.1%} gave none")
    return [Target(f"corpora: {mta}: fields right", share_of_fields(scored), ">=", FIELDS)]


def measure_files(folder: Path) -> list[Target]:
    """Score the whole logs of the corpora by their totals."""
    printed = score(folder, shared(folder, "data", "corpora"), "file")
    equal, wanted = re.findall(r"totals: (\d+) of (\d+) equal", printed)[-1]
    return [Target("corpora: totals of whole logs equal", int(equal) / int(wanted), ">=", TOTALS)]


def main() -> int:
    """Measure all, print, and judge."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--logs", nargs="*", help="only these files of data/mta")
    options = parser.parse_args()
    found = []
    for log in sorted(shared(options.shared, "data", "mta").iterdir()):
        mta = instances(log.name)
        if mta and (not options.logs or log.name in options.logs):
            found += measure_log(options.shared, [log], mta, options.workers)
    if not options.logs:
        together = [shared(options.shared, "data", "mta", name) for name in TOGETHER]
        found += measure_log(options.shared, together, "exim-all", options.workers)
        for flavour in ("2010", "2016", "2019"):
            print(f"\nexchange {flavour}", flush=True)
            found += measure_organisation(options.shared, flavour, options.workers)
    print(flush=True)
    for mta, file in (("postfix", "logs.jsonl"), ("exim", "logs.jsonl"), ("exchange", "exchange-web.jsonl")):
        found += measure_lines(options.shared, mta, file)
    found += measure_files(options.shared)
    print()
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
