"""A chart is tested by the numbers that it draws; its files are the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from logscan.publish.charts import draw, render
from logscan.publish.series import alt, numbers
from logscan.report import Answer, Chart

BARS = Answer(
    pa.table({"d": ["a", "b", "a", None], "bad": [1, 10, 2, 4], "worse": [5, 0, 0, 0], "never": [0, 0, 0, None]}),
    "",
    Chart("bars", x="d", y=("bad", "worse", "never")),
)
DAYS = [datetime(2026, 9, 20 + i, tzinfo=UTC) for i in range(3)]
STACKS = Answer(pa.table({"t": DAYS, "4xx": [1, 0, 3], "5xx": [2, 0, 5]}), "", Chart("stacks", x="t", y=("4xx", "5xx")))
HEAT = Answer(
    pa.table({"d": ["a", "a", "b", "b"], "c": ["550 5.1.1", "421", "550 5.1.1", "550 5.1.1"], "n": [9, 4, 1, 15]}),
    "",
    Chart("heat", x="c", y="n", by="d"),
)


def test_bars_are_as_long_as_the_numbers() -> None:
    axes = draw(BARS, 10).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a", "—"]
    lengths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    starts = [[bar.get_x() for bar in bars] for bars in axes.containers]
    assert lengths == [[10, 3, 4], [0, 5, 0]]
    assert starts == [[0, 0, 0], [10, 3, 4]]
    assert [text.get_text() for text in axes.texts] == ["10", "8", "4"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the largest is on top"


def test_bars_beyond_the_top_are_left_out() -> None:
    drawn = numbers(BARS, 2)
    assert (drawn.labels, drawn.left_out) == (["b", "a"], 1)


def test_columns_stand_upon_each_other() -> None:
    first, second = draw(STACKS, 10).axes[0].patches
    assert first.get_data().values[::2].tolist() == [1, 0, 3]
    assert second.get_data().values[::2].tolist() == [3, 0, 8]
    assert second.get_data().baseline[::2].tolist() == [1, 0, 3]


def test_of_many_steps_the_last_are_drawn() -> None:
    hours = [DAYS[0] + timedelta(hours=i) for i in range(1000)]
    answer = Answer(pa.table({"t": hours, "n": range(1000)}), "", Chart("stacks", x="t", y="n"))
    [outline] = draw(answer, 10).axes[0].patches
    assert outline.get_data().values.tolist() == list(range(600, 1000))
    rendered = render(answer, "trend", "Trend", 10)
    assert rendered.left_out == 600
    assert len(rendered.inline) < 40_000


def test_squares_are_as_dark_as_the_numbers() -> None:
    axes = draw(HEAT, 10).axes[0]
    [mesh] = axes.collections
    assert np.ma.filled(mesh.get_array() ** 2, 0).round(9).tolist() == [[16, 0], [9, 4]]
    assert sorted(text.get_text() for text in axes.texts) == ["16", "4", "9"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["550\n5.1.1", "421"]


@pytest.mark.parametrize("answer", [BARS, STACKS, HEAT], ids=["bars", "stacks", "heat"])
def test_the_same_answer_gives_the_same_bytes(answer: Answer) -> None:
    assert render(answer, "x", "X", 10) == render(answer, "x", "X", 10)


@pytest.mark.parametrize("answer", [BARS, STACKS, HEAT], ids=["bars", "stacks", "heat"])
def test_the_part_of_a_page_is_told_in_words_and_takes_the_pages_colours(answer: Answer) -> None:
    inline = render(answer, "x", "Title", 10).inline
    assert inline.startswith("<svg ")
    assert 'role="img"' in inline
    assert f'aria-label="{alt(answer, "Title", 10)}"' in inline
    assert "#ffffff" not in inline.lower()
    assert "Title" not in inline.split(">", 1)[1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (BARS, "T. Bars of bad, worse by d, 3 in all: b 10, a 8, — 4."),
        (STACKS, "T. Columns of 4xx, 5xx by t, 3 in all: 2026-09-22 8, 2026-09-20 3, 2026-09-21 0."),
        (HEAT, "T. Squares of n by c and d, 2 in all: b 16, a 13."),
    ],
    ids=["bars", "stacks", "heat"],
)
def test_a_chart_in_words(answer: Answer, words: str) -> None:
    assert alt(answer, "T", 10) == words


@pytest.mark.parametrize("answer", [BARS, STACKS, HEAT], ids=["bars", "stacks", "heat"])
def test_noughts_are_drawn_too(answer: Answer) -> None:
    noughts = {name: pa.array([0] * answer.table.num_rows) for name in answer.chart.series}
    table = pa.table({name: answer.table[name] for name in answer.table.column_names} | noughts)
    assert render(Answer(table, "", answer.chart), "x", "X", 10).png.startswith(b"\x89PNG")


def test_nothing_is_told_as_nothing() -> None:
    assert alt(Answer(BARS.table.slice(0, 0), "", BARS.chart), "X", 10) == "X. Nothing to draw."


def test_neither_pyplot_nor_the_users_settings_are_touched() -> None:
    program = (
        "import sys, matplotlib as m; m.rcParams['font.size'] = 33\n"
        "import pyarrow as pa\n"
        "from logscan.publish.charts import render\n"
        "from logscan.report import Answer, Chart\n"
        "render(Answer(pa.table({'a': ['x'], 'n': [1]}), '', Chart('bars', x='a', y='n')), 'x', 'X', 1)\n"
        "print('matplotlib.pyplot' in sys.modules, m.rcParams['font.size'], m.rcParams['text.parse_math'])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "33.0", "True"]
    assert told.stderr == ""
