"""Is a log known again, whatever a rotation does to it? Random histories of a folder of logs, scanned now and then.

Each line that a scan could see must be read once: by the recognising alone (`--histories`), and by whole scans into a
store (`--scans`), which take longer. A history may write, tear a line, rotate by rename or copytruncate with a scan
while the copy is half done, compress with a scan while that is half done, put a date into names, delay, rename the
folder, delete, use an inode again, begin all logs with the same line, and miss nights.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from logscan.clock import Clock
from logscan.ingest import Recognising, ingest
from logscan.pipeline import End
from logscan.plan import Options, Planned
from logscan.sources import SourceError, chunks, discover
from logscan.store import Store
from logscan.store.fingerprint import Fingerprint, Fingerprints

LINE = (
    "2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00 mx postfix/smtp[1]: {number:012X}: "
    "to=<r{number}@b.example>, relay=mx.b.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
    "(host mx.b.example[192.0.2.1] said: 550 5.1.1 {words} (in reply to RCPT TO command))\n"
)
BANNER = (
    b"2026-11-01T00:00:00+00:00 mx postfix/master[1]: daemon started -- version 3.10.5, configuration /etc/postfix\n"
)
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}
KEPT = 6


class Logs:
    """A folder of logs that lives through a history, and what every scan of it must have seen."""

    def __init__(self, root: Path, scan: Callable[[list[str]], None], *, banner: bool = False, dateext: bool = False):
        self.root, self._scan, self.banner, self.dateext = root, scan, banner, dateext
        self.folder = root / "log0"
        self.folder.mkdir(parents=True)
        self.number = self.moves = self.rotations = 0
        self.torn = b""
        self.due: set[int] = set()
        self.old: list[Path] = []
        """The rotated ones, the youngest first."""
        self._fresh()

    @property
    def live(self) -> Path:
        """The log that is written."""
        return self.folder / "mail.log"

    def _fresh(self) -> None:
        self.live.write_bytes(BANNER if self.banner else b"")

    def _append(self, data: bytes) -> None:
        with self.live.open("ab") as file:
            file.write(data)

    def _line(self) -> bytes:
        self.number += 1
        seconds = self.number
        stamp = {"day": 2 + seconds // 86400, "hour": seconds // 3600 % 24, "minute": seconds // 60 % 60}
        words = "no such user" + " here" * (self.number * 7 % 5)
        return LINE.format(**stamp, second=seconds % 60, number=self.number, words=words).encode()

    def write(self, count: int) -> None:
        """Lines are written; the first ends one that was torn."""
        data, self.torn = self.torn, b""
        self._append(data + b"".join(self._line() for _ in range(count)))

    def tear(self, at: int) -> None:
        """A line is written in part."""
        if not self.torn:
            line = self._line()
            self._append(line[:at])
            self.torn = line[at:]

    def end_line(self) -> None:
        """A torn line gets its end."""
        if self.torn:
            self._append(self.torn)
            self.torn = b""

    def rotate(self) -> None:
        """By rename and create. The server ends its line before it opens the new file."""
        self.end_line()
        self._shift()
        self.live.rename(self.old[0])
        self._fresh()

    def copytruncate(self, cut: float, scans: str) -> None:
        """By copy and truncate; with a scan when a part is copied ("half"), when all is ("whole"), or none ("")."""
        self.end_line()
        self._shift()
        data = self.live.read_bytes()
        if "half" in scans:
            self.old[0].write_bytes(data[: int(len(data) * cut)])
            self.scan()
        self.old[0].write_bytes(data)
        if "whole" in scans:
            self.scan()
        with self.live.open("r+b") as file:
            file.truncate(0)
            file.write(BANNER if self.banner else b"")

    def _shift(self) -> None:
        self.rotations += 1
        if self.dateext:
            self.old.insert(0, self.folder / f"mail.log-{20261101 + self.rotations}")
        else:
            moved = []
            for place, path in reversed(list(enumerate(self.old))):
                suffix = path.suffix if path.suffix in PACK else ""
                moved.append(path.rename(self.folder / f"mail.log.{place + 2}{suffix}"))
            self.old = [self.folder / "mail.log.1", *reversed(moved)]
        while len(self.old) > KEPT:
            self.old.pop().unlink()

    def pack(self, place: int, suffix: str, cut: float, scans: str) -> None:
        """A rotated log is compressed; with a scan when a part of it is, or when both lie there."""
        plain = [path for path in self.old if path.suffix not in PACK]
        if not plain:
            return
        path = plain[min(place, len(plain) - 1)]
        data = PACK[suffix](path.read_bytes())
        packed = path.with_name(path.name + suffix)
        if "half" in scans:
            packed.write_bytes(data[: int(len(data) * cut)])
            self.scan()
        packed.write_bytes(data)
        if "whole" in scans:
            self.scan()
        path.unlink()
        self.old[self.old.index(path)] = packed

    def move(self) -> None:
        """The folder gets another name."""
        self.moves += 1
        new = self.root / f"log{self.moves}"
        self.folder.rename(new)
        self.folder, self.old = new, [new / path.name for path in self.old]

    def delete(self) -> None:
        """The oldest goes; the next file may well get its inode."""
        if self.old:
            self.old.pop().unlink()

    def scan(self) -> None:
        """All is scanned."""
        for path in (self.live, *self.old):
            data = path.read_bytes() if path.exists() else b""
            if path.suffix in PACK:
                with suppress(EOFError, OSError, lzma.LZMAError):
                    data = unpack(data, path.suffix)
            self.due |= numbers(data[: data.rfind(b"\n") + 1])
        self._scan([str(self.folder / "*")])

    def judge(self, read: Counter[int]) -> tuple[int, int]:
        """How many lines are lost, and how many doubled, of those that scans could see."""
        return len(self.due - read.keys()), sum(count - 1 for count in read.values())


def unpack(data: bytes, suffix: str) -> bytes:
    """The opposite of `PACK`."""
    if suffix == ".zst":
        with pa.input_stream(pa.BufferReader(data), compression="zstd") as stream:
            return bytes(stream.read())
    return {".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix].decompress(data)  # type: ignore[attr-defined,no-any-return]


def numbers(data: bytes) -> set[int]:
    """The lines' own numbers."""
    return {int(line.split(b": ")[1], 16) for line in data.splitlines() if b"to=<" in line}


