"""Exports, as those who read them: pandas, DuckDB and polars find every event, with its values and types."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import logscan
from logscan.cli import app
from logscan.export import _cells, export
from logscan.plan import UsageError
from logscan.publish.text import spreadsheet
from logscan.schema import COLUMNS, EVENTS

SAMPLE = Path(__file__).parent.parent.parent / "sample_logs" / "mx1-iso.log"
NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
REPLIES = [
    "550 5.1.1 no such user",
    '=HYPERLINK("http://a.example")',
    "@SUM(A1)",
    'a "quoted", text; with, commas',
    "two\nlines\r\nof \x1b]0;it\x07 \u202etxt",
    "'; DROP TABLE events; --",
    "ไม่มี ü 𝄞",
    "",
    None,
]
TABLE = pa.Table.from_pylist(
    [
        {
            "time": NOON,
            "mta": "postfix",
            "code": 550,
            "reply": reply,
            "delay": 0.25,
            "size": 2**40,
            "offset": n,
            "copy": n == 1,
        }
        for n, reply in enumerate(REPLIES)
    ],
    schema=EVENTS,
)


@pytest.fixture
def events(tmp_path: Path) -> ds.Dataset:
    """As of a store: several files, whose dictionaries differ."""
    for n, part in enumerate((TABLE.slice(0, 4), TABLE.slice(4))):
        pq.write_table(part.replace_schema_metadata(), tmp_path / f"{n}.parquet")
    return ds.dataset([str(tmp_path / f"{n}.parquet") for n in range(2)], schema=EVENTS)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


def test_parquet(events: ds.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert export(events, str(path)) == [path]
    assert pq.read_table(path).to_pylist() == TABLE.to_pylist()
    assert pl.read_parquet(path)["reply"].to_list() == REPLIES
    assert pl.read_parquet(path).schema["time"] == pl.Datetime("us", "UTC")
    frame = pd.read_parquet(path)
    assert frame["time"].tolist() == [pd.Timestamp(NOON)] * len(REPLIES)
    assert duckdb.sql(f"SELECT reply FROM '{path.as_posix()}' ORDER BY \"offset\"").fetchall() == [
        (r,) for r in REPLIES
    ]


def test_csv(events: ds.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    export(events, str(path))
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"time_utc"')
    shown = [reply if reply is None else spreadsheet(reply) for reply in REPLIES]
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["reply"] for row in found] == [reply or "" for reply in shown]
    assert found[0]["time_utc"] == "2026-11-23 12:00:00.250000"
    frame = pd.read_csv(path, parse_dates=["time_utc"])
    assert frame["time_utc"].tolist() == [pd.Timestamp(NOON.replace(tzinfo=None))] * len(REPLIES)
    assert frame["size"].tolist() == [2**40] * len(REPLIES)
    assert pl.read_csv(path)["reply"].to_list() == shown
    rows = duckdb.sql(f"SELECT time_utc, reply, copy FROM read_csv('{path.as_posix()}')").fetchall()
    assert [row[1] or "" for row in rows] == [reply or "" for reply in shown]
    assert rows[1][0] == NOON.replace(tzinfo=None)
    assert [row[2] for row in rows] == [n == 1 for n in range(len(REPLIES))]


def test_json_lines(events: ds.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    export(events, str(path))
    lines = path.read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["reply"] for line in lines if line] == REPLIES
    assert pd.to_datetime(pd.read_json(path, lines=True)["time"]).tolist() == [pd.Timestamp(NOON)] * len(REPLIES)
    assert pl.read_ndjson(path)["code"].to_list() == [550] * len(REPLIES)
    found = duckdb.sql(f"SELECT reply FROM read_json('{path.as_posix()}')").fetchall()
    assert found == [(reply,) for reply in REPLIES]


def test_duckdb(events: ds.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    path.write_bytes(b"what stood here before")
    export(events, str(path))
    assert [p.name for p in tmp_path.iterdir() if "logscan" in p.name] == []
    with duckdb.connect(str(path), read_only=True) as database:
        assert database.execute('SELECT reply FROM events ORDER BY "offset"').fetchall() == [(r,) for r in REPLIES]
        assert database.execute("SELECT failures, events FROM summary").fetchall() == [(0, len(REPLIES) - 1)]
        views = {
            row[0] for row in database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
        assert {"counted", "failures_by_cause", "deliveries_by_day"} < views
        for view in views:
            database.execute(f"SELECT count(*) FROM (FROM {view})").fetchall()
        comments = dict(
            database.execute("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'events'").fetchall()
        )
        assert comments == {column.name: column.meaning for column in COLUMNS}
        assert database.execute("SELECT name_en FROM dim_code WHERE code = 550").fetchall() == [
            ("mailbox unavailable",)
        ]


def test_a_folder_is_the_star(events: ds.Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "star"
    written = export(events, str(folder))
    assert written[0] == folder / "events.parquet"
    assert written[-1] == folder / "views.sql"
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == sorted(written)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".duckdb", ""])
def test_no_events_at_all(tmp_path: Path, suffix: str) -> None:
    for path in export(ds.dataset(EVENTS.empty_table()), str(tmp_path / f"none{suffix}")):
        assert path.exists()


MIDDLE = "2026-11-23T21:29:43.900"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        pytest.param([], lambda row: True, id="everything"),
        pytest.param(["--code", "5xx"], lambda row: row["code_class"] == "5xx", id="class"),
        pytest.param(
            ["--code", "550", "--domain", "*.example"],
            lambda row: row["code"] == 550 and str(row["recipient_domain"]).endswith(".example"),
            id="code and domain",
        ),
        pytest.param(
            ["--cause", "mailbox-full", "--cause", "user-unknown"],
            lambda row: row["cause"] in ("mailbox-full", "user-unknown"),
            id="two causes",
        ),
        pytest.param(["--since", MIDDLE], lambda row: row["time"] >= datetime.fromisoformat(MIDDLE + "Z"), id="since"),
        pytest.param(["--until", MIDDLE], lambda row: row["time"] < datetime.fromisoformat(MIDDLE + "Z"), id="until"),
        pytest.param(["--last", "1d"], lambda row: True, id="last"),
    ],
)
def test_the_part_that_is_wanted(tmp_path: Path, arguments: list[str], wanted: Callable[[Any], bool]) -> None:
    store, path = tmp_path / "store", tmp_path / "a.parquet"
    assert run("scan", SAMPLE, "-o", f"{store}/", "--tz", "UTC")[0] == 0
    whole = logscan.scan(SAMPLE, tz="UTC").to_pylist()
    part = [row for row in whole if wanted(row)]
    assert len(part) > 5 and (len(part) < len(whole) - 5 or arguments in ([], ["--last", "1d"]))
    for place in ([SAMPLE], ["--store", store]):
        assert run("export", *place, "-o", path, "--tz", "UTC", *arguments)[0] == 0
        assert pq.read_table(path).to_pylist() == part


def test_standard_output_is_json_lines() -> None:
    code, out, err = run("export", SAMPLE, "--tz", "UTC", "--cause", "mailbox-full")
    assert (code, err) == (0, "")
    assert {json.loads(line)["cause"] for line in out.splitlines()} == {"mailbox-full"}


def test_what_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("export", SAMPLE, "-o", tmp_path / "a.xlsx")
    assert (code, ".csv, .jsonl, .ndjson, .parquet, .duckdb" in err) == (2, True)
    code, _, err = run("export", "-o", tmp_path / "a.csv")
    assert (code, "--store" in err) == (2, True)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, _, err = run("export", SAMPLE, "-o", tmp_path / "a.duckdb")
    assert (code, "pip install 'mail-logscan[duckdb]'" in err) == (2, True)
    with pytest.raises(UsageError):
        export(ds.dataset(TABLE), str(tmp_path / "a.duckdb"))
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=6), max_size=5))
def test_law_cells_are_what_a_spreadsheet_may_have(replies: list[str | None]) -> None:
    made = _cells(pa.array(replies, pa.string())).to_pylist()
    assert made == [reply if reply is None else spreadsheet(reply) for reply in replies]
