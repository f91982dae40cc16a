"""The config file of `logscan nightly`: every key, its type, its default and its words in one place.

[docs/CONFIG.md](../docs/CONFIG.md) is written from these classes, so a key without words cannot exist. What is wrong
with a file is told with its line, all of it at once, and the nearest key that there is.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
import types
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from logscan.catalogue import LANGUAGE, languages
from logscan.plan import Options, UsageError

_SPAN = re.compile(r"([1-9][0-9]{0,3})\s*([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class ConfigError(ValueError):
    """A config file that cannot be used: a line for each thing that is wrong."""


def _key(words: str, default: Any = MISSING, example: str = "") -> Any:
    """A key with its words, and how it may look in a file."""
    return field(metadata={"words": words, "example": example}, **({} if default is MISSING else {"default": default}))


@dataclass(frozen=True)
class Sources:
    """The logs to read. Those that were read before cost nothing: rotated and compressed ones may be named too."""

    paths: tuple[str, ...] = _key("Files, folders and globs.", example='["/var/log/mail.log*"]')
    format: str | None = _key("Read all as this format; else it is recognised.", None, '"postfix"')
    tz: str | None = _key("Zone of stamps that state none; else this machine's.", None, '"Europe/Berlin"')
    year: int | None = _key("Year of each file's first line, where stamps have none.", None, "2026")
    workers: int | None = _key("Worker processes; else one a core.", None, "1")
    rules: str | None = _key("File of rules and providers of your own.", None, '"/etc/logscan/rules.toml"')


@dataclass(frozen=True)
class Kept:
    """Where the events are kept."""

    path: str = _key("Folder of the store; made where there is none.", example='"/var/lib/logscan/store"')
    anonymize: Literal["keyed", "domain"] | None = _key(
        "Take people out of all that is kept, shown, mailed and told: `keyed` (pseudonyms by `key`) or `domain` "
        "(domains only). A store is of one kind.",
        None,
        '"keyed"',
    )
    key: str | None = _key(
        "File of the secret of the pseudonyms; made where there is none. Keep it apart.", None, '"/etc/logscan/key"'
    )


@dataclass(frozen=True)
class Page:
    """The report of the day."""

    output: str | None = _key(
        "File or folder to write, as `logscan report -o`; {day} becomes the date.", None, '"/srv/www/mail-{day}.html"'
    )
    tz: str | None = _key("Zone in which days begin and end; else this machine's.", None, '"Europe/Berlin"')
    top: int | None = _key("Rows of each table; else as fits the place.", None, "20")
    host: str | None = _key("Name of the server in subjects; else this machine's.", None, '"mx1"')
    language: str = _key("Language of the page, the mail and the alerts: en, th.", LANGUAGE, '"th"')
    queue_days: int = _key("Days that mail may wait in the queue: so long the report looks back for it.", 7)


@dataclass(frozen=True)
class Mailed:
    """The report as mail, in text and HTML."""

    to: tuple[str, ...] = _key("Who gets it; empty: nobody.", (), '["postmaster@example.org"]')
    sender: str | None = _key("From whom; else logscan@ this machine.", None, '"logscan@mx1.example.org"')
    send: Literal["always", "news"] = _key(
        "`always`: every day; `news`: on days with a change, an alert, a problem, or a rate above `rate`.", "news"
    )
    rate: float = _key("Share of failed deliveries from which a day is news.", 1.0, "0.1")
    least: int = _key("Failed deliveries below which a rate is no news.", 20)
    transport: Literal["sendmail", "smtp"] = _key(
        "Hand it to the local sendmail program, or send it by SMTP.", "sendmail"
    )
    sendmail: str = _key("The sendmail program.", "/usr/sbin/sendmail")
    smtp_host: str = _key("Server for `smtp`.", "localhost", '"mail.example.org"')
    smtp_port: int = _key("Its port; 0: what fits `smtp_security` (465, 587 or 25).", 0, "587")
    smtp_security: Literal["starttls", "tls", "none"] = _key(
        "`starttls`, `tls` from the first byte, or `none`. Certificates are verified.", "starttls"
    )
    smtp_user: str | None = _key("Name to log in with; not over `none`.", None, '"logscan"')
    smtp_password_env: str | None = _key(
        "Environment variable that holds the password.", None, '"LOGSCAN_SMTP_PASSWORD"'
    )
    smtp_password_file: str | None = _key(
        "File that holds the password, readable by its owner only.", None, '"/etc/logscan/smtp-password"'
    )


@dataclass(frozen=True)
class Rule:
    """A rule. An alert begins when it first holds, ends when it holds no more, and is told once each."""

    name: str = _key("Its name, told in alerts.", example='"google refuses us"')
    watch: Literal["failure-rate", "blocklisted", "coverage", "silent"] = _key(
        "`failure-rate`: failures among deliveries; `blocklisted`: failures because our address is on a list; "
        "`coverage`: share of lines not understood; `silent`: no event for the length of the window.",
        example='"failure-rate"',
    )
    by: Literal["all", "domain", "provider", "cause"] = _key(
        "An alert for each domain, provider or cause, or one for all.", "all", '"provider"'
    )
    only: tuple[str, ...] = _key("Of these only; empty: of all.", (), '["google"]')
    window: str = _key("Time looked at, back from now: 24h, 90m, 7d.", "24h", '"6h"')
    above: float = _key("Share above which it holds.", 0.2, "0.2")
    least: int | None = _key(
        "Deliveries (lines, refusals) below which it says nothing; else 20 deliveries, 1000 lines, 3 refusals.",
        None,
        "50",
    )


@dataclass(frozen=True)
class Alerts:
    """What to watch, and whom to tell. Each alert is told when it begins and when it ends."""

    to: tuple[str, ...] = _key("Mail addresses, by way of the section mail.", (), '["oncall@example.org"]')
    webhook: str | None = _key("URL that gets a POST of JSON.", None, '"https://chat.example.org/hook"')
    command: tuple[str, ...] = _key(
        "Program and its arguments; JSON on its standard input; no shell.", (), '["/usr/local/bin/page-me"]'
    )
    textfile: str | None = _key(
        "File for the textfile collector of Prometheus' node exporter.",
        None,
        '"/var/lib/node_exporter/textfile/logscan.prom"',
    )
    rule: tuple[Rule, ...] = _key("The rules, each a table.", ())


@dataclass(frozen=True)
class Retention:
    """How long events are kept."""

    days: int = _key("Days of events to keep; 0: all. Changes need four weeks.", 0, "400")


@dataclass(frozen=True)
class Config:
    """A whole config file."""

    sources: Sources
    store: Kept
    report: Page = field(default_factory=Page)
    mail: Mailed = field(default_factory=Mailed)
    alerts: Alerts = field(default_factory=Alerts)
    retention: Retention = field(default_factory=Retention)

    def reading(self) -> Options:
        """How the logs are to be read."""
        one, kept = self.sources, self.store
        return Options(
            one.format, one.tz, one.year, one.workers, rules=one.rules, anonymize=kept.anonymize, key=kept.key
        )

    def zone(self) -> tzinfo | None:
        """The zone of days; None is this machine's. Raises `UsageError`."""
        return Options(tz=self.report.tz).zone()


