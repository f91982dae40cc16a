"""What a file looks like that no parser knows: each entry of lookalikes.toml by its own lines, and what has none."""

from __future__ import annotations

import gzip
import re
import tomllib
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logscan.likeness import likeness

DATA = tomllib.loads(files("logscan.catalogue").joinpath("lookalikes.toml").read_text("utf-8"))
LOOKALIKES: list[dict[str, Any]] = DATA["lookalike"]


@pytest.mark.parametrize(("entry", "line"), [(entry, line) for entry in LOOKALIKES for line in entry["lines"]])
def test_each_is_told_by_its_lines(entry: dict[str, Any], line: str) -> None:
    assert likeness(f"{line}\n".encode()).what == entry["what"]


@pytest.mark.parametrize(("entry", "line"), [(e, line) for e in LOOKALIKES for line in e.get("not", [])])
def test_and_by_no_others(entry: dict[str, Any], line: str) -> None:
    assert not pc.match_substring_regex(pa.array([line]), entry["pattern"])[0].as_py()


@pytest.mark.parametrize("magic", DATA["magic"], ids=lambda magic: magic["what"])
def test_magic(magic: dict[str, str]) -> None:
    assert likeness(bytes.fromhex(magic["bytes"]) + bytes(range(256))).what == magic["what"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        pytest.param(
            b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5\nwhat?\n',
            'looks like a web server\'s access log, but line 2 does not fit: "what?"',
            id="one line does not fit",
        ),
        pytest.param(
            b"\n\nNov 24 08:00:00 mx sshd[1]: in\n?\nNov 24 08:00:00 mx cron[2]: x\nNov 24 08:00:00 mx sshd[1]: y\n",
            'looks like a syslog of other programs (sshd, cron), but line 4 does not fit: "?"',
            id="empty lines count",
        ),
        pytest.param(
            b"Nov 24 08:00:00 mx sm-mta[1]: xAO: to=<a@b.example>, stat=Sent\nNov 24 08:00:00 mx sshd[1]: x\n",
            "looks like a syslog with lines of sendmail",
            id="a mail server without a parser",
        ),
        pytest.param(
            b"Nov 24 08:00:00 mx dovecot: imap-login: Login\nNov 24 08:00:00 mx sshd[1]: x\n",
            "looks like a syslog of other mail programs (dovecot)",
            id="neighbours alone",
        ),
        pytest.param(b"hello\nworld\n", 'looks like text, but line 1 has no time stamp: "hello"', id="prose"),
        pytest.param(b"\n\n", "looks like text", id="empty lines"),
        pytest.param(bytes(range(32)) * 9, "looks like binary data", id="binary"),
        pytest.param(gzip.compress(b"x")[:2], "looks like broken gzip data", id="gzip, cut"),
    ],
)
def test_said(head: bytes, said: str) -> None:
    assert str(likeness(head)) == said


def test_a_sample_is_short() -> None:
    assert len(str(likeness(b"x" * 100_000 + b"\n"))) < 250


@given(st.binary(min_size=1, max_size=300))
def test_anything_looks_like_something(head: bytes) -> None:
    found = likeness(head)
    assert found.what
    assert found.advice
    assert re.match(r"looks like .", str(found))
