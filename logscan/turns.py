"""One file, several programs: the lines that a parser leaves as another program's are the next one's turn.

A syslog file may hold Postfix and Exim, and OpenSMTPD beside them. The parser that is surest of the file goes first;
what is left after the last one is counted as a known neighbour's or as some other program's (neighbours.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from logscan import neighbours
from logscan.guard import Guard
from logscan.parser import Block, Parsed, Parser, Tally


def turns(guards: Sequence[Guard], block: Block) -> tuple[list[tuple[Parser, Parsed]], Tally, Block]:
    """What each parser makes of its lines of a block, the tally of them all, and the lines that are nobody's."""
    answers = []
    tally = Tally()
    left = block
    for guard in guards:
        parsed = guard.parse(left)
        answers.append((guard.parser, parsed))
        tally += replace(parsed.tally, other=parsed.tally.other - len(parsed.others))
        left = left.take(np.asarray(parsed.others))
        if not len(left):
            return answers, tally, left
    mail = int(neighbours.known(left).sum())
    return answers, tally + Tally(known=mail, other=len(left) - mail), left
