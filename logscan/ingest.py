"""From log files into a store: what is new in them, once.

Each file is compared with what was read before, by content; then what is new is read; then it is asked again whether
the file is still what it was, for a log may be rotated under the reader. What was read of one that is not does not
count: the next scan finds it under its new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from logscan.pipeline import End, Progress, Resuming, Scanned, scanning
from logscan.plan import Options, Planned
from logscan.privacy import check_store
from logscan.run import Problem, Run
from logscan.sources import Source, SourceError
from logscan.sources.lines import pieces
from logscan.sources.source import raw_bytes
from logscan.store import Commit, Store
from logscan.store.fingerprint import HEAD, NOTHING, UNREAD, Content, Fingerprint, Fingerprints, Found, Kind, Mark

PIECE = 1 << 20
REMEMBERED = timedelta(days=30)
"""Facts of a message are forgotten when the log has not named it for so long. Queues give up after 5 days as a rule."""


class Bytes:
    """A file's own bytes, up to the size that it had when it was found."""

    def __init__(self, source: Source):
        self._source = source

    def read(self, start: int, size: int) -> bytes:
        """The `size` bytes from `start` on, fewer where the file ends or cannot be read."""
        found = b""
        with suppress(SourceError), raw_bytes(self._source, start) as raw:
            while len(found) < size and (more := raw.read(size - len(found))):
                found += more
        return found


class Unpacked:
    """A compressed file's content. Reading forward goes on where it is; only reading back begins again."""

    def __init__(self, source: Source):
        self._source = source
        self._chunks: Iterator[tuple[int, bytes]] = iter(())
        self._held = b""
        self._at = -1
        self._head = b""
        self.error: SourceError | None = None

    def read(self, start: int, size: int) -> bytes:
        """The `size` bytes from `start` on, fewer where the content ends or cannot be decoded any further."""
        if start + size <= len(self._head):
            return self._head[start : start + size]
        if self._at < 0 or start < self._at:
            self._chunks = self._pieces()
            self._held, self._at = b"", 0
        while self._at + len(self._held) < start + size and (more := next(self._chunks, None)):
            at, data = more
            self._held += data
            drop = min(max(0, start - self._at), len(self._held))
            self._held, self._at = self._held[drop:], self._at + drop
            if len(self._head) == at < HEAD:
                self._head += data[: HEAD - at]
        return self._held[max(0, start - self._at) :][:size] if start >= self._at else b""

    def end(self) -> int:
        """Where it ends. Reads all of it."""
        self._chunks, last = self._pieces(), 0
        for at, data in self._chunks:
            last = at + len(data)
        self._at = -1
        return last

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        try:
            with raw_bytes(self._source) as raw:
                for piece in pieces(self._source, raw, PIECE, 1 << 62):
                    yield at, piece
                    at += len(piece)
        except SourceError as error:
            self.error = error


@dataclass
class Sight:
    """A source as it was found, and what it is."""

    planned: Planned
    content: Bytes | Unpacked
    end: int
    """Of its last whole line; of a compressed source, of what was looked at."""
    found: Found = NOTHING
    packed: Fingerprint | None = None
    """Of a compressed file's own bytes."""
    own: Fingerprint | None = None
    after: Fingerprint = UNREAD
    """Of what was read."""
    first: Mark | None = None
    """Its first line."""

    def __post_init__(self) -> None:
        if self.end:
            self.first = Fingerprint.of(self.content, min(self.end, HEAD)).lines[0]

    @property
    def resumes(self) -> Fingerprint:
        """What of it was read before."""
        return self.found.known

    def fingerprint(self) -> Fingerprint:
        """Of all its whole lines."""
        if self.own is None:
            end = self.end
            if isinstance(self.content, Unpacked) and end >= HEAD // 2:
                end = self.content.end()
            self.own = Fingerprint.of(self.content, end)
        return self.own