def read(path: Path) -> Config:
    """The config file at `path`. Raises `ConfigError`; `OSError` where it cannot be read.

    One that anybody may write is refused: it names programs to run.
    """
    text = path.read_text(encoding="utf-8")
    if os.name == "posix" and path.stat().st_mode & stat.S_IWOTH:
        raise ConfigError(f"{path}: anybody may write it; `chmod o-w {path}`")
    return parse(text, str(path))


def parse(text: str, name: str = "logscan.toml") -> Config:
    """A config file's text. Raises `ConfigError`.

    >>> config = parse('[sources]\\npaths = ["/var/log/mail.log"]\\n[store]\\npath = "/srv/mail"')
    >>> config.mail.send
    'news'
    >>> parse('[sources]\\npaths = ["mail.log"]\\n[store]\\npaht = "/srv/mail"')
    Traceback (most recent call last):
    logscan.config.ConfigError: logscan.toml:4: store.paht: no such key; did you mean path?
    logscan.toml:3: store.path: missing
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    wrong: list[tuple[str, str]] = []
    made = _made(Config, data, "", wrong)
    if not wrong:
        wrong += _senseless(made)
    if wrong:
        said = (f"{name}:{_line(text, key)}: {key}: {met}" for key, met in wrong)
        raise ConfigError("\n".join(said))
    config: Config = made
    return config


def duration(text: str) -> timedelta:
    """How long a window is. Raises `ValueError`.

    >>> duration("90m") == duration("1h") * 1.5
    True
    """
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time; write 24h, 90m or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _made(of: Any, data: dict[str, Any], place: str, wrong: list[tuple[str, str]]) -> Any:
    """The table as a value of its class; what is wrong with it goes to `wrong`."""
    hints = get_type_hints(of)
    wrong += [(place + key, f"no such key; {_nearest(key, hints)}") for key in data.keys() - hints.keys()]
    values: dict[str, Any] = {}
    for one in fields(of):
        if one.name in data:
            values[one.name] = _value(hints[one.name], data[one.name], place + one.name, wrong)
        elif _required(one):
            wrong.append((place + one.name, "missing"))
    try:
        return of(**values)
    except TypeError:
        return None  # something that must be there is missing, and was told


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _value(hint: Any, value: Any, key: str, wrong: list[tuple[str, str]]) -> Any:
    """A value as its type wants it."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return _value(inner[0], value, key, wrong)
    if is_dataclass(hint) and isinstance(value, dict):
        return _made(hint, value, key + ".", wrong)
    if kind is tuple and isinstance(value, list):
        return tuple(_value(inner[0], item, key, wrong) for item in value)
    if kind is Literal:
        if value not in inner:
            wrong.append((key, f"{value!r} is none of {', '.join(inner)}"))
        return value
    if hint is float and type(value) is int:
        return float(value)
    wanted = {str: "a text", int: "a number", float: "a number", bool: "true or false"}
    if kind is tuple or hint not in wanted or type(value) is not hint:
        what = "a list" if kind is tuple else wanted.get(hint, "a table")
        wrong.append((key, f"{value!r} is not {what}"))
    return value


