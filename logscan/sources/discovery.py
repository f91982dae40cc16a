"""Finds the sources that an admin names: files, folders, globs, `-`; what cannot be one is said, not passed over."""

from __future__ import annotations

import difflib
import glob
import os
import posixpath
import re
import stat
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from logscan.run import Problem
from logscan.sources.codecs import MAGIC_LENGTH, codec_of
from logscan.sources.source import Pipe, Source, cannot_open, open_file

_STREAM = re.compile(r"-|/dev/stdin|/(?:dev|proc/self)/fd/([0-9]{1,9})")
_SEPARATORS = re.escape(os.sep + (os.altsep or ""))
_DEEP = re.compile(rf"(?:^|(?<=[{_SEPARATORS}]))\*\*(?:[{_SEPARATORS}]+|$)")

EXPECTED = ".expected.jsonl"
"""How the name of a golden file ends: what a parser must make of the log beside it (see `logscan.testing`)."""

# What lies among logs and is none: Debian and Fedora put a README into /var/log.
_NO_LOGS = ("README*", "*.md", f"*{EXPECTED}")

_NOT_A_FILE: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def discover(paths: Sequence[str | os.PathLike[str]]) -> tuple[list[Source], list[Problem]]:
    """The sources that `paths` name, each once and sorted by name, and what was met instead of one.

    A path is a file; a folder, of which every regular file is a source save hidden ones and what is named as no log
    (README); a glob (`**` too); `-` for standard input, or a descriptor that the shell made (`<(...)`, /dev/fd/N). No
    other FIFO is opened.
    A file that two paths name is one source, under the first of its names.

    >>> sources, problems = discover(["no-such-folder/mail.log", "no-such-folder/*.gz"])
    >>> print(*problems, sep="\\n")
    no-such-folder/*.gz: matches nothing; check the pattern
    no-such-folder/mail.log: does not exist; check the path
    """
    found = _Found()
    for path in paths:
        found.add(os.fspath(path))
    sources = sorted(found.sources.values(), key=lambda source: source.name)
    return sources, sorted(found.problems, key=lambda problem: (problem.source, problem.met))


class _Found:
    """What was found so far: sources by the identity of their files, and problems."""

    def __init__(self) -> None:
        self.sources: dict[Hashable, Source] = {}
        self.problems: set[Problem] = set()

    def add(self, path: str) -> None:
        """Finds what one path names."""
        if stream := _STREAM.fullmatch(path):
            self._stream(path, int(stream[1] or 0))
            return
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 (Path("") is the working folder)
        except (OSError, ValueError) as error:
            if glob.has_magic(path) and not isinstance(error, PermissionError):
                self._glob(path)
            else:
                self._problem(path, *_missing(path, error))
            return
        if stat.S_ISDIR(mode):
            self._folder(path)
        elif what := next((what for test, what in _NOT_A_FILE if test(mode)), None):
            self._problem(path, what, "pipe it in with -")
        else:
            self._file(path)

    def _glob(self, pattern: str) -> None:
        matches = list(_matches(pattern))
        for path in matches:
            self.add(path)
        if not matches:
            self._problem(pattern, "matches nothing", "check the pattern")

    def _folder(self, root: str) -> None:
        met = False

        def refused(path: str, error: OSError) -> None:
            nonlocal met
            met = True
            self._problem(path, *cannot_open(error), fatal=not Path(path).is_symlink())

        for _, files in _walk(root, refused):
            for path in files:
                if any(fnmatchcase(posixpath.basename(path), pattern) for pattern in _NO_LOGS):
                    continue
                met = True
                self._file(path)
        if not met:
            self._problem(root, "holds no files", "name the folder that holds the logs")

    def _file(self, path: str) -> None:
        try:
            with open_file(path) as file:
                about = os.fstat(file.fileno())
                codec = codec_of(_head(file.read), Path(path).suffix)
        except OSError as error:
            self._problem(path, *cannot_open(error))
            return
        name = _shown(path)
        source = Source(name, Path(path), codec, about.st_size, about.st_mtime, about.st_ino)
        self._keep(_identity(path, about), source)

    def _stream(self, path: str, descriptor: int) -> None:
        if descriptor == 0 and sys.stdin is None:
            self._problem(path, "is closed", "pipe a log into it")
            return
        read = partial(os.read, descriptor) if descriptor else sys.stdin.buffer.read
        try:
            identity = _identity(path, os.fstat(descriptor or sys.stdin.fileno()))
        except ValueError:  # an object put in the place of standard input; it has no descriptor
            identity = id(sys.stdin)
        except OSError as error:
            self._problem(path, *cannot_open(error))
            return
        known = self.sources.get(identity)
        if known and known.pipe:
            self._keep(identity, replace(known, name=path))
            return
        pipe = Pipe(read)
        try:
            with pipe.ahead():
                codec = codec_of(_head(pipe.read))
        except OSError as error:
            self._problem(path, *cannot_open(error))
            return
        self._keep(identity, Source(path, Path(path) if descriptor else None, codec, 0, time.time(), pipe=pipe))

    def _keep(self, identity: Hashable, source: Source) -> None:
        known = self.sources.get(identity)
        if known is None or source.name < known.name:
            self.sources[identity] = source

    def _problem(self, path: str, met: str, advice: str, *, fatal: bool = True) -> None:
        self.problems.add(Problem(_shown(path), met, advice, fatal=fatal))


