"""The whole line: files to blocks, blocks to events on all cores, messages joined, everything in order.

The result does not depend on the number of workers, on the block size or on the order of the files: each stretch of a
source is parsed by itself, and what reaches across stretches is settled at the end. Memory is bounded by block size:
what is parsed lies on disk, in sorted runs and in buckets of open messages, until it is merged.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from logscan import buckets, correlate, merge, plugins
from logscan.catalogue import NO_SITE, Site
from logscan.classifier import classify
from logscan.columns import concat, put, word
from logscan.correlate import by_first_source
from logscan.enrich import enrich, with_domains
from logscan.guard import Guard
from logscan.lean import pandas_on_demand
from logscan.memory import keep_freed_memory
from logscan.parquet import write_events
from logscan.parser import PREAMBLE, Block, Parsed, Parser, Tally
from logscan.plan import Options, Planned, plan, too_young, winding
from logscan.privacy import Privacy
from logscan.run import Problem, Run, SourceRead
from logscan.sources import Source, SourceError, chunks, first_lines, split
from logscan.turns import turns

EVENTS_KIND, MESSAGES_KIND, PARTS_KIND = "events", "messages", "parts:"

Progress = Callable[[int, int, int], None]
"""Told of each stretch read: its bytes on disk, its lines, and all bytes there are."""


@dataclass(frozen=True)
class Stretch:
    """A part of a source that one worker reads: the lines that begin in bytes `start` to `end`.

    preamble: what the part before it put in the place of the source's head, if anything.
    """

    planned: Planned
    start: int
    end: int
    folder: Path
    number: int
    preamble: bytes | None = None


@dataclass
class Spilled:
    """What came of a stretch: its runs on disk, the open rows on disk by bucket, and what it tells of itself.

    preamble: what the next stretch of the source is to get as its preamble, if a line of this one changed it.
    """

    rank: int
    size: int
    end: int = 0
    """The offset after the last line read."""
    tally: Tally = field(default_factory=Tally)
    events: int = 0
    runs: list[merge.SortedRun] = field(default_factory=list)
    open: list[buckets.Bucketed] = field(default_factory=list)
    newest: int = 0
    preamble: bytes | None = None
    stretch: int = -1
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Scanned:
    """A finished scan: its account, and its events in order. It lives as long as the `scanning` that gave it."""

    run: Run
    runs: list[merge.SortedRun]
    pool: Pool
    folder: Path
    ends: dict[Source, int]
    """The offset after the last line read of each source."""
    site: Site = NO_SITE
    """The rules that the events are judged by, before the catalogue's."""
    privacy: Privacy | None = None
    """How people are taken out of the events once they are judged."""

    def tables(self) -> Iterator[pa.Table]:
        """The events by time, source and offset, in tables of bounded size with the columns of `schema.EVENTS`."""
        for path in self.pool.in_turn(
            partial(_merge, folder=self.folder, site=self.site, privacy=self.privacy),
            enumerate(merge.windows(self.runs)),
        ):
            if path is not None:
                with pa.memory_map(str(path)) as file:
                    yield pa.ipc.open_file(file).read_all()
                path.unlink()

    def days(self, folder: Path) -> Iterator[tuple[date, Path, int]]:
        """Writes the events of each UTC day to a Parquet file in `folder`; gives day, file and its rows."""
        for day, rows in self.pool.in_turn(
            partial(_write_day, folder=folder, site=self.site, privacy=self.privacy),
            sorted(merge.days(self.runs).items()),
        ):
            if rows:
                yield date(1970, 1, 1) + timedelta(days=day), folder / f"{day}.parquet", rows


