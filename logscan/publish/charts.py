"""Draws a report's chart, for a page and for a file of its own. The only place that loads matplotlib.

Never pyplot: it keeps state between figures and looks for a display. Text is what somebody on the net wrote, so it is
made safe, cut, and never read as mathematics (`$\\frac{1}{$` in a HELO would stop the report).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

import numpy as np
from matplotlib import font_manager, rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator

from logscan.language import ENGLISH, Language
from logscan.publish.series import LABEL, Drawn, alt, numbers
from logscan.publish.text import narrow, safe
from logscan.report import Answer

WIDTH = 4.8
TICKS = 5
MOST_APART = 60
COLUMN = 10
INK, GRID = "#24292f", "#8b949e"
PLAIN = ("#3b6ea5", "#5a9e8f", "#c9803b", "#8c6bb1", "#6e7781")
# What is put off is amber, what is refused for good is red, everywhere.
MEANT = {
    "deferred": "#d9a441",
    "failed_4xx": "#d9a441",
    "bounced": "#c44536",
    "failed_5xx": "#c44536",
    "expired": "#9b3d5f",
    "rejected": "#8c6bb1",
    "failed_other": "#8b949e",
    "refused": "#8c6bb1",
    "refusals": "#8c6bb1",
}
HEAT = LinearSegmentedColormap.from_list("heat", [(0.77, 0.27, 0.21, 0.06), (0.77, 0.27, 0.21, 0.75)])
# For letters that matplotlib's own font lacks; those that the machine has, with Thai first: CJK fonts have no Thai.
FONTS = (
    "Noto Sans Thai",
    "Leelawadee UI",
    "Thonburi",
    "Loma",
    "Garuda",
    "Noto Sans CJK JP",
    "Yu Gothic",
    "Hiragino Sans",
)
SVG = "http://www.w3.org/2000/svg"
# A hundredth of a point is not seen.
_FINE = re.compile(r"(\.\d\d)\d+")


@dataclass(frozen=True)
class Rendered:
    """A chart: `svg` and `png` are files with a title; `inline` is a part of a page, and takes its colours."""

    svg: bytes
    png: bytes
    inline: str
    left_out: int
    """Bars, rows or steps for which there was no room."""


def render(answer: Answer, name: str, title: str, top: int, language: Language = ENGLISH) -> Rendered:
    """Draw the chart of an answer that has rows. The same answer gives the same bytes on the same machine.

    Where no font of this machine has the letters of the language (`has_letters`), the picture's words are English.
    """
    with _calm():
        alone, part = draw(answer, top, safe(title, LABEL), language), draw(answer, top, "", language)
        picture = alone if has_letters(language) else draw(answer, top, ENGLISH.title(name, safe(title, LABEL)))
        words, left_out = alt(answer, title, top, language), numbers(answer, top).left_out
        return Rendered(_svg(alone), _png(picture), inline(_svg(part, transparent=True), name, words), left_out)


@cache
def has_letters(language: Language) -> bool:
    """Whether some font of this machine has the letters in which the language writes its own name.

    >>> has_letters(Language("en"))
    True
    """
    letters = set(map(ord, language.say("language.name")))
    with _calm():
        fonts = [get_font(font_manager.findfont(name)) for name in rcParams["font.family"]]
    return any(letters <= font.get_charmap().keys() for font in fonts)


def draw(answer: Answer, top: int, title: str = "", language: Language = ENGLISH) -> Figure:
    """The chart of an answer as a figure."""
    drawn = numbers(answer, top, language)
    kind = answer.chart.kind if answer.chart else "bars"
    rows = len(drawn.labels)
    height = {"bars": 0.55 + 0.27 * rows, "stacks": 2.6, "heat": 0.75 + 0.3 * rows}[kind]
    legend = kind != "heat" and len(drawn.series) > 1
    figure = Figure(figsize=(WIDTH, height + 0.3 * legend + 0.3 * bool(title)), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)
    {"bars": _bars, "stacks": _stacks, "heat": _squares}[kind](axes, drawn, language)
    if legend:
        figure.legend(loc="outside lower left", ncols=4, frameon=False, handlelength=0.8, handleheight=0.8)
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def _colour(name: str, place: int) -> str:
    return MEANT.get(name, PLAIN[place % len(PLAIN)])


def _bars(axes: Axes, drawn: Drawn, language: Language) -> None:
    places = np.arange(len(drawn.labels))
    left = np.zeros(len(places))
    for i, name in enumerate(drawn.series):
        axes.barh(places, drawn.values[:, i], 0.68, left, color=_colour(name, i), label=language.heading(name))
        left = left + drawn.values[:, i]
    for place, whole in zip(places, left, strict=True):
        axes.annotate(f"{whole:,.0f}", (whole, place), (4, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(places, drawn.labels)
    axes.set_xticks([])
    axes.set_ylim(len(places) - 0.5, -0.5)
    # Room for the number after the longest bar.
    axes.set_xlim(0, 1.18 * max(left.max(initial=0), 1))


def _stacks(axes: Axes, drawn: Drawn, language: Language) -> None:
    count = len(drawn.labels)
    # One outline for all columns of a series keeps the file small. Few columns stand apart: a nought between each two.
    apart = count <= MOST_APART
    places = np.arange(count)
    edges = np.ravel([places - 0.35, places + 0.35], "F") if apart else np.arange(count + 1) - 0.5
    below = np.zeros(count)
    for i, name in enumerate(drawn.series):
        top = below + drawn.values[:, i]
        outline = [np.insert(values, range(1, count), 0) if apart else values for values in (top, below)]
        axes.stairs(
            outline[0], edges, baseline=outline[1], fill=True, color=_colour(name, i), label=language.heading(name)
        )
        below = top
    shown = range(0, count, -(-count // TICKS))
    axes.set_xticks(shown, [_two_lines(drawn.labels[i]) for i in shown])
    # A few columns stay columns, and do not become walls.
    middle, half = (count - 1) / 2, max(count, TICKS) / 2 + 0.1
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(0, 1.05 * max(below.max(), 1))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    # Seen on white and on black.
    axes.grid(axis="y", color=GRID, alpha=0.35, linewidth=0.8)
    axes.set_axisbelow(True)


def _two_lines(label: str) -> str:
    """A label of a column, such as 550 over 5.1.1."""
    first, _, rest = label.partition(" ")
    return narrow(first, COLUMN) + ("\n" + narrow(rest, COLUMN) if rest else "")


def _squares(axes: Axes, drawn: Drawn, _: Language) -> None:
    # The root keeps small numbers visible beside one that is a hundred times greater.
    shade = np.ma.masked_equal(np.sqrt(drawn.values), 0)
    axes.pcolormesh(shade, cmap=HEAT, vmin=0, vmax=max(np.sqrt(drawn.values.max()), 1))
    for row, column in zip(*np.nonzero(drawn.values), strict=True):
        number = f"{drawn.values[row, column]:,.0f}"
        axes.text(column + 0.5, row + 0.5, number, ha="center", va="center", color=INK, fontsize=8)
    axes.set_xticks(np.arange(len(drawn.series)) + 0.5, [_two_lines(name) for name in drawn.series])
    axes.set_yticks(np.arange(len(drawn.labels)) + 0.5, drawn.labels)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.tick_top()
    axes.invert_yaxis()


def inline(svg: bytes, name: str, words: str) -> str:
    """An SVG file as a part of a page: told in words, sized by the page, its ids its own.

    Raises `xml.etree.ElementTree.ParseError` for what is not XML.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 matplotlib wrote it, a moment ago
    for parent in [*root.iter()]:
        for child in [*parent]:
            if child.tag in {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}:
                parent.remove(child)
    used = {mark.removeprefix("#") for element in root.iter() for mark in _references(element)}
    for element in root.iter():
        if (own := element.get("id")) in used:
            element.set("id", f"{name}-{own}")
        elif own is not None:
            del element.attrib["id"]
        for key, value in element.attrib.items():
            if value.startswith("#") and value[1:] in used:
                element.set(key, f"#{name}-{value[1:]}")
            elif value.startswith("url(#"):
                element.set(key, value.replace("url(#", f"url(#{name}-"))
            elif key == "d":
                element.set(key, _FINE.sub(r"\1", value))
    for size in ("width", "height"):
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-label", words)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _references(element: ElementTree.Element) -> Iterator[str]:
    """Ids that an element refers to."""
    for key, value in element.attrib.items():
        if key.endswith("href"):
            yield value
        elif value.startswith("url(#"):
            yield value[4:-1]


def _svg(figure: Figure, *, transparent: bool = False) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=transparent)
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    return file.getvalue()


@contextmanager
def _calm() -> Iterator[None]:
    """matplotlib's settings for these charts, whatever the user's own are."""
    have = set(font_manager.get_font_names())
    with rc_context(), warnings.catch_warnings():
        rcdefaults()
        rcParams["text.parse_math"] = False
        rcParams["svg.fonttype"] = "none"
        rcParams["svg.hashsalt"] = "logscan"
        rcParams["font.family"] = ["DejaVu Sans", *(name for name in FONTS if name in have)]
        rcParams["font.size"] = 9
        # A letter that no font of this machine has is a box in the PNG; pages and SVG leave letters to their reader.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield
