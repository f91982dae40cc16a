"""Whole files: each sample log gives the events that lie beside it, however it is read."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

import logscan
from logscan.testing import check, expectation, expected, main, rewrite, samples

FOLDER = Path(__file__).parent.parent / "sample_logs"
LOGS = samples(FOLDER)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_sample(log: Path) -> None:
    check(log)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_sample_in_small_pieces(log: Path) -> None:
    """A scan of many short stretches gives the same events as the parser gives of the whole file."""
    table = logscan.scan(log, tz="UTC", block_size=4096, workers=1).sort_by("offset")
    wanted = [json.loads(line) for line in expectation(log).read_text(encoding="utf-8").split("\n")[1:-1]]
    assert len(table) == len(wanted) > 0
    for name in wanted[0].keys() | {"queue_id", "sender", "client_ip", "message_id", "size", "recipient"}:
        found = [v.isoformat() if isinstance(v, datetime) else v for v in table[name].to_pylist()]
        assert found == [line.get(name) for line in wanted], name


def test_every_sample_is_told_of() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert LOGS
    for log in LOGS:
        assert f"`{log.name}`" in readme
    assert {expectation(log).name for log in LOGS} == {file.name for file in FOLDER.rglob("*.expected.jsonl")}


def test_nothing_in_the_samples_is_unread() -> None:
    for log in LOGS:
        tally = json.loads(expectation(log).read_text(encoding="utf-8").partition("\n")[0])
        assert tally["unread"] == 0
        assert tally["lines"] == tally["understood"] + tally["known"] + tally["other"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A sample and its expectation, to spoil."""
    log = Path(shutil.copy(FOLDER / "mx1-iso.log", tmp_path))
    shutil.copy(expectation(FOLDER / "mx1-iso.log"), tmp_path)
    return log


def test_a_change_is_shown(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(copy)
    text = copy.read_text(encoding="utf-8")
    copy.write_text(text.replace("550 5.1.1", "551 5.1.1", 1), encoding="utf-8", newline="\n")
    with pytest.raises(AssertionError, match=r'(?s)mx1-iso.log does not give.*-.*"code":550.*\+.*"code":551'):
        check(copy)
    assert main([str(copy.parent)]) == 1
    assert '"code":551' in capsys.readouterr().out


def test_a_missing_expectation_says_how_to_get_one(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expectation(copy).unlink()
    with pytest.raises(AssertionError, match="--rewrite"):
        check(copy)
    assert main(["--rewrite", str(copy.parent)]) == 0
    assert capsys.readouterr().out == f"wrote {expectation(copy)}\n"
    check(copy)
    assert rewrite(copy.parent) == []
    assert main([str(copy.parent)]) == 0


def test_the_year_does_not_depend_on_the_checkout(copy: Path) -> None:
    bsd = Path(shutil.copy(FOLDER / "mail.log-20261124", copy.parent / "mail.log"))
    rewrite(copy.parent)
    before = expectation(bsd).read_bytes()
    os.utime(bsd, (0, 0))
    assert rewrite(copy.parent) == []
    assert b'"time":"2026-11-23T' in before


def test_an_unknown_parser_is_named(copy: Path) -> None:
    with pytest.raises(ValueError, match="no parser exim5 is registered"):
        check(copy, "exim5")
    with pytest.raises(ValueError, match="does not exist"):
        expected(copy.with_name("no.log"))


def test_the_public_scan_outlasts_its_first_call() -> None:
    """A module of the same name would take the function's place as soon as it is imported."""
    assert len(logscan.scan(LOGS[0])) == len(logscan.scan(LOGS[0])) > 0
