"""Holds that a log file gives each of its lines once, whatever its form, and that what is missing is said."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.sources import Chunk, Pipe, Source, SourceError, chunks, discover, first_lines, lines, source, split


def zstd(data: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return bytes(packed.getvalue())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": lambda data: bz2.compress(data, 1),  # small blocks, so that a cut leaves some
    "xz": lzma.compress,
    "zstd": zstd,
}
SUFFIX = {"gzip": ".gz", "bz2": ".bz2", "xz": ".xz", "zstd": ".zst"}
CODECS = list(COMPRESS)
DECODER: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}

needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
needs_descriptors = pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no /dev/fd")


def some_log(lines: int = 5000) -> bytes:
    """Text that does not compress to nothing, so that cuts fall everywhere."""
    number = random.Random(7)
    return b"".join(b"Nov 20 10:00:00 mx postfix/smtp[1]: %X: sent\n" % number.getrandbits(200) for _ in range(lines))


LOG = some_log()


def only(path: Path) -> Source:
    sources, problems = discover([path])
    assert problems == []
    [found] = sources
    return found


def written(path: Path, data: bytes) -> Source:
    path.write_bytes(data)
    return only(path)


def piped(data: bytes) -> Source:
    return Source("-", None, None, 0, 0.0, pipe=Pipe(io.BytesIO(data).read))


def given_before_error(found: Source, block_size: int = 4096) -> tuple[bytes, SourceError]:
    got = bytearray()
    with pytest.raises(SourceError) as caught:
        for chunk in chunks(found, block_size):
            got += chunk.data
    return bytes(got), caught.value


@contextmanager
def limit(longest: int) -> Iterator[None]:
    """Makes lines overlong that are longer than this, in place of 1 MiB."""
    with mock.patch.object(lines, "MAX_LINE", longest), mock.patch.object(lines, "OVERLONG_SAMPLE", min(longest, 5)):
        yield


def lines_of(data: bytes, longest: int) -> list[tuple[int, bytes, int]]:
    """The lines as (offset, bytes or their start, length if overlong), the slow and plain way."""
    offset, result = 0, []
    for line in io.BytesIO(data):
        long = len(line) > longest
        result.append((offset, line[: lines.OVERLONG_SAMPLE] if long else line, len(line) if long else 0))
        offset += len(line)
    return result


def lines_in(given_chunks: Iterator[Chunk]) -> list[tuple[int, bytes, int]]:
    result = []
    for chunk in given_chunks:
        assert chunk.data
        if chunk.overlong:
            result.append((chunk.offset, chunk.data, chunk.overlong))
        else:
            result += [(chunk.offset + at, line, 0) for at, line, _ in lines_of(chunk.data, sys.maxsize)]
    return result


Result = TypeVar("Result")


def in_time(work: Callable[[], Result], seconds: float = 20) -> Result:
    """What `work` gives; fails if it hangs. What it raises is raised."""
    done: list[Callable[[], Result]] = []

    def run() -> None:
        try:
            result = work()
        except SourceError as error:
            failure = error
            done.append(lambda: raised(failure))
        else:
            done.append(lambda: result)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, f"hangs for {seconds} seconds"
    return done[0]()


def raised(error: SourceError) -> NoReturn:
    raise error


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("law") / "mail.log"


class TestEveryLineOnce:
    contents = st.lists(st.sampled_from([b"\n", b"\r", b"\0", b"a", b"bc", b"\x85", b"d" * 9, b"e" * 40])).map(b"".join)
    longest = st.sampled_from([1, 3, 20, 1000])
    sizes = st.integers(1, 60)

    @given(content=contents, cuts=st.lists(st.integers(0, 300)), block_size=sizes, longest=longest)
    def test_plain_with_any_splits(
        self, path: Path, content: bytes, cuts: list[int], block_size: int, longest: int
    ) -> None:
        found = written(path, content)
        bounds = [0, *sorted(cuts), None]
        with limit(longest), mock.patch.object(lines, "_STEP", block_size):
            got = [
                line for start, end in pairwise(bounds) for line in lines_in(chunks(found, block_size, start or 0, end))
            ]
            assert got == lines_of(content, longest)

    @given(content=contents, block_size=sizes)
    def test_plain_with_its_own_splits(self, path: Path, content: bytes, block_size: int) -> None:
        found = written(path, content)
        got = [line for start, end in split(found, block_size) for line in lines_in(chunks(found, 50, start, end))]
        assert got == lines_of(content, 1000)

    @pytest.mark.parametrize("codec", CODECS)
    @given(
        members=st.lists(contents, min_size=1, max_size=3), cut=st.integers(0, 300), block_size=sizes, longest=longest
    )
    def test_compressed(
        self, path: Path, codec: str, members: list[bytes], cut: int, block_size: int, longest: int
    ) -> None:
        found = written(path, b"".join(map(COMPRESS[codec], members)))
        assert (found.codec, split(found, 10)) == (codec, [(0, sys.maxsize)])
        with limit(longest):
            expected = lines_of(b"".join(members), longest)
            assert lines_in(chunks(found, block_size)) == expected
            # A run that goes on where the one before ended.
            parts = (chunks(found, block_size, 0, cut), chunks(found, block_size, cut))
            assert [line for part in parts for line in lines_in(part)] == expected

    @given(content=contents, block_size=sizes, head=st.integers(1, 100))
    def test_stream_that_was_looked_into(self, content: bytes, block_size: int, head: int) -> None:
        found = piped(content)
        first = first_lines(found, head)
        assert content.startswith(first)
        assert len(first) <= head
        assert lines_in(chunks(found, block_size)) == lines_of(content, 1000)

    @given(content=contents, block_size=sizes, longest=longest)
    def test_whole_lines_leave_the_last_for_the_next_run(self, content: bytes, block_size: int, longest: int) -> None:
        with limit(longest):
            now = lines_in(chunks(piped(content), block_size, whole_lines=True))
            assert now == lines_of(content[: content.rfind(b"\n") + 1], longest)

    @pytest.mark.parametrize("block_size", [1 << 12, 1 << 16, 1 << 18])
    def test_chunks_are_about_as_large_as_asked(self, tmp_path: Path, block_size: int) -> None:
        log = some_log(15_000)
        for name, data in (("plain", log), *((codec, COMPRESS[codec](log)) for codec in CODECS)):
            got = list(chunks(written(tmp_path / name, data), block_size))
            assert b"".join(chunk.data for chunk in got) == log
            assert all(block_size / 2 < len(chunk.data) < 2 * block_size for chunk in got[:-1]), name

    def test_line_of_exactly_the_limit_is_loaded(self, tmp_path: Path) -> None:
        at_limit, beyond = b"x" * (lines.MAX_LINE - 1) + b"\n", b"y" * lines.MAX_LINE + b"\n"
        found = written(tmp_path / "mail.log", b"a\n" + at_limit + beyond + b"z")
        expected = [
            Chunk(0, b"a\n" + at_limit),
            Chunk(2 + len(at_limit), b"y" * 300, len(beyond)),
            Chunk(2 + len(at_limit) + len(beyond), b"z"),
        ]
        assert list(chunks(found, 1 << 23)) == expected
        assert lines_in(chunks(found, 1000)) == lines_in(iter(expected))

    @pytest.mark.parametrize("codec", CODECS)
    def test_compressed_bytes_are_read_when_they_are_needed(self, codec: str) -> None:
        stream = io.BytesIO(COMPRESS[codec](LOG))
        got = chunks(Source("-", None, codec, 0, 0.0, pipe=Pipe(stream.read)), 1000)
        assert len([next(got) for _ in range(10)]) == 10
        assert stream.tell() <= 1 << 16 < len(stream.getvalue()) * 2 / 3

    def test_a_block_of_no_bytes_is_refused(self) -> None:
        with pytest.raises(ValueError, match="0 bytes"):
            list(chunks(piped(LOG), 0))


class TestBroken:
    """Whole lines read so far come first, then a SourceError."""

    @pytest.mark.parametrize("codec", CODECS)
    def test_cut_at_any_byte(self, tmp_path: Path, codec: str) -> None:
        packed = COMPRESS[codec](LOG)
        path = tmp_path / f"mail.log{SUFFIX[codec]}"
        number = random.Random(1)
        ends = {*range(30), *range(len(packed) - 30, len(packed))}
        for cut in sorted(ends | {*number.sample(range(len(packed)), 60)}):
            got, error = given_before_error(written(path, packed[:cut]))
            assert LOG.startswith(got), cut
            assert got.endswith(b"\n") or not got
            assert (error.problem.source, error.problem.offset) == (str(path), len(got))
            assert "ends too early" in error.problem.met
            if codec in DECODER:
                possible = DECODER[codec]().decompress(packed[:cut])
                assert got == possible[: possible.rfind(b"\n") + 1], cut
                torn = len(possible) - len(got)
                assert ("unfinished line" in error.problem.met) == bool(torn)
        assert len(got) > 0.7 * len(LOG)

    @pytest.mark.parametrize("codec", CODECS)
    def test_cut_in_a_later_member(self, tmp_path: Path, codec: str) -> None:
        first, second = COMPRESS[codec](LOG), COMPRESS[codec](LOG[:5000])
        for cut in (1, 2, 4, 9, 30, len(second) // 2, len(second) - 1):
            got, _ = given_before_error(written(tmp_path / "mail.log", first + second[:cut]))
            assert (LOG + LOG[:5000]).startswith(got), cut
            assert len(got) >= len(LOG)

    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize("garbage", [b"garbage\n", b"\0\0\0x", b"\x1f", b"\n"], ids=repr)
    def test_something_else_follows(self, tmp_path: Path, codec: str, garbage: bytes) -> None:
        got, error = given_before_error(written(tmp_path / "mail.log", COMPRESS[codec](LOG) + garbage))
        assert got == LOG
        assert error.problem.fatal
        assert codec == "zstd" or f"not {codec} follows" in error.problem.met

    @pytest.mark.parametrize("codec", ["gzip", "bz2", "xz"])
    @pytest.mark.parametrize("zeros", [4, 512, 200_000])
    def test_zero_padding_is_no_error(self, tmp_path: Path, codec: str, zeros: int) -> None:
        packed = COMPRESS[codec](LOG)
        found = written(tmp_path / "mail.log", packed + bytes(zeros) + packed + bytes(zeros))
        assert b"".join(chunk.data for chunk in chunks(found, 4096)) == 2 * LOG

    @pytest.mark.parametrize("codec", ["gzip", "bz2", "xz"])  # Arrow writes zstd without a checksum
    def test_changed_bytes_are_told(self, tmp_path: Path, codec: str) -> None:
        packed = COMPRESS[codec](LOG)
        for place in random.Random(2).sample(range(12, len(packed)), 50):
            data = bytearray(packed)
            data[place] ^= 0x10
            _, error = given_before_error(written(tmp_path / "mail.log", bytes(data)))
            assert codec in error.problem.met

    def test_skippable_zstd_frames(self, tmp_path: Path) -> None:
        skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
        found = written(tmp_path / "mail.log", skippable + zstd(b"one\n") + skippable + zstd(b"two\n"))
        assert list(chunks(found, 100)) == [Chunk(0, b"one\ntwo\n")]

    @pytest.mark.parametrize("start", [0, 40_000])
    def test_shrank(self, tmp_path: Path, start: int) -> None:
        path = tmp_path / "mail.log"
        found = written(path, LOG)
        os.truncate(path, 50_000)
        got = bytearray()
        with pytest.raises(SourceError, match="earlier than when the scan began") as caught:
            for chunk in chunks(found, 4096, start):
                got += chunk.data
        whole = LOG[:50_000].rfind(b"\n") + 1
        first = LOG.find(b"\n", start - 1) + 1 if start else 0
        assert bytes(got) == LOG[first:whole]
        assert caught.value.problem.offset == whole

    def test_grew(self, tmp_path: Path) -> None:
        path = tmp_path / "mail.log"
        found = written(path, b"one\ntw")
        with path.open("ab") as file:
            file.write(b"o\nthree\n")
        assert list(chunks(found, 100)) == [Chunk(0, b"one\ntw")]
        assert list(chunks(found, 100, whole_lines=True)) == [Chunk(0, b"one\n")]
        assert list(chunks(only(path), 100, start=4)) == [Chunk(4, b"two\nthree\n")]

    def test_vanished(self, tmp_path: Path) -> None:
        path = tmp_path / "mail.log"
        found = written(path, b"one\n")
        path.unlink()
        with pytest.raises(SourceError, match="is gone"):
            list(chunks(found, 100))
        with pytest.raises(SourceError, match="is gone"):
            first_lines(found)

    def test_rotated_meanwhile(self, tmp_path: Path) -> None:
        path = tmp_path / "mail.log"
        found = written(path, b"old\n")
        path.rename(tmp_path / "mail.log.1")
        path.write_bytes(b"another, and longer\n")
        os.utime(path, (1, 1))
        with pytest.raises(SourceError, match="another file"):
            list(chunks(found, 100))

    @needs_fifo
    def test_became_a_fifo(self, tmp_path: Path) -> None:
        path = tmp_path / "mail.log"
        found = written(path, b"old\n")
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(SourceError, match="regular file no more"):
            in_time(lambda: list(chunks(found, 100)))

    @pytest.mark.parametrize("codec", [None, *CODECS])
    def test_read_error_in_the_middle(self, tmp_path: Path, codec: str | None) -> None:
        packed = COMPRESS[codec](LOG) if codec else LOG
        found = written(tmp_path / "mail.log", packed)
        with mock.patch.object(source, "open_file", lambda path: FailingDisk(path, len(packed) * 3 // 4)):
            got, error = given_before_error(found, 1 << 14)
        assert LOG.startswith(got)
        assert len(got) > 10_000
        assert error.problem.met.startswith("cannot be read: Input/output error")
        assert error.problem.offset == len(got)

    def test_read_error_of_a_stream(self) -> None:
        parts = iter([b"one\ntw"])

        def read(size: int) -> bytes:
            for part in parts:
                return part
            raise OSError(5, "Input/output error")

        got, error = given_before_error(Source("-", None, None, 0, 0.0, pipe=Pipe(read)))
        assert got == b"one\n"
        assert "an unfinished line of 2 bytes" in str(error)

    def test_error_travels_between_processes(self, tmp_path: Path) -> None:
        _, error = given_before_error(written(tmp_path / "mail.log.gz", b""))
        assert pickle.loads(pickle.dumps(error)).problem == error.problem

    @pytest.mark.parametrize("codec", CODECS)
    def test_bomb_costs_time_alone(self, tmp_path: Path, codec: str) -> None:
        length = 1 << 26
        found = written(tmp_path / "mail.log", COMPRESS[codec](bytes(length) + b"\nlast\n"))
        arrow = pa.default_memory_pool().bytes_allocated()
        tracemalloc.start()
        got = list(chunks(found, 1 << 20))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert got == [Chunk(0, bytes(300), length + 1), Chunk(length + 1, b"last\n")]
        assert peak < 1 << 24
        assert pa.default_memory_pool().bytes_allocated() <= arrow


class FailingDisk(io.FileIO):
    """A file of which only the first bytes can be read."""

    def __init__(self, path: Path, good: int):
        super().__init__(path)
        self.good = good

    def read(self, size: int | None = -1, /) -> bytes:
        left = self.good - self.tell()
        if left <= 0:
            raise OSError(5, "Input/output error")
        return super().read(min(size or 0, left, 10_000))


class TestFirstLines:
    @pytest.mark.parametrize("codec", [None, *CODECS])
    def test_head_is_whole_lines(self, tmp_path: Path, codec: str | None) -> None:
        found = written(tmp_path / "mail.log", COMPRESS[codec](LOG) if codec else LOG)
        head = first_lines(found, 1000)
        assert 900 < len(head) <= 1000
        assert head.endswith(b"\n")
        assert LOG.startswith(head)

    @pytest.mark.parametrize(
        ("content", "head"),
        [
            pytest.param(b"", b"", id="nothing"),
            pytest.param(b"one", b"one", id="one line without its end"),
            pytest.param(b"one\ntwo", b"one\ntwo", id="shorter than asked"),
            pytest.param(b"a\n" * 4 + b"long line", b"a\n" * 4, id="the last cut short"),
            pytest.param(b"a line too long", b"a line too", id="only a line cut short"),
        ],
    )
    def test_head(self, content: bytes, head: bytes) -> None:
        assert first_lines(piped(content), 10) == head

    def test_head_of_a_cut_file(self, tmp_path: Path) -> None:
        packed = gzip.compress(LOG)
        head = first_lines(written(tmp_path / "a.gz", packed[:2000]))
        assert LOG.startswith(head)
        assert head.endswith(b"\n")
        with pytest.raises(SourceError, match="ends too early"):
            first_lines(written(tmp_path / "b.gz", packed[:12]))

    @pytest.mark.parametrize("codec", CODECS)
    def test_head_of_a_compressed_stream(self, codec: str) -> None:
        found = replace(piped(COMPRESS[codec](LOG)), codec=codec)
        assert LOG.startswith(first_lines(found, 500))
        assert b"".join(chunk.data for chunk in chunks(found, 5000)) == LOG


class TestCodec:
    @pytest.mark.parametrize(
        ("name", "content", "codec"),
        [
            pytest.param("mail.log.gz", b"Nov 20 10:00:00 mx\n", None, id="plain in spite of its name"),
            pytest.param("mail.log", gzip.compress(b"x"), "gzip", id="gzip in spite of its name"),
            pytest.param("mail.log.xz", gzip.compress(b"x"), "gzip", id="gzip with the name of another"),
            pytest.param("mail.log", bz2.compress(b""), "bz2", id="bz2 of nothing"),
            pytest.param("mail.log", b"BZh9 is how this line starts\n", None, id="plain that looks like bz2"),
            pytest.param("mail.log", lzma.compress(b"x"), "xz", id="xz"),
            pytest.param("mail.log", zstd(b"x"), "zstd", id="zstd"),
            pytest.param("mail.log", b"", None, id="empty"),
            pytest.param("mail.log.gz", b"", "gzip", id="empty, so cut"),
            pytest.param("mail.log.GZ", b"\x1f", "gzip", id="one byte, so cut"),
            pytest.param("mail.log", b"\x1f", None, id="one byte"),
        ],
    )
    def test_by_first_bytes(self, tmp_path: Path, name: str, content: bytes, codec: str | None) -> None:
        assert written(tmp_path / name, content).codec == codec

    @pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd command")
    @pytest.mark.parametrize("options", [["-1"], ["-19"], ["--no-check"], ["--long=27"]], ids="".join)
    def test_zstd_as_the_command_writes_it(self, tmp_path: Path, options: list[str]) -> None:
        packed = subprocess.run(["zstd", "-q", "-c", *options], input=LOG, capture_output=True, check=True).stdout
        found = written(tmp_path / "mail.log.zst", packed)
        assert b"".join(chunk.data for chunk in chunks(found, 4096)) == LOG
        for cut in random.Random(3).sample(range(len(packed)), 50):
            got, _ = given_before_error(written(tmp_path / "mail.log.zst", packed[:cut]))
            assert LOG.startswith(got)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with logs, seen from inside."""
    for name in ("a.log", "logs/b.log", "logs/b.log.1", "logs/deep/er/c.log", "logs/.hidden.log", "logs/.git/d.log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + b"\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd[1].log").write_bytes(b"odd\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


LOGS = ["logs/b.log", "logs/b.log.1", "logs/deep/er/c.log"]


class TestDiscover:
    @pytest.mark.parametrize(
        ("paths", "names", "problems"),
        [
            pytest.param([], [], [], id="nothing"),
            pytest.param(["a.log"], ["a.log"], [], id="file"),
            pytest.param(["./a.log"], ["./a.log"], [], id="name as given"),
            pytest.param(["logs"], LOGS, [], id="folder"),
            pytest.param(["logs/"], LOGS, [], id="folder with a slash"),
            pytest.param(["logs", "a.log"], ["a.log", *LOGS], [], id="sorted by name"),
            pytest.param(["a.log", "a.log"], ["a.log"], [], id="twice"),
            pytest.param(["logs", "logs/b.log", "./logs/b.log"], ["./logs/b.log", *LOGS[1:]], [], id="folder and file"),
            pytest.param(["logs/*.log"], LOGS[:1], [], id="glob"),
            pytest.param(["logs/*"], LOGS, [], id="glob that matches a folder"),
            pytest.param(["**/*.log"], ["a.log", LOGS[0], LOGS[2], "odd[1].log"], [], id="deep glob"),
            pytest.param(["logs/**/c.*"], LOGS[2:], [], id="deep glob below a folder"),
            pytest.param(["logs/**"], LOGS, [], id="glob of all below"),
            pytest.param(["l?gs/**/er/**/*.log"], LOGS[2:], [], id="deep glob twice"),
            pytest.param(["odd[1].log"], ["odd[1].log"], [], id="a name that looks like a glob"),
            pytest.param(["empty"], [], ["empty: holds no files; name the folder that holds the logs"], id="empty"),
            pytest.param(["x*.gz"], [], ["x*.gz: matches nothing; check the pattern"], id="glob without a match"),
            pytest.param(["**/x.gz"], [], ["**/x.gz: matches nothing; check the pattern"], id="deep one too"),
            pytest.param(["nowhere"], [], ["nowhere: does not exist; check the path"], id="missing"),
            pytest.param(["log/b.log"], [], ["log/b.log: does not exist; check the path"], id="missing folder"),
            pytest.param(
                ["logs/b.lgo", "a.log"],
                ["a.log"],
                ["logs/b.lgo: does not exist; did you mean logs/b.log?"],
                id="near miss, and the others go on",
            ),
            pytest.param([""], [], [": does not exist; check the path"], id="an empty word is not the folder"),
            pytest.param(["a\0b"], [], ["a\0b: cannot be a path: it holds a NUL; check the path"], id="NUL"),
        ],
    )
    def test_names(self, tree: Path, paths: list[str], names: list[str], problems: list[str]) -> None:
        for order in (paths, paths[::-1]):
            sources, met = discover(order)
            assert [found.name for found in sources] == names
            assert list(map(str, met)) == problems

    def test_what_a_source_says(self, tree: Path) -> None:
        os.utime("a.log", (5, 1_700_000_000.5))
        assert discover([Path("a.log")])[0] == [
            Source("a.log", Path("a.log"), None, 6, 1_700_000_000.5, Path("a.log").stat().st_ino)
        ]

    def test_folder_that_looks_like_a_glob(self, tree: Path) -> None:
        Path("b[a]r").mkdir()
        Path("b[a]r/f.log").write_bytes(b"")
        assert [found.name for found in discover(["**/f.log"])[0]] == ["b[a]r/f.log"]

    @needs_links
    def test_links(self, tree: Path) -> None:
        Path("z.log").symlink_to("logs/b.log")
        Path("logs/deep/loop").symlink_to("../..")
        Path("logs/deep/again").symlink_to("../deep")
        Path("logs/itself").symlink_to("itself")
        os.link("logs/b.log.1", "logs/hard")
        sources, problems = discover(["z.log", "logs"])
        assert [found.name for found in sources] == [
            "logs/b.log",
            "logs/b.log.1",
            "logs/deep/er/c.log",
            "logs/deep/loop/a.log",
            "logs/deep/loop/odd[1].log",
        ]
        assert [(problem.source, problem.fatal) for problem in problems] == [("logs/itself", False)]
        assert len(in_time(lambda: discover(["**/*.log"]))[0]) == 4

    @needs_links
    def test_link_that_points_to_nothing(self, tree: Path) -> None:
        Path("logs/b.link").symlink_to("gone.log")
        sources, [problem] = discover(["logs"])
        assert [found.name for found in sources] == LOGS
        assert (problem.source, problem.met, problem.fatal) == ("logs/b.link", "does not exist", False)

    @needs_fifo
    def test_fifo_is_not_opened(self, tree: Path) -> None:
        os.mkfifo("logs/fifo")
        sources, problems = in_time(lambda: discover(["logs", "logs/fifo"]))
        assert [found.name for found in sources] == LOGS
        assert list(map(str, problems)) == ["logs/fifo: is a FIFO; pipe it in with -"]

    @needs_fifo
    def test_socket_and_device(self, tree: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("logs/socket")
            sources, problems = discover(["logs", "logs/socket", os.devnull])
        assert [found.name for found in sources] == LOGS
        assert [problem.met for problem in problems] == ["is a device", "is a socket"]

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
    def test_no_permission(self, tree: Path) -> None:
        Path("logs/b.log").chmod(0)
        Path("logs/deep").chmod(0)
        try:
            sources, problems = discover(["logs", "a.log", "logs/deep/er/*.log"])
        finally:
            Path("logs/deep").chmod(0o700)
        assert [found.name for found in sources] == ["a.log", "logs/b.log.1"]
        assert [problem.source for problem in problems] == ["logs/b.log", "logs/deep", "logs/deep/er/*.log"]
        assert {problem.met for problem in problems} == {"may not be read"}

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="this system's names are Unicode")
    def test_name_is_valid_utf8(self, tree: Path) -> None:
        Path(os.fsdecode(b"empty/caf\xe9.log")).write_bytes(b"one\n")
        [found], problems = discover(["empty"])
        assert (found.name, problems) == ("empty/caf\\xe9.log", [])
        assert list(chunks(found, 100)) == [Chunk(0, b"one\n")]


class TestStreams:
    @pytest.mark.parametrize("data", [LOG, gzip.compress(LOG), zstd(LOG)], ids=["plain", "gzip", "zstd"])
    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        [found], problems = discover(["-", "/dev/stdin", "-"])
        assert (found.name, found.path, found.size, found.splittable, problems) == ("-", None, 0, False, [])
        assert [LOG.startswith(first_lines(found, size)) for size in (3, 65536)] == [True, True]
        assert b"".join(chunk.data for chunk in chunks(found, 4096)) == LOG

    def test_no_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        sources, [problem] = discover(["-"])
        assert (sources, problem.met) == ([], "is closed")

    def test_stream_stays_in_its_process(self) -> None:
        with pytest.raises(TypeError, match="process"):
            pickle.dumps(piped(b""))

    @needs_descriptors
    @pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
    def test_descriptor(self, folder: str) -> None:
        if not Path(folder).is_dir():
            pytest.skip(f"this system has no {folder}")
        reader, writer = os.pipe()
        os.write(writer, b"one\ntwo\n")
        os.close(writer)
        try:
            [found], problems = in_time(lambda: discover([f"{folder}/{reader}", f"/dev/fd/{reader}"]))
            assert (found.name, found.splittable, problems) == (f"/dev/fd/{reader}", False, [])
            assert first_lines(found) == b"one\ntwo\n"
            assert list(chunks(found, 100)) == [Chunk(0, b"one\ntwo\n")]
        finally:
            os.close(reader)

    @needs_descriptors
    def test_descriptor_that_is_not_open(self) -> None:
        sources, [problem] = discover(["/dev/fd/987654321", "/dev/fd/987654321"])
        assert (sources, problem.source) == ([], "/dev/fd/987654321")

    @needs_descriptors
    @pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
    def test_process_substitution_and_pipe(self) -> None:
        code = (
            "import sys; from logscan.sources import *; sources, problems = discover(sys.argv[1:]); "
            "print(*problems, *(chunk.data for source in sources for chunk in chunks(source, 100)))"
        )
        done = subprocess.run(
            ["bash", "-c", '"$0" -c "$1" <(echo one) - <(echo two | gzip) < <(echo three)', sys.executable, code],
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert sorted(done.stdout.split()) == [rb"b'one\n'", rb"b'three\n'", rb"b'two\n'"]