def _walk(root: str, refused: Callable[[str, OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """Each folder under `root`, itself first, and the regular files in it; hidden ones left out.

    A folder is entered once, so a loop of links ends. `root` may be "", the working folder.
    """
    seen = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            identity = _identity(folder, Path(folder).stat())
            names = [] if identity in seen else _names(folder)
        except OSError as error:
            refused(folder, error)
            continue
        seen.add(identity)
        files, subfolders = [], []
        for path in (posixpath.join(folder, name) for name in sorted(names) if not name.startswith(".")):
            try:
                mode = Path(path).stat().st_mode
            except OSError as error:
                refused(path, error)
                continue
            if stat.S_ISDIR(mode):
                subfolders.append(path)
            elif stat.S_ISREG(mode):
                files.append(path)
        yield folder, files
        folders += reversed(subfolders)


def _matches(pattern: str) -> Iterator[str]:
    """What `glob` finds, except that `**` enters each folder once: a few links in a loop would keep `glob` for ever."""
    before, *after = _DEEP.split(pattern, maxsplit=1)
    if not after:
        yield from glob.iglob(pattern)  # noqa: PTH207 (Path.glob finds hidden files)
        return
    for root in glob.iglob(before) if before else [""]:  # noqa: PTH207
        if not after[0]:
            yield root or "."
            continue
        for folder, _ in _walk(root, lambda path, error: None):
            yield from _matches(posixpath.join(glob.escape(folder), after[0]))


def _head(read: Callable[[int], bytes]) -> bytes:
    """The first bytes, enough to tell the codec."""
    head = b""
    while len(head) < MAGIC_LENGTH and (more := read(MAGIC_LENGTH - len(head))):
        head += more
    return head


def _identity(path: str, about: os.stat_result) -> Hashable:
    """The same for two paths of one file. Some file systems do not number their files."""
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(path)


def _names(folder: str) -> list[str]:
    with os.scandir(folder or ".") as entries:
        return [entry.name for entry in entries]


def _missing(path: str, error: OSError | ValueError) -> tuple[str, str]:
    """What to say of a path that cannot be looked at; names a near miss."""
    met, advice = cannot_open(error)
    if isinstance(error, FileNotFoundError):
        folder, name = os.path.split(path)
        try:
            near = difflib.get_close_matches(name, _names(folder), 1)
        except OSError:
            near = []
        if near:
            advice = f"did you mean {_shown(posixpath.join(folder, near[0]))}?"
    return met, advice


def _shown(path: str) -> str:
    r"""The path as valid UTF-8: bytes of a file's name that are not stand as `\xNN`.

    >>> print(_shown("caf\udce9.log"))
    caf\xe9.log
    """
    return os.fsencode(path).decode(errors="backslashreplace")
