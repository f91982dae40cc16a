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
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from logscan import buckets, correlate, merge, plugins, spool
from logscan.catalogue import NO_SITE, Site
from logscan.classifier import classify
from logscan.columns import concat, put, word
from logscan.correlate import by_first_source
from logscan.enrich import enrich, placed, with_domains
from logscan.guard import Guard
from logscan.lean import pandas_on_demand
from logscan.memory import die_with_parent, keep_freed_memory
from logscan.parser import PREAMBLE, Block, Parsed, Parser, Tally
from logscan.plan import Options, Planned, plan, too_young, winding
from logscan.run import Problem, Run, SourceRead
from logscan.sources import Source, SourceError, chunks, first_lines, split
from logscan.turns import turns

if TYPE_CHECKING:
    from logscan.gathered import Gathered
    from logscan.privacy import Privacy

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
    formats: set[str] = field(default_factory=set)
    """The parsers that had something to read."""
    problems: list[Problem] = field(default_factory=list)
    start: int = 0
    broken: bool = False
    """Whether something could not be read; it stands behind `end`."""
    content: Gathered | None = None


@dataclass(frozen=True)
class Resuming:
    """What a scan that goes on from earlier ones is told, and asks.

    start:     from which offset each source is to be read, None to leave it out. The unfinished last line of a plain
               file is left for the next time, and so is all from the first byte on that could not be read.
    unchanged: asked when all was read: whether a source, read up to an offset, is still what `start` saw. If not, what
               was read of it does not count.
    facts:     what is known of messages that were open when the last scan ended.
    """

    start: Callable[[list[Planned]], Mapping[int, int | None]]
    unchanged: Callable[[Planned, End], bool]
    facts: Callable[[], Iterable[pa.Table]]


@dataclass(frozen=True)
class End:
    """How far a source was read: the offset after its last line, and whether that is all of it.

    content: of a compressed source, what recognising it again needs of its bytes.
    """

    source: Source
    offset: int
    whole: bool
    content: Gathered | None = None


@dataclass(frozen=True)
class Scanned:
    """A finished scan: its account, and its events in order. It lives as long as the `scanning` that gave it."""

    run: Run
    runs: list[merge.SortedRun]
    pool: Pool
    folder: Path
    ends: dict[int, End]
    """How far each source was read, by rank."""
    facts: list[Path] = field(default_factory=list)
    """Files of what is known of messages still open, where that was asked for."""
    site: Site = NO_SITE
    """The rules that the events are judged by, before the catalogue's."""
    privacy: Privacy | None = None
    """How people are taken out of the events once they are judged."""

    def tables(self) -> Iterator[pa.Table]:
        """The events by time, source and offset, in tables of bounded size with the columns of `schema.EVENTS`."""
        work = partial(_merge, folder=self.folder, site=self.site, privacy=self.privacy)
        for path in self.pool.in_turn(work, enumerate(merge.windows(self.runs))):
            if path is not None:
                yield spool.read(path)
                path.unlink()

    def days(self) -> Iterator[tuple[date, Iterator[pa.Table]]]:
        """The same by UTC day; each day's tables are there until the next day is asked for."""
        parts = (part for table in self.tables() for part in merge.by_day(table))
        for day, group in groupby(parts, key=itemgetter(0)):
            yield date(1970, 1, 1) + timedelta(days=day), (table for _, table in group)

    def open_messages(self) -> Iterator[pa.Table]:
        """What is known of messages still open."""
        for path in self.facts:
            yield spool.read(path)


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
        """The work's answers in the order of the jobs, with few jobs on the way at a time: the pool's last work.

        The workers take some 30 ms to end; they do so while the last answer is made use of.
        """
        executor = self._executor
        if not executor:
            yield from map(work, jobs)
            return
        going: deque[Future[Any]] = deque()
        for job in jobs:
            going.append(executor.submit(work, job))
            if len(going) > self.workers:
                yield going.popleft().result()
        while going:
            answer = going.popleft().result()
            if not going:
                executor.shutdown(wait=False)
                self._executor = None
            yield answer


