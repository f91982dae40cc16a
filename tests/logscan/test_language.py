"""A report in another language is in that language: whole, in all its forms, and with letters that are drawn."""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from logscan import alerts, catalogue
from logscan.alerts import Alert
from logscan.catalogue import languages
from logscan.changes import KINDS, Change, Series, by_day
from logscan.language import ENGLISH, Language
from logscan.parser import Tally
from logscan.publish import Findings, charts, gather, write
from logscan.publish.files import shortcomings
from logscan.publish.letter import html, text
from logscan.publish.night import of_day, of_night
from logscan.publish.page import page
from logscan.publish.screen import screen
from logscan.report import Answer, Asked, Before
from logscan.run import Problem, Run, SourceRead

OTHERS = [name for name in languages() if name != catalogue.LANGUAGE]
# What a log says, and its names: all else on a page is ours.
LOGGED = "zzz"
NAMES = {"postfix", "google", "utc", "file", "log", "mail"}
ACTIONS = tuple(catalogue.language_words()["values"]["action"])


def made(language: str, actions: tuple[str, ...] = ACTIONS) -> Findings:
    """Findings in which every report has something to say, and every action and change occurs."""
    causes = sorted(catalogue.causes())
    failure = {"code": 550, "enhanced": "5.1.1", "code_class": "5xx", "reply": LOGGED, "source": LOGGED, "offset": 7}
    events: list[dict[str, Any]] = []
    for i, action in enumerate(actions):
        time = datetime(2026, 11, 23, i % 24, tzinfo=UTC)
        common = {**failure, "action": action, "time": time, "provider": "google", "host": LOGGED, "queue_id": f"{i}"}
        events.append({**common, "direction": "outbound", "recipient": f"{LOGGED}@{LOGGED}", "cause": causes[i]})
        events.append({**common, "direction": "outbound", "recipient_domain": LOGGED, "code": None, "enhanced": None})
    for i, cause in enumerate([*causes, *["auth-failed"] * 7]):
        refused = {**failure, "direction": "inbound", "action": "rejected", "cause": cause, "remote_ip": f"192.0.2.{i}"}
        events.append({**refused, "time": datetime(2026, 11, 23, 9, tzinfo=UTC)})
    read = SourceRead(LOGGED, "postfix", 0.4, 1, Tally(understood=5, unread=2, samples=((1, LOGGED), (2, LOGGED))), 1)
    unknown = SourceRead(LOGGED, "", 0.4, 1, Tally(known=5), 1)
    asked = Asked.of(*events)
    run = Run((read, unknown) * 4, (Problem(LOGGED, LOGGED),) * 9)
    return gather(asked.events, run, language=language, before=Before(asked.events, 7))


def night(language: str) -> tuple[Findings, list[Change]]:
    changed = [
        Change(kind, f"550 {LOGGED}" if kind == "code" else LOGGED, what, 9, 90, expected, 1, (1, 2), 0.0)  # type: ignore[arg-type]
        for kind in KINDS
        for what, expected in (("new", 0.0), ("spiking", 2.0), ("vanished", 5.0))
    ]
    counts = np.arange(29)[None, :]
    weeks = by_day({"domain": Series.of([LOGGED], counts, counts * 10)}, date(2026, 11, 23))
    holding = [
        Alert(LOGGED, LOGGED, LOGGED, "2026-11-23T12:00:00+00:00", ended) for ended in (None, "2026-11-23T13:00:00Z")
    ]
    return of_night(made(language), changed, weeks, alerts.listed(holding)), changed


