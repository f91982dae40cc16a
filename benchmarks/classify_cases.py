"""Judges reply texts as a program of lines, so that any corpus of them can be scored.

    {"id": "7", "kind": "reply", "text": "550 5.1.1 No such user"}     on stdin, JSON lines
    {"id": "7", "code": 550, "enhanced": "5.1.1", "cause": "user-unknown", ...}     on stdout

It is `logscan classify`, but for cases of other kinds, which it leaves out.
"""

from __future__ import annotations

import json
import sys

from logscan.classifier.stream import verdicts


def main() -> None:
    """Reads all of stdin, writes a line for each of its replies."""
    replies = (line for line in sys.stdin.buffer if json.loads(line).get("kind", "reply") == "reply")
    for verdict in verdicts(replies, lambda number, met: print(number, met, file=sys.stderr)):
        print(verdict)


if __name__ == "__main__":
    main()
