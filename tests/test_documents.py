"""The documents say what the program does: no command, option, column, action or file without its words."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import logscan
from logscan.cli import app
from logscan.parser import Block, Parser
from logscan.schema import EVENTS
from logscan.testing import expectation, samples

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "sample_logs" / "README.md",
    *sorted((ROOT / "examples").glob("*/README.md")),
]
WRITTEN: dict[Path, str] = runpy.run_path(str(ROOT / "docs" / "write.py"))["documents"]()


def commands() -> dict[str, Any]:
    """All commands by their full name, those of commands too."""
    found = {"logscan": typer.main.get_command(app)}
    for name, command in list(found.items()):
        found |= {f"{name} {sub}": child for sub, child in getattr(command, "commands", {}).items()}
    for name, command in list(found.items())[1:]:
        found |= {f"{name} {sub}": child for sub, child in getattr(command, "commands", {}).items()}
    return found


def options() -> list[str]:
    """Each command, and each option of it."""
    words = []
    for name, command in commands().items():
        words += [name] * (name != "logscan")
        words += [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    return sorted(set(words))


@pytest.mark.parametrize("word", options())
def test_every_command_and_option_is_documented(word: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", README)


def test_every_command_and_option_has_its_help() -> None:
    for command in commands().values():
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"


def test_what_the_readme_names_exists() -> None:
    known = set(options())
    for command in re.findall(r"(?<![\w./-])logscan ([a-z]+)(?= )", "\n".join(re.findall(r"^    .*", README, re.M))):
        assert f"logscan {command}" in known
    named = re.findall(r"`(--[a-z-]+)", README) + re.findall(r"^    (?:.* )?logscan.* (--[a-z-]+)", README, re.M)
    assert set(named) <= known | {"--help"}


@pytest.mark.parametrize(("path", "text"), WRITTEN.items(), ids=lambda part: getattr(part, "name", ""))
def test_what_is_taken_from_the_program_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run docs/write.py"


def test_every_column_is_documented() -> None:
    page = WRITTEN[ROOT / "docs" / "COLUMNS.md"]
    assert [name for name in EVENTS.names if f"| `{name}` |" not in page] == []
    assert "% of" in WRITTEN[ROOT / "README.md"]


def test_every_action_is_documented() -> None:
    page = (ROOT / "docs" / "COUNTING.md").read_text(encoding="utf-8")
    seen = set()
    for log in samples(ROOT / "sample_logs"):
        seen |= set(re.findall(r'"action":"([^"]+)"', expectation(log).read_text(encoding="utf-8")))
    assert len(seen) > 5
    assert {action for action in seen if f"`{action}`" not in page} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_the_example_of_a_parser_works() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "per_line(" in block)
    made: dict[str, Any] = {}
    exec(code, made)
    assert isinstance(made["parser"], Parser)
    line = b"2026-11-23T08:00:00Z 550 <ann@a.example> mx.a.example 550 5.1.1 no such user\n"
    assert made["parser"].parse(Block.of(line)).events["enhanced"].to_pylist() == ["5.1.1"]


def test_the_example_of_a_rule_works() -> None:
    import pyarrow as pa

    from logscan.classifier import mask

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (rule,) = tomllib.loads(next(re.finditer(r"```toml\n(\[\[rule\]\].*?)```", text, re.S))[1])["rule"]
    masked = mask(pa.array(rule["match"] + rule["not"])).to_pylist()
    assert [bool(re.search(rule["text"][0], reply, re.I)) for reply in masked] == [True, False]


def test_the_changelog_tells_of_this_version() -> None:
    assert f"\n## {logscan.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == logscan.__version__
