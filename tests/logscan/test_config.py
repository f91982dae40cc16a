"""The config file: what is wrong is told with its line, and every key has its words."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from logscan.config import Config, ConfigError, Rule, documented, example, parse, read

LEAST = '[sources]\npaths = ["mail.log"]\n[store]\npath = "store"\n'


@pytest.mark.parametrize(
    ("text", "met"),
    [
        pytest.param("", "t:1: sources: missing", id="empty"),
        pytest.param("[sources", "t: not TOML", id="no TOML"),
        pytest.param(LEAST + '[mial]\nto = ["a@b"]', "t:5: mial: no such key; did you mean mail?", id="section"),
        pytest.param(LEAST + "[mail]\nport = 25", "t:6: mail.port: no such key", id="key"),
        pytest.param(LEAST + '[mail]\nto = "a@b.example"', "t:6: mail.to: 'a@b.example' is not a list", id="no list"),
        pytest.param(LEAST + "[mail]\nsmtp_port = true", "t:6: mail.smtp_port: True is not a number", id="no number"),
        pytest.param(LEAST + '[mail]\nto = ["-oQ/tmp@b"]', "is no address", id="an option of sendmail"),
        pytest.param(LEAST + '[mail]\nto = ["a@b\\nBcc: c@d"]', "is no address", id="a header"),
        pytest.param(LEAST + '[mail]\nsend = "sometimes"', "'sometimes' is none of always, news", id="choice"),
        pytest.param(LEAST + '[mail]\nsmtp_user = "x"', "needs smtp_password_env", id="no password"),
        pytest.param(
            LEAST + '[mail]\nsmtp_user = "x"\nsmtp_password_env = "P"\nsmtp_security = "none"',
            "t:8: mail.smtp_security: a password is not sent in the clear",
            id="password in the clear",
        ),
        pytest.param(
            LEAST + '[report]\ntz = "Mars/Olympus"', "t:6: report.tz: 'Mars/Olympus' is no time zone", id="tz"
        ),
        pytest.param(LEAST + '[alerts]\nwebhook = "file:///etc/passwd"', "is no http or https URL", id="webhook"),
        pytest.param(LEAST + '[[alerts.rule]]\nname = "x"', "alerts.rule.watch: missing", id="rule without watch"),
        pytest.param(
            LEAST + '[[alerts.rule]]\nname = "x"\nwatch = "silent"\nwindow = "soon"',
            "'soon' is not a time",
            id="window",
        ),
        pytest.param(
            LEAST + '[[alerts.rule]]\nname = "x"\nwatch = "silent"\n' * 2, "'x' stands twice", id="two of a name"
        ),
        pytest.param(LEAST + '[report]\nlanguage = "thai"', "no language here; did you mean th?", id="language"),
        pytest.param(LEAST + '[report]\nlanguage = "xx"', "there are en, th", id="no language"),
        pytest.param(LEAST + "[report]\nqueue_days = -1", "t:6: report.queue_days: is less", id="queue"),
        pytest.param(LEAST + 'anonymize = "keyed"', "store.key: goes with anonymize", id="keyed without a key"),
        pytest.param(LEAST + 'key = "k"\nanonymize = "domain"', "t:5: store.key: goes with", id="a key for nothing"),
        pytest.param(LEAST + 'anonymize = "all"', "'all' is none of keyed, domain", id="another way"),
        pytest.param(LEAST + "[retention]\ndays = -1", "is less than nothing", id="retention"),
    ],
)
def test_what_is_wrong_is_told(text: str, met: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text.replace(LEAST + "[[", LEAST + "[[", 1), "t")
    assert met in str(told.value)


def test_all_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        parse(LEAST + '[mail]\nsend = "x"\n[report]\ntop = "many"\nfoo = 1', "t")
    assert len(str(told.value).splitlines()) == 3


def test_the_example_has_every_key_and_holds() -> None:
    uncommented = [
        line[2:]
        if line.startswith("# ") and (" = " in line or line.startswith("# [")) and not line.endswith(".")
        else line
        for line in example().splitlines()
    ]
    whole = tomllib.loads("\n".join(uncommented))
    hints = get_type_hints(Config)
    assert {name: set(table) for name, table in whole.items()} == {
        name: {one.name for one in fields(hint)} for name, hint in hints.items()
    }
    assert set(whole["alerts"]["rule"][0]) == {one.name for one in fields(Rule)}
    assert parse("\n".join(uncommented)).retention.days == 400
    assert parse(example()) == parse('[sources]\npaths=["/var/log/mail.log*"]\n[store]\npath="/var/lib/logscan/store"')


def test_every_key_is_documented() -> None:
    page = documented()
    tables = [*get_type_hints(Config).values(), Rule]
    assert [one.name for table in tables for one in fields(table) if f"| `{one.name}` | " not in page] == []


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_file_that_anybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "logscan.toml"
    path.write_text(LEAST)
    path.chmod(0o646)
    with pytest.raises(ConfigError, match="anybody may write it"):
        read(path)
    path.chmod(0o644)
    assert read(path).store.path == "store"
