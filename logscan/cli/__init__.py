"""The command line: a module for each command, which gathers, calls, prints and ends. What it does stands elsewhere."""

# isort: off - in the order of `logscan --help`
from logscan.cli import report, scan, causes, formats  # noqa: F401
from logscan.cli.app import app
# isort: on

__all__ = ["app", "main"]


def main() -> None:
    """The command `logscan`."""
    app()
