"""The star: every value of the events has its row, others read it, and the views say what the reports say."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import logscan
from logscan import plugins, star
from logscan.catalogue import causes, languages
from logscan.cli import app
from logscan.ingest import ingest
from logscan.plan import Options
from logscan.publish import gather
from logscan.report import FAILED, INBOUND, SENT, Asked, Report
from logscan.run import Run
from logscan.schema import EVENTS
from logscan.star.dimensions import DIMENSIONS
from logscan.star.keys import Domains
from logscan.store import Store

LOGS = Path(__file__).parent.parent.parent / "sample_logs"
SAMPLES = [LOGS / "mail.log-20261124", LOGS / "mx1-rfc5424.log.gz", LOGS / "mx1-iso.log"]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = [
    {
        "direction": "outbound",
        "action": "bounced",
        "code": 999,
        "enhanced": "5.7.999",
        "cause": "it's \"'; DROP TABLE x",
    },
    {
        "direction": "outbound",
        "action": "deferred",
        "enhanced": "no code",
        "recipient_domain": "'; --",
        "provider": "own",
    },
    {"direction": "outbound", "action": "bounced", "copy": True, "recipient_domain": "copied.example", "code": 550},
    {"direction": None, "action": "expired", "recipient_domain": "\x1b[31mred.example", "code_class": "5xx"},
    {"direction": "inbound", "action": "rejected", "sender_domain": "xn--12c1fe0br.xn--o3cw4h", "code_class": "4xx"},
    {"direction": None, "action": None},
]


def events() -> pa.Table:
    """The sample logs over three days, and what no log of ours has."""
    real = logscan.scan(SAMPLES, tz="UTC")
    odd = [{"time": NOON + timedelta(days=2, hours=n), "queue_id": f"Q{n}", **row} for n, row in enumerate(HOSTILE)]
    return pa.concat_tables([real, pa.Table.from_pylist(odd, schema=EVENTS)]).unify_dictionaries()


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return events()


@pytest.fixture(scope="module")
def folder(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("star")
    pq.write_table(table, folder / "events.parquet")
    star.write_beside(ds.dataset(table), folder, "events.parquet")
    return folder


@pytest.fixture(scope="module")
def database(folder: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute("SET TimeZone = 'Asia/Bangkok'")  # the views count in UTC wherever they are asked
    database.execute(f"SET file_search_path = '{folder.as_posix()}'")
    database.execute((folder / "views.sql").read_text(encoding="utf-8"))
    return database


def rows(database: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = database.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def said(name: str, table: pa.Table, **asked: Any) -> list[dict[str, Any]]:
    reports, _ = plugins.load(plugins.REPORTS, Report, name)
    found: list[dict[str, Any]] = reports[name].answer(Asked(ds.dataset(table), **asked)).table.to_pylist()
    for row in found:
        for key, value in row.items():
            if isinstance(value, datetime):
                row[key] = value.astimezone(UTC).replace(tzinfo=None)
    return found


def same(mine: list[dict[str, Any]], theirs: list[dict[str, Any]], names: dict[str, str]) -> None:
    """That both have the same rows; names: of columns in the view, and in the report."""

    def picked(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
        cells = ([round(v, 9) if isinstance(v, float) else v for v in map(row.get, columns)] for row in rows)
        return sorted(map(repr, cells))

    assert mine
    assert picked(mine, list(names)) == picked(theirs, list(names.values()))


SPAN = {"since": "since", "last": "last"}
KINDS = {name: name for name in ("deliveries", "failures", "rate", "deferred", "bounced", "expired", "rejected")}


@pytest.mark.parametrize(
    ("view", "report", "names"),
    [
        ("failures_by_cause", "causes", {"cause": "cause", "failures": "failures", "share": "share", **SPAN}),
        ("failures_by_code", "codes", {"code": "code", "enhanced": "enhanced", "failures": "failures", **SPAN}),
        (
            "failures_by_domain_and_code",
            "domain-codes",
            {n: n for n in ("recipient_domain", "code", "enhanced", "failures")} | SPAN,
        ),
        (
            "deliveries_by_domain WHERE failures > 0",
            "domains",
            {"recipient_domain": "recipient_domain", **KINDS, **SPAN},
        ),
        ("deliveries_by_provider WHERE failures > 0", "providers", {"provider": "provider", **KINDS, **SPAN}),
        (
            "refusals_by_cause",
            "refused",
            {n: n for n in ("cause", "code", "enhanced", "refusals", "meaning_en")} | {"meaning_en": "meaning"} | SPAN,
        ),
        ("refusals_by_client", "clients", {"remote_ip": "remote_ip", "refusals": "refusals", **SPAN}),
    ],
)
def test_a_view_says_what_the_report_says(
    database: duckdb.DuckDBPyConnection, table: pa.Table, view: str, report: str, names: dict[str, str]
) -> None:
    same(rows(database, f"SELECT * FROM {view}"), said(report, table), names)


@pytest.mark.parametrize(
    ("view", "column", "step"), [("deliveries_by_day", "date", "day"), ("deliveries_by_hour", "hour", "hour")]
)
def test_time_as_in_the_trend(
    database: duckdb.DuckDBPyConnection, table: pa.Table, view: str, column: str, step: Any
) -> None:
    numbers = ("deliveries", "failures", "failed_4xx", "failed_5xx", "failed_other", "refused")
    mine = rows(database, f"SELECT CAST({column} AS TIMESTAMP) AS time, * FROM {view}")
    theirs = said("trend", table, by=step)
    if step == "hour":  # the report has the hours without events too
        theirs = [row for row in theirs if any(row[n] for n in numbers)]
        mine = [row for row in mine if any(row[n] for n in numbers)]
    same(mine, theirs, {n: n for n in ("time", *numbers)})


def test_the_summary(database: duckdb.DuckDBPyConnection, table: pa.Table) -> None:
    summary = gather(ds.dataset(table), Run((), ())).summary
    [row] = rows(database, "SELECT * FROM summary")
    assert row["events"] == summary.events == len(table) - 1
    for name in ("deliveries", "refusals", "messages", "recipients"):
        assert row[name] == getattr(summary, name), name
    assert row["failures"] == summary.failed
    assert row["since"] == summary.first.replace(tzinfo=None) if summary.first else False


def test_every_value_has_its_row(database: duckdb.DuckDBPyConnection) -> None:
    for dimension, column in [
        ("dim_date", "CAST(make_timestamp(epoch_us(time)) AS DATE)"),
        *((f"dim_{name}", name) for name in ("code", "enhanced", "cause", "provider")),
        ("dim_domain", "recipient_domain"),
        ("dim_domain", "sender_domain"),
    ]:
        key = next(d for d in DIMENSIONS if d.name == dimension).schema.names[0]
        lost = f"SELECT {column} AS v FROM events WHERE v IS NOT NULL AND v NOT IN (SELECT {key} FROM {dimension})"
        assert rows(database, lost) == []
        assert rows(database, f"SELECT {key} FROM {dimension} GROUP BY 1 HAVING count(*) > 1 OR {key} IS NULL") == []


def test_words_in_each_language(folder: Path) -> None:
    assert set(languages()) >= {"en", "th"}
    code = {row["code"]: row for row in pq.read_table(folder / "dimensions" / "dim_code.parquet").to_pylist()}
    assert code[550]["name_en"] == "mailbox unavailable"
    assert code[999]["name_en"] == "no SMTP reply code"
    cause = {row["cause"]: row for row in pq.read_table(folder / "dimensions" / "dim_cause.parquet").to_pylist()}
    for language in languages():
        assert cause["mailbox-full"][f"meaning_{language}"] == causes(language)["mailbox-full"].meaning
        assert cause["mailbox-full"][f"steps_{language}"] == " ".join(causes(language)["mailbox-full"].steps)
    assert cause["mailbox-full"]["meaning_en"] != cause["mailbox-full"]["meaning_th"]
    assert cause[HOSTILE[0]["cause"]]["actor"] is None
    enhanced = {r["enhanced"]: r for r in pq.read_table(folder / "dimensions" / "dim_enhanced.parquet").to_pylist()}
    assert enhanced["5.1.1"]["title"] == "Bad destination mailbox address"
    assert enhanced["5.7.999"]["name_en"] == "permanent failure, security or policy"
    assert enhanced["no code"]["title"] is None


def test_dates_and_domains(folder: Path) -> None:
    dates = pq.read_table(folder / "dimensions" / "dim_date.parquet").to_pylist()
    assert [row["date"] for row in dates] == [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)]
    assert dates[0] | {"date": 0} == {
        "date": 0,
        "year": 2026,
        "quarter": 4,
        "month": 11,
        "year_month": "2026-11",
        "day": 23,
        "iso_year": 2026,
        "iso_week": 48,
        "weekday": 1,
        "weekend": False,
    }
    domains = {row["domain"]: row for row in pq.read_table(folder / "dimensions" / "dim_domain.parquet").to_pylist()}
    assert domains["xn--12c1fe0br.xn--o3cw4h"]["name"] == "ศึกษา.ไทย"
    assert domains["\x1b[31mred.example"]["name"] == "\\x1b[31mred.example"
    assert domains["'; --"]["provider"] == "own"
    assert domains["bigmail.example"]["top_level"] == "example"


def test_a_wrong_stamp_makes_no_million_days() -> None:
    times = [NOON.replace(year=1970), NOON]
    table = pa.Table.from_pylist([{"time": time} for time in times], schema=EVENTS)
    found = star.keys(ds.dataset(table), Path())
    [dates] = DIMENSIONS[0].rows(found)
    assert len(dates) == 2


def test_domains_beyond_memory_are_the_same(tmp_path: Path) -> None:
    def added(held: int) -> pa.Table:
        domains = Domains(tmp_path, held)
        for part in range(20):
            n = range(part * 50, part * 50 + 100)
            domains.add(
                pa.table(
                    {
                        "domain": [f"d{i}.example" if i % 7 else None for i in n],
                        "provider": pa.array([("google", None, "yahoo")[i % 3] for i in n], pa.string()),
                        "since": pa.array([NOON + timedelta(seconds=part)] * 100, pa.timestamp("us", "UTC")),
                        "last": pa.array([NOON + timedelta(seconds=part)] * 100, pa.timestamp("us", "UTC")),
                    }
                )
            )
        return pa.concat_tables(domains.tables()).sort_by("domain")

    whole = added(10**6)
    assert len(whole) == len(set(whole["domain"].to_pylist())) > 800
    assert added(120).to_pylist() == whole.to_pylist()
    assert list(tmp_path.iterdir()) == []


def test_without_events(tmp_path: Path) -> None:
    pq.write_table(EVENTS.empty_table(), tmp_path / "events.parquet")
    star.write_beside(ds.dataset(EVENTS.empty_table()), tmp_path, "events.parquet")
    database = duckdb.connect()
    database.execute(f"SET file_search_path = '{tmp_path.as_posix()}'")
    database.execute((tmp_path / "views.sql").read_text(encoding="utf-8"))
    assert rows(database, "SELECT deliveries FROM summary") == [{"deliveries": 0}]
    assert rows(database, "SELECT * FROM deliveries_by_day") == []
    assert rows(database, "SELECT count(*) AS n FROM dim_cause") == [{"n": len(causes())}]


def test_beside_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    ingest([str(log) for log in SAMPLES], Store.open(path), Options(tz="UTC"))
    count = len(logscan.scan(SAMPLES, tz="UTC"))
    written = star.write(path)
    first = {file.name: file.read_bytes() for file in written}
    assert sorted(first) == sorted([*(f"{d.name}.parquet" for d in DIMENSIONS), "views.sql"])
    assert all("data" not in file.relative_to(path).parts for file in written)
    # The store still reads as it is, and a rewrite says the same.
    assert Store.open(path, create=False).dataset().count_rows() == count
    assert {file.name: file.read_bytes() for file in star.write(path)} == first
    moved = shutil.move(path, tmp_path / "moved")
    database = duckdb.connect()
    database.execute(f"SET file_search_path = '{Path(moved).as_posix()}'")
    database.execute((Path(moved) / "views.sql").read_text(encoding="utf-8"))
    assert rows(database, "SELECT events FROM summary") == [{"events": count}]


def test_what_is_taken_out_of_a_store_leaves_its_dimensions_too(tmp_path: Path) -> None:
    path = tmp_path / "store"
    ingest([str(log) for log in SAMPLES], Store.open(path), Options(tz="UTC"))
    star.write(path)
    domains = path / "dimensions" / "dim_domain.parquet"
    assert pq.read_metadata(domains).num_rows > 10
    old = Store.open(path).days()[-1]
    if old >= datetime.now(UTC).date():
        pytest.skip("no day of the samples is past on this machine")
    ended = CliRunner().invoke(app, ["store", "prune", str(path), "--keep", "0d"])
    assert ended.exit_code == 0
    assert pq.read_metadata(domains).num_rows == 0


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)
def test_pandas_and_polars_read_the_same(folder: Path, dimension: star.Dimension) -> None:
    path = folder / "dimensions" / f"{dimension.name}.parquet"
    key = dimension.schema.names[0]
    arrow = pq.read_table(path)
    assert arrow.schema.names == dimension.schema.names
    assert pd.read_parquet(path)[key].tolist() == pl.read_parquet(path)[key].to_list() == arrow[key].to_pylist()


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)
def test_types_that_every_bi_tool_knows_and_columns_that_say_what_they_are(
    folder: Path, dimension: star.Dimension
) -> None:
    schema = pq.read_schema(folder / "dimensions" / f"{dimension.name}.parquet")
    known = {"string", "int16", "bool", "date32[day]", "timestamp[us, tz=UTC]"}
    for column in schema:
        assert str(column.type) in known
        assert column.metadata[b"comment"]
    assert schema.metadata[b"logscan.schema"] == b"1"


def test_what_counts_is_what_the_reports_count(database: duckdb.DuckDBPyConnection, table: pa.Table) -> None:
    """The flags of `counted`, against the expressions that the reports use."""
    [row] = rows(
        database, "SELECT count(*) FILTER (WHERE sent AND failed) f, count(*) FILTER (WHERE NOT sent) i FROM counted"
    )
    counted = ds.dataset(table).filter(~(ds.field("copy").is_valid() & ds.field("copy")))
    assert row == {"f": counted.count_rows(filter=SENT & FAILED), "i": counted.count_rows(filter=INBOUND)}