class Words(HTMLParser):
    """What a reader of a page sees or hears."""

    def __init__(self, made: str):
        super().__init__()
        self.said: list[str] = []
        self.silent = 0
        self.language = ""
        self.feed(made)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("style", "script")
        self.said += [value or "" for name, value in attrs if name in ("aria-label", "title", "alt")]
        if tag == "html":
            self.language = dict(attrs)["lang"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def foreign(said: str, language: str) -> set[str]:
    """The English words of a text that the language's own file does not use."""
    path = Path(catalogue.__file__).parent / "languages" / f"{language}.toml"
    own = set(words(str(list(leaves(tomllib.loads(path.read_text(encoding="utf-8")))))))
    known = own | NAMES | set(words(" ".join(catalogue.causes()))) | {LOGGED}
    return set(words(said)) - known


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield str(value)


def words(said: str) -> list[str]:
    return re.findall(r"(?<![\w.])[a-z]{2,}(?![\w.])", said.lower())


@pytest.mark.parametrize("language", OTHERS)
class TestWhole:
    def test_the_page(self, language: str) -> None:
        findings, _ = night(language)
        assert {one.report.name for one in findings.findings} <= set(catalogue.language_words()["reports"])
        assert len([one for one in findings.findings if one.answer.table.num_rows]) == len(findings.findings) == 14
        for shown in (page(findings), html(findings)):
            seen = Words(shown)
            assert seen.language == language
            assert foreign(" ".join(seen.said), language) == set()

    def test_the_screen_and_the_text_of_a_mail(self, language: str) -> None:
        findings, _ = night(language)
        file = io.StringIO()
        Console(file=file, width=80).print(screen(findings))
        assert foreign(file.getvalue(), language) == set()
        assert foreign(text(findings), language) == set()

    def test_the_subject_and_the_verdicts(self, language: str) -> None:
        findings, changed = night(language)
        said = [of_day(findings, LOGGED, date(2026, 11, 23), some).replace("[logscan]", "") for some in (changed, [])]
        for actions in ((), ("delivered",), ("bounced",), ("notified",), ("delivered", "delivered")):
            said += made(language, actions).summary.sentences
        said += of_night(made(language), [], by_day({"domain": EMPTY}, date(2026, 11, 23))).summary.sentences
        assert foreign(" ".join(said), language) == set()

    def test_the_charts(self, language: str, tmp_path: Path) -> None:
        findings, _ = night(language)
        for chart in findings.charts.values():
            told = Words(chart.inline)
            assert told.said
            assert foreign(" ".join(told.said), language) == set()

    def test_what_files_say_is_words_and_not_keys(self, language: str) -> None:
        for finding in night(language)[0].findings:
            assert foreign(finding.title + finding.answer.note, language) == set()


EMPTY = Series.of([LOGGED], np.zeros((1, 29), np.int64), np.zeros((1, 29), np.int64))


def test_every_column_has_its_heading() -> None:
    known = set(catalogue.language_words()["columns"])
    for finding in night(catalogue.LANGUAGE)[0].findings:
        answer = finding.answer
        named = {*(answer.shown or answer.table.column_names), *answer.below, *answer.brief}
        assert named <= known, finding.report.name


def test_what_is_not_ours_keeps_its_name() -> None:
    thai = Language("th")
    assert thai.heading("their_column") == "their column"
    assert thai.value("google", "provider") == "google"
    assert thai.say("chart.nothing", title="{title}{0}") == "{title}{0} ไม่มีอะไรให้วาด"


@pytest.mark.parametrize("found", [True, False], ids=["font", "no font"])
def test_a_picture_without_letters_for_its_words_says_so(
    found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings, asked = made("th"), Asked.of({"action": "delivered"})
    drawn: list[str] = []
    draw = charts.draw

    def watched(answer: Answer, top: int, title: str = "", language: Language = ENGLISH) -> Figure:
        drawn.append(language.name)
        return draw(answer, top, title, language)

    monkeypatch.setattr(charts, "has_letters", lambda language: found or language.name == "en")
    monkeypatch.setattr(charts, "draw", watched)
    write(findings, tmp_path, asked.events)
    assert (set(drawn) == {"th"}) == found
    told = shortcomings(findings, tmp_path)
    assert not told if found else "no font of this machine has the letters of ไทย; install one of Noto" in str(told[0])
    assert shortcomings(findings, tmp_path / "page.html") == []


def test_thai_has_its_letters_where_a_font_is() -> None:
    if not charts.has_letters(Language("th")):
        pytest.skip("no Thai font on this machine")
    assert charts.render(made("th").findings[0].answer, "causes", "สาเหตุ", 5, Language("th")).png.startswith(b"\x89PNG")
