"""From log files into a store: what is new in them, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from logscan.pipeline import Progress, scanning
from logscan.plan import Options, Planned
from logscan.run import Run
from logscan.sources import Source, SourceError, chunks
from logscan.store import Commit, Store
from logscan.store.fingerprint import Fingerprint

PIECE = 1 << 20


@dataclass(frozen=True)
class SourceContent:
    """The bytes of a source as fingerprints ask for them. A compressed source is read up to the place each time."""

    source: Source

    def read(self, start: int, size: int) -> bytes:
        """The `size` bytes from `start` on, fewer where the source ends."""
        if self.source.splittable and self.source.path:
            with self.source.path.open("rb") as file:
                file.seek(start)
                return file.read(max(0, min(size, self.source.size - start)))
        return _decompressed(self.source, start, size)


@lru_cache(maxsize=256)
def _decompressed(source: Source, start: int, size: int) -> bytes:
    found = b""
    try:
        for chunk in chunks(source, PIECE):
            end = chunk.offset + len(chunk.data)
            if end > start:
                found += chunk.data[max(0, start - chunk.offset) :]
            if len(found) >= size:
                break
    except SourceError:
        pass  # told when it is read for its events
    return found[:size]


def ingest(
    paths: Iterable[str], store: Store, options: Options | None = None, *, progress: Progress | None = None
) -> Run:
    """Scans what is new in the files into the store, as one commit. Gives the account of what was read now.

    A pipe has no content to know again: what comes through it is always new. Raises UsageError and StoreError.
    """
    with store.commit() as commit:
        before: dict[str, Fingerprint] = {}

        def resume(planned: Planned) -> int | None:
            return _resume(planned, commit, before)

        with scanning(paths, options, progress=progress, folder=commit.staging, resume=resume) as scanned:
            for day, path, rows in scanned.days(commit.staging):
                commit.add(day, path, rows)
            reads = {read.source: read for read in scanned.run.sources}
            for source, end in scanned.ends.items():
                if (known := before.get(source.name)) and end > known.offset:
                    commit.read(reads[source.name], known, Fingerprint.of(SourceContent(source), end))
            return scanned.run


def _resume(planned: Planned, commit: Commit, before: dict[str, Fingerprint]) -> int | None:
    if planned.source.pipe:
        return 0
    known = commit.known(SourceContent(planned.source))
    if known is None:
        return None
    before[planned.source.name] = known
    return known.offset