class Memory:
    """The recognising of a store, with the ledger in memory and lines that are only counted."""

    def __init__(self) -> None:
        self.contents: list[Fingerprint] = []
        self.packed: list[Fingerprint] = []
        self.read: Counter[int] = Counter()

    def known(self, *, packed: bool = False) -> Fingerprints:
        """As a commit tells it."""
        return Fingerprints(self.packed if packed else self.contents)

    def scan(self, paths: list[str]) -> None:
        """As `ingest` does."""
        recognising = Recognising(self)  # type: ignore[arg-type]
        sources = [source for source in discover(paths)[0] if source.size]
        planned = [Planned(source, "postfix", 1.0, Clock(), rank=rank) for rank, source in enumerate(sources)]
        for rank, start in recognising.start(planned).items():
            if start is None:
                continue
            source, sight = planned[rank].source, recognising.sights[rank]
            lines, end, whole = b"", 0, True
            try:
                for chunk in chunks(source, 1 << 16, start, whole_lines=source.splittable):
                    lines += chunk.data
                    end = chunk.offset + len(chunk.data)
            except SourceError:
                whole = False
            if not recognising.unchanged(planned[rank], End(source, end, whole)):
                continue
            self.read.update(numbers(lines))
            if sight.after.offset > sight.resumes.offset:
                self.contents = [known for known in self.contents if known != sight.resumes] + [sight.after]
            if whole and sight.packed:
                self.packed.append(sight.packed)


class Stored:
    """Whole scans into a store."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder)

    def scan(self, paths: list[str]) -> None:
        """As the command does."""
        ingest(paths, self.store, Options(workers=1, tz="UTC"))

    @property
    def read(self) -> Counter[int]:
        """The lines in the store."""
        table = self.store.dataset().to_table(columns=["queue_id"])
        return Counter(int(queue_id, 16) for queue_id in table["queue_id"].to_pylist())


def live_through(choose: random.Random, folder: Path, *, stored: bool) -> tuple[Logs, Any]:
    """One history, chosen by chance."""
    reader: Any = Stored(folder / "store") if stored else Memory()
    logs = Logs(folder / "logs", reader.scan, banner=choose.random() < 0.3, dateext=choose.random() < 0.3)
    rotation = choose.choice(["rotate", "copytruncate", "both"])
    for _ in range(choose.randrange(8, 30)):
        step = choose.choices(STEPS, WEIGHTS)[0]
        if step == "write":
            logs.write(choose.choice([1, 1, 2, 5, 20, 60]))
        elif step == "tear":
            logs.tear(choose.randrange(1, 200))
        elif step == "rotate":
            for _ in range(choose.choice([1, 1, 1, 2])):
                if rotation == "rotate" or (rotation == "both" and choose.random() < 0.5):
                    logs.rotate()
                else:
                    logs.copytruncate(choose.random(), choose.choice(["", "half", "whole", "half whole"]))
        elif step == "pack":
            cut, scans = choose.random(), choose.choice(["", "half", "whole", "half whole"])
            logs.pack(choose.randrange(3), choose.choice(list(PACK)), cut, scans)
        else:
            getattr(logs, step)()
    logs.scan()
    return logs, reader


STEPS = ("write", "tear", "scan", "rotate", "pack", "move", "delete")
WEIGHTS = (30, 10, 25, 15, 12, 3, 5)


def histories(count: int, seed: int, *, stored: bool, folder: Path | None = None) -> Iterator[SimpleNamespace]:
    """So many histories, each with what it lost and doubled."""
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            logs, reader = live_through(random.Random(number), Path(root), stored=stored)
            lost, doubled = logs.judge(reader.read)
            yield SimpleNamespace(seed=number, lines=len(logs.due), lost=lost, doubled=doubled)


def main() -> int:
    """Live through them, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=10_000, help="of the recognising (default: %(default)s)")
    parser.add_argument("--scans", type=int, default=500, help="of whole scans (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first history (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to live (default: the system's temporary folder)")
    options = parser.parse_args()
    wrong = False
    for count, stored in ((options.histories, False), (options.scans, True)):
        began, lines, lost, doubled = time.perf_counter(), 0, 0, 0
        for told in histories(count, options.seed, stored=stored, folder=options.folder):
            lines, lost, doubled = lines + told.lines, lost + told.lost, doubled + told.doubled
            if told.lost or told.doubled:
                wrong = True
                print(f"seed {told.seed}: {told.lost} lost, {told.doubled} doubled", flush=True)
        took = time.perf_counter() - began
        what = "whole scans" if stored else "recognising"
        print(
            f"{count:,} histories ({what}), {lines:,} lines: {lost} lost, {doubled} doubled, {took:.0f} s", flush=True
        )
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
