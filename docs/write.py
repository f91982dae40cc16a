"""Writes what documents take from the program: the pages of columns and codes, and the README's first screen.

Run it after a change: a document that is not as this script would write it fails a test.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from logscan import catalogue, config
from logscan.schema import COLUMNS, SCHEMA_VERSION, Column
from logscan.star import DIMENSIONS

ROOT = Path(__file__).parent.parent
SCREEN = re.compile(r"(?<=```console\n\$ )(logscan [^\n]*\n)(.*?)(?=```\n)", re.S)
COLUMNS_HEAD = f"""# The columns of an event

Version {SCHEMA_VERSION} of the schema. A later version only adds columns.
`docs/write.py` writes this page from `logscan/schema.py`.

Any column may be null, save `time`, `mta`, `source`, `offset`, `code_implied`, `code_class` and `cause`.
Times are UTC. `source` and `offset` lead back to the line: `tail -c +$((offset + 1)) mail.log | head -1`.
How the values of `action` are counted: [COUNTING.md](COUNTING.md).

| column | type | meaning |
| --- | --- | --- |
"""
CONFIG_HEAD = """# The config file of `logscan nightly`

`docs/write.py` writes this page from `logscan/config.py`.

TOML. `logscan config example` prints a file with every key, `logscan config check FILE` says what is wrong with one.
Anybody who may write it may run programs as its user: keep it writable by its owner only.

"""

TABLE_HEAD = "| column | type | meaning |\n| --- | --- | --- |\n"
DIMENSIONS_HEAD = """
# The dimensions around them

`dimensions/*.parquet` of a store or an exported folder, tables of a DuckDB file. Each key stands once; every value that
an event has is there. Words stand in a column for each language: `meaning_en`, `meaning_th`.
"""


def documents() -> dict[Path, str]:
    """The documents, and what they should be."""
    pages = {ROOT / "docs" / _codes_name(language): _codes(language) for language in catalogue.languages()}
    made = {"COLUMNS.md": _columns(), "CONFIG.md": CONFIG_HEAD + config.documented()}
    return {**{ROOT / "docs" / name: text for name, text in made.items()}, **pages, ROOT / "README.md": _readme()}


def _codes_name(language: str) -> str:
    return "CODES.md" if language == catalogue.LANGUAGE else f"CODES.{language}.md"


def _codes(language: str) -> str:
    """The guide to codes and causes, in one language."""
    words = catalogue.language_words(language)
    page, labels, digits = words["page"], words["labels"], words["digits"]
    others = " · ".join(
        f"[{name}]({_codes_name(one)})" for one, name in catalogue.languages().items() if one != language
    )
    lines = [f"# {page['title']}", "", others, "", *page["about"], "", f"## {page['digits']}", ""]
    lines += _table(["", labels["code"], ""], [(f"{first}xx", *digits["first"][first]) for first in digits["first"]])
    lines += _table(["", labels["code"]], [(f"x{second}x", digits["second"][second]) for second in digits["second"]])
    lines += [f"## {page['codes']}", ""]
    none = words["sentences"]["no-standard"]
    lines += _table(
        [labels["code"], "", "", labels["actor"], labels["steps"], labels["sources"]],
        [
            (str(code.number), code.name, code.meaning, words["actors"][code.actor], code.step, code.source or none)
            for code in catalogue.codes(language).values()
        ],
    )
    lines += [f"## {page['enhanced']}", ""]
    known = [catalogue.enhanced(f"5.{detail}", language) for detail in words["enhanced"]["details"]]
    lines += _table(
        [labels["enhanced"], "", "", labels["steps"], labels["cause"], labels["sources"]],
        [
            (f"X{one.code[1:]}", one.parts[-1], one.meaning, one.step, one.cause, f"{one.title} ({one.source})")
            for one in known
        ],
    )
    lines += [f"## {page['causes']}", ""]
    for cause in catalogue.causes(language).values():
        lines += [f"### {cause.name}", "", cause.meaning, ""]
        lines += [f"{labels['actor']}: {words['actors'][cause.actor]}.", ""]
        if cause.name != "success":
            lines += [f"{labels['retry']}: {words['retries'][cause.retry]}.", ""]
        lines += [*(f"{number}. {step}" for number, step in enumerate(cause.steps, 1)), "", cause.source, ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(heads: list[str], rows: list[tuple[str, ...]]) -> list[str]:
    cut = [[cell.replace("|", "\\|") for cell in row] for row in ([heads, ["---"] * len(heads), *rows])]
    return [*("| " + " | ".join(row) + " |" for row in cut), ""]


def _columns() -> str:
    parts = [COLUMNS_HEAD, _described(COLUMNS), DIMENSIONS_HEAD]
    for dimension in DIMENSIONS:
        spoken = [
            Column(f"{name}_en", pa.string(), f"{meaning}; so in each language") for name, meaning in dimension.words
        ]
        parts.append(f"\n## {dimension.name}\n\nJoins `{dimension.joins}`.\n\n{TABLE_HEAD}")
        parts.append(_described((*dimension.columns, *spoken)))
    return "".join(parts)


def _described(columns: tuple[Column, ...]) -> str:
    return "".join(f"| `{name}` | {_type(type_)} | {meaning} |\n" for name, type_, meaning in columns)


def _type(type_: pa.DataType) -> str:
    """The type as BI tools call it: a dictionary of strings is read as strings."""
    return "string" if pa.types.is_dictionary(type_) else str(type_).replace("[us, tz=UTC]", " (µs, UTC)")


def _readme() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return SCREEN.sub(lambda shown: shown[1] + _output(shown[1].split()[1:]), text)


def _output(arguments: list[str]) -> str:
    command = [sys.executable, "-X", "utf8", "-m", "logscan", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")  # noqa: S603 - our own README
    return done.stdout


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8", newline="\n")
