"""The command line: a module for each command, which gathers, calls, prints and ends. What it does stands elsewhere."""

# ruff: noqa: I001, F401 - commands are listed in the order of their import
from logscan.cli import report, explain, scan, export, nightly, store, classify, causes, rules, formats, config
from logscan.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The command `logscan`."""
    app()
