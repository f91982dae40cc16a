"""The report as mail: text as on the first screen, and HTML that mail programs show as it is and do not cut."""

from __future__ import annotations

import io

from logscan.publish.findings import Findings
from logscan.publish.page import environment, section

# Gmail is known to cut mail at some 102 KB; as base64 a third is added.
LARGEST = 65_000
ROWS = (10, 5, 3, 1)
WIDTH = 78


def text(findings: Findings) -> str:
    """The first screen, in lines of 78 at most (RFC 5322, section 2.1.1), without colours."""
    from rich.console import Console

    from logscan.publish.screen import screen

    file = io.StringIO()
    Console(file=file, width=WIDTH, highlight=False, color_system=None, force_terminal=False).print(screen(findings))
    return file.getvalue()


def html(findings: Findings) -> str:
    """Tables without pictures and without network: as many rows of each as fit into 65 KB."""
    template = environment().get_template("letter.html")
    made = ""
    for rows in ROWS:
        sections = [
            section(finding, None, rows, rows, language=findings.language)
            for finding in findings.findings
            if finding.answer.table.num_rows
        ]
        made = template.render(
            findings=findings,
            summary=findings.summary,
            tally=findings.run.tally,
            language=findings.language,
            sections=sections,
        )
        if len(made.encode()) <= LARGEST:
            break
    return made
