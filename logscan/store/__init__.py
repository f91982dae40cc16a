"""Keeps events by day as Parquet that any BI tool reads, each line of a log once, whatever dies in between.

    store/data/date=2026-11-23/events.parquet    a day (UTC, of `time`): one file, always whole; for every other tool
    store/files/                                 the same files under names of their own, those they replaced too
    store/staging/                               the commit under way; not under data/, where tools would read it
    store/ledger.db                              what counts: see `logscan.store.ledger`
    store/.lock                                  held by the one writer

A commit is staged and forced to the disk, then recorded in one SQLite transaction (from there on it counts), then
moved into its place and marked visible. Whoever opens the store next finishes what a death left half moved.

A day that gets more events is written anew and put in the old file's place at one stroke: so a folder read by its
names alone never shows a day twice or by half, and no small files gather. Readers of ours read the files that the
ledger names, which stay for a while after they were replaced: all days as of one commit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

from logscan.durable import sync_file, sync_folder
from logscan.parquet import write_events
from logscan.run import Problem, Run, SourceRead
from logscan.schema import EVENTS
from logscan.store.fingerprint import Fingerprint, Fingerprints
from logscan.store.ledger import File, Ledger, Progress, StoreError
from logscan.store.lock import HeldError, locked
from logscan.store.merging import in_time, tables_of

__all__ = ["Commit", "Store", "StoreError"]

OWN_NAMES = frozenset({"data", "files", "staging", "ledger.db", "ledger.db-journal", ".lock"})
GRACE = timedelta(hours=1)
"""For so long a file that was replaced stays for those who read it still."""


@dataclass(frozen=True)
class Store:
    """A store on disk. It keeps nothing open between calls, so one value serves any number of threads and processes.

    >>> import tempfile, pyarrow as pa
    >>> noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.open(Path(folder) / "store")
    ...     with store.commit() as commit:
    ...         commit.add(noon.date(), [pa.Table.from_pylist([{"time": noon, "code": 550}], schema=EVENTS)])
    ...     store.days(), store.dataset().to_table(columns=["code"]).to_pylist()
    ([datetime.date(2026, 11, 23)], [{'code': 550}])
    """

    path: Path

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Store:
        """The store at `path`: made where there is nothing or an empty folder, if `create`; readable by its owner only.

        Raises `StoreError` where `path` is something else or was written by a newer logscan.
        """
        store = cls(path)
        if not store._ledger_path.exists():
            if path.exists() and (not path.is_dir() or not OWN_NAMES.issuperset(f.name for f in path.iterdir())):
                raise StoreError(path, "is not a store", "name a new or empty folder")
            if not create:
                raise StoreError(path, "is not a store", "`logscan scan LOG -o FOLDER/` makes one")
            store._make()
        with Ledger.open(store._ledger_path) as ledger:
            if ledger.pending() or any(store._staging.iterdir()):
                try:
                    with locked(store._lock_path):
                        store._settle(ledger)
                except HeldError:
                    pass  # What lies there is the commit of a writer that lives.
        return store

    @property
    def _data(self) -> Path:
        return self.path / "data"

    @property
    def _files(self) -> Path:
        return self.path / "files"

    @property
    def _staging(self) -> Path:
        return self.path / "staging"

    @property
    def _ledger_path(self) -> Path:
        return self.path / "ledger.db"

    @property
    def _lock_path(self) -> Path:
        return self.path / ".lock"

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        with self._held(60):
            if self._ledger_path.exists():
                return
            self._data.mkdir(exist_ok=True)
            self._files.mkdir(exist_ok=True)
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir()
            # The ledger's appearing is what makes the folder a store: so it appears whole.
            Ledger.make(self._staging / "ledger.db")
            (self._staging / "ledger.db").rename(self._ledger_path)
            sync_folder(self.path)
            sync_folder(self.path.parent)

    def unmake(self) -> None:
        """Take away a store that nothing was ever committed to, and its folder if nothing else is in it."""
        with self._held(), Ledger.open(self._ledger_path) as ledger:
            if ledger.commits():
                return
            for folder in (self._data, self._files, self._staging):
                shutil.rmtree(folder)
            self._ledger_path.unlink()
        self._lock_path.unlink()
        with suppress(OSError):
            self.path.rmdir()

    @contextmanager
    def _held(self, wait: float = 0) -> Iterator[None]:
        """The writer's lock."""
        try:
            with locked(self._lock_path, wait):
                yield
        except HeldError as error:
            raise StoreError(
                self.path, f"is being written: its lock is {error}", "try again when that has ended"
            ) from None

    def days(self) -> list[date]:
        """The days (UTC) that have events, in order."""
        with Ledger.open(self._ledger_path) as ledger:
            return [file.day for file in ledger.live() if file.day]

    def dataset(self) -> ds.Dataset:
        """The events of all commits up to now, with the columns of `schema.EVENTS`.

        A filter on `time` opens the files of those days only. What is committed meanwhile does not change it.
        """
        with Ledger.open(self._ledger_path) as ledger:
            files = ledger.live()
        form, here = ds.ParquetFileFormat(), fs.LocalFileSystem()
        fragments = [
            form.make_fragment(self._place(f).absolute().as_posix(), here, partition_expression=_within(f.day))
            for f in files
            if f.day
        ]
        return ds.FileSystemDataset(fragments, EVENTS, form, here)

    def run(self) -> Run:
        """What was read so far, all scans together. Problems are told by the scan that meets them, and not kept."""
        with Ledger.open(self._ledger_path) as ledger:
            return Run(tuple(ledger.sources()), ())

    @contextmanager
    def commit(self, wait: float = 0) -> Iterator[Commit]:
        """A commit: all that is added to it in the block becomes visible at its end together, or not at all.

        wait: for how many seconds to wait for another writer. Raises `StoreError` where one holds the store then, or
        the ledger cannot be written.
        """
        with self._held(wait), Ledger.open(self._ledger_path) as ledger:
            self._settle(ledger)
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
            commit = Commit(self, self._staging / name, ledger)
            commit.staging.mkdir()
            try:
                yield commit
                if commit._changed():
                    commit._sync()
                    ledger.record(
                        name, commit._files, commit._removed, commit._progress, commit._reads, commit._forgotten
                    )
            finally:
                self._settle(ledger)

    def check(self) -> list[Problem]:
        """What is wrong with the store: files that are gone or are not as they were written, or that are nobody's."""
        with self._held(), Ledger.open(self._ledger_path) as ledger:
            self._settle(ledger)
            met = [Problem(str(self._ledger_path), text, "restore it from its backup") for text in ledger.faults()]
            live = ledger.live()
            if facts := ledger.facts():
                met += self._faults(facts, self._place(facts))
            shown = set()
            for file in live:
                met += self._faults(file, self._place(file))
                shown.add(self._shown(file))
                if not _same(self._place(file), self._shown(file)):
                    met.append(
                        Problem(str(self._shown(file)), "is not the day's file", "`logscan store compact` mends it")
                    )
            known = {self._files / name for name in ledger.known_names()}
            for stray in [*(set(self._files.iterdir()) - known), *(set(self._data.glob("*/*")) - shown)]:
                met.append(Problem(str(stray), "is not of the store", "move it elsewhere", fatal=False))
            return met

    def _faults(self, file: File, path: Path) -> list[Problem]:
        advice = "restore it from a backup, or `logscan store forget` its logs and scan them again"
        if not path.exists():
            return [Problem(str(path), "is gone", advice)]
        if _digest(path) != file.hash:
            return [Problem(str(path), "is not as it was written", advice)]
        return []

    def compact(self) -> int:
        """Make data/ anew where it is not as it should be, and give back space nobody needs; the bytes given back."""
        before = self.size()
        with self._held(), Ledger.open(self._ledger_path) as ledger:
            self._settle(ledger)
            live = ledger.live()
            work = self._staging / "links"
            work.mkdir()
            for file in live:
                if not _same(self._place(file), self._shown(file)):
                    self._show(file, work)
            wanted = {self._shown(file) for file in live}
            for path in set(self._data.glob("date=*/events.parquet")) - wanted:
                path.unlink()
            for folder in self._data.iterdir():
                sync_folder(folder)
            known = ledger.known_names()
            for path in self._files.iterdir():
                if path.name not in known:
                    path.unlink()
            sync_folder(self._files)
            shutil.rmtree(work)
            ledger.shrink()
        return max(0, before - self.size())

    def prune(self, before: date) -> list[date]:
        """Take out the days before one, and give them."""
        with self.commit() as commit:
            gone = [day for day in commit.days() if day < before]
            for day in gone:
                commit.replace(day, ())
        return gone

    def forget(self, names: Iterable[str]) -> int:
        """Take out the events of logs that were read under these names, as if they had never been; gives how many.

        Raises `StoreError` where one of these logs was read under another name too.
        """
        names = sorted(set(names))
        with self.commit() as commit:
            known = {read.source for read in commit._ledger.sources()}
            if strange := [name for name in names if name not in known]:
                shown = ", ".join([*sorted(known)[:5], *(["..."] if len(known) > 5 else [])])
                advice = f"name it as the column `source` does: {shown}" if known else ""
                raise StoreError(self.path, f"has read no {strange[0]}", advice)
            if beside := sorted(commit._ledger.names_beside(names)):
                raise StoreError(self.path, f"has read the same log as {beside[0]} too", "name both")
            gone = 0
            for day in commit.days():
                gone += commit.without(day, names)
            commit._forgotten += names
        return gone

    def size(self) -> int:
        """Bytes on disk, each file once."""
        files = {(s.st_dev, s.st_ino): s.st_size for f in self.path.rglob("*") if f.is_file() and (s := f.stat())}
        return sum(files.values())

    def _place(self, file: File) -> Path:
        return self._files / file.name

    def _shown(self, file: File) -> Path:
        return self._data / f"date={file.day}" / "events.parquet"

    def _settle(self, ledger: Ledger) -> None:
        """Finish the commits that are recorded, and clear away what is not. Only the holder of the lock may."""
        for commit in ledger.pending():
            staged = self._staging / commit
            added = ledger.added(commit)
            for file in added:
                if (staged / file.name).exists():
                    (staged / file.name).rename(self._place(file))
                elif not self._place(file).exists():
                    raise StoreError(
                        self._place(file), "is in the ledger and is gone", "restore the store from its backup"
                    )
            sync_folder(self._files)
            staged.mkdir(exist_ok=True)
            days = {file.day for file in added}
            folders = {self._data}
            for file in added:
                if file.day:
                    folders.add(self._show(file, staged))
            for file in ledger.removed(commit):
                if file.day and file.day not in days:
                    shutil.rmtree(self._shown(file).parent, ignore_errors=True)
            for folder in folders:
                sync_folder(folder)
            ledger.show(commit)
        for stale in self._staging.iterdir():
            shutil.rmtree(stale)
        if superseded := ledger.superseded(datetime.now(UTC) - GRACE):
            for file in superseded:
                self._place(file).unlink(missing_ok=True)
            sync_folder(self._files)
            ledger.drop(superseded)

    def _show(self, file: File, staged: Path) -> Path:
        """Put a file in its day's place at one stroke, made ready in `staged`; gives the day's folder."""
        place, ready = self._shown(file), staged / f"{file.name}.shown"
        ready.unlink(missing_ok=True)
        try:
            os.link(self._place(file), ready)
        except OSError:  # a file system without hard links
            shutil.copyfile(self._place(file), ready)
            sync_file(ready)
        place.parent.mkdir(exist_ok=True)
        ready.replace(place)
        return place.parent