def _as_worker() -> None:
    # One core a worker; and Ctrl-C is the driver's to handle.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
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
    resume: Resuming | None = None,
) -> Iterator[Scanned]:
    """Scans log files; gives their events while the context lasts.

    folder: where what does not fit into memory lies meanwhile; the system's temporary folder by default.
    resume: how this scan goes on from earlier ones.
    Raises UsageError for options that cannot be, RulesError for rules that cannot. What is wrong with a file is a
    problem of the run, never an exception.
    """
    options = options or Options()
    site, privacy = options.site(), options.privacy()
    planned, problems = plan([os.fspath(path) for path in paths], options)
    starts = resume.start(planned) if resume else dict.fromkeys((p.rank for p in planned), 0)
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
            open_rows: list[buckets.Bucketed] = []
            if resume:
                spilled = _up_to_faults(spilled)
                ends, changed = _ends(planned, spilled), set()
                for p in planned:
                    if not resume.unchanged(p, ends[p.rank]):
                        problems.append(Problem(p.source.name, "changed while it was read", "scan again"))
                        spilled = [s for s in spilled if s.rank != p.rank]
                        changed.add(p.rank)
                planned = [p for p in planned if p.rank not in changed]
                if spilled:
                    open_rows = _spill_facts(resume.facts(), len(starts), spill)
            spilled += _settle_parts(pool, spilled, spill)
            # What is known of open messages is kept as it stands in the log: not where people are to be taken out.
            keep = resume is not None and privacy is None
            found, facts = _settle(pool, spilled, open_rows, spill, keep=keep)
            run = _account(planned, spilled, problems)
            run = privacy.withheld(run) if privacy else run
            yield Scanned(run, found, pool, spill, _ends(planned, spilled), facts, site, privacy)
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
    spilled = Spilled(planned.rank, size, stretch=stretch.number, start=stretch.start)
    if whole_lines and not source.splittable and not source.pipe:
        from logscan.gathered import Gathered

        spilled.content = Gathered()
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
            if spilled.content:
                spilled.content.add(chunk.offset, chunk.data if not chunk.overlong else b"")
            if chunk.overlong:
                sample = (chunk.offset, chunk.data.decode(errors="backslashreplace"))
                spilled.tally += Tally(unread=1, samples=(sample,))
                continue
            block = Block.of(chunk.data, chunk.offset, source.name, clock, preamble)
            answers, tally, _ = turns(guards, block)
            spilled.tally += tally
            for parser, parsed in answers:
                if parsed.tally.understood or len(parsed.parts):
                    spilled.formats.add(parser.name)
                if parsed.preamble is not None:
                    spilled.preamble = preamble = parsed.preamble
                _spill(parsed, parser, planned, stretch.folder / f"{name}-{parser.name}", spilled)
    except SourceError as error:
        spilled.problems.append(error.problem)
        spilled.broken = True
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
        events = placed(events, parser.name, planned.source.name, parser.logs)
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
                events = put(placed(events, parser.name, None, parser.logs), "source_rank", events["source_rank"])
            path = folder / f"parts-{number:06d}-{rank:06d}-{parser.name}"
            _keep_open({EVENTS_KIND: events, MESSAGES_KIND: parsed.messages}, path, spilled)
            answers.append(spilled)
    return answers


def _up_to_faults(spilled: list[Spilled]) -> list[Spilled]:
    """Of each source what lies before the first place that could not be read: the next scan goes on there."""
    faults: dict[int, int] = {}
    for answer in spilled:
        if answer.broken:
            faults[answer.rank] = min(faults.get(answer.rank, answer.start), answer.start)
    return [s for s in spilled if s.start <= faults.get(s.rank, s.start)]


