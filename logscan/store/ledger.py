"""What a store knows of itself, in one SQLite database: commits, their files, and how far each source was read.

One transaction records all of a commit: that is the moment from which it counts, whatever dies afterwards.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from logscan.parser import Tally
from logscan.run import Problem, SourceRead
from logscan.schema import SCHEMA_VERSION
from logscan.store.fingerprint import Fingerprint, Mark

# Written into the database's own header: whose it is, and its version.
MARKS = {"application_id": int.from_bytes(b"logs"), "user_version": 3}
TABLES = """
    CREATE TABLE commits (
        name TEXT PRIMARY KEY,
        made TEXT NOT NULL,
        schema INTEGER NOT NULL,
        visible INTEGER NOT NULL DEFAULT 0      -- 0: recorded, but its files may still lie in staging
    );
    CREATE TABLE files (
        name TEXT PRIMARY KEY,
        kind TEXT NOT NULL,                     -- events, tellings, facts, or parts: and the name of a parser
        day TEXT,                               -- of events and tellings
        rows INTEGER NOT NULL,
        hash BLOB NOT NULL,                     -- of its bytes
        added TEXT NOT NULL REFERENCES commits (name),
        removed TEXT REFERENCES commits (name)  -- by which a newer file took its place
    );
    CREATE TABLE contents (
        id INTEGER PRIMARY KEY,
        packed INTEGER NOT NULL,                -- 1: a compressed file's own bytes, read whole
        offset INTEGER NOT NULL,
        lines BLOB NOT NULL,
        steps BLOB NOT NULL,
        anchor BLOB NOT NULL,
        preamble BLOB,                          -- what stands in the place of its head from offset on
        name TEXT NOT NULL,                     -- its last name,
        seen TEXT NOT NULL,                     -- when it was found under that,
        grew INTEGER NOT NULL                   -- and whether it had more then than before
    );
    CREATE TABLE names (                        -- under which a content was read
        content INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (content, name)
    );
    CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        parser TEXT NOT NULL,
        read TEXT NOT NULL,                     -- JSON of a run.SourceRead, all commits together
        UNIQUE (source, parser)
    );
"""
HASH = 16
LIVE = """
    added IN (SELECT name FROM commits WHERE visible)
    AND (removed IS NULL OR removed IN (SELECT name FROM commits WHERE NOT visible))