@dataclass
class Commit:
    """A commit under way, and the folder for its files: of this process or others, by any name."""

    store: Store
    staging: Path
    _ledger: Ledger
    _files: list[File] = field(default_factory=list)
    _removed: list[File] = field(default_factory=list)
    _progress: list[Progress] = field(default_factory=list)
    _reads: list[SourceRead] = field(default_factory=list)
    _forgotten: list[str] = field(default_factory=list)

    def known(self, *, packed: bool = False) -> Fingerprints:
        """The contents read by earlier commits; or, `packed`, the compressed files, by their own bytes."""
        return Fingerprints(self._ledger.contents(packed=packed))

    def days(self) -> list[date]:
        """The days that have events."""
        return [file.day for file in self._ledger.live() if file.day]

    def add(self, day: date, events: Iterable[pa.Table]) -> None:
        """Add events of a day (UTC) in the order of time: tables of `schema.EVENTS`.

        Raises `ValueError` where one is of another day.
        """
        old = self._of(day)
        earlier = tables_of(self.store._place(old)) if old else iter(())
        self.replace(day, in_time([earlier, iter(events)]))

    def without(self, day: date, sources: list[str]) -> int:
        """Take out the events of some sources; gives how many."""
        old = self._of(day)
        if old is None:
            return 0
        names = pa.array(sources)

        def rest() -> Iterator[pa.Table]:
            for table in tables_of(self.store._place(old)):
                yield table.filter(pc.invert(pc.is_in(table["source"].cast(pa.string()), names)))

        before = len(self._files)
        kept = self.replace(day, rest())
        if kept == old.rows:  # as it was
            for file in self._files[before:]:
                (self.staging / file.name).unlink()
            del self._files[before:]
            self._removed.remove(old)
        return old.rows - kept

    def replace(self, day: date, events: Iterable[pa.Table]) -> int:
        """Have these be all events of a day; gives how many."""
        old = self._of(day)
        name = f"{self.staging.name}-{len(self._files):04}.parquet"
        rows = write_events(self.staging / name, events)
        _check_day(self.staging / name, day)
        if old:
            self._removed.append(old)
        if rows:
            self._files.append(File(name, day, rows, _digest(self.staging / name)))
        else:
            (self.staging / name).unlink()
        return rows

    def _of(self, day: date) -> File | None:
        return next((file for file in self._ledger.live() if file.day == day), None)

    def facts(self) -> Iterator[pa.Table]:
        """What earlier commits knew of messages that were still open then."""
        if file := self._ledger.facts():
            yield from tables_of(self.store._place(file))

    def keep_facts(self, tables: Iterable[pa.Table]) -> None:
        """Have these be all that is known of messages still open."""
        old = self._ledger.facts()
        name = f"{self.staging.name}-facts.parquet"
        rows, writer = 0, None
        try:
            for table in tables:
                if writer is None:
                    writer = pq.ParquetWriter(self.staging / name, table.schema, compression="zstd")
                writer.write_table(table.cast(writer.schema))
                rows += len(table)
        finally:
            if writer:
                writer.close()
        if old:
            self._removed.append(old)
        if rows:
            self._files.append(File(name, None, rows, _digest(self.staging / name)))

    def read(
        self, read: SourceRead, before: Fingerprint, after: Fingerprint, packed: Fingerprint | None = None
    ) -> None:
        """Record that a source was read: from where `known` said, up to `Fingerprint.of(content, end)`.

        `end` is the end of the last whole line; what follows it is left for the next time. packed: of a compressed
        file read whole, its own bytes, so that it need not be decompressed to be known again.
        """
        if after.offset > before.offset:
            self._progress.append(Progress(read.source, before, after))
        if read.tally.lines:
            self._reads.append(read)
        if packed:
            self._progress.append(Progress(read.source, packed, packed, packed=True))

    def _changed(self) -> bool:
        return bool(self._files or self._removed or self._progress or self._reads or self._forgotten)

    def _sync(self) -> None:
        for file in self._files:
            sync_file(self.staging / file.name)
        sync_folder(self.staging)
        sync_folder(self.staging.parent)


def _within(day: date) -> pc.Expression:
    """That `time` lies in a day (UTC)."""
    start = datetime.combine(day, time.min, UTC)
    return (pc.field("time") >= start) & (pc.field("time") < start + timedelta(days=1))


def _check_day(path: Path, day: date) -> None:
    found = pq.read_metadata(path)
    place = EVENTS.get_field_index("time")
    times = [found.row_group(i).column(place).statistics for i in range(found.num_row_groups)]
    if any(s is None or s.null_count or s.min.date() != day or s.max.date() != day for s in times):
        raise ValueError(f"there are events that are not of {day}")


def _digest(path: Path) -> bytes:
    hashed = blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.digest()


def _same(one: Path, other: Path) -> bool:
    """Whether two files are one, or have the same bytes."""
    if not (one.exists() and other.exists()):
        return False
    return one.samefile(other) or _digest(one) == _digest(other)
