"""Alerts of every kind, by every way, over nights; and mail by servers with TLS and a login."""

from __future__ import annotations

import email
import email.policy
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from logscan.config import ConfigError, parse
from logscan.nightly import Night, nightly

DAY = datetime(2026, 11, 20, tzinfo=UTC)
LISTED = "550-5.7.1 [192.0.2.9] blocked using zen.spamhaus.org"
USER, PASSWORD = "logscan", "a secret: ü\"'"


class Server:
    """A mail server on this machine: what it got, who logged in, and whether it was encrypted then."""

    def __init__(self, folder: Path, security: str, monkeypatch: pytest.MonkeyPatch, *, trusted: bool = True):
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[str, bool]] = []
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(folder / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if security == "tls" else None,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_required=True,
            auth_require_tls=security == "starttls",
            authenticator=self.login,
        )

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, given: LoginPassword) -> AuthResult:
        good = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append((given.password.decode(), session.ssl is not None))
        return AuthResult(success=good, handled=False)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd's own
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        mail["X-Rcpt"] = ", ".join(envelope.rcpt_tos)
        self.mails.append(mail)
        return "250 taken"

    @contextmanager
    def serving(self) -> Iterator[Server]:
        self.controller.start()
        try:
            yield self
        finally:
            self.controller.stop()

    def config(self, security: str) -> str:
        return (
            f'transport = "smtp"\nsmtp_host = "localhost"\nsmtp_port = {self.port}\nsmtp_security = "{security}"\n'
            f'smtp_user = "{USER}"\nsmtp_password_env = "LOGSCAN_TEST_PASSWORD"\n'
        )


def line(time: datetime, number: int, said: str | None = None, host: str = "mx1") -> str:
    state, dsn = ("bounced", "5.7.1") if said else ("sent", "2.0.0")
    relay = "gmail-smtp-in.l.google.com[192.0.2.1]:25"
    reply = f"host {relay[:-3]} said: {said} (in reply to RCPT TO command)" if said else "250 2.0.0 Ok"
    return (
        f"{time.isoformat()} {host} postfix/smtp[1]: {number:012X}: to=<x@gmail.example>, relay={relay}, "
        f"delay=1, delays=0/0/0/1, dsn={dsn}, status={state} ({reply})\n"
    )


def day(back: int, *, bad: bool) -> str:
    """A day of mail; on a bad one most is refused, a host says nothing, and much is not understood."""
    lines = []
    for i in range(48):
        time = DAY + timedelta(days=back, minutes=30 * i)
        lines.append(line(time, 1000 * (back + 1) + i, LISTED if bad and i % 4 else None))
        lines.append(
            f"{time.isoformat()} mx1 postfix/smtp[1]: nobody knows {i}\n"
            if bad
            else line(time, 1000 * (back + 1) + 500 + i, host="mx2")
        )
    return "".join(lines)


RULES = """
[[alerts.rule]]
name = "all mail"
watch = "failure-rate"
[[alerts.rule]]
name = "a domain"
watch = "failure-rate"
by = "domain"
above = 0.5
[[alerts.rule]]
name = "google"
watch = "failure-rate"
by = "provider"
only = ["google"]
window = "12h"
least = 5
[[alerts.rule]]
name = "a cause"
watch = "failure-rate"
by = "cause"
[[alerts.rule]]
name = "on a list"
watch = "blocklisted"
[[alerts.rule]]
name = "not understood"
watch = "coverage"
least = 50
[[alerts.rule]]
name = "a host"
watch = "silent"
window = "20h"
[[alerts.rule]]
name = "yahoo"
watch = "failure-rate"
by = "provider"
only = ["yahoo"]
"""
BEGIN = {
    ("all mail", ""): "36 of 48 deliveries failed (75.0 %)",
    ("a domain", "gmail.example"): "36 of 48 deliveries failed (75.0 %)",
    ("google", "google"): "18 of 24 deliveries failed (75.0 %)",
    ("a cause", "blocklisted"): "36 of 48 deliveries failed (75.0 %)",
    ("on a list", "list: Spamhaus ZEN"): "36 deliveries refused because our address is on a block list",
    ("not understood", ""): "48 of 96 lines not understood (50.0 %)",
    ("a host", "mx2"): "no event for 20h, the last one at 2026-11-20 23:30 UTC",
}


