"""The Parquet writer: what it wrote is read back by others, and the bytes depend on the rows alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logscan import parquet
from logscan.durable import replacing
from logscan.parquet import ROW_GROUP, write_events
from logscan.schema import EVENTS

NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "time": NOON,
    "mta": "postfix",
    "host": "mx1",
    "action": "bounced",
    "code": 550,
    "code_implied": False,
    "enhanced": "5.1.1",
    "reply": "550 5.1.1 <ไม่มี@example.org>: no such user\x1b[31m",
    "recipient": '"a b"@example.org',
    "recipient_domain": "example.org",
    "size": 1234,
    "delay": 0.25,
    "source": "mail.log",
    "offset": 17,
}

values = {
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=3),
    pa.int16(): st.integers(200, 599),
    pa.int64(): st.integers(-5, 2**40),
    pa.float64(): st.floats(0, 1e6),
    pa.bool_(): st.booleans(),
    pa.timestamp("us", "UTC"): st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
}
rows_of_events = st.lists(
    st.fixed_dictionaries(
        {
            field.name: st.none() | values[field.type.value_type if pa.types.is_dictionary(field.type) else field.type]
            for field in EVENTS
        }
    ),
    max_size=12,
)


def shuffled(table: pa.Table, chance: random.Random) -> Iterator[pa.Table]:
    """The same rows in other chunks, over dictionaries in another order and with words that no row uses."""
    start = 0
    while start < table.num_rows:
        part = table.slice(start, chance.randint(0, 5))
        start += part.num_rows
        columns = []
        for column in part.columns:
            if pa.types.is_dictionary(column.type):
                column = column.combine_chunks()
                words = [*column.dictionary.to_pylist(), "never used", *(["twice"] * 2)]
                places = list(range(len(words)))
                chance.shuffle(places)
                moved = pa.array(
                    [None if i is None else places.index(i) for i in column.indices.to_pylist()], pa.int32()
                )
                column = pa.DictionaryArray.from_arrays(moved, pa.array([words[i] for i in places], pa.string()))
            columns.append(column)
        yield pa.Table.from_arrays(columns, schema=EVENTS)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(rows=rows_of_events, seed=st.integers())
def test_the_bytes_depend_on_the_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("law")
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    with patch.object(parquet, "ROW_GROUP", 4):
        assert write_events(folder / "whole", [table]) == len(rows)
        assert write_events(folder / "parts", shuffled(table, random.Random(seed))) == len(rows)
    assert (folder / "whole").read_bytes() == (folder / "parts").read_bytes()
    assert pq.read_table(folder / "parts").to_pylist() == rows


def test_pyarrow_and_pandas_read_it_back(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    bare = dict.fromkeys(EVENTS.names) | {"time": NOON}
    write_events(path, [pa.Table.from_pylist([EVENT, bare], schema=EVENTS)])
    table = pq.read_table(path)
    assert table.schema.equals(EVENTS, check_metadata=True)
    assert table.to_pylist() == [dict.fromkeys(EVENTS.names) | EVENT, bare]
    frame = pd.read_parquet(path)
    assert list(frame.columns) == EVENTS.names
    assert frame.loc[0, "reply"] == EVENT["reply"]
    assert frame.loc[0, "time"] == pd.Timestamp(NOON)
    assert frame["code"].isna().tolist() == [False, True]


def test_row_groups_are_exact_and_have_statistics(tmp_path: Path) -> None:
    table = pa.table(
        {f.name: pa.nulls(60_000, f.type) for f in EVENTS} | {"offset": pa.array(range(60_000))}, schema=EVENTS
    )
    assert write_events(tmp_path / "events.parquet", [table] * 9) == 540_000
    file = pq.ParquetFile(tmp_path / "events.parquet")
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    assert [g.num_rows for g in groups] == [*[ROW_GROUP] * (540_000 // ROW_GROUP), 540_000 % ROW_GROUP]
    place = EVENTS.get_field_index("offset")
    assert (groups[0].column(place).statistics.min, groups[0].column(place).statistics.max) == (0, 59_999)
    assert {g.column(i).compression for g in groups for i in range(g.num_columns)} == {"ZSTD"}
    assert file.metadata.format_version == "2.6"
    assert file.schema_arrow.metadata[b"logscan.schema"] == EVENTS.metadata[b"logscan.schema"]


def test_no_event_is_a_file_too(tmp_path: Path) -> None:
    assert write_events(tmp_path / "events.parquet", []) == 0
    assert pq.read_table(tmp_path / "events.parquet").schema.equals(EVENTS)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(pa.table({"code": [550]}), id="columns missing"),
        pytest.param(EVENTS.empty_table().append_column("more", pa.array([], pa.int8())), id="a column more"),
    ],
)
def test_another_schema_is_refused_and_leaves_the_old_file(tmp_path: Path, table: pa.Table) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(b"the old one")
    with pytest.raises(ValueError, match="names"):
        write_events(path, [table])
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    try:
        (tmp_path / "link").symlink_to("real")
    except OSError as refusal:
        pytest.skip(f"no symbolic links here: {refusal}")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_to_as_it_is(tmp_path: Path) -> None:
    null = Path("/dev/null")
    if not null.is_char_device():
        pytest.skip("no /dev/null here")
    with replacing(null) as file:
        file.write(b"gone")
    assert null.is_char_device()
