"""Answers log cases as score.py asks them: cases on stdin, the events of their lines on stdout, JSONL both.

python tools/score.py --cases data/corpora --kind log --command "python benchmarks/log_cases.py"
"""

from __future__ import annotations

import json
import sys
from typing import Any

SAME_NAME = ("code", "enhanced", "recipient", "sender", "queue_id")


def fields(event: dict[str, Any]) -> dict[str, Any]:
    """An event in the words of the cases."""
    ours = event["direction"] == "inbound"
    return {name: event[name] for name in SAME_NAME} | {
        "status": event["action"],
        "client_ip": event["remote_ip"] if ours else None,
        "relay_ip": None if ours else event["remote_ip"],
    }


def main() -> None:
    """Answer each case."""
    import logscan

    for line in sys.stdin:
        case = json.loads(line)
        events = logscan.scan_lines(case["lines"], case.get("mta", "postfix")).to_pylist()
        print(json.dumps({"id": case["id"], "events": [fields(event) for event in events]}))


if __name__ == "__main__":
    main()
