"""Shows what the data set says: on the first screen, and as page, charts, tables, JSON and Parquet.

findings = gather(events, run)          # ask every report
console.print(screen(findings))         # read in ten seconds
write(findings, Path("report.html"), events)
"""

from logscan.publish.files import check_path, write
from logscan.publish.findings import Finding, Findings, Summary, gather
from logscan.publish.screen import screen
from logscan.publish.text import safe

__all__ = ["Finding", "Findings", "Summary", "check_path", "gather", "safe", "screen", "write"]
