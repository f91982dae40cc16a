"""The store through rotations, deaths, full disks, power cuts and a crowd: short runs of two benchmarks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
linux = pytest.mark.skipif(sys.platform != "linux", reason="the faults are made as Linux makes them")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(FOLDER)

    def load(name: str) -> ModuleType:
        return __import__(name)

    yield load


@pytest.mark.parametrize(("count", "stored"), [(500, False), (15, True)], ids=["recognising", "whole scans"])
def test_whatever_a_rotation_does_each_line_is_read_once(script: Any, tmp_path: Path, count: int, stored: bool) -> None:
    found = list(script("histories").histories(count, 50_000, stored=stored, folder=tmp_path))
    assert [told for told in found if told.lost or told.doubled] == []
    assert sum(told.lines for told in found) > 30 * count


@linux
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork while a thread of Arrow's runs: these only compute
def test_killed_at_any_point(script: Any, tmp_path: Path) -> None:
    died, wrong = script("faults").kills(100, tmp_path, seed=7)
    assert wrong == 0
    assert died > 50


@linux
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_disk_is_full(script: Any, tmp_path: Path) -> None:
    refused, wrong = script("faults").full(8, tmp_path, seed=7)
    assert wrong == 0
    assert refused > 1


@linux
@pytest.mark.skipif(not shutil.which("strace"), reason="strace tells what a commit does; it is not installed")
def test_the_power_goes(script: Any, tmp_path: Path) -> None:
    tried, wrong = script("faults").power(tmp_path, every=6)
    assert wrong == 0
    assert tried > 50


@linux
def test_a_crowd(script: Any, tmp_path: Path) -> None:
    commits, reads, met = script("faults").crowd(0.5, tmp_path)
    assert met == []
    assert commits >= 4
    assert reads >= 4
