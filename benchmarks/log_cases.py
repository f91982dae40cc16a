"""Answers log cases as score.py asks them: cases on stdin, the events of their lines on stdout, JSONL both.

A case of kind `file` names a whole log, and is answered by its totals.

python tools/score.py --cases data/corpora --kind log file --command "python benchmarks/log_cases.py"
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SAME_NAME = ("code", "enhanced", "recipient", "sender", "queue_id")
# The cases name Exim's outcomes by the flag of the line: `**` is bounced and `=>` sent, whatever the reason.
EXIM_FLAGS = {"expired": "bounced", "discarded": "sent", "suppressed": "sent", "delivered": "sent"}

UNCOUNTED = ("attempt", "aborted", "held", "notified")


def fields(event: dict[str, Any], mta: str) -> dict[str, Any]:
    """An event in the words of the cases."""
    ours = event["direction"] == "inbound"
    return {name: event[name] for name in SAME_NAME} | {
        "status": EXIM_FLAGS.get(event["action"], event["action"]) if mta == "exim" else event["action"],
        "client_ip": event["remote_ip"] if ours else None,
        "relay_ip": None if ours else event["remote_ip"],
    }


def totals(events: list[dict[str, Any]], mta: str) -> dict[str, Counter[str]]:
    """The totals of a log: outcomes and refusals by status, and the codes that it shows."""
    found: dict[str, Counter[str]] = {"status": Counter(), "code": Counter(), "enhanced": Counter()}
    for event in events:
        status = _status(event, mta)
        if status is None:
            continue
        found["status"][status] += 1
        for name in ("code", "enhanced"):
            if event[name] is not None and not event["code_implied"]:
                found[name][str(event[name])] += 1
    return found


def _status(event: dict[str, Any], mta: str) -> str | None:
    """What the cases count an event as; None where they count it not."""
    action, inbound = event["action"], event["direction"] == "inbound"
    if action != "rejected":
        # Of what Exim discards they count what has an `=>`: not what an administrator removed from the queue.
        counted = inbound and event["queue_id"] is not None if action == "discarded" else action not in UNCOUNTED
        return fields(event, mta)["status"] if counted else None
    if event["stage"] == "auth" and not event["code_implied"]:
        return "auth-failed"
    # Nor do they count sessions that break the protocol, unless Exim `rejected` them by that word.
    if any(words in event["reply"] for words in (" dropped: ", "(next input sent too soon", "rejected XCLIENT from")):
        return None
    return "tempreject" if event["code"] is not None and event["code"] < 500 else "reject"


def main() -> None:
    """Answer each case."""
    import logscan

    for line in sys.stdin:
        case = json.loads(line)
        mta = case.get("mta", "postfix")
        if case.get("kind") == "file":
            text = Path(case["path"]).read_bytes().decode(errors="surrogateescape")
            events = logscan.scan_lines(text.split("\n"), mta).to_pylist()
            print(json.dumps({"id": case["id"], "totals": totals(events, mta)}))
            continue
        events = logscan.scan_lines(case["lines"], mta).to_pylist()
        print(json.dumps({"id": case["id"], "events": [fields(event, mta) for event in events]}))


if __name__ == "__main__":
    main()
