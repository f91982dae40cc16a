"""A site's own rules: they go first everywhere, and what is wrong with them is told with its line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import logscan
from logscan.catalogue.site import RulesError, SiteFile
from logscan.classifier import classify
from logscan.classifier.trial import try_rules

GOOD = """
[words]
gateway = 'our (?:gate|guard)'

[[rule]]
id = "gateway-held"
cause = "spam-content"
text = ['held by {gateway}']
match = ["550 5.7.1 Message held by our guard, case 7"]
not = ["550 5.1.1 User unknown"]

[[rule]]
id = "tea-time"
cause = "server-busy"
code = [450]
enhanced = ["4.7.77"]
match = ["450 4.7.77 Tea time"]

[[provider]]
name = "parent-company"
suffixes = ["mx.parent.example"]
match = ["mx1.mx.parent.example"]
not = ["parent.example"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_good_rules_have_no_trouble(tmp_path: Path) -> None:
    assert try_rules(SiteFile(written(tmp_path, GOOD))) == []


def test_they_go_before_the_catalogues(tmp_path: Path) -> None:
    text = GOOD + "\n[[rule]]\nid = 'all-mine'\ncause = 'policy'\ntext = 'user unknown'\nmatch = ['550 User unknown']\n"
    site = SiteFile(written(tmp_path, text)).site
    events = pa.table({"reply": ["550 User unknown", "550 No such user"], "remote_host": ["a.mx.parent.example", "x"]})
    judged = classify(events, site)
    assert judged["rule"].to_pylist() == ["all-mine", "no-such-user"]
    assert judged["cause"].to_pylist() == ["policy", "user-unknown"]
    assert judged["provider"].to_pylist() == ["parent-company", None]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_has_them(tmp_path: Path, workers: int) -> None:
    rules = written(
        tmp_path, "[[rule]]\nid = 'mine'\ncause = 'policy'\ntext = 'no such user'\nmatch = ['550 No such user']\n"
    )
    line = (
        "2026-11-23T12:00:00+00:00 mx postfix/smtp[1]: A000000001: to=<c@a.example>, relay=mx.a.example[192.0.2.1]:25, "
        "delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.a.example[192.0.2.1] said: 550 No such user)\n"
    )
    log = tmp_path / "mail.log"
    log.write_text(line * 50)
    table = logscan.scan(log, rules=rules, workers=workers, block_size=1024)
    assert set(table["rule"].to_pylist()) == {"mine"}
    assert logscan.classify("550 No such user", rules=rules).rule == "mine"


@pytest.mark.parametrize(
    ("text", "line", "met"),
    [
        ("[[rule]]\nid = 'a\n", 2, "no TOML"),
        ("[[rule]]\ncause = 'policy'\ntext = 'x'\n", 1, "no id"),
        ("\n\n[[rule]]\nid = 'a'\ncause = 'spam'\ntext = 'x'\n", 3, "no cause 'spam'"),
        ("[[rule]]\nid = 'a'\ncause = 'polcy'\ntext = 'x'\n", 1, "did you mean 'policy'"),
        ("[[rule]]\nid = 'a'\ncause = 'policy'\n", 1, "no condition"),
        ("[[rule]]\nid = 'a'\ncause = 'policy'\ntxt = 'x'\n", 1, "did you mean 'text'"),
        ("[[rule]]\nid = 'a'\ncause = 'policy'\ntext = '{nowhere}'\n", 1, "no word {nowhere}"),
        ("[[rule]]\nid = 'a'\ncause = 'policy'\ntext = 7\n", 1, "text is a pattern"),
        ("[[rule]]\nid = 'a'\ncause = 'policy'\ncode = ['550']\n", 1, "code is a list of numbers"),
        ("[[rule]]\nid = 'mailbox-full'\ncause = 'policy'\ntext = 'x'\n", 1, "taken by the catalogue"),
        (
            "[[rule]]\nid = 'a'\ncause = 'policy'\ntext = 'x'\n[[rule]]\nid = 'a'\ncause = 'policy'\ntext = 'y'\n",
            5,
            "taken by line 1",
        ),
        ("[[provider]]\nname = 'a'\n", 1, "a provider has a name and suffixes"),
        ("[[rules]]\n", 1, "did you mean 'rule'"),
        ("rule = 7\n", 1, "[[rule]]"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, line: int, met: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as error:
        SiteFile(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert met in str(error.value)


RULE = "[[rule]]\nid = '{id}'\ncause = 'policy'\n{rest}\n"


@pytest.mark.parametrize(
    ("text", "line", "met"),
    [
        (RULE.format(id="a", rest="text = 'x'\nmatch = [\n'550 x',\n'550 y',\n]"), 7, "not found in 'y'"),
        (RULE.format(id="a", rest="text = 'x'\nmatch = ['550 x']\nnot = [\n'550 xx']"), 7, "judges what it must not"),
        (RULE.format(id="a", rest="text = 'x'"), 1, "has no example"),
        (RULE.format(id="a", rest="text = '('\nmatch = ['550 (']"), 1, "no pattern of RE2"),
        (RULE.format(id="a", rest="text = 'x|'\nmatch = ['550 x']"), 1, "found in every reply"),
        (RULE.format(id="a", rest="code = [250]\nmatch = ['250 x']"), 1, "can't hold"),
        (RULE.format(id="a", rest="text = 'bob@corp'\nmatch = ['550 bob@corp.example']"), 5, "before masking only"),
        (RULE.format(id="a", rest="text = 'x'\ncode = [551]\nmatch = ['550 x']"), 6, "another of its conditions"),
        (
            RULE.format(id="a", rest="text = 'x'\nmatch = ['550 x']")
            + RULE.format(id="b", rest="text = 'xy'\nmatch = ['550 xy']"),
            6,
            "shadowed: all of its examples are judged before, by rule 'a' of line 1",
        ),
        (
            RULE.format(id="a", rest="text = 'x'\nmatch = ['550 x']")
            + RULE.format(id="b", rest="text = 'y'\nmatch = [\n'550 y',\n'550 xy',\n]"),
            12,
            "is judged before, by rule 'a' of line 1",
        ),
        ("[[provider]]\nname = 'a'\nsuffixes = ['a.example']\nmatch = ['b.example']\n", 1, "is nobody's"),
        ("[[provider]]\nname = 'a'\nsuffixes = ['a.example']\nnot = ['x.a.example']\n", 1, "takes what it must not"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_line(tmp_path: Path, text: str, line: int, met: str) -> None:
    ((found, words),) = try_rules(SiteFile(written(tmp_path, text)))
    assert met in words
    assert found == line
