"""The benchmarks' own arithmetic: a benchmark that cannot fail measures nothing."""

from __future__ import annotations

import doctest
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

from logscan.classifier.model import inputs
from logscan.schema import EVENTS

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)

    def load(name: str) -> ModuleType:
        return __import__(name)

    return load


def test_counts_and_their_differences(script: Any) -> None:
    speed = script("speed")
    late = datetime(2026, 10, 1, 23, 59, 59, tzinfo=UTC)
    events = pa.Table.from_pylist(
        [
            {"time": late, "action": "bounced", "code": 541, "enhanced": "5.0.0", "recipient_domain": "gmx.de"},
            {"time": late, "action": "delivered", "code": 250, "enhanced": "2.0.0", "recipient_domain": "gmx.de"},
            {"time": late, "action": "rejected", "code": None, "enhanced": None, "recipient_domain": "qq.com"},
        ],
        schema=EVENTS,
    )
    truth = {
        "events": {"bounced|541|5.0.0": 1, "delivered|250|2.0.0": 1, "rejected||": 1},
        "domain_failures": {"gmx.de": 1},
        "day_failures": {"2026-10-01": 1},
    }
    assert speed.counts(events) == truth
    assert speed.differences(truth, speed.counts(events)) == []
    assert speed.differences(truth, speed.counts(events.slice(1))) == [
        "events bounced|541|5.0.0: 1 in the log, 0 found",
        "domain_failures gmx.de: 1 in the log, 0 found",
        "day_failures 2026-10-01: 1 in the log, 0 found",
    ]


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        pytest.param({}, [], id="at the targets"),
        pytest.param({"exact": 994}, ["x.log: recall"], id="recall"),
        pytest.param({"false_events": 6}, ["x.log: false share"], id="false"),
        pytest.param({"unread": 2}, ["x.log: lines understood"], id="understood"),
    ],
)
def test_accuracy_targets(script: Any, changed: dict[str, int], missed: list[str]) -> None:
    figures = {
        "exact": 995,
        "recoverable": 1000,
        "false_events": 5,
        "events_with_code": 1000,
        "lines": 1000,
        "unread": 1,
    }
    figures |= changed
    assert [t.what for t in script("accuracy").targets("x.log", figures, figures) if not t.met] == missed


def test_a_missed_target_is_the_exit_code(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rig = script("rig")
    assert rig.verdict([rig.Target("recall", 1, ">=", 0.995)]) == 0
    assert rig.verdict([rig.Target("recall", 1, ">=", 0.995), rig.Target("memory", 701, "<=", 700)]) == 1
    assert capsys.readouterr().out.endswith("MISSED  memory: 701 (target <= 700)\n")


def test_what_is_missing_is_named(script: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"genlog\.py is missing: say by --shared"):
        script("rig").make_log(tmp_path, 1, tmp_path / "log")


@pytest.mark.parametrize("name", ["accuracy", "speed"])
def test_examples_in_docstrings(script: Any, name: str) -> None:
    done = doctest.testmod(script(name))
    assert done.attempted
    assert not done.failed


def test_share_of_fields(script: Any) -> None:
    scored = {"code": 9, "code_n": 10, "status": 30, "status_n": 30, "line": 0, "line_n": 30}
    assert script("accuracy").share_of_fields(scored) == 39 / 40


def test_cases_are_answered_in_their_words(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import logscan

    rows = [
        {
            "direction": "outbound",
            "action": "bounced",
            "code": 550,
            "remote_ip": "192.0.2.1",
            "recipient": "a@b.example",
        },
        {"direction": "inbound", "action": "rejected", "code": 554, "remote_ip": "192.0.2.2"},
    ]
    monkeypatch.setattr(logscan, "scan_lines", lambda _lines, _mta: pa.Table.from_pylist(rows, schema=EVENTS))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"id": "x", "kind": "log", "lines": ["..."]}) + "\n"))
    script("log_cases").main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["id"] == "x"
    told = [{name: value for name, value in event.items() if value is not None} for event in answer["events"]]
    assert told == [
        {"code": 550, "recipient": "a@b.example", "status": "bounced", "relay_ip": "192.0.2.1"},
        {"code": 554, "status": "rejected", "client_ip": "192.0.2.2"},
    ]


def test_totals_of_a_whole_log_are_in_the_words_of_the_cases(script: Any) -> None:
    out, ours = {"direction": "outbound", "code_implied": False}, {"direction": "inbound", "code_implied": True}
    rows = [
        out | {"action": "delivered", "code": 250, "enhanced": "2.0.0"},
        out | {"action": "expired"},
        out | {"action": "attempt", "code": 421},
        ours | {"action": "rejected", "code": 451, "reply": "no"},
        ours | {"action": "rejected", "code": 550, "reply": "no"},
        ours | {"action": "rejected", "reply": "SMTP call from x dropped: too many"},
        ours | {"action": "rejected", "stage": "auth", "code": 535, "code_implied": False, "reply": "535 no"},
        ours | {"action": "discarded", "queue_id": "16ZCW1-0005MB-00"},
    ]
    events = pa.Table.from_pylist(rows, schema=EVENTS).to_pylist()
    assert script("log_cases").totals(events, "exim") == {
        "status": {"sent": 2, "bounced": 1, "tempreject": 1, "reject": 1, "auth-failed": 1},
        "code": {"250": 1, "535": 1},
        "enhanced": {"2.0.0": 1},
    }


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_of_children_counts(script: Any) -> None:
    scale = script("scale")
    child = "x = bytearray(60_000_000); x[::4096] = b'1' * len(x[::4096]); import time; time.sleep(0.3)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert 60e6 < scale.peak_memory([sys.executable, "-c", parent]) < 200e6
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in scale.family(os.getpid())
        process.communicate(b"\n")


def test_planted_changes_are_judged(script: Any) -> None:
    changes = script("changes")
    site = changes.site(3, 300)
    found, false = changes.judge(site)
    assert {one.what for one, _ in found} >= {"domain", "provider", "new cause", "new code"}
    assert sum(hit for _, hit in found) > len(found) / 2
    assert len(false) <= 3
    # What is told and was not planted is a false alarm.
    site.planted.clear()
    assert len(changes.judge(site)[1]) > len(false)


def test_the_shipped_model_was_trained_from_what_stands_here(script: Any) -> None:
    train = script("train")
    made_from = train.mark(train.labelled(set()))
    assert inputs() == made_from, (
        "rules, mask or learnt replies changed after the model was trained: run `python benchmarks/train.py`"
    )


def test_each_change_of_what_is_learnt_changes_the_mark(script: Any) -> None:
    train = script("train")
    case = ("550 5.1.1 No such user", "user-unknown")
    others = [("550 5.1.1 No such users", case[1]), ("551 5.1.1 No such user", case[1]), (case[0], "policy")]
    marks = {train.mark(cases) for cases in ([case], [case, case], *([other] for other in others))}
    assert len(marks) == 5


def test_nothing_is_learnt_from_the_exam(script: Any) -> None:
    lines = (FOLDER / "exam.jsonl").read_text(encoding="utf-8").splitlines()
    assert not {json.loads(line)["text"] for line in lines} & {text for text, _ in script("train").labelled(set())}
