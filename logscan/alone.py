"""Some lines parsed by one parser in this process, without the pipeline: for single lines, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pyarrow as pa

from logscan import correlate
from logscan.columns import concat, put, word
from logscan.parser import Block, Parsed, Parser, Tally


def parse_alone(
    parser: Parser, blocks: Iterable[Block], check: Callable[[Parsed, Block], None] | None = None
) -> tuple[pa.Table, Tally]:
    """The events of the blocks of one source, as the parser gives them but with all facts; and the tally.

    check: called with each answer and its block. Raises what it and the parser raise.

    >>> from logscan.parser import Tally
    >>> nothing = lambda block: Parsed(pa.table({}), pa.table({}), Tally(known=len(block)))
    >>> events, tally = parse_alone(Parser("acme", "Acme", lambda block: 1.0, nothing), [Block.of(b"one\\n")])
    >>> len(events), tally.known
    (0, 1)
    """
    answers = []
    preamble: bytes | None = None
    source = ""
    for block in blocks:
        parsed = parser.parse(block if preamble is None else replace(block, preamble=preamble))
        if check:
            check(parsed, block)
        preamble = preamble if parsed.preamble is None else parsed.preamble
        source = block.source
        answers.append(parsed)
    parts = [parsed.parts for parsed in answers if len(parsed.parts)]
    if parts and parser.settle:
        waiting = correlate.ranked(put(concat(parts), "source", word(source, sum(map(len, parts)))), 0)
        for _, rows in correlate.by_first_source(waiting):
            settled = parser.settle(rows)
            events, messages = (
                table.drop_columns([n for n in ("source", "source_rank") if n in table.column_names])
                for table in (settled.events, settled.messages)
            )
            answers.append(replace(settled, events=events, messages=messages))
    events, messages = (
        concat(tables) if (tables := [table for table in made if len(table)]) else pa.table({})
        for made in ([parsed.events for parsed in answers], [parsed.messages for parsed in answers])
    )
    tally = sum((parsed.tally for parsed in answers), Tally())
    return (correlate.settle_alone(events, messages) if len(events) else events), tally
