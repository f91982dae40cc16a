"""The store: what a commit shows, to whom, and what is left when a writer dies, is refused or runs out of disk."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from logscan.parser import Tally
from logscan.run import Run, SourceRead
from logscan.schema import EVENTS
from logscan.store import Commit, Store, StoreError
from logscan.store.fingerprint import UNREAD, Fingerprint

DAY = date(2026, 11, 23)
NEXT = DAY + timedelta(days=1)


class Log(bytes):
    """A content in memory."""

    def read(self, start: int, size: int) -> bytes:
        return self[start : start + size]


def events(day: date, codes: list[int]) -> pa.Table:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    rows = [{"time": noon, "code": code, "source": "a", "offset": at} for at, code in enumerate(codes)]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def add(commit: Commit, day: date, codes: list[int]) -> None:
    commit.add(day, [events(day, codes)])


def scan(store: Store, logs: dict[str, bytes]) -> int:
    """Read logs as a scan would: a line is a code; only whole lines are read. Gives the number of new lines."""
    new = 0
    with store.commit() as commit:
        found = []
        for name, content in logs.items():
            log = Log(content)
            end = content.rfind(b"\n") + 1
            before = commit.known().find(log, end).known
            found += [int(line) for line in content[before.offset : end].splitlines()]
            count = content.count(b"\n", before.offset)
            read = SourceRead(name, "codes", 1.0, end - before.offset, Tally(understood=count), count)
            commit.read(read, before, Fingerprint.of(log, end))
        if found:
            commit.add(DAY, [events(DAY, found)])
        new += len(found)
    return new


def codes(store: Store) -> list[int]:
    found: list[int] = sorted(store.dataset().to_table(columns=["code"])["code"].to_pylist())
    return found


def leftovers(store: Store) -> list[Path]:
    return list((store.path / "staging").iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.days() == []
    assert store.run() == Run((), ())
    assert store.dataset().to_table().schema.equals(EVENTS)


def test_a_commit_is_seen_by_all_readers(store: Store) -> None:
    with store.commit() as commit:
        add(commit, NEXT, [250])
        add(commit, DAY, [550, 451])
        assert codes(store) == []
    again = Store.open(store.path)
    assert again.days() == [DAY, NEXT]
    assert codes(again) == [250, 451, 550]
    assert again.dataset().schema.equals(EVENTS)

    import pandas as pd

    frame = pd.read_parquet(store.path / "data")
    assert sorted(frame["code"]) == [250, 451, 550]
    assert sorted(frame["date"].astype(str)) == ["2026-11-23", "2026-11-23", "2026-11-24"]
    files = sorted((store.path / "data").glob("date=*/*.parquet"))
    assert [ds.dataset(file).count_rows() for file in files] == [2, 1]
    assert "date" not in ds.dataset(files[0]).schema.names
    hive = ds.dataset(store.path / "data", partitioning="hive")
    assert hive.to_table(filter=pc.field("date") == "2026-11-24")["code"].to_pylist() == [250]
    assert leftovers(store) == []


def test_a_filter_on_time_opens_the_files_of_those_days_only(store: Store) -> None:
    with store.commit() as commit:
        add(commit, DAY, [550])
        add(commit, NEXT, [250])
    shown = store.path / "data" / f"date={NEXT}" / "events.parquet"
    next(file for file in (store.path / "files").iterdir() if file.samefile(shown)).unlink()
    midnight = pa.scalar(datetime(2026, 11, 24, tzinfo=UTC), EVENTS.field("time").type)
    assert store.dataset().to_table(filter=pc.field("time") < midnight)["code"].to_pylist() == [550]
    with pytest.raises(FileNotFoundError):
        store.dataset().to_table()


def test_an_exception_inside_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.commit() as commit:
        add(commit, DAY, [550])
        commit.read(SourceRead("a", "codes", 1.0, 4, Tally(1), 1), UNREAD, Fingerprint.of(Log(b"550\n"), 4))
        raise KeyboardInterrupt
    assert codes(store) == []
    assert store.run() == Run((), ())
    assert leftovers(store) == []
    assert list((store.path / "data").iterdir()) == []
    assert scan(store, {"a": b"550\n"}) == 1


def test_events_of_another_day_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="not of 2026-11-24"), store.commit() as commit:
        commit.add(NEXT, [events(DAY, [550])])
    assert store.days() == []


def test_a_day_is_one_file_in_the_order_of_time_whenever_its_events_came(store: Store) -> None:
    def at(*minutes: int) -> pa.Table:
        start = datetime(2026, 11, 23, tzinfo=UTC)
        rows = [{"time": start + timedelta(minutes=m), "code": m, "source": "a", "offset": m} for m in minutes]
        return pa.Table.from_pylist(rows, schema=EVENTS)

    for late in ([at(10, 20), at(30)], [at(5, 15, 40)], [at(20), at(20, 41)], [at(1)]):
        with store.commit() as commit:
            commit.add(DAY, late)
    (file,) = (store.path / "data").glob("*/*")
    want = [1, 5, 10, 15, 20, 20, 20, 30, 40, 41]
    assert ds.dataset(file).to_table()["code"].to_pylist() == want
    assert store.dataset().to_table()["code"].to_pylist() == want


def test_readers_see_the_commit_that_they_began_with(store: Store) -> None:
    with store.commit() as commit:
        add(commit, DAY, [550])
        add(commit, NEXT, [250])
    before = store.dataset()
    with store.commit() as commit:
        add(commit, DAY, [451])
        commit.replace(NEXT, ())
    assert sorted(before.to_table(columns=["code"])["code"].to_pylist()) == [250, 550]
    assert codes(store) == [451, 550]
    assert [path.name for path in (store.path / "data").iterdir()] == [f"date={DAY}"]


def test_what_was_replaced_is_taken_away_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (550, 451, 250):
        with store.commit() as commit:
            add(commit, DAY, [code])
    assert len(list((store.path / "files").iterdir())) == 3
    monkeypatch.setattr("logscan.store.GRACE", timedelta(seconds=-2))
    assert store.compact() > 0
    assert len(list((store.path / "files").iterdir())) == 1
    assert codes(store) == [250, 451, 550]
    assert store.check() == []


def harm_bytes(store: Store, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"X")


def harm_gone(store: Store, file: Path) -> None:
    next(f for f in (store.path / "files").iterdir() if f.samefile(file)).unlink()


def harm_view(store: Store, file: Path) -> None:
    file.unlink()
    file.write_bytes(b"other")


def harm_stray(store: Store, file: Path) -> None:
    (store.path / "files" / "mine.txt").write_bytes(b"mine")


@pytest.mark.parametrize(
    ("harm", "told", "mended"),
    [
        pytest.param(harm_bytes, "is not as it was written; restore it", False, id="a bit flipped"),
        pytest.param(harm_gone, "is gone; restore it", False, id="a file is gone"),
        pytest.param(harm_view, "is not the day's file; `logscan store compact` mends it", True, id="other file shown"),
        pytest.param(harm_stray, "is not of the store", True, id="somebody's file"),
    ],
)
def test_check_tells_what_is_wrong(store: Store, harm: Any, told: str, mended: bool) -> None:
    assert scan(store, {"a": b"550\n"}) == 1
    assert store.check() == []
    harm(store, store.path / "data" / f"date={DAY}" / "events.parquet")
    assert told in str(store.check()[0])
    if mended:
        store.compact()
        assert store.check() == []


def test_prune_takes_the_days_before_one(store: Store) -> None:
    with store.commit() as commit:
        add(commit, DAY, [550])
        add(commit, NEXT, [250])
    assert store.prune(DAY) == []
    assert store.prune(NEXT) == [DAY]
    assert codes(store) == [250]
    assert [path.name for path in (store.path / "data").iterdir()] == [f"date={NEXT}"]


def test_a_file_without_events_is_dropped(store: Store) -> None:
    with store.commit() as commit:
        add(commit, DAY, [])
    assert store.days() == []


@pytest.mark.parametrize(
    ("first", "then", "new"),
    [
        pytest.param({"mail.log": b"550\n451\n"}, {"mail.log": b"550\n451\n"}, 0, id="unchanged"),
        pytest.param({"mail.log": b"550\n451\n"}, {"mail.log": b"550\n451\n250\n"}, 1, id="grown"),
        pytest.param({"mail.log": b"550\n451\n"}, {"mail.log.1": b"550\n451\n"}, 0, id="another name"),
        pytest.param(
            {"mail.log": b"550\n451\n"}, {"mail.log.1": b"550\n451\n554\n", "mail.log": b"250\n"}, 2, id="rotated"
        ),
        pytest.param({"mail.log": b"550\n45"}, {"mail.log": b"550\n451\n"}, 1, id="the last line was not whole"),
        pytest.param({"mail.log": b""}, {"mail.log": b"550\n"}, 1, id="was empty"),
    ],
)
def test_content_read_twice_adds_nothing(
    store: Store, first: dict[str, bytes], then: dict[str, bytes], new: int
) -> None:
    read = scan(store, first)
    assert scan(Store.open(store.path), then) == new
    assert scan(store, then) == 0
    assert len(codes(store)) == read + new
    assert store.run().tally.lines == read + new


def test_tallies_add_up_by_source(store: Store) -> None:
    def commit_read(content: bytes, read: SourceRead) -> None:
        with store.commit() as commit:
            before = commit.known().find(Log(content), len(content)).known
            commit.read(read, before, Fingerprint.of(Log(content), len(content)))

    commit_read(b"1\n", SourceRead("mail.log", "postfix", 0.9, 2, Tally(understood=1), 1))
    commit_read(b"x\n", SourceRead("a\udcffb".encode(errors="replace").decode(), "exim", 1.0, 2, Tally(other=1), 0))
    commit_read(b"1\n2\n", SourceRead("mail.log", "postfix", 1.0, 2, Tally(unread=1, samples=((2, "ไทย\x1b"),)), 0))
    assert store.run() == Run(
        (
            SourceRead("mail.log", "postfix", 0.9, 4, Tally(understood=1, unread=1, samples=((2, "ไทย\x1b"),)), 1),
            SourceRead("a?b", "exim", 1.0, 2, Tally(other=1), 0),
        ),
        (),
    )


def test_a_commit_that_dies_before_its_files_are_moved_is_finished_by_the_next_to_open(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def death(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), store.commit() as commit:
        add(commit, DAY, [550])
        add(commit, NEXT, [451])
        patch.setattr(Store, "_settle", death)
    assert codes(store) == []
    assert len(leftovers(store)) == 1
    # Half moved: one of the two files already lies in its place.
    staged = sorted(leftovers(store)[0].iterdir())[0]
    staged.rename(store.path / "files" / staged.name)
    assert codes(Store.open(store.path)) == [451, 550]
    assert leftovers(store) == []


def test_a_store_half_made_is_made(tmp_path: Path) -> None:
    for name in ("data", "staging"):
        (tmp_path / "store" / name).mkdir(parents=True)
    (tmp_path / "store" / "staging" / "ledger.db").write_bytes(b"half")
    (tmp_path / "store" / ".lock").write_bytes(b"999")
    assert scan(Store.open(tmp_path / "store"), {"a": b"550\n"}) == 1


def test_only_the_owner_may_look(store: Store, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such mode")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    (tmp_path / "empty").mkdir(mode=0o755)
    assert stat.S_IMODE(Store.open(tmp_path / "empty").path.stat().st_mode) == 0o700


def test_a_second_writer_is_told_who_the_first_is(store: Store) -> None:
    with store.commit() as commit:
        add(commit, DAY, [550])
        with pytest.raises(StoreError, match=f"process {os.getpid()}; try again") as refusal, store.commit():
            pass
        assert Store.open(store.path).days() == []
    assert "\n" not in str(refusal.value)
    assert codes(store) == [550]


def other_files(path: Path) -> None:
    path.mkdir()
    (path / "precious.txt").write_text("mine")


def a_file(path: Path) -> None:
    path.write_text("mine")


def other_database(path: Path) -> None:
    path.mkdir()
    with closing(sqlite3.connect(path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE mine (x)")


def no_database(path: Path) -> None:
    path.mkdir()
    (path / "ledger.db").write_bytes(b"mine" * 2000)


def newer_ledger(path: Path) -> None:
    Store.open(path)
    with closing(sqlite3.connect(path / "ledger.db")) as connection:
        connection.execute("PRAGMA user_version = 99")


def newer_schema(path: Path) -> None:
    scan(Store.open(path), {"a": b"550\n"})
    with closing(sqlite3.connect(path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE commits SET schema = 99")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(other_files, "store: is not a store; name a new or empty folder", id="somebody's folder"),
        pytest.param(a_file, "store: is not a store; name a new or empty folder", id="a file"),
        pytest.param(other_database, "ledger.db: is not the ledger of a store", id="somebody's database"),
        pytest.param(no_database, "ledger.db: the ledger cannot be used: file is not a database", id="no database"),
        pytest.param(
            newer_ledger, "written by a newer logscan (ledger version 99, this one knows 3)", id="newer ledger"
        ),
        pytest.param(
            newer_schema, "written by a newer logscan (schema version 99, this one knows 1)", id="newer schema"
        ),
    ],
)
def test_what_is_not_a_store_of_ours_is_refused_and_left_alone(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "store"
    make(path)  # type: ignore[operator]
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    with pytest.raises(StoreError) as refusal:
        Store.open(path)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")} == before


def test_a_reader_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a store"):
        Store.open(tmp_path / "store", create=False)
    assert list(tmp_path.iterdir()) == []


# A writer in a process of its own. Commit k has the code k twice, on two days; it says so once that is done.
APPENDS = """
import sys, itertools
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_store import DAY, NEXT, Log, add
from logscan.store.fingerprint import Fingerprint
from logscan.parser import Tally
from logscan.run import SourceRead
from logscan.store import Store
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
log = Log(b"".join(b"line %d\\n" % k for k in range(10_000)))
for k in itertools.count(int(sys.argv[2])):
    with store.commit() as commit:
        end = log.index(b"line %d\\n" % (k + 1))
        before = commit.known().find(log, end).known
        assert log[before.offset : end] == b"line %d\\n" % k, (before.offset, k)
        add(commit, DAY, [k])
        add(commit, NEXT, [k])
        commit.read(SourceRead("log", "lines", 1.0, 1, Tally(understood=1), 2), before, Fingerprint.of(log, end))
    print(k, flush=True)
