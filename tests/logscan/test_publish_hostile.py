"""Whatever somebody on the net writes into a mail log, no output is broken by it, and none acts on it."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from logscan.parser import Tally
from logscan.publish import Findings, gather, write
from logscan.publish.charts import render
from logscan.publish.page import page as make_page
from logscan.publish.screen import screen
from logscan.report import Asked
from logscan.run import Problem, Run, SourceRead

PAYLOADS = {
    "OSC": "\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\x",
    "CSI": "\x1b[2J\x1b[31mred",
    "C1": "\x9b31m\x9d0;owned\x9c",
    "bidi": "\u202egpj.exe\u2066\u2069",
    "unseen": "a\u200b\ufeff\u00adb\u2028c\u2029d",
    "NUL": "a\x00b",
    "line ends": "a\r\nSep 21 10:00:00 mx postfix/smtp[1]: forged\rb\x0b\x0c\x85",
    "mathtext": "$\\frac{1}{$ ${{{{{{{{{{ $x^2$",
    "TeX": "\\input{/etc/passwd} \\usepackage{x}",
    "script": "</script></style></title><script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "single quotes": "' onfocus='alert(1)' autofocus x='",
    "image": "<img src=x onerror=alert(1)><svg onload=alert(1)>",
    "link": '<a href="javascript:alert(1)">x</a>',
    "comment": "--><!--<![CDATA[",
    "entity": "&lt;script&gt;&#x3c;img src=x&gt;",
    "Jinja": "{{ 7 * 7 }}{% raw %}{# x",
    "rich markup": "[red]x[/] [/] [link=http://evil.example]y[/link] :skull:",
    "formula": "=cmd|'/C calc'!A0",
    "formula +": "+1+1",
    "formula -": "-2+3",
    "formula @": "@SUM(A1)",
    "formula tab": "\t=1+1",
    "formula wide": "＝1+1",
    "SQL": "'; DROP TABLE events; --\"",
    "shell": "$(touch /tmp/owned) `id` ; rm -rf ~ | x",
    "path": "../../etc/passwd",
    "long": "x" * 5000,
    "long with blanks": "word " * 1000,
    "thai": "ผู้ใช้ไม่รู้จัก ที่นี่",
    "wide and combining": "漢字" * 30 + "e" + "\u0301" * 50,
    "astral": "😀\U000e0041\U0001f3f4",
    "empty": "",
    "blank": "   ",
    "percent": "%s%n%d {0} {x!r}",
    "backslashes": "\\x1b[31m \\u202e \\",
}


WORDS = (
    *("host", "process", "enhanced", "reply", "sender", "sender_domain", "recipient", "recipient_domain"),
    *("remote_host", "remote_ip", "provider", "queue_id", "message_id", "source", "cause"),
)


def findings_of(*payloads: str) -> tuple[Findings, Asked]:
    """Each payload wherever a log has words."""
    events = []
    for payload in payloads:
        failure = dict.fromkeys(WORDS, payload) | {"time": 1_790_000_000_000_000, "offset": 1, "code": 550}
        events += [
            {**failure, "direction": "outbound", "action": "bounced"},
            {**failure, "direction": "outbound", "action": "deferred", "code": None},
            {**failure, "direction": "inbound", "action": "rejected"},
            {**failure, "direction": "outbound", "action": payload},
        ]
    asked = Asked.of(*events)
    reads = tuple(
        SourceRead(text, text, 0.3, 10, Tally(understood=1, unread=1, samples=((7, text),)), 4) for text in payloads
    )
    problems = tuple(Problem(text, text, text, offset=3, fatal=bool(text)) for text in payloads)
    findings = gather(asked.events, Run(reads, problems), top=len(payloads))
    assert findings.problems == problems
    return findings, asked


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_the_terminal_gets_no_control_but_our_colours(payload: str, colour: bool) -> None:
    file = io.StringIO()
    Console(width=80, file=file, color_system="standard" if colour else None).print(screen(findings_of(payload)[0]))
    shown = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue()) if colour else file.getvalue()
    kinds = {unicodedata.category(c) for c in shown.replace("\n", "")}
    assert kinds.isdisjoint({"Cc", "Cf", "Zl", "Zp", "Cs"})
    for text in ("[red]x[/]", ":skull:"):
        assert (text in shown) == (text in payload)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_chart_of_it_alone_is_drawn(payload: str) -> None:
    answers = {finding.report.name: finding.answer for finding in findings_of(payload)[0].findings}
    drawn = render(answers["domain-codes"], "domain-codes", payload, 10)
    check_svg(drawn.svg)
    check_svg(drawn.inline.encode())


def check_svg(content: bytes) -> None:
    root = ElementTree.fromstring(content)
    assert not [e for e in root.iter() if e.tag.endswith(("}script", "}foreignObject", "}a", "}image"))]
    assert not [name for e in root.iter() for name in e.attrib if name.startswith("on")]
    assert max((len(e.text or "") for e in root.iter() if e.tag.endswith("}text")), default=0) <= 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is written of all of them."""
    findings, asked = findings_of(*PAYLOADS.values())
    folder = tmp_path_factory.mktemp("all")
    write(findings, folder, asked.events)
    return folder


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_has_no_tag_attribute_or_address_of_theirs(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert {unicodedata.category(c) for c in page.replace("\n", "")}.isdisjoint({"Cc", "Cf", "Zl", "Zp", "Cs"})
    plain, tags = Tags(make_page(findings_of("plain")[0])), Tags(page)
    assert tags.tags == plain.tags
    assert {name for name, _ in tags.attributes} == {name for name, _ in plain.attributes}
    assert all(value.startswith("#") for name, value in tags.attributes if name in ("href", "src", "action"))
    text = "".join(tags.text)
    for payload in ("script", "attribute", "image", "entity", "Jinja", "rich markup"):
        assert PAYLOADS[payload] in text


def test_the_page_stays_small(folder: Path) -> None:
    findings, _ = findings_of(*(f"{i}{'x' * 5000}" for i in range(40)))
    assert len(make_page(replace(findings, top=None)).encode()) < 300_000


def test_charts_are_xml_and_pictures(folder: Path) -> None:
    drawn = sorted((folder / "charts").iterdir())
    assert {path.suffix for path in drawn} == {".png", ".svg"}
    for path in drawn:
        content = path.read_bytes()
        if path.suffix == ".svg":
            check_svg(content)
        else:
            assert content.startswith(b"\x89PNG")


def test_no_cell_of_a_table_is_a_formula_or_spills(folder: Path) -> None:
    for path in [folder / "report.csv", *(folder / "tables").iterdir()]:
        text = path.read_bytes().decode("utf-8-sig")
        table = list(csv.reader(io.StringIO(text, newline="")))
        assert text.count("\n") == len(table)
        assert len({len(row) for row in table}) == 1
        for cell in (cell for row in table for cell in row):
            assert cell.isprintable()
            assert not cell.startswith(("=", "+", "-", "@", "＝"))


def test_data_stays_data(folder: Path) -> None:
    text = (folder / "report.json").read_text(encoding="utf-8")
    assert text.isascii()
    data: dict[str, Any] = json.loads(text)
    payloads = set(PAYLOADS.values())
    assert {row["recipient_domain"] for row in data["reports"]["domains"]["rows"]} == payloads
    assert {source["source"] for source in data["sources"]} == payloads
    assert set(pq.read_table(folder / "events.parquet")["reply"].to_pylist()) == payloads