class Pool:
    """Worker processes; or none, where there is too little to do for them."""

    def __init__(self, workers: int):
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        if self.workers > 1:
            # Forking is quick and safe while no thread runs; elsewhere a worker starts afresh.
            method = "fork" if sys.platform == "linux" else "spawn"
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=multiprocessing.get_context(method), initializer=_as_worker
            )
        return self

    def __exit__(self, *exc: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)

    def each(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """The work's answers in no certain order, with few jobs on the way at a time."""
        if not self._executor:
            yield from map(work, jobs)
            return
        going: set[Future[Any]] = set()
        for job in jobs:
            going.add(self._executor.submit(work, job))
            if len(going) >= self.workers * 2:
                done, going = wait(going, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        while going:
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def in_turn(self, work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """The work's answers in the order of the jobs, with few jobs on the way at a time."""
        if not self._executor:
            yield from map(work, jobs)
            return
        going: deque[Future[Any]] = deque()
        for job in jobs:
            going.append(self._executor.submit(work, job))
            if len(going) > self.workers:
                yield going.popleft().result()
        while going:
            yield going.popleft().result()


def _as_worker() -> None:
    # One core a worker; and Ctrl-C is the driver's to handle.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pa.set_cpu_count(1)
    keep_freed_memory()
    pandas_on_demand()


@contextmanager
def scanning(
    paths: Iterable[str | os.PathLike[str]],
    options: Options | None = None,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    resume: Callable[[Planned], int | None] | None = None,
) -> Iterator[Scanned]:
    """Scans log files; gives their events while the context lasts.

    folder: where what does not fit into memory lies meanwhile; the system's temporary folder by default.
    resume: says from which offset each source is to be read, None to leave it out; then the unfinished last line of a
            plain file is left for the next time.
    Raises UsageError for options that cannot be, RulesError for rules that cannot. What is wrong with a file is a
    problem of the run, never an exception.
    """
    options = options or Options()
    site, privacy = options.site(), options.privacy()
    planned, problems = plan([os.fspath(path) for path in paths], options)
    starts = {p.rank: resume(p) if resume else 0 for p in planned}
    planned = [p for p in planned if starts[p.rank] is not None]
    total = sum(max(0, p.source.size - (starts[p.rank] or 0)) for p in planned)
    workers = options.workers or min(os.cpu_count() or 1, 64)
    if options.workers is None and total < 4 * options.block_size:
        workers = 1
    spill = Path(tempfile.mkdtemp(prefix="logscan-", dir=folder))
    try:
        with Pool(workers) as pool:
            spilled = []
            jobs = list(_stretches(planned, starts, options, spill))
            work = partial(_read, block_size=options.block_size, whole_lines=resume is not None)
            # A pipe is this process's own; everything else any worker can open.
            piped = map(work, (job for job in jobs if job.planned.source.pipe))
            for answer in chain(pool.each(work, [job for job in jobs if not job.planned.source.pipe]), piped):
                spilled.append(answer)
                if progress:
                    progress(answer.size, answer.tally.lines, total)
            spilled = _headed(work, jobs, spilled)
            spilled += _settle_parts(pool, spilled, spill)
            found = _settle(pool, spilled, spill)
            run = _account(planned, spilled, problems)
            run = privacy.withheld(run) if privacy else run
            yield Scanned(run, found, pool, spill, _ends(planned, spilled), site, privacy)
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _stretches(
    planned: list[Planned], starts: Mapping[int, int | None], options: Options, folder: Path
) -> Iterator[Stretch]:
    number = 0
    for p in planned:
        first = starts[p.rank] or 0
        for start, end in split(p.source, options.block_size):
            if first < end:
                yield Stretch(p, max(start, first), end, folder, number)
                number += 1


def _read(stretch: Stretch, block_size: int, *, whole_lines: bool) -> Spilled:
    planned = stretch.planned
    source = planned.source
    size = stretch.end - stretch.start if source.splittable else source.size
    spilled = Spilled(planned.rank, size, stretch=stretch.number)
    guards = [Guard(_parser(name)) for name in (planned.parser, *planned.beside)]
    # Only a plain file can go on where it ends now; what a pipe or a compressed file ends with comes now or never.
    growing = whole_lines and source.splittable
    pieces = chunks(source, block_size, stretch.start, stretch.end, whole_lines=growing)
    clocked = ((chunk, planned.clock) for chunk in pieces) if source.splittable else winding(planned, pieces)
    try:
        preamble = stretch.preamble if stretch.preamble is not None else first_lines(source, PREAMBLE)
        for count, (chunk, clock) in enumerate(clocked):
            name = f"{stretch.number:07d}-{count:05d}"
            spilled.end = chunk.offset + (chunk.overlong or len(chunk.data))
            if chunk.overlong:
                sample = (chunk.offset, chunk.data.decode(errors="backslashreplace"))
                spilled.tally += Tally(unread=1, samples=(sample,))
                continue
            block = Block.of(chunk.data, chunk.offset, source.name, clock, preamble)
            answers, tally, _ = turns(guards, block)
            spilled.tally += tally
            for parser, parsed in answers:
                if parsed.preamble is not None:
                    spilled.preamble = preamble = parsed.preamble
                _spill(parsed, parser, planned, stretch.folder / f"{name}-{parser.name}", spilled)
    except SourceError as error:
        spilled.problems.append(error.problem)
    for guard in guards:
        spilled.problems += guard.problems
    if problem := too_young(planned, spilled.newest):
        spilled.problems.append(problem)
    return spilled


_loaded: dict[str, Parser] = {}


def _parser(name: str) -> Parser:
    if name not in _loaded:
        _loaded.update(plugins.load(plugins.PARSERS, Parser, name)[0])
    return _loaded[name]


def _spill(parsed: Parsed, parser: Parser, planned: Planned, path: Path, spilled: Spilled) -> None:
    if len(parsed.events):
        spilled.newest = max(spilled.newest, int(merge.micros(parsed.events).max()))
    spilled.events += len(parsed.events)
    if parser.facts:
        settled = correlate.settle(parsed.events, parsed.messages)
    else:
        settled = correlate.Settled(parsed.events, parsed.events.slice(0, 0), parsed.messages)
    if len(settled.events):
        events = enrich(settled.events, parser.name, planned.source.name, parser.logs)
        run = merge.write_run(events, path.with_suffix(".run"))
        if run:
            spilled.runs.append(run)
    events = settled.open_events
    if len(events):
        events = enrich(events, parser.name, planned.source.name, parser.logs)
    parts = parsed.parts
    if len(parts):
        parts = put(parts, "source", word(planned.source.name, len(parts)))
    tables = {EVENTS_KIND: events, MESSAGES_KIND: settled.open_messages, PARTS_KIND + parser.name: parts}
    _keep_open({kind: correlate.ranked(table, planned.rank) for kind, table in tables.items()}, path, spilled)


def _keep_open(tables: Mapping[str, pa.Table], path: Path, spilled: Spilled) -> None:
    for kind, table in tables.items():
        if file := buckets.write_bucketed(table, path.with_suffix("." + kind.replace(":", "-")), kind):
            spilled.open.append(file)


def _headed(work: Callable[[Stretch], Spilled], jobs: list[Stretch], spilled: list[Spilled]) -> list[Spilled]:
    """What was spilled, with those stretches read again that began under another preamble than the source's head.

    That a log changes its columns half-way is so rare that no stretch waits for the one before it.
    """
    answers = {answer.stretch: answer for answer in spilled}
    at, preamble = -1, None
    for job in jobs:
        if job.planned.rank != at:
            at, preamble = job.planned.rank, None
        if preamble is not None:
            answers[job.number] = work(replace(job, preamble=preamble))
        preamble = preamble if answers[job.number].preamble is None else answers[job.number].preamble
    return [answers[job.number] for job in jobs]


def _settle_parts(pool: Pool, spilled: list[Spilled], folder: Path) -> list[Spilled]:
    """What the lines come to that were kept because they need lines elsewhere."""
    files = sorted(
        (f for answer in spilled for f in answer.open if f.kind.startswith(PARTS_KIND)), key=lambda f: f.path
    )
    answers = pool.each(partial(_settle_part, folder=folder), enumerate(buckets.groups(files)))
    return [answer for several in answers for answer in several]


def _settle_part(job: tuple[int, list[buckets.Slice]], folder: Path) -> list[Spilled]:
    number, slices = job
    answers = []
    for kind in sorted({part.kind for part in slices}):
        parser = _parser(kind.removeprefix(PARTS_KIND))
        for rank, parts in by_first_source(concat(buckets.load(slices, kind))):
            spilled = Spilled(rank, 0)
            parsed = Guard(parser).settle(parts, spilled.problems)
            spilled.tally, spilled.events = parsed.tally, len(parsed.events)
            events = parsed.events
            if len(events):
                events = put(enrich(events, parser.name, None, parser.logs), "source_rank", events["source_rank"])
            path = folder / f"parts-{number:06d}-{rank:06d}-{parser.name}"
            _keep_open({EVENTS_KIND: events, MESSAGES_KIND: parsed.messages}, path, spilled)
            answers.append(spilled)
    return answers


def _settle(pool: Pool, spilled: list[Spilled], folder: Path) -> list[merge.SortedRun]:
    """All runs, those of the open events among them once these are settled."""
    found = [run for answer in spilled for run in answer.runs]
    kept = (file for answer in spilled for file in answer.open if not file.kind.startswith(PARTS_KIND))
    files = sorted(kept, key=lambda file: file.path)
    found += filter(None, pool.each(partial(_settle_group, folder=folder), enumerate(buckets.groups(files))))
    return sorted(found, key=lambda run: run.path)


def _settle_group(job: tuple[int, list[buckets.Slice]], folder: Path) -> merge.SortedRun | None:
    number, slices = job
    events = buckets.load(slices, EVENTS_KIND)
    if not events:
        return None
    messages = buckets.load(slices, MESSAGES_KIND)
    settled = correlate.settle_rest(concat(events), concat(messages) if messages else pa.table({}))
    return merge.write_run(with_domains(settled).drop_columns(["source_rank"]), folder / f"settled-{number:06d}.run")


def _merge(job: tuple[int, merge.Window], folder: Path, site: Site, privacy: Privacy | None) -> Path | None:
    """A window's events as a file, for the driver to map."""
    number, window = job
    table = _judged(window, site, privacy)
    if not len(table):
        return None
    path = folder / f"merged-{number:07d}.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def _write_day(
    job: tuple[int, list[merge.Window]], folder: Path, site: Site, privacy: Privacy | None
) -> tuple[int, int]:
    day, windows = job
    tables = (_judged(window, site, privacy) for window in windows)
    return day, write_events(folder / f"{day}.parquet", (table for table in tables if len(table)))


def _judged(window: merge.Window, site: Site, privacy: Privacy | None) -> pa.Table:
    """A window's events with their causes. A pass of the rules costs the same for few replies as for many: so here.

    The whole text is judged; people are taken out after it.
    """
    events = classify(merge.load(window), site)
    return privacy.events(events) if privacy and len(events) else events


def _ends(planned: list[Planned], spilled: list[Spilled]) -> dict[Source, int]:
    return {p.source: max((s.end for s in spilled if s.rank == p.rank), default=0) for p in planned}


def _account(planned: list[Planned], spilled: list[Spilled], problems: list[Problem]) -> Run:
    sources = []
    for p in planned:
        mine = [s for s in spilled if s.rank == p.rank]
        tally = sum((s.tally for s in mine), Tally())
        size = sum(s.size for s in mine)
        sources.append(SourceRead(p.source.name, p.parser, p.confidence, size, tally, sum(s.events for s in mine)))
    for answer in sorted(spilled, key=lambda s: s.rank):
        problems.extend(answer.problems)
    # Each stretch tells of itself: of the same said of one source in many places, the first place is enough.
    first: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.source, problem.met), problem)
    return Run(tuple(sources), tuple(first.values()))