"""


def append(store: Path, start: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", APPENDS, str(store), str(start), str(Path(__file__).parent)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_writer_killed_at_any_moment_leaves_every_commit_whole_or_absent(tmp_path: Path) -> None:
    chance = random.Random(40)
    committed = 0
    for _ in range(40):
        with append(tmp_path / "store", committed) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            acknowledged = [int(writer.stdout.readline()) for _ in range(chance.randrange(4))]
            time.sleep(chance.uniform(0, 0.04))
            writer.kill()
            acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
        store = Store.open(tmp_path / "store")
        found = codes(store)
        assert found == [k for k in range(len(found) // 2) for _ in range(2)]
        assert store.run().tally.lines == len(found) // 2
        assert leftovers(store) == []
        assert len(found) // 2 - committed in (len(acknowledged), len(acknowledged) + 1)
        committed = len(found) // 2
    assert committed > 20
    assert ds.dataset(store.path / "data").count_rows() == 2 * committed


def test_a_full_disk_leaves_the_store_readable_and_the_next_commit_goes_on(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no RLIMIT_FSIZE")
    import resource

    store = Store.open(tmp_path / "store")
    assert scan(store, {"a": b"550\n"}) == 1
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    refusals = []
    for limit in (0, 1000, 5000, 20_000, 40_000, 80_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
        try:
            scan(store, {"b": b"451\n" * 3, "c": b"554\n" * (limit + 1)})
        except (OSError, StoreError) as error:
            refusals.append(type(error).__name__)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        if codes(Store.open(store.path)) != [550]:
            break
        assert leftovers(store) == []
    assert "StoreError" in refusals
    assert len(refusals) > 2
    assert scan(store, {"b": b"451\n" * 3, "c": b"554\n" * (limit + 1)}) == 0
    assert len(codes(store)) == store.run().tally.lines