def _spill_facts(facts: Iterable[pa.Table], rank: int, folder: Path) -> list[buckets.Bucketed]:
    """Facts of earlier scans as rows of a source of their own."""
    found = []
    for number, table in enumerate(facts):
        rows = correlate.ranked(table, rank)
        if file := buckets.write_bucketed(rows, folder / f"facts-{number:06d}.{MESSAGES_KIND}", MESSAGES_KIND):
            found.append(file)
    return found


def _settle(
    pool: Pool, spilled: list[Spilled], more: list[buckets.Bucketed], folder: Path, *, keep: bool
) -> tuple[list[merge.SortedRun], list[Path]]:
    """All runs, those of the open events among them once these are settled; and what is still open, if to `keep`."""
    found = [run for answer in spilled for run in answer.runs]
    kept = (file for answer in spilled for file in answer.open if not file.kind.startswith(PARTS_KIND))
    files = sorted(kept, key=lambda file: file.path) + more
    facts = []
    work = partial(_settle_group, folder=folder, keep=keep)
    for run, path in pool.each(work, enumerate(buckets.groups(files))):
        found += [run] if run else []
        facts += [path] if path else []
    return sorted(found, key=lambda run: run.path), sorted(facts)


def _settle_group(
    job: tuple[int, list[buckets.Slice]], folder: Path, *, keep: bool
) -> tuple[merge.SortedRun | None, Path | None]:
    number, slices = job
    events = buckets.load(slices, EVENTS_KIND)
    if not events and not keep:
        return None, None
    messages = buckets.load(slices, MESSAGES_KIND)
    settled = correlate.settle_rest(
        concat(events) if events else pa.table({}), concat(messages) if messages else pa.table({})
    )
    run = path = None
    if len(settled.events):
        events_path = folder / f"settled-{number:06d}.run"
        run = merge.write_run(with_domains(settled.events).drop_columns(["source_rank"]), events_path)
    if keep and len(settled.open_messages):
        path = folder / f"open-{number:06d}.arrow"
        spool.write(settled.open_messages, path)
    return run, path


def _merge(job: tuple[int, merge.Window], folder: Path, site: Site, privacy: Privacy | None) -> Path | None:
    """A window's events as a file, for the driver to map."""
    number, window = job
    table = _judged(window, site, privacy)
    if not len(table):
        return None
    path = folder / f"merged-{number:07d}.arrow"
    spool.write(table, path)
    return path


def _judged(window: merge.Window, site: Site, privacy: Privacy | None) -> pa.Table:
    """A window's events with their causes. A pass of the rules costs the same for few replies as for many: so here.

    The whole text is judged; people are taken out after it.
    """
    events = classify(merge.load(window), site)
    return privacy.events(events) if privacy and len(events) else events


def _ends(planned: list[Planned], spilled: list[Spilled]) -> dict[int, End]:
    found = {}
    for p in planned:
        mine = [s for s in spilled if s.rank == p.rank]
        content = next((s.content for s in mine), None)
        end = max((s.end for s in mine), default=0)
        found[p.rank] = End(p.source, end, not any(s.broken for s in mine), content)
    return found


def _account(planned: list[Planned], spilled: list[Spilled], problems: list[Problem]) -> Run:
    sources = []
    for p in planned:
        mine = [s for s in spilled if s.rank == p.rank]
        tally = sum((s.tally for s in mine), Tally())
        size = sum(s.size for s in mine)
        formats = {name for s in mine for name in s.formats}
        names = [p.parser, *(name for name in p.beside if name in formats)]
        events = sum(s.events for s in mine)
        sources.append(SourceRead(p.source.name, " + ".join(names), p.confidence, size, tally, events))
    for answer in sorted(spilled, key=lambda s: s.rank):
        problems.extend(answer.problems)
    # Each stretch tells of itself: of the same said of one source in many places, the first place is enough.
    first: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.source, problem.met), problem)
    return Run(tuple(sources), tuple(first.values()))
