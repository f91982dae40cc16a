"""A plugin's mistakes cost the lines that they are about: each is named with its package, and the run goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logscan
from logscan.guard import FAILURES_IN_A_BLOCK, ContractError, Guard, check
from logscan.parser import Block, Parsed, Parser, Tally
from logscan.pipeline import scanning
from logscan.plan import Options
from logscan.schema import EVENTS

STAMP = "2026-11-23T08:00:00+00:00 mx "
POSTFIX = STAMP + "postfix/smtp[1]: AB12CD34: to=<a@b.example>, relay=none, delay=1, dsn=4.4.1, status=deferred (no)\n"

GOOD = """
import numpy as np
import pyarrow as pa
from logscan.parser import Block, Parsed, Parser, Tally
TIME = pa.timestamp("us", "UTC")
def sniff(block): return 0.9 if block.lines[0].as_py().startswith("acme") else 0.0
def columns(block):
    n = len(block)
    return {"time": pa.array([0] * n, TIME), "host": pa.array(["mx"] * n), "offset": pa.array(block.offsets),
            "action": pa.array(["bounced"] * n), "code": pa.array([550] * n, pa.int16())}
def answer(block, events, **more): return Parsed(events, pa.table({}), Tally(understood=len(block)), **more)
def parse(block): return answer(block, pa.table(columns(block)))
parser = Parser("acme", "Acme", sniff, parse)
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a package that offers a parser made from some source text."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def install(source: str, name: str = "acme") -> None:
        info = tmp_path / "site" / "acme_logscan-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-logscan\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[logscan.parsers]\n{name} = offered_parser:parser\n", encoding="utf-8")
        (tmp_path / "site" / "offered_parser.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, "offered_parser", raising=False)
        monkeypatch.setattr("logscan.pipeline._loaded", {})

    return install


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    """A log of the plugin's, with one line of which it may fail, and one of Postfix."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "acme.log").write_text("acme 1\nacme 2\nacme bad\nacme 4\n", encoding="utf-8", newline="\n")
    (folder / "mail.log").write_text(POSTFIX * 3, encoding="utf-8", newline="\n")
    return [str(folder / "acme.log"), str(folder / "mail.log")]


def test_a_third_party_parser_reads_as_ours_do(offer: Callable[..., None], logs: list[str]) -> None:
    offer(GOOD)
    events = logscan.scan(logs)
    assert sorted(events["mta"].to_pylist()) == ["acme"] * 4 + ["postfix"] * 3


@pytest.mark.parametrize(
    ("source", "met"),
    [
        pytest.param("import no_such_module", "does not load: ModuleNotFoundError: No module", id="import fails"),
        pytest.param("raise SystemExit(3)", "does not load: SystemExit: 3", id="leaves the program"),
        pytest.param("def (", "does not load: SyntaxError", id="no Python"),
        pytest.param("other = 1", "does not load: AttributeError", id="no such value"),
        pytest.param("parser = print", "is a builtin_function_or_method, not a Parser", id="no Parser"),
        pytest.param(GOOD.replace('"acme", "Acme"', '"fine", "Fine"'), "calls itself 'fine'", id="another name"),
        pytest.param(
            GOOD.replace('"acme", "Acme"', '"postfix", "P"'), "the name postfix is taken by mail-logscan", id="taken"
        ),
        pytest.param(
            GOOD.replace("return 0.9", "return 1 / 0"),
            "cannot tell whether a log is its own: ZeroDivisionError: division by zero",
            id="sniff raises",
        ),
        pytest.param(
            GOOD.replace("return 0.9", "return 'yes'"),
            "cannot tell whether a log is its own: ContractError: sniff gave 'yes'",
            id="sniff gives no number",
        ),
        pytest.param(
            GOOD.replace("return 0.9", "return float('nan')"),
            "sniff gave nan, not a number from 0 to 1",
            id="sniff gives nan",
        ),
        pytest.param(GOOD.replace("sniff, parse", "None, parse"), "TypeError: 'NoneType'", id="no sniff"),
    ],
)
def test_a_parser_that_cannot_be_had(offer: Callable[..., None], logs: list[str], source: str, met: str) -> None:
    offer(source, "postfix" if '"postfix"' in source else "acme")
    with scanning(logs) as scanned:
        assert {source.source: source.events for source in scanned.run.sources} == {logs[1]: 3}
        named = [problem for problem in scanned.run.problems if "acme-logscan" in problem.source]
    [problem] = named
    assert met in problem.met
    assert problem.advice
    assert problem.fatal


RAISES = """
def parse(block):
    if "acme bad" in block.lines.to_pylist():
        WRONG
    return answer(block, pa.table(columns(block)))
parser = Parser("acme", "Acme", sniff, parse)
"""
WRONG = {
    "raises": ("raise KeyError('bad')", "KeyError: 'bad'"),
    "exits": ("raise SystemExit('bad')", "SystemExit: bad"),
    "gives no Parsed": ("return None", "parse gave NoneType, not Parsed"),
    "gives no table": ("return answer(block, [])", "its events are list, not a pyarrow.Table"),
    "has no time": (
        "c = columns(block); del c['time']; return answer(block, pa.table(c))",
        "its events have no column time",
    ),
    "has no offset": (
        "c = columns(block); del c['offset']; return answer(block, pa.table(c))",
        "its events have no column offset",
    ),
    "time is text": (
        "return answer(block, pa.table(columns(block) | {'time': pa.array(['now'] * len(block))}))",
        "time of its events is string, not timestamp[us, tz=UTC]",
    ),
    "code is text": (
        "return answer(block, pa.table(columns(block) | {'code': pa.array(['550'] * len(block))}))",
        "code of its events is string, not int16",
    ),
    "code is too wide": (
        "return answer(block, pa.table(columns(block) | {'code': pa.array([99999] * len(block))}))",
        "code of its events is int64, not int16",
    ),
    "time is null": (
        "return answer(block, pa.table(columns(block) | {'time': pa.nulls(len(block), TIME)}))",
        "time of its events is null in",
    ),
    "text of another kind": (
        "return answer(block, pa.table(columns(block) | {'reply': pa.array(['x'] * len(block), pa.large_string())}))",
        "reply of its events is large_string, not string",
    ),
    "row of another block": (
        "return answer(block, pa.table(columns(block) | {'offset': pa.array(block.offsets + 1)}))",
        "offset of its events is of no line of the block",
    ),
    "tally too small": (
        "return Parsed(pa.table({}), pa.table({}), Tally())",
        "its tally is of 0 lines, not of",
    ),
    "tally below zero": (
        "return Parsed(pa.table({}), pa.table({}), Tally(understood=len(block) + 1, unread=-1))",
        "its tally has a count below zero",
    ),
    "others of another block": (
        "return answer(block, pa.table({}), others=np.array([len(block)]))",
        "its others are no rows of the block",
    ),
    "others not counted": (
        "return answer(block, pa.table({}), others=np.array([0]))",
        "it names 1 lines of others, and counts 0",
    ),
    "messages without a queue id": (
        "return Parsed(pa.table({}), pa.table(columns(block)), Tally(understood=len(block)))",
        "its messages have no column queue_id",
    ),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
def test_a_parser_that_fails_on_a_line(offer: Callable[..., None], logs: list[str], wrong: str, said: str) -> None:
    """One line is lost, and shown; the plugin's others, and other sources, are read."""
    offer(GOOD + RAISES.replace("WRONG", wrong))
    with scanning(logs, Options(workers=1)) as scanned:
        run = scanned.run
        rows = sum(len(table) for table in scanned.tables())
    by_name = {read.source: read for read in run.sources}
    assert rows == 3 + 3
    assert by_name[logs[0]].tally == Tally(understood=3, unread=1, samples=((14, "acme bad"),))
    [problem] = run.problems
    assert (problem.source, problem.offset, problem.fatal) == (logs[0], 14, True)
    assert "the parser acme (acme-logscan) failed on some of its lines" in problem.met
    assert said in problem.advice


def test_the_same_wherever_blocks_end(offer: Callable[..., None], tmp_path: Path) -> None:
    offer(GOOD + RAISES.replace("WRONG", "raise KeyError"))
    log = tmp_path / "acme.log"
    log.write_text("acme 1\nacme bad\n" * 500, encoding="utf-8", newline="\n")
    for block_size in (64, 1 << 20):
        with scanning([str(log)], Options(workers=1, block_size=block_size)) as scanned:
            [read], [problem] = scanned.run.sources, scanned.run.problems
        assert read.tally.lines == 1000
        assert problem.offset == 7 if block_size == 64 else problem.offset is not None


def acme(bad: Callable[[str], bool]) -> tuple[Parser, list[int]]:
    """A parser that fails on blocks with such a line, and how many lines it was given at each call."""
    given_lines: list[int] = []

    def parse(block: Block) -> Parsed:
        given_lines.append(len(block))
        if any(bad(line) for line in block.lines.to_pylist()):
            raise ValueError
        columns = {
            "time": pa.array([0] * len(block), EVENTS.field("time").type),
            "host": pa.array(["mx"] * len(block)),
            "offset": pa.array(block.offsets),
        }
        others = np.arange(len(block))[::2]
        return Parsed(pa.table(columns), pa.table({}), Tally(len(block) - len(others), other=len(others)), others)

    return Parser("acme", "Acme", lambda block: 1.0, parse), given_lines


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_only_bad_lines_are_lost(lines: list[bool]) -> None:
    parser, _ = acme(lambda line: line == "bad")
    block = Block.of(b"".join(b"bad\n" if bad else b"good\n" for bad in lines))
    parsed = Guard(parser).parse(block)
    assert parsed.tally.unread == sum(lines)
    assert parsed.tally.lines == len(lines)
    assert len(parsed.others) == parsed.tally.other
    good = [offset for offset, bad in zip(block.offsets.tolist(), lines, strict=True) if not bad]
    assert (parsed.events["offset"].to_pylist() if good else []) == good
    assert {int(block.offsets[row]) for row in parsed.others} <= set(good)


def test_the_search_is_bounded() -> None:
    parser, given_lines = acme(lambda line: True)
    block = Block.of(b"x\n" * 100_000)
    guard = Guard(parser)
    assert guard.parse(block).tally.unread == 100_000
    assert len(given_lines) <= 2 * FAILURES_IN_A_BLOCK
    assert sum(given_lines) <= 4 * 100_000
    for _ in range(100):
        assert guard.parse(Block.of(b"x\n" * 100)).tally.unread == 100
    assert len(guard.problems) == 1


def test_one_bad_line_costs_little() -> None:
    parser, given_lines = acme(lambda line: line == "bad")
    block = Block.of(b"x\n" * 50_000 + b"bad\n" + b"x\n" * 50_000)
    assert Guard(parser).parse(block).tally.unread == 1
    assert sum(given_lines) <= 4 * 100_001


def test_what_is_right_passes() -> None:
    parser, _ = acme(lambda line: False)
    for data in (b"", b"one\n", b"one\ntwo\n"):
        block = Block.of(data)
        check(parser.parse(block), block)
    with pytest.raises(ContractError, match="two columns of one name"):
        twice = pa.table([pa.array([1]), pa.array([2])], names=["time", "time"])
        check(Parsed(twice, pa.table({}), Tally(1)), Block.of(b"x\n"))


def test_messages_of_many_blocks_have_one_type() -> None:
    """A parser may say the same as a dictionary here, as plain text there, and as nothing but nulls elsewhere."""
    hosts = iter((pa.array(["mx"]), pa.array(["mx"]).dictionary_encode(), pa.nulls(1)))

    def parse(block: Block) -> Parsed:
        columns = {"time": pa.array([0], EVENTS.field("time").type), "host": next(hosts), "queue_id": pa.array(["A"])}
        columns |= {"offset": pa.array([0]), "mark": pa.array([0], pa.int8()), "more": pa.array([1])}
        return Parsed(pa.table({}), pa.table(columns), Tally(1))

    guard = Guard(Parser("acme", "Acme", lambda block: 1.0, parse))
    first, *others = (guard.parse(Block.of(b"x\n")).messages for _ in range(3))
    assert [table.schema for table in others] == [first.schema] * 2
    assert first.column_names == ["time", "host", "queue_id", "offset", "mark"]
    assert guard.problems == []


def test_neighbours_are_known_and_not_needed(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(POSTFIX + f"{STAMP}dovecot: imap-login: Login\n{STAMP}sshd[1]: in\n", encoding="utf-8", newline="\n")
    with scanning([str(log)]) as scanned:
        assert scanned.run.tally == Tally(understood=1, known=1, other=1)
