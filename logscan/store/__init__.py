"""Keeps events by day as Parquet that any BI tool reads, each line of a log once, whatever dies in between.

    store/data/date=2026-11-23/*.parquet    whole, committed files only; the day (UTC) is that of `time`
    store/staging/                          files of the commit under way; not under data/, where tools would read them
    store/ledger.db                         what counts: see `logscan.store.ledger`
    store/.lock                             held by the one writer

A commit is staged and forced to the disk, then recorded in one SQLite transaction (from there on it counts), then
moved into its place and marked visible. Whoever opens the store next finishes what a death left half moved.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from secrets import token_hex

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

from logscan.durable import sync_file, sync_folder
from logscan.run import Run, SourceRead
from logscan.schema import EVENTS
from logscan.store.fingerprint import UNREAD, Content, Fingerprint, Fingerprints
from logscan.store.ledger import File, Ledger, Progress, StoreError
from logscan.store.lock import HeldError, locked

__all__ = ["Commit", "Store", "StoreError"]

OWN_NAMES = frozenset({"data", "staging", "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", ".lock"})
# Logs that start with the same bytes are the same log: the stamps alone differ well before.
OPENING = 4096


@dataclass(frozen=True)
class Store:
    """A store on disk. It keeps nothing open between calls, so one value serves any number of threads and processes.

    >>> import tempfile, pyarrow as pa
    >>> from logscan.parquet import write_events
    >>> noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.open(Path(folder) / "store")
    ...     with store.commit() as commit:
    ...         path = commit.staging / "events.parquet"
    ...         rows = write_events(path, [pa.Table.from_pylist([{"time": noon, "code": 550}], schema=EVENTS)])
    ...         commit.add(noon.date(), path, rows)
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
        with self._held():
            if self._ledger_path.exists():
                return
            self._data.mkdir(exist_ok=True)
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir()
            # The ledger's appearing is what makes the folder a store: so it appears whole.
            Ledger.make(self._staging / "ledger.db")
            (self._staging / "ledger.db").rename(self._ledger_path)
            sync_folder(self.path)
            sync_folder(self.path.parent)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The writer's lock."""
        try:
            with locked(self._lock_path):
                yield
        except HeldError as error:
            raise StoreError(
                self.path, f"is being written: its lock is {error}", "try again when that has ended"
            ) from None

    def days(self) -> list[date]:
        """The days (UTC) that have events, in order."""
        with Ledger.open(self._ledger_path) as ledger:
            return sorted({file.day for file in ledger.visible_files()})

    def dataset(self) -> ds.Dataset:
        """The events of all commits up to now, with the columns of `schema.EVENTS`.

        A filter on `time` opens the files of those days only.
        """
        with Ledger.open(self._ledger_path) as ledger:
            files = ledger.visible_files()
        form, here = ds.ParquetFileFormat(), fs.LocalFileSystem()
        fragments = [
            form.make_fragment(self._place(file).absolute().as_posix(), here, partition_expression=_within(file.day))
            for file in files
        ]
        return ds.FileSystemDataset(fragments, EVENTS, form, here)

    def run(self) -> Run:
        """What was read so far, all scans together. Problems are told by the scan that meets them, and not kept."""
        with Ledger.open(self._ledger_path) as ledger:
            return Run(tuple(ledger.sources()), ())

    @contextmanager
    def commit(self) -> Iterator[Commit]:
        """A commit: all that is added to it in the block becomes visible at its end together, or not at all.

        Raises `StoreError` where another writer holds the store, or the ledger cannot be written.
        """
        with self._held(), Ledger.open(self._ledger_path) as ledger:
            self._settle(ledger)
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
            commit = Commit(self._staging / name, Fingerprints(ledger.contents()))
            commit.staging.mkdir()
            try:
                yield commit
                if commit._files or commit._progress:
                    commit._sync()
                    ledger.record(name, commit._files, commit._progress)
            finally:
                self._settle(ledger)

    def _place(self, file: File) -> Path:
        return self._data / f"date={file.day.isoformat()}" / file.name

    def _settle(self, ledger: Ledger) -> None:
        """Finish the commits that are recorded, and clear away what is not. Only the holder of the lock may."""
        for commit in ledger.pending():
            staged = self._staging / commit
            folders = {self._data}
            for file in ledger.files_of(commit):
                place = self._place(file)
                if (staged / file.name).exists():
                    place.parent.mkdir(exist_ok=True)
                    (staged / file.name).rename(place)
                elif not place.exists():
                    raise StoreError(place, "is in the ledger and is gone", "restore the store from its backup")
                folders.add(place.parent)
            for folder in folders:
                sync_folder(folder)
            ledger.show(commit)
        for stale in self._staging.iterdir():
            shutil.rmtree(stale)


@dataclass
class Commit:
    """A commit under way, and the folder for its files: of this process or others, by any name."""

    staging: Path
    _seen: Fingerprints
    _files: list[File] = field(default_factory=list)
    _progress: list[Progress] = field(default_factory=list)
    _claimed: set[Fingerprint] = field(default_factory=set)
    _openings: list[bytes] = field(default_factory=list)

    def known(self, content: Content) -> Fingerprint | None:
        """How far a content was read by earlier commits, under whatever name: resume from its `offset` (0 where new).

        None where this commit reads the same content already under another name (mail.log.1 beside mail.log.1.gz):
        leave it out; should it turn out to go on further, the next commit will know.
        """
        found = self._seen.find(content)
        if found is UNREAD:
            opening = content.read(0, OPENING)
            if not opening:
                return UNREAD
            if any(o.startswith(opening) or opening.startswith(o) for o in self._openings):
                return None
            self._openings.append(opening)
        elif found in self._claimed:
            return None
        self._claimed.add(found)
        return found

    def add(self, day: date, path: Path, rows: int) -> None:
        """Add a Parquet file of `schema.EVENTS` that lies in `staging`: `rows` events, all of one day (UTC).

        Raises `ValueError` where the file says otherwise. A file without events is dropped.
        """
        found = pq.read_metadata(path)
        if found.num_rows != rows:
            raise ValueError(f"{path.name} has {found.num_rows} rows, not {rows}")
        place = EVENTS.get_field_index("time")
        times = [found.row_group(i).column(place).statistics for i in range(found.num_row_groups)]
        if any(s is None or s.null_count or s.min.date() != day or s.max.date() != day for s in times):
            raise ValueError(f"{path.name} has events that are not of {day}")
        if not rows:
            path.unlink()
            return
        name = f"{self.staging.name}-{len(self._files):04}.parquet"
        path.rename(self.staging / name)
        self._files.append(File(name, day, rows))

    def read(self, read: SourceRead, before: Fingerprint, after: Fingerprint) -> None:
        """Record that a source was read: from where `known` said, up to `Fingerprint.of(content, end)`.

        `end` is the end of the last whole line; what follows it is left for the next time.
        """
        if after.offset > before.offset:
            self._progress.append(Progress(read, before, after))

    def _sync(self) -> None:
        for file in self._files:
            sync_file(self.staging / file.name)
        sync_folder(self.staging)
        sync_folder(self.staging.parent)


def _within(day: date) -> pc.Expression:
    """That `time` lies in a day (UTC)."""
    start = datetime.combine(day, time.min, UTC)
    return (pc.field("time") >= start) & (pc.field("time") < start + timedelta(days=1))
