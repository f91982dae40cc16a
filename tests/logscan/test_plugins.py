"""A broken report is named with its package and left out; the others are asked all the same. Listing loads nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from logscan import plugins
from logscan.publish import gather
from logscan.report import Asked
from logscan.run import Run

GOOD = """
import pyarrow as pa
from logscan.report import Answer, Chart, Report
def answer(asked): return Answer(pa.table({"a": ["x"], "n": [1]}), "Note.", Chart("bars", x="a", y="n"))
report = Report(name="good", title="Good", answer=answer, place=1)
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a package that offers a report made from some source text."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package: str, source: str, name: str = "good") -> None:
        module = f"offered_{package}"
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[logscan.reports]\n{name} = {module}:report\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def test_listing_loads_nothing(offer) -> None:
    offer("dear", "raise SystemExit('loaded')")
    assert "good" in plugins.names(plugins.REPORTS)
    assert plugins.packages(plugins.REPORTS)["good"] == "dear"
    assert "offered_dear" not in sys.modules


def test_a_third_party_report_is_asked_as_ours_are(offer) -> None:
    offer("good", GOOD)
    findings = gather(Asked.of({"action": "delivered"}).events, Run((), ()))
    assert findings.findings[0].report.name == "good"
    assert not findings.problems


@pytest.mark.parametrize(
    ("source", "met"),
    [
        pytest.param("import no_such_module", "does not load: ModuleNotFoundError: No module", id="import fails"),
        pytest.param("raise SystemExit(3)", "does not load: SystemExit: 3", id="leaves the program"),
        pytest.param("def (", "does not load: SyntaxError", id="no Python"),
        pytest.param("other = 1", "does not load: AttributeError", id="no such value"),
        pytest.param("report = dict", "is a type, not a Report", id="no Report"),
        pytest.param(GOOD.replace('"good"', '"../up"'), "a report's name is lower-case", id="name is a path"),
        pytest.param(
            GOOD.replace('"good"', '"causes"'), "the name causes is taken by mail-logscan", id="name is taken"
        ),
        pytest.param(GOOD.replace('"good"', '"fine"'), "calls itself 'fine'", id="another name"),
        pytest.param(
            GOOD.replace("return", "1 / 0; return"), "failed: ZeroDivisionError: division by zero", id="raises"
        ),
        pytest.param(GOOD.replace("return", "raise SystemExit #"), "failed: SystemExit", id="exits"),
        pytest.param(GOOD.replace("return Answer", "return dict #"), "answered with type, not", id="no Answer"),
        pytest.param(GOOD.replace('pa.table({"a": ["x"], "n": [1]})', "[]"), "its table is list, not", id="no table"),
        pytest.param(GOOD.replace('"Note."', "None"), "its note is NoneType, not str", id="no note"),
        pytest.param(GOOD.replace('y="n"', 'y="m"'), "its table has no column m", id="chart of no column"),
        pytest.param(GOOD.replace('y="n"', 'y="a"'), "draws a, which is string, not numbers", id="chart of words"),
        pytest.param(GOOD.replace('"bars"', '"heat"'), "kind heat has one y, and a by", id="heat by nothing"),
        pytest.param(GOOD.replace('"bars"', '"pie"'), "bars, stacks or heat, not 'pie'", id="unknown chart"),
    ],
)
def test_a_broken_report_is_named_with_its_package(offer, source: str, met: str) -> None:
    offer("broken_package", source, "causes" if "causes" in source else "good")
    findings = gather(Asked.of({"action": "delivered"}).events, Run((), ()))
    [problem] = findings.problems
    assert "broken_package" in problem.source
    assert met in problem.met
    assert problem.advice
    assert not problem.fatal
    assert {"causes", "domains", "codes"} <= {f.report.name for f in findings.findings}
