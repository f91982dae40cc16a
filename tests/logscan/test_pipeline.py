# ruff: noqa: E501 - log lines are as long as they are
"""Laws of a scan: what comes out does not depend on how the lines were cut, packed, spread and shared out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logscan.parquet import write_events
from logscan.parser import Tally
from logscan.pipeline import scanning
from logscan.plan import Options

HOSTS = ("mx1", "mx2")


def traffic(messages: int, seed: int) -> list[str]:
    """A log of two machines whose short queue ids are used again, at once and interleaved, with all that a life has."""
    choose = random.Random(seed)
    lanes: list[list[str]] = []
    for number in range(messages):
        host = choose.choice(HOSTS)
        # Few ids, so that each is used again; one at a time, as a queue file's inode is.
        lane = number % 5
        queue_id = f"{lane:X}A{lane:X}B{lane:X}C"
        sender, rcpt = f"s{number}@a.example", f"r{number}@b.example"
        host = HOSTS[lane % 2]

        def tell(daemon: str, text: str, host: str = host, queue_id: str = queue_id) -> str:
            return f"{host} postfix/{daemon}[{choose.randrange(9)}]: {queue_id}: {text}"

        lines = [
            tell("smtpd", f"client=c{number}.example[192.0.2.{number % 250}]"),
            tell("cleanup", f"message-id=<{number}@a.example>"),
            tell("qmgr", f"from=<{sender}>, size={1000 + number}, nrcpt=1 (queue active)"),
        ]
        if choose.random() < 0.4:
            lines.append(
                tell("smtp", "host m1.b.example[192.0.2.251] said: 450 4.7.1 later (in reply to RCPT TO command)")
            )
        if choose.random() < 0.3:
            lines.append(
                tell(
                    "smtp",
                    f"to=<{rcpt}>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.1, status=deferred (connect to m2.b.example[192.0.2.252]:25: Connection refused)",
                )
            )
            lines.append(tell("qmgr", f"from=<{sender}>, size={1000 + number}, nrcpt=1 (queue active)"))
        lines.append(
            tell(
                "smtp",
                f"to=<{rcpt}>, relay=m2.b.example[192.0.2.252]:25, delay=2, delays=0/0/1/1, dsn=2.0.0, status=sent (250 2.0.0 {number} taken)",
            )
        )
        lines.append(tell("qmgr", "removed"))
        if lane == len(lanes):
            lanes.append([])
        lanes[lane] += lines
    merged = []
    going = [list(reversed(lane)) for lane in lanes]
    while going := [lane for lane in going if lane]:
        merged.append(choose.choice(going).pop())
        if choose.random() < 0.05:
            merged.append(f"mx1 postfix/smtpd[1]: lost connection after AUTH from unknown[192.0.2.{len(merged) % 250}]")
        if choose.random() < 0.02:
            merged.append("mx1 dovecot: imap-login: Login")
    return [
        f"2025-10-26T{10 + i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}.{i % 7}Z {line}\n"
        for i, line in enumerate(merged)
    ]


def scan(paths: list[Path], **options: Any) -> tuple[pa.Table, Tally]:
    with scanning(paths, Options(**{"workers": 1, "tz": "UTC", **options})) as scanned:
        assert not [str(p) for p in scanned.run.problems if p.fatal]
        tables = list(scanned.tables())
        return pa.concat_tables(tables), scanned.run.tally


def digest(paths: list[Path], folder: Path, **options: Any) -> str:
    """The checksum of the Parquet file of a scan."""
    with scanning(paths, Options(**{"workers": 1, "tz": "UTC", **options})) as scanned:
        write_events(folder / "out.parquet", scanned.tables())
    return hashlib.sha256((folder / "out.parquet").read_bytes()).hexdigest()


def told(table: pa.Table, *without: str) -> list[tuple[tuple[str, Any], ...]]:
    rows = table.drop_columns(["source", "offset", *without]).to_pylist()
    return sorted(tuple((k, str(v)) for k, v in row.items()) for row in rows)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return traffic(45, seed=1)


@pytest.fixture
def log(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "mail.log"
    path.write_text("".join(lines))
    return path


def test_every_event_knows_its_message_and_none_is_lost_or_doubled(log: Path, lines: list[str]) -> None:
    """Ids are used again many times: each outcome must get the sender, client, size and Message-ID of its own message."""
    table, tally = scan([log])
    assert tally.lines == len(lines)
    assert tally.unread == 0
    outcomes = [row for row in table.to_pylist() if row["recipient"]]
    for row in outcomes:
        number = row["recipient"].partition("@")[0][1:]
        assert row["sender"] == f"s{number}@a.example"
        assert row["message_id"] == f"{number}@a.example"
        assert row["size"] == 1000 + int(number)
        assert row["client_host"] == f"c{number}.example"
    wanted = Counter(
        "attempt"
        if " said: " in line
        else "deferred"
        if "status=deferred" in line
        else "delivered"
        if "status=sent" in line
        else "aborted"
        for line in lines
        if any(words in line for words in (" said: ", "status=", "lost connection"))
    )
    assert Counter(table["action"].to_pylist()) == wanted
    assert len(outcomes) == len(table) - wanted["aborted"], "an attempt gets the recipient of the next outcome"
    assert len({(row["source"], row["offset"]) for row in table.to_pylist()}) == len(table)
    data = log.read_bytes()
    for row in table.to_pylist():
        said = data[row["offset"] :].partition(b"\n")[0].decode()
        assert (row["queue_id"] or "lost connection") in said


@pytest.mark.parametrize("block_size", [200, 201, 333, 1000, 4096, 20_000])
def test_any_block_size_gives_the_same_bytes(tmp_path: Path, log: Path, block_size: int) -> None:
    whole = digest([log], tmp_path, block_size=8 << 20)
    assert digest([log], tmp_path, block_size=block_size) == whole


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("block_size", [1000, 30_000])
def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, log: Path, workers: int, block_size: int) -> None:
    assert digest([log], tmp_path, workers=workers, block_size=block_size) == digest([log], tmp_path)


def zstd(data: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return bytes(packed.getvalue())


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("block_size", [200, 8 << 20])
def test_any_packing_tells_the_same(tmp_path: Path, log: Path, suffix: str, block_size: int) -> None:
    packed = tmp_path / f"packed.log{suffix}"
    packed.write_bytes(PACK[suffix](log.read_bytes()))
    plain, tally = scan([log])
    table, same = scan([packed], block_size=block_size)
    assert told(table) == told(plain)
    assert table["offset"].to_pylist() == plain["offset"].to_pylist()
    assert same == tally


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_rotated_at_any_line_and_named_in_any_order(tmp_path: Path, lines: list[str], data: st.DataObject) -> None:
    """Messages go on over the cut; the files come in any order, some packed."""
    whole = tmp_path / "whole.log"
    whole.write_text("".join(lines))
    want, tally = scan([whole])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), min_size=1, max_size=4)))
    paths = []
    for i, (a, b) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True)):
        suffix = data.draw(st.sampled_from(["", *PACK]))
        path = tmp_path / f"mail.log.{9 - i}{suffix}"
        text = "".join(lines[a:b]).encode()
        path.write_bytes(PACK[suffix](text) if suffix else text)
        paths.append(path)
    order = data.draw(st.permutations(paths))
    block_size = data.draw(st.sampled_from([2000, 8 << 20]))
    table, same = scan(order, block_size=block_size)
    for path in paths:
        path.unlink()
    assert told(table) == told(want)
    assert (same.lines, same.understood, same.unread) == (tally.lines, tally.understood, tally.unread)


@pytest.mark.parametrize("block_size", [200, 8 << 20])
def test_a_file_for_each_daemon(tmp_path: Path, log: Path, lines: list[str], block_size: int) -> None:
    """A message's lines lie in smtpd.log, qmgr.log, cleanup.log and smtp.log; what they say is put together by time."""
    want, _ = scan([log])
    log.unlink()
    for daemon in ("smtpd", "qmgr", "cleanup", "smtp", "imap"):
        mine = [line for line in lines if (f"postfix/{daemon}[" in line) or (daemon in line and "dovecot" in line)]
        (tmp_path / f"{daemon}.log").write_text("".join(mine))
    (tmp_path / "imap.log").unlink()
    table, _ = scan([tmp_path], block_size=block_size)
    assert told(table) == told(want)