"""


class StoreError(Exception):
    """A store that cannot be used as asked: one line that says which, what was met, and what to do."""

    def __init__(self, path: Path, met: str, advice: str = ""):
        self.problem = Problem(str(path), met, advice)
        super().__init__(str(self.problem))


EVENTS_KIND, TELLINGS_KIND, FACTS_KIND, PARTS_KIND = "events", "tellings", "facts", "parts:"


class File(NamedTuple):
    """A file of the store: its name, the day of all its rows (UTC; None: of no day), how many these are, its hash.

    kind: EVENTS_KIND; TELLINGS_KIND, what tells copies of these (copies.py), row for row; FACTS_KIND, of messages still
    open; PARTS_KIND and the name of a parser: lines that wait for others (`Parsed.parts`).
    """

    name: str
    day: date | None
    rows: int
    hash: bytes
    kind: str = EVENTS_KIND


class Progress(NamedTuple):
    """A content that was read: under which name, before and after; `packed` are a compressed file's own bytes.

    preamble: what stands in the place of its head for the lines that follow. grows: whether more may follow.
    """

    source: str
    before: Fingerprint
    after: Fingerprint
    packed: bool = False
    preamble: bytes | None = None
    grows: bool = True


class Last(NamedTuple):
    """A content as it was last found: under which name, when (UTC), and whether it had grown then."""

    content: Fingerprint
    name: str
    seen: datetime
    grew: bool


class Ledger:
    """An open ledger. `sqlite3.Error` comes out as a `StoreError`."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self._path, self._connection = path, connection

    @classmethod
    def make(cls, path: Path) -> None:
        """Make an empty ledger at `path`, where nothing is yet."""
        with cls._connected(path) as ledger, ledger._connection:
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
            version = ledger._number("PRAGMA user_version")
            ledger._check_version("ledger", version, MARKS["user_version"])
            if version < MARKS["user_version"]:
                raise StoreError(path.parent, "was made by a logscan before 0.1", "scan the logs into a new folder")
            newest = ledger._number("SELECT coalesce(max(schema), 0) FROM commits")
            ledger._check_version("schema", newest, SCHEMA_VERSION)
            yield ledger

    @classmethod
    @contextmanager
    def _connected(cls, path: Path) -> Iterator[Ledger]:
        try:
            connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            try:
                # A rollback journal works on network file systems too, where WAL does not (sqlite.org/wal.html). EXTRA:
                # what was acknowledged outlasts a power cut (sqlite.org/pragma.html#pragma_synchronous).
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("PRAGMA fullfsync = ON")
                connection.execute("PRAGMA foreign_keys = ON")
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

    def record(
        self,
        commit: str,
        files: Iterable[File] = (),
        removed: Iterable[File] = (),
        progress: Iterable[Progress] = (),
        reads: Iterable[SourceRead] = (),
        forgotten: Iterable[str] = (),
        found: Iterable[tuple[str, Fingerprint]] = (),
        gone: Iterable[Fingerprint] = (),
    ) -> None:
        """Record a whole commit in one transaction: the commit point.

        files: those it adds. removed: those whose place they take. forgotten: names of sources as if never read.
        found: contents that have nothing new, under their names now. gone: those that get nothing more.
        """
        execute = self._connection.execute
        with self._connection:
            execute("BEGIN IMMEDIATE")
            made = datetime.now(UTC).isoformat(timespec="seconds")
            execute("INSERT INTO commits (name, made, schema) VALUES (?, ?, ?)", (commit, made, SCHEMA_VERSION))
            for file in files:
                row = (file.name, file.kind, file.day and file.day.isoformat(), file.rows, file.hash, commit)
                execute("INSERT INTO files (name, kind, day, rows, hash, added) VALUES (?, ?, ?, ?, ?, ?)", row)
            for file in removed:
                execute("UPDATE files SET removed = ? WHERE name = ?", (commit, file.name))
            for name in forgotten:
                execute("DELETE FROM contents WHERE id IN (SELECT content FROM names WHERE name = ?)", (name,))
                execute("DELETE FROM sources WHERE source = ?", (name,))
            for name, content in found:
                execute(
                    "UPDATE contents SET name = ?, seen = ?, grew = 0 WHERE id = ?", (name, made, self._id(content))
                )
            for content in gone:
                execute("UPDATE contents SET grew = 0, seen = '' WHERE id = ?", (self._id(content),))
            for done in progress:
                self._advance(done, made)
            for read in reads:
                self._add(read)

    def _advance(self, done: Progress, made: str) -> None:
        known = (*_row(done.after), done.preamble, done.source, made if done.grows else "", done.grows)
        content = self._id(done.before, packed=done.packed)
        if content is not None:
            self._connection.execute(
                "UPDATE contents SET offset = ?, lines = ?, steps = ?, anchor = ?, preamble = ?, name = ?, seen = ?,"
                " grew = ? WHERE id = ?",
                (*known, content),
            )
        else:
            (content,) = self._connection.execute(
                "INSERT INTO contents (packed, offset, lines, steps, anchor, preamble, name, seen, grew)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (done.packed, *known),
            ).fetchone()
        self._connection.execute("INSERT OR IGNORE INTO names (content, name) VALUES (?, ?)", (content, done.source))

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
        if not read.tally.unread:  # those that waited for others have been understood
            read = replace(read, tally=replace(read.tally, samples=()))
        self._connection.execute(
            "INSERT INTO sources (source, parser, read) VALUES (?, ?, ?)"
            " ON CONFLICT (source, parser) DO UPDATE SET read = excluded.read",
            (read.source, read.parser, json.dumps(asdict(read))),
        )

    def sources(self, where: str = "", *values: str) -> list[SourceRead]:
        """What was read of each source by each parser, all commits together, in the order of first reading."""
        rows = self._connection.execute(f"SELECT read FROM sources {where} ORDER BY id", values)  # noqa: S608 - own words
        return [_source_read(**json.loads(read)) for (read,) in rows]

    def contents(self, *, packed: bool = False) -> list[Fingerprint]:
        """The contents read so far; or, `packed`, the compressed files read whole, by their own bytes."""
        query = "SELECT offset, lines, steps, anchor FROM contents WHERE packed = ? ORDER BY id"
        return [_fingerprint(*row) for row in self._connection.execute(query, (packed,))]

    def preamble(self, content: Fingerprint) -> bytes | None:
        """What stands in the place of a content's head from where it was read on; None: its head."""
        row = self._connection.execute("SELECT preamble FROM contents WHERE id = ?", (self._id(content),)).fetchone()
        return bytes(row[0]) if row and row[0] is not None else None

    def _id(self, content: Fingerprint, *, packed: bool = False) -> int | None:
        row = self._connection.execute(
            "SELECT id FROM contents WHERE packed = ? AND offset = ? AND lines = ? AND steps = ? AND anchor = ?",
            (packed, *_row(content)),
        ).fetchone()
        return int(row[0]) if row else None

    def growing(self) -> list[Last]:
        """The contents that may have more the next time: not those in compressed files, nor those told to be gone."""
        rows = self._connection.execute(
            "SELECT name, seen, grew, offset, lines, steps, anchor FROM contents WHERE NOT packed AND seen != ''"
        )
        return [Last(_fingerprint(*r), name, datetime.fromisoformat(seen), bool(grew)) for name, seen, grew, *r in rows]

    def names_beside(self, names: Iterable[str]) -> set[str]:
        """The other names under which contents were read that were also read under these."""
        query = """
            SELECT DISTINCT others.name FROM names JOIN names AS others USING (content) WHERE names.name = ?
        """
        given = set(names)
        return {other for name in given for (other,) in self._connection.execute(query, (name,))} - given

    def commits(self) -> int:
        """How many commits there are."""
        return self._number("SELECT count(*) FROM commits")

    def pending(self) -> list[str]:
        """The commits that are recorded and not yet visible, in order."""
        rows = self._connection.execute("SELECT name FROM commits WHERE NOT visible ORDER BY rowid")
        return [name for (name,) in rows]

    def added(self, commit: str) -> list[File]:
        """The files that a commit adds."""
        return self._files("added = ?", commit)

    def removed(self, commit: str) -> list[File]:
        """The files that a commit removes."""
        return self._files("removed = ?", commit)

    def live(self) -> list[File]:
        """The files that hold the events now, one a day, in order."""
        return self._files(f"kind = '{EVENTS_KIND}' AND {LIVE}")

    def beside(self) -> list[File]:
        """The files that hold what the next scan has to know, by kind and day."""
        return self._files(f"kind != '{EVENTS_KIND}' AND {LIVE}")

    def superseded(self, before: datetime) -> list[File]:
        """The files that were removed before a time."""
        removed = "removed IN (SELECT name FROM commits WHERE visible AND made < ?)"
        return self._files(removed, before.isoformat(timespec="seconds"))

    def drop(self, files: Iterable[File]) -> None:
        """Strike superseded files that are gone."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("DELETE FROM files WHERE name = ?", [(file.name,) for file in files])

    def known_names(self) -> set[str]:
        """The names of all files, superseded ones too."""
        return {name for (name,) in self._connection.execute("SELECT name FROM files")}

    def _files(self, where: str, *values: str) -> list[File]:
        rows = self._connection.execute(
            f"SELECT name, day, rows, hash, kind FROM files WHERE {where} ORDER BY day, rowid",  # noqa: S608 - own words
            values,
        )
        return [File(name, day and date.fromisoformat(day), *rest) for name, day, *rest in rows]

    def show(self, commit: str) -> None:
        """Mark a commit as visible: its files lie in their place."""
        self._connection.execute("UPDATE commits SET visible = 1 WHERE name = ?", (commit,))

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the ledger itself."""
        found = [text for (text,) in self._connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def shrink(self) -> None:
        """Give free pages back."""
        self._connection.execute("VACUUM")


def _row(content: Fingerprint) -> tuple[int, bytes, bytes, bytes]:
    lines = b"".join(mark.offset.to_bytes(8, "big") + mark.hash for mark in content.lines)
    return content.offset, lines, b"".join(content.steps), content.anchor


def _fingerprint(offset: int, lines: bytes, steps: bytes, anchor: bytes) -> Fingerprint:
    marks = [lines[at : at + 8 + HASH] for at in range(0, len(lines), 8 + HASH)]
    return Fingerprint(
        offset,
        tuple(Mark(int.from_bytes(mark[:8], "big"), mark[8:]) for mark in marks),
        tuple(steps[at : at + HASH] for at in range(0, len(steps), HASH)),
        anchor,
    )


def _source_read(tally: dict[str, Any], **rest: Any) -> SourceRead:
    samples = tuple((offset, line) for offset, line in tally["samples"])
    return SourceRead(**rest, tally=Tally(**tally | {"samples": samples}))
