"""Keeps a parser's mistakes to the lines that they are about: a run never ends because of one line of one plugin.

A parser that raises, or gives what its contract does not allow, is given the block again in halves, until the lines
that it cannot read are found. These are unread, with samples, and the plugin is named with its package. A check costs
some hundred microseconds for a block, whatever its size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from logscan import plugins
from logscan.columns import concat
from logscan.copies import HAPPENING
from logscan.parser import MAX_SAMPLES, SAMPLE_LENGTH, Block, Parsed, Parser, Tally
from logscan.run import Problem
from logscan.schema import EVENTS, FACTS, WORD

# How often a parser may fail in a block: what is wrong throughout is not worth a search. The search goes to the first
# bad line first, so a block that is all bad costs as much as four.
FAILURES_IN_A_BLOCK = 64
SURE_ENOUGH = 0.3
"""How sure a parser must be of a source to read it, unless its format is given."""

_NEEDED = {"events": ("time", "host", "offset"), "messages": ("time", "host", "queue_id", "offset", "mark")}
_OF_MESSAGES = (*_NEEDED["messages"], *FACTS, "source_rank")
_TYPES = {field.name: field.type for field in EVENTS} | {
    "mark": pa.int8(),
    HAPPENING: pa.int64(),
    "source_rank": pa.int64(),
}


class ContractError(ValueError):
    """A parser gave what its contract (parser.py) does not allow."""


@dataclass
class Guard:
    """A parser that cannot end a run; one for each stretch of a source, so that the outcome does not depend on workers.

    >>> from logscan.parser import Parsed
    >>> def parse(block):
    ...     if "c" in block.lines.to_pylist():
    ...         raise KeyError("c")
    ...     return Parsed(pa.table({}), pa.table({}), Tally(known=len(block)))
    >>> guard = Guard(Parser("acme", "Acme", lambda block: 1.0, parse))
    >>> guard.parse(Block.of(b"a\\nb\\nc\\nd\\n", source="mail.log")).tally
    Tally(understood=0, known=3, other=0, unread=1, samples=((4, 'c'),))
    >>> [(problem.met, problem.offset) for problem in guard.problems]
    [('the parser acme (unregistered) failed on some of its lines, from here on', 4)]
    """

    parser: Parser
    problems: list[Problem] = field(default_factory=list)
    failures: int = 0

    def parse(self, block: Block) -> Parsed:
        """What the parser makes of a block, checked; lines that it fails on are unread."""
        return self._parse(block, self.failures + FAILURES_IN_A_BLOCK)

    def _parse(self, block: Block, until: int) -> Parsed:
        try:
            parsed = self.parser.parse(block)
            check(parsed, block)
            return replace(parsed, messages=_uniform(parsed.messages))
        except (Exception, SystemExit) as error:
            if os.environ.get("LOGSCAN_DEBUG"):
                raise
            self.failures += 1
            if len(block) == 1 or self.failures >= until:
                self._tell(block, error)
                return _unread(block)
            middle = len(block) // 2
            halves = [np.arange(middle), np.arange(middle, len(block))]
            return _together([self._parse(block.take(rows), until) for rows in halves if len(rows)], middle)

    def settle(self, parts: pa.Table, problems: list[Problem]) -> Parsed:
        """What the parser makes of parts of lines (`Parsed.parts`); what is wrong with it goes to `problems`."""
        try:
            if self.parser.settle is None:
                raise ContractError("it gives parts, and cannot settle them")
            parsed = self.parser.settle(parts)
            for what, table in (("events", parsed.events), ("messages", parsed.messages)):
                _check_columns(what, table, ("source_rank", "source") if what == "events" else ("source_rank",))
            return replace(parsed, messages=_uniform(parsed.messages))
        except (Exception, SystemExit) as error:
            if os.environ.get("LOGSCAN_DEBUG"):
                raise
            problems.append(self._problem(parts["source"][0].as_py(), parts["offset"][0].as_py(), error))
            return Parsed(pa.table({}), pa.table({}), Tally(unread=len(parts)))

    def _tell(self, block: Block, error: BaseException) -> None:
        if not self.problems:
            self.problems.append(self._problem(block.source, int(block.offsets[0]), error))

    def _problem(self, source: str, offset: int, error: BaseException) -> Problem:
        name = self.parser.name
        package = plugins.packages(plugins.PARSERS).get(name, "unregistered")
        met = f"the parser {name} ({package}) failed on some of its lines, from here on"
        advice = f"they are counted as unread; report it to its author: {plugins.said(error)}"
        return Problem(source, met, advice, offset)


def sure(parser: Parser, block: Block) -> float:
    """How sure a parser is of some lines, 0 to 1. Raises what its `sniff` raises, and ContractError for another answer.

    >>> sure(Parser("acme", "Acme", lambda block: "yes", None), Block.of(b"one\\n"))
    Traceback (most recent call last):
    logscan.guard.ContractError: sniff gave 'yes', not a number from 0 to 1
    """
    found = parser.sniff(block)
    if not isinstance(found, (int, float, np.number)) or not 0 <= found <= 1:
        raise ContractError(f"sniff gave {found!r}, not a number from 0 to 1")
    return float(found)


def check(parsed: Any, block: Block) -> None:
    """Raise `ContractError` unless a parser's answer is one to this block.

    >>> check(Parsed(pa.table({}), pa.table({}), Tally(known=1)), Block.of(b"one\\ntwo\\n"))
    Traceback (most recent call last):
    logscan.guard.ContractError: its tally is of 1 lines, not of 2
    """
    if not isinstance(parsed, Parsed):
        raise ContractError(f"parse gave {type(parsed).__name__}, not Parsed")
    _check_table("events", parsed.events, block)
    _check_table("messages", parsed.messages, block)
    tally = parsed.tally
    if not isinstance(tally, Tally):
        raise ContractError(f"its tally is {type(tally).__name__}, not Tally")
    if min(tally.understood, tally.known, tally.other, tally.unread) < 0:
        raise ContractError(f"its tally has a count below zero: {tally}")
    if not isinstance(parsed.parts, pa.Table):
        raise ContractError(f"its parts are {type(parsed.parts).__name__}, not a pyarrow.Table")
    if tally.lines != len(block) and not (len(parsed.parts) and tally.lines < len(block)):
        raise ContractError(f"its tally is of {tally.lines} lines, not of {len(block)}")
    others = np.asarray(parsed.others)
    if len(others) and (others.min() < 0 or others.max() >= len(block) or (np.diff(others) <= 0).any()):
        raise ContractError("its others are no rows of the block in ascending order")
    if len(others) not in (0, tally.other):
        raise ContractError(f"it names {len(others)} lines of others, and counts {tally.other}")


def _check_table(what: str, table: Any, block: Block) -> None:
    _check_columns(what, table)
    if len(table):
        offsets = table["offset"].to_numpy()
        place = np.minimum(np.searchsorted(block.offsets, offsets), len(block) - 1)
        if (block.offsets[place] != offsets).any():
            raise ContractError(f"offset of its {what} is of no line of the block")


def _check_columns(what: str, table: Any, more: tuple[str, ...] = ()) -> None:
    if not isinstance(table, pa.Table):
        raise ContractError(f"its {what} are {type(table).__name__}, not a pyarrow.Table")
    if not len(table):
        return
    if len(set(table.column_names)) < table.num_columns:
        raise ContractError(f"its {what} have two columns of one name")
    for name in (*_NEEDED[what], *more):
        if name not in table.column_names:
            raise ContractError(f"its {what} have no column {name}")
    for name in table.column_names:
        wanted, found = _TYPES.get(name), table.schema.field(name).type
        if wanted is not None and not _fits(found, wanted):
            raise ContractError(f"{name} of its {what} is {found}, not {_plain(wanted)}")
    for name in ("time", "offset", "mark"):
        if name in table.column_names and table[name].null_count:
            raise ContractError(f"{name} of its {what} is null in {table[name].null_count} rows")


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column's type is the schema's, words as a dictionary or plain, or that of a column of nulls."""
    return bool(pa.types.is_null(found) or _plain(found) == _plain(wanted))


