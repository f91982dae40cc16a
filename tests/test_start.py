"""What a command loads when it starts: a module that it has no use for costs everybody its import.

Modules are held, not times: these differ from machine to machine (benchmarks/start.py measures them).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFUSAL = "550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown"
LINE = (
    "2026-11-23T08:00:00+00:00 mx1 postfix/smtp[1]: 3F2A41C0DE: to=<ann@a.example>, relay=mx.a.example[192.0.2.1]:25, "
    f"delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.a.example[192.0.2.1] said: {REFUSAL} "
    "(in reply to RCPT TO command))"
)
PROGRAM = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sys.modules, file=sys.stderr))
from logscan.cli import main
main()
"""

NEVER = ("pydantic", "pandas", "matplotlib", "jinja2", "duckdb", "asyncio")
NO_ARROW = ("pyarrow", "numpy", "email", "concurrent.futures", "importlib.metadata")
NO_STORE = ("logscan.store", "logscan.star", "sqlite3")
ONE_COMMAND = ("logscan.cli.scan", "logscan.cli.nightly")
TOLD = [
    pytest.param(["--version"], (*NO_ARROW, *NO_STORE, *ONE_COMMAND, "logscan.catalogue"), id="version"),
    pytest.param(["--help"], (*NO_ARROW, *NO_STORE, "logscan.catalogue"), id="help"),
    pytest.param(["explain", "421"], (*NO_ARROW, *NO_STORE, *ONE_COMMAND), id="explain a code"),
    pytest.param(["explain", "5.7.26", "--json"], (*NO_ARROW, *NO_STORE, *ONE_COMMAND), id="explain as JSON"),
    pytest.param(["causes", "policy"], (*NO_ARROW, *NO_STORE, *ONE_COMMAND), id="causes"),
    pytest.param(
        ["explain", REFUSAL],
        ("email", "concurrent.futures", "importlib.metadata", "pyarrow.dataset", *NO_STORE, *ONE_COMMAND),
        id="explain a text",
    ),
    pytest.param(
        ["explain", LINE],
        ("concurrent.futures", "pyarrow.dataset", "logscan.plan", "logscan_parsers.exchange", *NO_STORE),
        id="explain a line",
    ),
    pytest.param(["scan", "LOG", "-o", "-"], ("pyarrow.dataset", *NO_STORE), id="scan"),
    pytest.param(["scan", "LOG", "-o", "x.parquet"], ("pyarrow.dataset", *NO_STORE), id="scan into a file"),
    pytest.param(["report", "LOG"], NO_STORE, id="report"),
]


@pytest.mark.parametrize(("arguments", "unused"), TOLD)
def test_a_command_loads_nothing_that_it_does_not_need(
    tmp_path: Path, arguments: list[str], unused: tuple[str, ...]
) -> None:
    (tmp_path / "mail.log").write_text(LINE + "\n", encoding="utf-8")
    words = ["mail.log" if word == "LOG" else word for word in arguments]
    ended = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *_, loaded = (line for line in ended.stderr.splitlines() if line.startswith("loaded:"))
    assert "logscan.cli.app" in loaded.split()
    assert sorted({*NEVER, *unused} & set(loaded.split())) == []
