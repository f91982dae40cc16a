"""Writes what documents take from the program: the page of columns, and the README's first screen.

Run it after a change: a document that is not as this script would write it fails a test.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from logscan.schema import COLUMNS, SCHEMA_VERSION

ROOT = Path(__file__).parent.parent
SCREEN = re.compile(r"(?<=```console\n\$ )(logscan [^\n]*\n)(.*?)(?=```\n)", re.S)
COLUMNS_HEAD = f"""# The columns of an event

Version {SCHEMA_VERSION} of the schema. A later version only adds columns.
`docs/write.py` writes this page from `logscan/schema.py`.

Any column may be null, save `time`, `mta`, `source`, `offset`, `code_implied`, `code_class` and `cause`.
Times are UTC. `source` and `offset` lead back to the line: `tail -c +$((offset + 1)) mail.log | head -1`.
How the values of `action` are counted: [COUNTING.md](COUNTING.md).

| column | type | meaning |
| --- | --- | --- |
"""


def documents() -> dict[Path, str]:
    """The documents, and what they should be."""
    return {ROOT / "docs" / "COLUMNS.md": _columns(), ROOT / "README.md": _readme()}


def _columns() -> str:
    rows = (f"| `{name}` | {_type(type_)} | {meaning} |\n" for name, type_, meaning in COLUMNS)
    return COLUMNS_HEAD + "".join(rows)


def _type(type_: pa.DataType) -> str:
    """The type as BI tools call it: a dictionary of strings is read as strings."""
    return "string" if pa.types.is_dictionary(type_) else str(type_).replace("[us, tz=UTC]", " (µs, UTC)")


def _readme() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return SCREEN.sub(lambda shown: shown[1] + _output(shown[1].split()[1:]), text)


def _output(arguments: list[str]) -> str:
    command = [sys.executable, "-X", "utf8", "-m", "logscan", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")  # noqa: S603 - our own README
    return done.stdout


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8", newline="\n")