@pytest.mark.parametrize("names", ["smtpd cleanup qmgr smtp", "smtp qmgr cleanup smtpd", "qmgr smtpd smtp cleanup"])
def test_a_file_for_each_daemon_in_one_second(tmp_path: Path, names: str) -> None:
    """Old stamps have no fractions: a message comes and goes within one of them, whatever the files' order."""
    told_by = {
        "smtpd": "client=c.example[192.0.2.1]",
        "cleanup": "message-id=<1@a.example>",
        "qmgr": "from=<s@a.example>, size=77, nrcpt=1 (queue active)",
        "smtp": "to=<x@b.example>, relay=none, delay=0, delays=0/0/0/0, dsn=5.4.4, status=bounced (x)",
    }
    for number, daemon in enumerate(names.split()):
        lines = [told_by[daemon], *["removed"] * (daemon == "qmgr")]
        (tmp_path / f"{number}-{daemon}.log").write_text(
            "".join(f"Oct 26 10:00:00 mx postfix/{daemon}[1]: AB12CD: {line}\n" for line in lines)
        )
    table, _ = scan([tmp_path])
    (row,) = table.to_pylist()
    assert (row["sender"], row["client_host"], row["message_id"], row["size"]) == (
        "s@a.example",
        "c.example",
        "1@a.example",
        77,
    )


