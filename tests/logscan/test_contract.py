"""What the parser contract offers beyond a block: lines that need others, a head that changes, several programs."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import logscan
from logscan import pipeline, plugins
from logscan.alone import parse_alone
from logscan.parser import Block, Parsed, Parser, Tally
from logscan.pipeline import scanning
from logscan.plan import Options

SECONDS = pa.timestamp("us", "UTC")


def _stated(block: Block, rows: list[int], columns: dict[str, list]) -> pa.Table:
    at = np.array(rows, np.int64)
    times = pa.array(block.offsets[at].astype("M8[us]")).cast(SECONDS)
    return pa.table({"time": times, "host": pa.array(["mx"] * len(rows)), "offset": block.offsets[at], **columns})


def _sessions(block: Block) -> Parsed:
    """Lines `NAME from CLIENT` and `NAME said REPLY`, which belong together; nothing is whole by itself."""
    words = [line.split(" ", 2) for line in block.lines.to_pylist()]
    columns = {"queue_id": [w[0] for w in words], "verb": [w[1] for w in words], "rest": [w[2] for w in words]}
    return Parsed(pa.table({}), pa.table({}), Tally(), parts=_stated(block, list(range(len(words))), columns))


def _settled(parts: pa.Table) -> Parsed:
    rows = parts.to_pylist()
    assert rows == sorted(rows, key=lambda row: (row["source_rank"], row["offset"]))
    client: dict[str, str] = {}
    events = []
    for row in rows:
        if row["verb"] == "from":
            client[row["queue_id"]] = row["rest"]
        else:
            kept = {name: row[name] for name in ("time", "host", "offset", "source", "source_rank")}
            events.append(kept | {"action": "rejected", "reply": row["rest"], "client_ip": client[row["queue_id"]]})
    schema = parts.schema
    types = {"time": SECONDS, "source": schema.field("source").type}
    table = pa.Table.from_pylist(events)
    for name, kind in types.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return Parsed(table, pa.table({}), Tally(understood=len(rows)))


def _headed(block: Block) -> Parsed:
    """Lines of values under a header `#A,B`, which may come again."""
    names = block.preamble.split(b"\n", 1)[0].decode().strip("#").split(",")
    rows: list[int] = []
    found: dict[str, list] = {"action": [], "reply": []}
    changed = None
    for row, line in enumerate(block.lines.to_pylist()):
        if line.startswith("#"):
            names, changed = line.strip("#").split(","), line.encode()
            continue
        values = dict(zip(names, line.split(","), strict=True))
        rows.append(row)
        found["action"].append(values["A"])
        found["reply"].append(values["B"])
    tally = Tally(understood=len(rows), known=len(block) - len(rows))
    return Parsed(_stated(block, rows, found), pa.table({}), tally, preamble=changed)


SESSIONS = Parser("sessions", "Sessions", lambda block: 1.0, _sessions, settle=_settled)
HEADED = Parser("headed", "Headed", lambda block: 1.0, _headed)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Parser], None]:
    def register(parser: Parser) -> None:
        monkeypatch.setattr(plugins, "load", lambda group, kind, only=None: ({parser.name: parser}, []))
        monkeypatch.setattr(pipeline, "_loaded", {})

    return register


def scanned(paths: list[Path], block_size: int) -> tuple[list[dict], Tally]:
    with scanning(paths, Options(workers=1, block_size=block_size)) as scan:
        rows = [row for table in scan.tables() for row in table.to_pylist()]
        assert not scan.run.problems
        return sorted(rows, key=lambda row: (row["source"], row["offset"])), scan.run.tally


@pytest.mark.parametrize("block_size", [1, 30, 60, 1 << 20])
def test_a_session_reaches_across_blocks_and_files(registered, tmp_path: Path, block_size: int) -> None:
    registered(SESSIONS)
    (tmp_path / "1.log").write_text("a from 192.0.2.1\nb from 192.0.2.2\na said 550 no\n")
    (tmp_path / "2.log").write_text("b said 450 later\na said 421 bye\n")
    rows, tally = scanned([tmp_path / "1.log", tmp_path / "2.log"], block_size)
    assert [(row["reply"], row["client_ip"], Path(row["source"]).name) for row in rows] == [
        ("550 no", "192.0.2.1", "1.log"),
        ("450 later", "192.0.2.2", "2.log"),
        ("421 bye", "192.0.2.1", "2.log"),
    ]
    assert tally == Tally(understood=5)


def test_a_session_is_settled_without_the_pipeline_too() -> None:
    blocks = [Block.of(b"a from 192.0.2.1\n"), Block.of(b"a said 550 no\n", 17)]
    events, tally = parse_alone(SESSIONS, blocks)
    assert events.select(["reply", "client_ip", "offset"]).to_pylist() == [
        {"reply": "550 no", "client_ip": "192.0.2.1", "offset": 17}
    ]
    assert tally == Tally(understood=2)


@pytest.mark.parametrize("block_size", [1, 7, 13, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_columns_may_change_in_mid_file(registered, tmp_path: Path, block_size: int, packed: bool) -> None:
    import gzip

    registered(HEADED)
    data = b"#A,B\nbounced,one\n#B,A\ntwo,deferred\nthree,deferred\nfour,bounced\n#A,B\ndeferred,five\n"
    path = tmp_path / ("a.log.gz" if packed else "a.log")
    path.write_bytes(gzip.compress(data) if packed else data)
    rows, tally = scanned([path], block_size)
    assert [(row["action"], row["reply"]) for row in rows] == [
        ("bounced", "one"),
        ("deferred", "two"),
        ("deferred", "three"),
        ("bounced", "four"),
        ("deferred", "five"),
    ]
    assert tally == Tally(understood=5, known=3)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_windows_text_is_read(registered, tmp_path: Path, encoding: str) -> None:
    registered(HEADED)
    text = "#A,B\nbounced,grün ✉ \U0001f4e7\n"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "a.csv").write_bytes(mark + text.encode(encoding))
    for block_size in (1, 6, 1 << 20):
        rows, _ = scanned([tmp_path / "a.csv"], block_size)
        assert [row["reply"] for row in rows] == ["grün ✉ \U0001f4e7"]


def test_a_plugin_that_gives_parts_and_cannot_settle_them_is_named(registered, tmp_path: Path) -> None:
    registered(Parser("sessions", "Sessions", lambda block: 1.0, _sessions))
    (tmp_path / "1.log").write_text("a from 192.0.2.1\n")
    with pytest.warns(UserWarning, match=r"sessions .*cannot settle"):
        assert len(logscan.scan(tmp_path / "1.log")) == 0


def test_the_registered_parsers_say_what_they_give() -> None:
    for point in importlib.metadata.entry_points(group=plugins.PARSERS):
        parser = point.load()
        assert len(set(parser.logs)) == len(parser.logs)
