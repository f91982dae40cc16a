"""Judges reply texts as a program of lines, so that any corpus of them can be scored.

    {"id": "7", "kind": "reply", "text": "550 5.1.1 No such user"}     on stdin, JSON lines
    {"id": "7", "cause": "user-unknown", "rule": "user-unknown", "code": 550, "enhanced": "5.1.1"}     on stdout

A line may also state code, enhanced, stage and action, as an event would.
"""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pyarrow.compute as pc

from logscan.classifier import classify

# A code of failure anywhere, else one of success.
CODES = [rf"(?:^|[\s:(<'\"])(?P<code>[{first}][0-7]\d)(?:[ \-#:;,'\"<]|$)" for first in ("45", "23")]
ENHANCED = r"(?:^|[\s#(\-'\"\[<:])(?P<enhanced>[245]\.[0-7]\.\d{1,3})(?:[\s)'\":;,\].>\-]|$)"
STATED = pa.schema([("code", pa.int16()), ("enhanced", pa.string()), ("stage", pa.string()), ("action", pa.string())])


def cut(texts: pa.StringArray) -> tuple[pa.Array, pa.Array]:
    """The first reply code and the first enhanced code in each text, null where there is none."""
    found = [pc.struct_field(pc.extract_regex(texts, pattern), "code") for pattern in CODES]
    return pc.coalesce(*found).cast(pa.int16()), pc.struct_field(pc.extract_regex(texts, ENHANCED), "enhanced")


def main() -> None:
    """Reads all of stdin, writes a line for each of its replies."""
    cases = [case for case in map(json.loads, sys.stdin) if case.get("kind", "reply") == "reply"]
    texts = pa.array([case["text"] for case in cases], pa.string())
    columns = {"reply": texts}
    for field in STATED:
        columns[field.name] = pa.array([case.get(field.name) for case in cases], field.type)
    code, enhanced = cut(texts)
    columns["code"] = pc.coalesce(columns["code"], code)
    columns["enhanced"] = pc.coalesce(columns["enhanced"], enhanced)
    judged = classify(pa.table(columns)).select(["cause", "rule", "code", "enhanced"])
    for case, verdict in zip(cases, judged.to_pylist(), strict=True):
        print(json.dumps({"id": case["id"], **verdict}))


if __name__ == "__main__":
    main()