@dataclass
class Recognising:
    """Tells the sources of a scan from each other, and from what the store has read."""

    commit: Commit
    problems: list[Problem] = field(default_factory=list)
    sights: dict[int, Sight] = field(default_factory=dict)

    def start(self, planned: list[Planned]) -> dict[int, int | None]:
        """From where each source is to be read; None where there is nothing new in it."""
        known, packed = self.commit.known(), self.commit.known(packed=True)
        starts: dict[int, int | None] = {}
        seen = []
        for p in planned:
            if p.source.pipe:
                starts[p.rank] = 0
                continue
            starts[p.rank] = None
            if (sight := _look(p, known, packed)) is not None:
                seen.append(sight)
        for sight in self._longest(seen):
            found, source = sight.found, sight.planned.source
            if found.kind is Kind.PART:
                if isinstance(sight.content, Unpacked) and sight.content.error:
                    self.problems.append(sight.content.error.problem)
                else:
                    met = f"is the beginning of a log that was read before up to byte {found.known.offset}"
                    advice = "left out: a copy under way, or one that never got done"
                    self.problems.append(Problem(source.name, met, advice, fatal=False))
                continue
            if found.kind is Kind.CUT:
                met = f"was read before up to byte {found.known.offset}, and has lost its end since"
                advice = "what it repeats of that is counted twice"
                self.problems.append(Problem(source.name, met, advice, found.offset))
            starts[sight.planned.rank] = found.offset
            self.sights[sight.planned.rank] = sight
        return starts

    def _longest(self, seen: list[Sight]) -> Iterator[Sight]:
        """Of each log that several sources hold (mail.log.1 beside mail.log.1.gz), the one that has most of it.

        The others are left out; should they go on further after all, the next scan will know.
        """
        begins: dict[bytes, list[Sight]] = {}
        for sight in seen:
            if sight.first:
                begins.setdefault(sight.first.hash, []).append(sight)
            else:
                yield sight
        for alike in begins.values():
            if len(alike) == 1:
                yield alike[0]
                continue
            kept: dict[bytes, list[Sight]] = {}
            taken: set[Fingerprint] = set()
            for sight in sorted(alike, key=lambda s: (-s.fingerprint().offset, s.planned.rank)):
                own = sight.fingerprint()
                longer = kept.get(own.begin.hash, [])
                if any(other.fingerprint() == own or other.fingerprint().covers(own) for other in longer):
                    if isinstance(sight.content, Unpacked) and sight.content.error:
                        self.problems.append(sight.content.error.problem)
                    continue
                for mark in own.lines:
                    kept.setdefault(mark.hash, []).append(sight)
                if sight.found.kind is not Kind.NEW and sight.resumes in taken:
                    # Two that begin alike and then part: one of them goes on with what was read, the other is new.
                    sight.found = NOTHING
                taken.add(sight.resumes)
                yield sight

    def unchanged(self, planned: Planned, end: End) -> bool:
        """Whether a source that was read is still what was recognised."""
        sight = self.sights.get(planned.rank)
        if sight is None:
            return True
        sight.after = sight.resumes
        if end.offset <= sight.resumes.offset:
            return True
        contents: list[Content] = [sight.content]
        if end.content is not None and not sight.resumes.offset:
            contents = [end.content, sight.content]  # a line too long to load is not gathered
        after = None
        for content in contents:
            with suppress(ValueError):
                after = after or Fingerprint.of(content, end.offset)
        if after is None:
            return False
        sight.after = after
        if isinstance(sight.content, Unpacked):
            return True
        # Asked last: if it still begins as it did, it did so all the while.
        if sight.found.kind is Kind.KNOWN and sight.resumes.held(sight.content) < sight.resumes.offset:
            return False
        return sight.first == Fingerprint.of(sight.content, min(end.offset, HEAD)).lines[0]


def _look(planned: Planned, known: Fingerprints, packed: Fingerprints) -> Sight | None:
    """A source as it stands now; None for a compressed file that was read whole."""
    source = planned.source
    if source.splittable:
        plain = Bytes(source)
        end = _last_line_end(plain, source.size)
        return Sight(planned, plain, end, known.find(plain, end))
    own = Bytes(source)
    with suppress(ValueError):
        fingerprint = Fingerprint.of(own, source.size)
        found = packed.find(own, 0)
        if found.kind is Kind.KNOWN and found.known == fingerprint:
            return None
        content = Unpacked(source)
        end = content.read(0, HEAD).rfind(b"\n") + 1
        found = known.find(content, end)
        if found.kind is Kind.PART:  # as far as its head tells; its end tells all
            end = _last_line_end(content, content.end())
            found = known.find(content, end)
        return Sight(planned, content, end, found, fingerprint)
    return None


def _last_line_end(content: Content, size: int) -> int:
    """The offset after the last LF in the first `size` bytes."""
    at = size
    while at:
        start = max(0, at - HEAD)
        if (place := content.read(start, at - start).rfind(b"\n")) >= 0:
            return start + place + 1
        at = start
    return 0


def ingest(
    paths: Iterable[str],
    store: Store,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    wait: float = 0,
) -> Run:
    """Scans what is new in the files into the store, as one commit. Gives the account of what was read now.

    A pipe has no content to know again: what comes through it is always new. Raises UsageError, StoreError, and
    PrivacyError where the store's events were made private in another way.

    wait: for how many seconds to wait for another scan into the store.
    """
    with store.commit(wait) as commit:
        privacy = (options or Options()).privacy()
        check_store(store.dataset(), privacy)
        recognising = Recognising(commit)
        resuming = Resuming(recognising.start, recognising.unchanged, commit.facts)
        with scanning(paths, options, progress=progress, folder=commit.staging, resume=resuming) as scanned:
            for day, tables in scanned.days():
                commit.add(day, tables)
            reads = {read.source: read for read in scanned.run.sources}
            for rank, end in scanned.ends.items():
                read = reads[end.source.name]
                if privacy:  # as the events name it, so that it can be forgotten by that name
                    read = replace(read, source=privacy.source(read.source))
                if sight := recognising.sights.get(rank):
                    commit.read(read, sight.resumes, sight.after, sight.packed if end.whole else None)
                else:
                    commit.read(read, UNREAD, UNREAD)
            if scanned.run.tally.lines:
                commit.keep_facts(_remembered(scanned))
            run = scanned.run
        return Run(run.sources, (*run.problems, *recognising.problems))


def _remembered(scanned: Scanned) -> Iterator[pa.Table]:
    """Facts that may still be wanted."""
    newest = [seen for table in scanned.open_messages() if (seen := pc.max(table["seen"]).as_py())]
    limit = min(datetime.now(UTC), max(newest, default=datetime.now(UTC))) - REMEMBERED
    for table in scanned.open_messages():
        yield table.filter(pc.greater(table["seen"], pa.scalar(limit, table["seen"].type)))
