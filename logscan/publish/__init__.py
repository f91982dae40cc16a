"""Shows what the data set says: on the first screen, and as page, charts, tables, JSON and Parquet.

findings = gather(events, run)          # ask every report
console.print(screen(findings))         # read in ten seconds: logscan.publish.screen
write(findings, Path("report.html"), events)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logscan.publish.files import check_path, write
    from logscan.publish.findings import Finding, Findings, Summary, gather
    from logscan.publish.text import safe

__all__ = ["Finding", "Findings", "Summary", "check_path", "gather", "safe", "write"]

_HOME = {"check_path": "files", "write": "files", "safe": "text"}


def __getattr__(name: str) -> Any:
    """Loads what is asked for when it is: whoever needs `safe` should not wait for tables and pages."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'findings')}"), name)
