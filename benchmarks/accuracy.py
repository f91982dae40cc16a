"""Is it right? Scans real Postfix logs and made Exchange logs whose truth is known, and other projects' log lines.

Asked of every log of data/mta and each organisation of data/exchange: the share of the recoverable replies found
exactly, of events that never were, and of the lines understood; of the lines of data/corpora: the share of the
expected fields.
Exits 1 below the targets.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rig import ENVIRONMENT, Target, arguments, scan, shared, verdict

RECALL, FALSE, UNDERSTOOD, FIELDS = 0.995, 0.005, 0.999, 0.99
LOG_FIELDS = ("code", "enhanced", "recipient", "sender", "queue_id", "status", "client_ip", "relay_ip")


def instances(name: str) -> str | None:
    """Whose log it is, in the truth's words; None where it is not Postfix'.

    >>> instances("postfix.log"), instances("mail.iso.log"), instances("exim.mainlog")
    ('postfix', 'postfix-sys,postfix-out', None)
    """
    return {"postfix": "postfix", "mail": "postfix-sys,postfix-out"}.get(name.split(".", 1)[0])


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
        logs = [path for path in organisation.iterdir() if path.is_dir()]
        command = scan(logs[0], events, workers, *logs[1:], "--tally-json", tally)
        scanned = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if scanned.returncode or not events.exists():
            print(f"\nexchange {flavour}: logscan scan: exit code {scanned.returncode}\n{scanned.stderr}")
            return [Target(f"exchange {flavour}: scanned", 0, ">=", 1)]
        tool = shared(folder, "tools", "check_exchange.py")
        check: list[str | Path] = [sys.executable, tool, organisation, events]
        subprocess.run(check, check=True)
        logs_checked = json.loads(subprocess.run([*check, "--json"], stdout=subprocess.PIPE, check=True).stdout)["logs"]
        counts = json.loads(tally.read_text())
    found = [
        Target(f"exchange {flavour} {log}: recall", checked["recall"], ">=", RECALL)
        for log, checked in logs_checked.items()
    ]
    false = sum(checked["false"] for checked in logs_checked.values())
    share = false / max(sum(checked["events"] for checked in logs_checked.values()), 1)
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


def measure_log(folder: Path, log: Path, mta: str, workers: int | None) -> list[Target]:
    """Scan a log, compare it with the truth, print what was found, and give its targets."""
    with tempfile.TemporaryDirectory() as temporary:
        events, tally = Path(temporary, "events.parquet"), Path(temporary, "tally.json")
        command = scan(log, events, workers, "--tally-json", tally)
        scanned = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if scanned.returncode or not events.exists() or not tally.exists():
            print(f"\n{log.name}: logscan scan: exit code {scanned.returncode}\n{scanned.stderr}")
            return [Target(f"{log.name}: scanned", 0, ">=", 1)]
        truth = shared(folder, "data", "mta", "truth.jsonl")
        tool = shared(folder, "tools", "check.py")
        check: list[str | Path] = [sys.executable, tool, truth, events, "--mta", mta, "--json"]
        checked = json.loads(subprocess.run(check, stdout=subprocess.PIPE, check=True).stdout)
        found = targets(log.name, checked, json.loads(tally.read_text()))
    print(f"\n{log.name}")
    for name, value in checked.items():
        print(f"  {name:38}{value:.4f}" if isinstance(value, float) else f"  {name:38}{value}")
    return found


def measure_lines(folder: Path, file: str, mta: str) -> list[Target]:
    """Score a mail server's lines of a file of the corpora."""
    with shared(folder, "data", "corpora", file).open() as lines:
        cases = [line for line in lines if json.loads(line)["mta"] == mta]
    command = [sys.executable, str(Path(__file__).with_name("log_cases.py"))]
    quoted = subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)
    with tempfile.TemporaryDirectory() as temporary:
        chosen, totals = Path(temporary, "cases.jsonl"), Path(temporary, "totals.json")
        chosen.write_text("".join(cases))
        tool = shared(folder, "tools", "score.py")
        score: list[str | Path] = [sys.executable, tool, "--cases", chosen, "--kind", "log"]
        subprocess.run([*score, "--command", quoted, "--json", totals], check=True)
        scored = json.loads(totals.read_text())["log"]
    quiet = scored.get("quiet", 0) / max(scored.get("quiet_n", 0), 1)
    print(f"  {len(cases)} lines; of those that hold no reply, {quiet:.1%} gave none")
    return [Target(f"corpora, {mta}: fields right", share_of_fields(scored), ">=", FIELDS)]


def main() -> int:
    """Measure all, print, and judge."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--logs", nargs="*", help="only these files of data/mta")
    options = parser.parse_args()
    found = []
    for log in sorted(shared(options.shared, "data", "mta").iterdir()):
        mta = instances(log.name)
        if mta and (not options.logs or log.name in options.logs):
            found += measure_log(options.shared, log, mta, options.workers)
    for flavour in ("2010", "2016", "2019") if not options.logs else ():
        print(f"\nexchange {flavour}", flush=True)
        found += measure_organisation(options.shared, flavour, options.workers)
    print(flush=True)
    found += measure_lines(options.shared, "logs.jsonl", "postfix")
    found += measure_lines(options.shared, "exchange-web.jsonl", "exchange")
    print()
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
