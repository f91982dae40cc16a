"""Before anything is parsed: which sources there are, which parser reads each, and how its clock runs.

The head of each source is shown to every parser; the surest one reads it. Plain files are sampled for the years of
their stamps; compressed files and pipes cannot be, so their clock is wound while they are read (`winding`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from logscan import plugins, syslog
from logscan.catalogue import NO_SITE, Site
from logscan.clock import SECOND, SLACK, Clock, anchor, latest_moment
from logscan.guard import SURE_ENOUGH, sure
from logscan.likeness import likeness
from logscan.parser import Block, Parser
from logscan.run import Problem
from logscan.sources import Chunk, Source, SourceError, chunks, discover, first_lines
from logscan.spans import Spans

if TYPE_CHECKING:
    from logscan.privacy import Privacy

MANY = 3
SAMPLE_STEP = 256 << 10
SAMPLES = 1024
HEAD = 64 << 10
SAMPLE_READ = 2048
PLACES = 6
PLACES_PACKED = 32


class UsageError(Exception):
    """The reader asked for something that cannot be: a format, a zone."""


@dataclass(frozen=True)
class Options:
    """What the reader may say about the logs and the work. None leaves it to logscan."""

    format: str | None = None
    tz: str | None = None
    year: int | None = None
    workers: int | None = None
    block_size: int = 8 << 20
    rules: str | PathLike[str] | None = None
    anonymize: str | None = None
    key: str | PathLike[str] | None = None

    def zone(self) -> tzinfo | None:
        """The zone of stamps that state none; None is this machine's.

        >>> str(Options(tz="Asia/Bangkok").zone())
        'Asia/Bangkok'
        """
        if self.tz is None or self.tz.lower() == "local":
            return None
        if self.tz.upper() in ("UTC", "Z"):
            return UTC
        try:
            return ZoneInfo(self.tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(f"--tz {self.tz}: no such time zone; use a name such as Europe/Berlin or UTC") from error

    def site(self) -> Site:
        """The site's own rules and providers; raises `logscan.catalogue.site.RulesError` where they cannot be used.

        >>> Options().site() == NO_SITE
        True
        """
        if self.rules is None:
            return NO_SITE
        from logscan.catalogue.site import SiteFile

        return SiteFile(self.rules).site

    def privacy(self) -> Privacy | None:
        """How people are taken out of the events, None for not at all; raises UsageError. May make the key's file.

        >>> Options().privacy(), Options(anonymize="domain").privacy()
        (None, Privacy(key=None))
        """
        if self.anonymize is None:
            if self.key is not None:
                raise UsageError("--key goes with --anonymize keyed")
            return None
        from logscan.privacy import Privacy, PrivacyError

        try:
            return Privacy.of(self.anonymize, self.key)
        except PrivacyError as error:
            raise UsageError(str(error)) from None


@dataclass(frozen=True)
class Planned:
    """A source, its parser, how sure that is (0 to 1), and its clock; `rank` is its place in the order of time."""

    source: Source
    parser: str
    confidence: float
    clock: Clock
    beside: tuple[str, ...] = ()
    """The parsers whose lines may stand among those of this one, in the order of their turns."""
    rank: int = 0
    first: int = 0


def plan(paths: list[str], options: Options) -> tuple[list[Planned], list[Problem]]:
    """The readable sources of some paths in the order of their first lines, and what is wrong with the others.

    Raises UsageError.
    """
    parsers, problems = plugins.load(plugins.PARSERS, Parser, options.format)
    if options.format is not None and options.format not in parsers:
        known = ", ".join(plugins.names(plugins.PARSERS))
        raise UsageError(f"--format {options.format}: no such format; there are: {known}")
    found = []
    strangers = []
    for source, head, block in heads(paths, problems, options.zone(), options.year):
        name, confidence, _ = sniffed(parsers, source, block, problems)
        if options.format is None and confidence < SURE_ENOUGH:
            strangers.append((source.name, head))
            continue
        neighbours = beside(parsers, name)
        found.append(Planned(source, name, confidence, block.clock, neighbours, first=_first_moment(block)))
    problems += _strangers(strangers, paths, [parser.title for parser in parsers.values()])
    found.sort(key=lambda planned: (planned.first, planned.source.name))
    return [replace(planned, rank=rank) for rank, planned in enumerate(found)], list(dict.fromkeys(problems))


def heads(
    paths: list[str], problems: list[Problem], zone: tzinfo | None, year: int | None = None
) -> Iterator[tuple[Source, bytes, Block]]:
    """The sources of some paths, each with its first lines as bytes and as a block. `problems` takes what is wrong."""
    sources, met = discover(paths)
    problems += met
    for source in sources:
        try:
            head = first_lines(source, HEAD)
        except SourceError as error:
            problems.append(error.problem)
            continue
        if head:
            yield source, head, Block.of(head, 0, source.name, clock_of(source, head, zone, year))
        else:
            problems.append(Problem(source.name, "is empty", fatal=False))


def _strangers(strangers: list[tuple[str, bytes]], paths: list[str], titles: list[str]) -> list[Problem]:
    """Files that no parser knows: each that was named is a problem; of those that lay in a folder or glob, a note."""
    met = f"is no log that I know ({', '.join(titles)})"
    named = [(name, likeness(head)) for name, head in strangers if name in paths]
    problems = [
        Problem(name, f"{met}; it {like}", f"{like.advice}, or force a format with --format") for name, like in named
    ]
    beside = [(name, head) for name, head in strangers if name not in paths]
    if len(beside) > MANY:
        shown = ", ".join(name for name, _ in beside[:MANY])
        problems.append(Problem(f"{len(beside)} files", f"are no logs that I know: {shown}, ...", fatal=False))
    else:
        problems += [Problem(name, f"{met}; it {likeness(head)}", fatal=False) for name, head in beside]
    return problems


def sniffed(
    parsers: Mapping[str, Parser], source: Source, head: Block, problems: list[Problem]
) -> tuple[str, float, Block]:
    """The parser that is surest of a source, how sure (0 to 1), and the lines that it is sure of.

    These are its head, unless that tells nothing (hours of other programs' lines before the mail server's first): then
    a few places further on are looked at. What is wrong with a parser goes to `problems`.
    """
    name, confidence = surest(parsers, head, problems)
    if confidence >= SURE_ENOUGH:
        return name, confidence, head
    for chunk in _further(source, int(head.offsets[-1])):
        block = Block.of(chunk.data, chunk.offset, source.name, head.clock)
        likely, confidence_there = surest(parsers, block, problems)
        if confidence_there >= SURE_ENOUGH:
            return likely, confidence_there, block
    return name, confidence, head


def _further(source: Source, after: int) -> Iterator[Chunk]:
    """Lines of other places of a source: all over a plain file, some more after the head of a compressed one."""
    try:
        if source.splittable:
            for place in range(1, PLACES + 1):
                start = max(after + 1, (source.size - HEAD) * place // PLACES)
                if after < start < source.size:
                    yield from (c for c in chunks(source, HEAD, start, start + HEAD) if not c.overlong)
                    after = start
        elif source.pipe is None:
            yield from (c for c in islice(chunks(source, HEAD), PLACES_PACKED) if c.offset > after and not c.overlong)
    except SourceError:
        return  # whoever reads it will say so


def beside(parsers: Mapping[str, Parser], name: str) -> tuple[str, ...]:
    """The parsers whose lines may stand among those of the one named."""
    return tuple(other for other in parsers if parsers[other].syslog and other != name) if parsers[name].syslog else ()


def surest(parsers: Mapping[str, Parser], block: Block, problems: list[Problem] | None = None) -> tuple[str, float]:
    """The name of the parser that is surest of the first lines of a source, and how sure (0 to 1).

    One whose `sniff` fails is told of in `problems`, and left out; without these, its error is raised.
    """
    found = {}
    for name, parser in parsers.items():
        try:
            found[name] = sure(parser, block)
        except (Exception, SystemExit) as error:
            if problems is None:
                raise
            package = plugins.packages(plugins.PARSERS).get(name, name)
            met = f"cannot tell whether a log is its own: {plugins.said(error)}"
            problems.append(plugins.broken(plugins.PARSERS, name, package, met))
    name = max(found, key=lambda name: (found[name], name), default="")
    return name, found.get(name, 0.0)


def _first_moment(block: Block) -> int:
    heads = syslog.read(block).parts
    return min((int(head.time[0]) for head in heads if len(head.rows)), default=0)


def clock_of(source: Source, head: bytes, zone: tzinfo | None, year: int | None) -> Clock:
    """The clock of a source that starts with the lines `head`; zone and year are of stamps that state none."""
    walls, offsets, moments = _years_missing(_samples(source, head))
    latest = min([latest_moment(source.name, source.modified), *moments])
    if not walls:
        return Clock(zone, latest=latest)  # lines without a year may still stand between those sampled
    return Clock(zone, *anchor(walls, offsets, latest, zone, year))


def _samples(source: Source, head: bytes) -> Iterator[tuple[int, bytes]]:
    """Offsets of lines all over a plain file, and the lines; of other sources, all lines of the head."""
    step = _step(source.size)
    if source.path is None or not source.splittable or source.size <= len(head):
        at = 0
        for line in head.split(b"\n"):
            yield at, line
            at += len(line) + 1
        return
    yield 0, head
    with source.path.open("rb", buffering=0) as file:
        last = -1
        for place in [*range(step, source.size, step), max(0, source.size - SAMPLE_READ)]:
            file.seek(place)
            data = file.read(SAMPLE_READ)
            lines = data.split(b"\n")
            # The first piece is the end of a line; of the last stretch all lines count, as the newest is among them.
            at = place + len(lines[0]) + 1
            for line in lines[1:-1] if place + SAMPLE_READ >= source.size else lines[1:2]:
                if at > last:
                    yield at, line
                    last = at
                at += len(line) + 1


def _step(size: int) -> int:
    """How far apart the samples of so many bytes are: fine enough that a year of a quiet server has many."""
    return min(SAMPLE_STEP, max(512, size // SAMPLES))


def _years_missing(samples: Iterable[tuple[int, bytes]]) -> tuple[list[int], list[int], list[int]]:
    """Of lines that start with a stamp without year: stamps and offsets. Of other lines after them: the moments."""
    lines = sorted((at, line.partition(b"\n")[0][:256]) for at, line in samples)
    spans, _ = Spans.lines(b"".join(line + b"\n" for _, line in lines))
    times, kind, _ = syslog.stamps(spans)
    offsets = np.array([at for at, _ in lines], np.int64)
    yearless = np.flatnonzero(kind == syslog.NO_YEAR)
    after = np.arange(len(lines)) > yearless.max(initial=-1)
    moments = times[after & (kind == syslog.UTC_TIME)]
    return times[yearless].tolist(), offsets[yearless].tolist(), moments.tolist()


def winding(planned: Planned, pieces: Iterator[Chunk]) -> Iterator[tuple[Chunk, Clock]]:
    """Chunks of a source that cannot be sampled before, each with a clock that knows the years up to its end."""
    clock = planned.clock
    walls: list[int] = []
    offsets: list[int] = []
    # Where the head has no stamp without year, the first that comes is of the source's last year.
    year = None if clock.unwound else clock.year
    latest = latest_moment(planned.source.name, planned.source.modified)
    wanted = 0
    for chunk in pieces:
        samples = []
        while wanted < chunk.offset + len(chunk.data):
            inside = max(0, wanted - chunk.offset)
            start = chunk.data.rfind(b"\n", 0, inside) + 1 if inside else 0
            end = chunk.data.find(b"\n", start) + 1 or len(chunk.data)
            samples.append((chunk.offset + start, chunk.data[start:end]))
            # Of the head each line, as the plan saw it.
            wanted = max(chunk.offset + end, wanted + _step(wanted) * (wanted > HEAD))
        more, places, _ = _years_missing(samples)
        walls += more
        offsets += places
        if walls:
            clock = Clock(clock.zone, *anchor(walls, offsets, latest, clock.zone, year))
            year = clock.year
        yield chunk, clock


def too_young(planned: Planned, newest: int) -> Problem | None:
    """The problem of a source whose newest line is younger than the source itself: its first year was guessed wrong."""
    source = planned.source
    if source.splittable or not len(planned.clock.offsets) or source.path is None:
        return None
    if newest <= latest_moment(source.name, source.modified) + SLACK + int(time.daylight) * 3600 * SECOND:
        return None
    return Problem(
        source.name,
        "its stamps have no year and span more than one, so the years are a guess",
        "say the year of its first line with --year",
        fatal=False,
    )
