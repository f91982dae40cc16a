"""The suffix says what is written; each file appears whole or not at all, and the data in it is the data."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from logscan.publish import Findings, files, gather, write
from logscan.report import Asked
from logscan.run import Run
from logscan.schema import EVENTS

NOON = datetime(2026, 9, 20, 12, tzinfo=UTC)
BOUNCE: dict[str, Any] = {
    "time": NOON,
    "direction": "outbound",
    "action": "bounced",
    "recipient_domain": "a.example",
    "code": 550,
    "enhanced": "5.1.1",
    "code_class": "5xx",
    "cause": "user-unknown",
    "reply": "550 5.1.1 no",
    "source": "mail.log",
    "offset": 7,
}
REFUSAL = {**BOUNCE, "direction": "inbound", "action": "rejected", "code": None, "enhanced": None}


@pytest.fixture
def found() -> tuple[Findings, Asked]:
    asked = Asked.of(BOUNCE, BOUNCE, REFUSAL, {**BOUNCE, "action": "delivered", "cause": "success"})
    return gather(asked.events, Run((), ())), asked


@pytest.mark.parametrize("name", ["report.html", "report.json", "report.csv", "report.parquet", "REPORT.HTML"])
def test_one_file(found: tuple[Findings, Asked], tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("an older one")
    assert write(found[0], path, found[1].events) == [path]
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.read_bytes() != b"an older one"


def test_a_folder_holds_all(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    written = write(found[0], folder, found[1].events)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix() for path in written}
    assert {"report.html", "report.json", "report.csv", "events.parquet", "tables/domains.csv"} <= names
    assert {"charts/domains.png", "charts/domains.svg", "charts/trend.svg"} <= names
    assert "charts/providers.svg" not in names, "nothing to draw"


def test_a_folder_may_have_a_dot_in_its_name(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    folder = tmp_path / "mx1.example"
    folder.mkdir()
    assert folder / "report.html" in write(found[0], folder, found[1].events)


@pytest.mark.parametrize("name", ["report.xlsx", "report.htm", "report.2026-09-20"])
def test_an_unknown_suffix_is_told_the_known_ones(found: tuple[Findings, Asked], tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"\.html, \.json, \.csv, \.parquet, or be a folder"):
        write(found[0], tmp_path / name, found[1].events)
    assert not list(tmp_path.iterdir())


def test_a_failing_write_leaves_what_was_there(
    found: tuple[Findings, Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text("yesterday's")

    def fail(*_: object, **__: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(files.json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        write(found[0], path, found[1].events)
    assert path.read_text() == "yesterday's"
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_is_the_table_of_failures(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    [path] = write(found[0], tmp_path / "r.csv", found[1].events)
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert first["next_step"]
    assert first | {"next_step": "", "cause_meaning": "", "code_meaning": "", "who_acts": ""} == {
        "direction": "outbound",
        "action": "bounced",
        "recipient_domain": "a.example",
        "provider": "",
        "failures": "2",
        "since_utc": "2026-09-20 12:00:00",
        "last_utc": "2026-09-20 12:00:00",
        "code": "550",
        "enhanced": "5.1.1",
        "code_class": "5xx",
        "code_meaning": "",
        "cause": "user-unknown",
        "cause_meaning": "",
        "who_acts": "",
        "next_step": "",
        "sample": "550 5.1.1 no",
        "line": "mail.log:7",
    }
    assert (second["direction"], second["failures"], second["code"]) == ("inbound", "1", "")


def test_json_has_everything(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    [path] = write(found[0], tmp_path / "r.json", found[1].events)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert list(data) == ["version", "language", "summary", "sources", "problems", "reports"]
    assert data["summary"] | {"verdict": ""} == {
        "verdict": "",
        "events": 4,
        "actions": {"delivered": 1, "bounced": 2, "rejected": 1},
        "copies": 0,
        "first": "2026-09-20T12:00:00Z",
        "last": "2026-09-20T12:00:00Z",
        "deliveries": 3,
        "failed": 2,
        "failures": {"bounced": 2},
        "failure_rate": 2 / 3,
        "refusals": 1,
        "messages": None,  # these events have no queue ids
        "recipients": None,
    }
    assert set(data["reports"]) == {finding.report.name for finding in found[0].findings}
    domains = data["reports"]["domains"]
    assert (domains["rows_in_all"], domains["package"]) == (1, "mail-logscan")
    assert domains["rows"][0]["failures"] == 2
    assert isinstance(data["reports"]["causes"]["rows"][0]["next_steps"], list)


def test_json_says_how_many_rows_it_leaves_out(
    found: tuple[Findings, Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "JSON_ROWS", 0)
    [path] = write(found[0], tmp_path / "r.json", found[1].events)
    causes = json.loads(path.read_text(encoding="utf-8"))["reports"]["causes"]
    assert (causes["rows"], causes["rows_in_all"]) == ([], 1)


def test_parquet_is_the_events(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    [path] = write(found[0], tmp_path / "r.parquet", found[1].events)
    assert pq.read_table(path).to_pylist() == found[1].events.to_table().to_pylist()
    assert pq.read_schema(path).equals(EVENTS, check_metadata=True)


def test_the_same_findings_give_the_same_bytes(found: tuple[Findings, Asked], tmp_path: Path) -> None:
    asked = found[1]
    first = {p.name: p.read_bytes() for p in write(found[0], tmp_path / "a", asked.events)}
    again = gather(asked.events, Run((), ()))
    assert {p.name: p.read_bytes() for p in write(again, tmp_path / "b", asked.events)} == first


def test_nothing_is_written_as_well(tmp_path: Path) -> None:
    asked = Asked.of()
    written = write(gather(asked.events, Run((), ())), tmp_path / "all", asked.events)
    assert not [path for path in written if path.parent.name == "charts"]
    assert "No mail events." in (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert pq.read_table(tmp_path / "all" / "events.parquet").num_rows == 0