def _uniform(messages: pa.Table) -> pa.Table:
    """Messages with one type for each column, whatever the parser chose: those of many blocks are put together."""
    columns = {}
    for name in messages.column_names:
        if name not in _OF_MESSAGES:
            continue
        column, wanted = messages[name], WORD if name == "host" else _plain(_TYPES[name])
        if column.type != wanted:
            text = pa.types.is_dictionary(wanted)
            column = column.cast(_plain(wanted)).dictionary_encode() if text else column.cast(wanted)
        columns[name] = column
    return pa.table(columns)


def _unread(block: Block) -> Parsed:
    samples = zip(block.offsets[:MAX_SAMPLES].tolist(), block.lines[:MAX_SAMPLES].to_pylist(), strict=True)
    shown = tuple((offset, line[:SAMPLE_LENGTH]) for offset, line in samples)
    return Parsed(pa.table({}), pa.table({}), Tally(unread=len(block), samples=shown))


def _together(halves: list[Parsed], middle: int) -> Parsed:
    """The answers to two halves of a block, the second of which begins at row `middle`, as one."""
    events = [half.events for half in halves if len(half.events)]
    messages = [half.messages for half in halves if len(half.messages)]
    return Parsed(
        concat(events) if events else pa.table({}),
        concat(messages) if messages else pa.table({}),
        sum((half.tally for half in halves), Tally()),
        np.concatenate([np.asarray(half.others) + middle * number for number, half in enumerate(halves)]),
        concat(parts) if (parts := [half.parts for half in halves if len(half.parts)]) else pa.table({}),
        next((half.preamble for half in reversed(halves) if half.preamble is not None), None),
    )
