"""What a store knows of itself, in one SQLite database: commits, their files, and how far each source was read.

One transaction records all of a commit: that is the moment from which it counts, whatever dies afterwards.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from logscan.parser import Tally
from logscan.run import Problem, SourceRead
from logscan.schema import SCHEMA_VERSION
from logscan.store.fingerprint import Fingerprint

# Written into the database's own header: whose it is, and its version.
MARKS = {"application_id": int.from_bytes(b"logs"), "user_version": 1}
TABLES = """
    CREATE TABLE commits (
        name TEXT PRIMARY KEY,
        made TEXT NOT NULL,
        schema INTEGER NOT NULL,
        visible INTEGER NOT NULL DEFAULT 0      -- 0: recorded, but its files may still lie in staging
    );
    CREATE TABLE files (
        name TEXT PRIMARY KEY,
        commit_name TEXT NOT NULL REFERENCES commits (name),
        day TEXT NOT NULL,
        rows INTEGER NOT NULL
    );
    CREATE TABLE contents (
        head BLOB NOT NULL,
        offset INTEGER NOT NULL,
        anchor BLOB NOT NULL,
        PRIMARY KEY (head, offset, anchor)
    );
    CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        parser TEXT NOT NULL,
        read TEXT NOT NULL,                     -- JSON of a run.SourceRead, all commits together
        UNIQUE (source, parser)
    );
"""


class StoreError(Exception):
    """A store that cannot be used as asked: one line that says which, what was met, and what to do."""

    def __init__(self, path: Path, met: str, advice: str = ""):
        self.problem = Problem(str(path), met, advice)
        super().__init__(str(self.problem))


class File(NamedTuple):
    """A file of events: its name, the day of all its events (UTC), its rows."""

    name: str
    day: date
    rows: int


class Progress(NamedTuple):
    """A source that was read: what came of it, and its content before and after."""

    read: SourceRead
    before: Fingerprint
    after: Fingerprint


class Ledger:
    """An open ledger. `sqlite3.Error` comes out as a `StoreError`."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self._path, self._connection = path, connection

    @classmethod
    def make(cls, path: Path) -> None:
        """Make an empty ledger at `path`, where nothing is yet."""
        with cls._connected(path) as ledger, ledger._connection:
            ledger._connection.execute("PRAGMA journal_mode = WAL")
            ledger._connection.execute("BEGIN")
            for statement in (*TABLES.split(";")[:-1], *(f"PRAGMA {name} = {n}" for name, n in MARKS.items())):
                ledger._connection.execute(statement)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Ledger]:
        """The ledger at `path`. Raises `StoreError` where it is somebody else's, or of a newer logscan."""
        with cls._connected(path) as ledger:
            if ledger._number("PRAGMA application_id") != MARKS["application_id"]:
                raise StoreError(path, "is not the ledger of a store", "name a new or empty folder")
            ledger._check_version("ledger", ledger._number("PRAGMA user_version"), MARKS["user_version"])
            newest = ledger._number("SELECT coalesce(max(schema), 0) FROM commits")
            ledger._check_version("schema", newest, SCHEMA_VERSION)
            yield ledger

    @classmethod
    @contextmanager
    def _connected(cls, path: Path) -> Iterator[Ledger]:
        try:
            connection = sqlite3.connect(path, timeout=10, isolation_level=None)
            try:
                # FULL: a commit that was acknowledged outlasts a power cut (sqlite.org/pragma.html#pragma_synchronous).
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = ON")
                yield cls(path, connection)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(path, f"the ledger cannot be used: {error}") from error

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _check_version(self, what: str, found: int, known: int) -> None:
        if found > known:
            met = f"was written by a newer logscan ({what} version {found}, this one knows {known})"
            raise StoreError(self._path.parent, met, "upgrade logscan")

    def record(self, commit: str, files: Iterable[File], progress: Iterable[Progress]) -> None:
        """Record a whole commit in one transaction: the commit point."""
        execute = self._connection.execute
        with self._connection:
            execute("BEGIN IMMEDIATE")
            made = datetime.now(UTC).isoformat(timespec="seconds")
            execute("INSERT INTO commits (name, made, schema) VALUES (?, ?, ?)", (commit, made, SCHEMA_VERSION))
            for file in files:
                row = (file.name, commit, file.day.isoformat(), file.rows)
                execute("INSERT INTO files (name, commit_name, day, rows) VALUES (?, ?, ?, ?)", row)
            for read, before, after in progress:
                execute(
                    "DELETE FROM contents WHERE head = ? AND offset = ? AND anchor = ?",
                    (before.head, before.offset, before.anchor),
                )
                execute(
                    "INSERT OR REPLACE INTO contents (head, offset, anchor) VALUES (?, ?, ?)",
                    (after.head, after.offset, after.anchor),
                )
                self._add(read)

    def _add(self, read: SourceRead) -> None:
        """Add a reading to what was read of that source before."""
        for earlier in self.sources("WHERE source = ? AND parser = ?", read.source, read.parser):
            read = SourceRead(
                read.source,
                read.parser,
                min(earlier.confidence, read.confidence),
                earlier.bytes + read.bytes,
                earlier.tally + read.tally,
                earlier.events + read.events,
            )
        self._connection.execute(
            "INSERT INTO sources (source, parser, read) VALUES (?, ?, ?)"
            " ON CONFLICT (source, parser) DO UPDATE SET read = excluded.read",
            (read.source, read.parser, json.dumps(asdict(read))),
        )

    def sources(self, where: str = "", *values: str) -> list[SourceRead]:
        """What was read of each source by each parser, all commits together, in the order of first reading."""
        rows = self._connection.execute(f"SELECT read FROM sources {where} ORDER BY id", values)  # noqa: S608 - own words
        return [_source_read(**json.loads(read)) for (read,) in rows]

    def contents(self) -> list[Fingerprint]:
        """The contents read so far."""
        rows = self._connection.execute("SELECT offset, head, anchor FROM contents")
        return [Fingerprint(*row) for row in rows]

    def pending(self) -> list[str]:
        """The commits that are recorded and not yet visible, in order."""
        rows = self._connection.execute("SELECT name FROM commits WHERE NOT visible ORDER BY rowid")
        return [name for (name,) in rows]

    def files_of(self, commit: str) -> list[File]:
        """The files of a commit."""
        return self._files("commit_name = ?", commit)

    def visible_files(self) -> list[File]:
        """The files of all visible commits, by day and in the order of the commits."""
        return self._files("commit_name IN (SELECT name FROM commits WHERE visible)")

    def _files(self, where: str, *values: str) -> list[File]:
        rows = self._connection.execute(
            f"SELECT name, day, rows FROM files WHERE {where} ORDER BY day, rowid",  # noqa: S608 - own words
            values,
        )
        return [File(name, date.fromisoformat(day), count) for name, day, count in rows]

    def show(self, commit: str) -> None:
        """Mark a commit as visible: its files lie in their place."""
        self._connection.execute("UPDATE commits SET visible = 1 WHERE name = ?", (commit,))


def _source_read(tally: dict[str, Any], **rest: Any) -> SourceRead:
    samples = tuple((offset, line) for offset, line in tally["samples"])
    return SourceRead(**rest, tally=Tally(**tally | {"samples": samples}))