def _required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _senseless(config: Config) -> list[tuple[str, str]]:
    """What has the right type and makes no sense."""
    wrong = []
    if not config.sources.paths:
        wrong.append(("sources.paths", "names no logs"))
    for key, tz in (("sources.tz", config.sources.tz), ("report.tz", config.report.tz)):
        try:
            Options(tz=tz).zone()
        except UsageError:
            wrong.append((key, f"{tz!r} is no time zone; use a name such as Europe/Berlin or UTC"))
    if (config.store.anonymize == "keyed") != bool(config.store.key):
        wrong.append(("store.key", 'goes with anonymize = "keyed"'))
    mail = config.mail
    if mail.smtp_user and not (mail.smtp_password_env or mail.smtp_password_file):
        wrong.append(("mail.smtp_user", "needs smtp_password_env or smtp_password_file"))
    if mail.smtp_user and mail.smtp_security == "none":
        wrong.append(("mail.smtp_security", "a password is not sent in the clear; use starttls or tls"))
    for key, addresses in (
        ("mail.to", mail.to),
        ("alerts.to", config.alerts.to),
        ("mail.sender", [mail.sender or "a@b"]),
    ):
        wrong += [
            (key, f"{one!r} is no address")
            for one in addresses
            if not re.fullmatch(r"[^\s@,<>-][^\s@,<>]*@[^\s@,<>]+", one)
        ]
    if config.alerts.webhook and not re.match(r"https?://", config.alerts.webhook):
        wrong.append(("alerts.webhook", "is no http or https URL"))
    names = [rule.name for rule in config.alerts.rule]
    wrong += [("alerts.rule.name", f"{name!r} stands twice") for name in sorted(set(names)) if names.count(name) > 1]
    for rule in config.alerts.rule:
        if rule.only and (rule.watch == "coverage" or (rule.watch == "failure-rate" and rule.by == "all")):
            wrong.append(("alerts.rule.only", "names some of many; this rule is of all: say `by`"))
        try:
            duration(rule.window)
        except ValueError as error:
            wrong.append(("alerts.rule.window", str(error)))
    if config.report.language not in languages():
        hint = _nearest(config.report.language, languages())
        wrong.append(("report.language", f"{config.report.language!r} is no language here; {hint}"))
    if config.report.queue_days < 0:
        wrong.append(("report.queue_days", "is less than nothing"))
    if config.retention.days < 0:
        wrong.append(("retention.days", "is less than nothing"))
    return wrong


def _line(text: str, key: str) -> int:
    """The line of a key such as `mail.to`, else of its section, else the first."""
    section, _, name = key.rpartition(".")
    here, at = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line):
            here = header[1]
            if here == key:
                return number
            if here == section:
                at = number
        elif here == section and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return number
    return at


def example() -> str:
    """A config file with every key, those that have a default commented out.

    >>> parse(example()).store.path
    '/var/lib/logscan/store'
    """
    lines = []
    for section in fields(Config):
        table = get_type_hints(Config)[section.name]
        lines += ["", f"# {table.__doc__}", f"[{section.name}]"]
        for one in fields(table):
            if one.name != "rule":
                lines += _shown(one)
        if section.name == "alerts":
            lines += ["", f"# {Rule.__doc__}", "# [[alerts.rule]]"]
            lines += [line if line.startswith("#") else f"# {line}" for one in fields(Rule) for line in _shown(one)]
    return "\n".join(lines[1:]) + "\n"


def _shown(one: Field[Any]) -> list[str]:
    """A key in a file: its words, and its default or an example."""
    words, shown = one.metadata["words"], one.metadata["example"] or _toml(one.default)
    return [f"# {words}", f"{'' if _required(one) else '# '}{one.name} = {shown}"]


def _toml(value: Any) -> str:
    return (
        "[" + ", ".join(map(_toml, value)) + "]"
        if isinstance(value, tuple)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def documented() -> str:
    """All keys as a page of Markdown."""
    parts = []
    for section in fields(Config):
        table = get_type_hints(Config)[section.name]
        parts.append(_section(f"[{section.name}]", table))
        if table is Alerts:
            parts.append(_section("[[alerts.rule]]", Rule))
    return "\n".join(parts)


def _section(title: str, table: Any) -> str:
    rows = []
    for one in fields(table):
        default = "required" if _required(one) else "" if one.default in (None, ()) else f"`{_toml(one.default)}`"
        example = one.metadata["example"]
        rows.append(f"| `{one.name}` | {one.metadata['words']} | {default} | {f'`{example}`' if example else ''} |\n")
    head = "| key | meaning | default | example |\n| --- | --- | --- | --- |\n"
    return f"## `{title}`\n\n{table.__doc__}\n\n{head}{''.join(rows)}"