FACTS_AFTER = [
    "mx1 postfix/smtpd[1]: AB12CD: client=c.example[192.0.2.1]",
    "mx1 postfix/smtpd[1]: AB12CD: reject: RCPT from c.example[192.0.2.1]: 550 5.1.1 <x@b.example>: no; from=<s@a.example> to=<x@b.example> proto=ESMTP helo=<h>",
    "mx1 postfix/cleanup[1]: AB12CD: message-id=<1@a.example>",
    "mx1 postfix/qmgr[1]: AB12CD: from=<s@a.example>, size=77, nrcpt=1 (queue active)",
    "mx1 postfix/qmgr[1]: AB12CD: removed",
]


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("block_size", [1, 200, 8 << 20])
def test_facts_after_the_event(tmp_path: Path, count: int, block_size: int) -> None:
    path = tmp_path / "mail.log"
    path.write_text("".join(f"2025-10-26T10:00:0{i}Z {line}\n" for i, line in enumerate(FACTS_AFTER[:count])))
    table, _ = scan([path], block_size=block_size)
    (row,) = table.to_pylist()
    assert (row["message_id"], row["size"]) == ("1@a.example", 77 if count > 3 else None)


def test_the_same_id_on_two_machines_is_two_messages(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(
        "".join(
            f"2025-10-26T10:00:0{i}Z {host} postfix/{daemon}[1]: AB12CD: {text}\n"
            for i, (host, daemon, text) in enumerate(
                [
                    ("mx1", "qmgr", "from=<one@a.example>, size=1, nrcpt=1 (queue active)"),
                    ("mx2", "qmgr", "from=<two@a.example>, size=2, nrcpt=1 (queue active)"),
                    (
                        "mx1",
                        "smtp",
                        "to=<x@b.example>, relay=none, delay=1, delays=0/0/1/0, dsn=5.4.4, status=bounced (x)",
                    ),
                    (
                        "mx2",
                        "smtp",
                        "to=<x@b.example>, relay=none, delay=1, delays=0/0/1/0, dsn=5.4.4, status=bounced (x)",
                    ),
                ]
            )
        )
    )
    table, _ = scan([path])
    assert table["sender"].to_pylist() == ["one@a.example", "two@a.example"]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(80, 3000), st.integers(1, 10))
def test_any_traffic_cut_anywhere(tmp_path: Path, seed: int, block_size: int, messages: int) -> None:
    path = tmp_path / "any.log"
    path.write_text("".join(traffic(messages, seed)))
    assert digest([path], tmp_path, block_size=block_size) == digest([path], tmp_path)