@pytest.fixture
def posts() -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", got
        server.shutdown()


@pytest.mark.parametrize("language", ["en", "th"])
def test_every_alert_is_told_once_by_every_way_when_it_begins_and_when_it_ends(
    tmp_path: Path, posts: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    url, got = posts
    log, out, prom = tmp_path / "mail.log", tmp_path / "told", tmp_path / "logscan.prom"
    monkeypatch.setenv("LOGSCAN_TEST_PASSWORD", PASSWORD)
    with Server(tmp_path, "starttls", monkeypatch).serving() as server:
        program = json.dumps([sys.executable, "-c", STUB, str(out)])
        text = (
            f"[sources]\npaths = ['{log}']\nworkers = 1\n[store]\npath = '{tmp_path / 'store'}'\n"
            f"[report]\ntz = 'UTC'\nhost = 'mx1'\nlanguage = '{language}'\n[mail]\nsender = 'logscan@b.example'\n"
            f"{server.config('starttls')}[alerts]\nto = ['oncall@b.example']\nwebhook = '{url}'\n"
            f"command = {program}\ntextfile = '{prom}'\n{RULES}"
        )

        def night(back: int, *, bad: bool | None) -> Night:
            if bad is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(day(back, bad=bad))
            made = nightly(parse(text), now=DAY + timedelta(days=back, hours=23, minutes=40))
            assert made.problems == []
            return made

        def told() -> int:
            lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
            assert [json.loads(one) for one in lines] == got
            assert len(server.mails) == len(got)
            return len(got)

        def gauges() -> dict[str, str]:
            return dict(one.rsplit(" ", 1) for one in prom.read_text().splitlines() if one.startswith("logscan_alert"))  # type: ignore[misc]

        assert (night(0, bad=False).turned, told()) == ([], 0)
        assert set(gauges().values()) == {"0"}

        begun = night(1, bad=True)
        assert told() == 1
        assert {(one["rule"], one["about"]) for one in got[0]["alerts"]} == set(BEGIN)
        if language == "en":
            assert {(one["rule"], one["about"]): one["said"] for one in got[0]["alerts"]} == BEGIN
        began = "2026-11-21T23:40:00+00:00"
        assert {(one["began"], one["ended"]) for one in got[0]["alerts"]} == {(began, None)}
        [mail] = server.mails
        assert (mail["X-Rcpt"], mail["From"]) == ("oncall@b.example", "logscan@b.example")
        first = begun.turned[0].told(begun.findings.language)
        assert mail["Subject"].startswith(f"[logscan] mx1: {first}")
        assert mail.get_content().splitlines() == got[0]["text"].splitlines() and began in mail.get_content()
        assert gauges()['logscan_alert{rule="a host",about="mx2"}'] == "1"
        assert gauges()['logscan_alert{rule="yahoo",about=""}'] == "0"
        [shown] = [one.answer.table for one in begun.findings.findings if one.report.name == "alerts"]
        assert len(shown) == len(BEGIN)

        for bad in (None, True):  # a run that reads nothing new, and another bad day
            still = night(1 if bad is None else 2, bad=bad)
            assert (len(still.on), still.turned, told()) == (len(BEGIN), [], 1)
            assert {one.began for one in still.on} == {began}

        ended = night(3, bad=False)
        assert (ended.on, told()) == ([], 2)
        assert {(one["rule"], one["about"]) for one in got[1]["alerts"]} == set(BEGIN)
        assert {(one["began"], one["ended"]) for one in got[1]["alerts"]} == {(began, "2026-11-23T23:40:00+00:00")}
        assert "2026-11-23T23:40" in server.mails[1].get_content()
        assert set(gauges().values()) == {"0"}
        assert (night(3, bad=None).turned, told()) == ([], 2)
        assert server.logins == [(PASSWORD, True)] * 2


STUB = "import sys; open(sys.argv[1], 'a', encoding='utf-8').write(sys.stdin.read() + chr(10))"


def mailed(tmp_path: Path, more: str) -> Night:
    (tmp_path / "mail.log").write_text(day(0, bad=False), encoding="utf-8")
    text = f"[sources]\npaths = ['{tmp_path / 'mail.log'}']\nworkers = 1\n[store]\npath = '{tmp_path / 'store'}'\n"
    text += f"[report]\ntz = 'UTC'\nhost = 'mx1'\n[mail]\nto = ['a@b.example']\nsend = 'always'\n{more}"
    return nightly(parse(text), now=DAY + timedelta(days=1))


# aiosmtpd takes TLS from the first byte for none.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_report_goes_out_encrypted_with_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    with Server(tmp_path, security, monkeypatch).serving() as server:
        secret = tmp_path / "secret"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        secret.chmod(0o600)
        more = server.config(security).replace('smtp_password_env = "LOGSCAN_TEST_PASSWORD"', "")
        night = mailed(tmp_path, f"{more}smtp_password_file = '{secret}'\n")
    assert night.problems == []
    [mail] = server.mails
    assert mail["Subject"] == "[logscan] mx1 2026-11-20: 0 % of 96 deliveries failed"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert server.logins == [(PASSWORD, True)] if security == "starttls" else len(server.logins) == 1


@pytest.mark.parametrize(
    ("trusted", "password", "said"),
    [
        pytest.param(True, "wrong", "535", id="wrong password"),
        pytest.param(False, PASSWORD, "certificate verify failed", id="a certificate of nobody's"),
        pytest.param(True, None, "there is no LOGSCAN_TEST_PASSWORD", id="no password"),
    ],
)
def test_a_server_that_says_no_or_is_another_gets_no_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, password: str | None, said: str
) -> None:
    if password:
        monkeypatch.setenv("LOGSCAN_TEST_PASSWORD", password)
    with Server(tmp_path, "starttls", monkeypatch, trusted=trusted).serving() as server:
        night = mailed(tmp_path, server.config("starttls"))
        [problem] = night.problems
        assert problem.source == "mail" and said in problem.met
        assert PASSWORD not in str(problem)
        assert server.mails == []
        assert {given for given, _ in server.logins} == ({"wrong"} if password == "wrong" else set())
        monkeypatch.setenv("LOGSCAN_TEST_PASSWORD", PASSWORD)
        if trusted:  # it is tried again in the next run
            assert mailed(tmp_path, server.config("starttls")).problems == []
            assert len(server.mails) == 1


@pytest.mark.skipif(os.name != "posix", reason="the mode of a file says who may read it on POSIX alone")
def test_a_password_that_others_may_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(tmp_path, "starttls", monkeypatch).serving() as server:
        secret = tmp_path / "secret"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o640)
        more = server.config("starttls").replace('smtp_password_env = "LOGSCAN_TEST_PASSWORD"', "")
        night = mailed(tmp_path, f"{more}smtp_password_file = '{secret}'\n")
    assert "others may read it" in night.problems[0].met
    assert server.logins == []


def test_a_rule_that_could_never_hold_is_told() -> None:
    text = '[sources]\npaths = ["x"]\n[store]\npath = "y"\n[[alerts.rule]]\nname = "z"\nwatch = "failure-rate"\n'
    with pytest.raises(ConfigError, match=r"alerts\.rule\.only: names some of many"):
        parse(text + 'only = ["google"]\n')
    assert parse(text + 'only = ["google"]\nby = "provider"\n').alerts.rule[0].only == ("google",)
