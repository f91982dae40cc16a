"""Sends mail: through the local sendmail program, or by SMTP."""

from __future__ import annotations

import os
import smtplib
import ssl
import stat
import subprocess
from base64 import b64encode
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from logscan.config import Mailed
from logscan.publish.text import safe

PATIENCE = 60
# Not every server on the way takes eight bits.
SEVEN_BIT = policy.default.clone(cte_type="7bit")
PORTS = {"tls": 465, "starttls": 587, "none": 25}


def message(
    mail: Mailed, to: Sequence[str], host: str, subject: str, text: str, html: str | None = None
) -> EmailMessage:
    r"""A mail in text and, where given, HTML; no program answers it (RFC 3834). Its headers are safe.

    >>> made = message(Mailed(), ["a@b.example"], "mx1", "one\ntwo", "text", "<p>html</p>")
    >>> made["Subject"], made["From"], [part.get_content_type() for part in made.iter_parts()]
    ('one\\x0atwo', 'logscan@mx1', ['text/plain', 'text/html'])
    """
    made = EmailMessage(policy=SEVEN_BIT)
    made["Subject"] = safe(subject, 200)
    made["From"] = mail.sender or f"logscan@{host}"
    made["To"] = ", ".join(to)
    made["Date"] = formatdate(localtime=True)
    made["Message-ID"] = make_msgid("logscan", host)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text, cte=_encoding(text))
    if html:
        made.add_alternative(html, subtype="html", cte=_encoding(html))
    return made


def _encoding(text: str) -> str:
    """The shorter of the two encodings for seven bits: one makes three of each other byte, one adds a third to all."""
    content = text.encode()
    other = sum(byte > 126 for byte in content)
    return "base64" if 6 * other > len(content) else "quoted-printable"


def send(made: EmailMessage, mail: Mailed, to: Sequence[str]) -> None:
    """Send a mail. Raises `OSError` where it is not taken (smtplib's errors are such, save bad answers)."""
    if mail.transport == "sendmail":
        _hand_over(made, mail, to)
        return
    with _connected(mail) as server:
        if mail.smtp_user:
            _log_in(server, mail.smtp_user, _password(mail))
        server.send_message(made, to_addrs=list(to))


def _hand_over(made: EmailMessage, mail: Mailed, to: Sequence[str]) -> None:
    # -i: a line with a dot alone does not end the mail. Addresses start with no "-": the config sees to it.
    command = [mail.sendmail, "-i", *(["-f", mail.sender] if mail.sender else []), *to]
    try:
        subprocess.run(command, input=made.as_bytes(), check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"it ended with {error.returncode}"
        raise OSError(f"{mail.sendmail}: {said}") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{mail.sendmail}: no end after {PATIENCE} s") from None


def _connected(mail: Mailed) -> smtplib.SMTP:
    """A server to talk to; certificates are verified."""
    port = mail.smtp_port or PORTS[mail.smtp_security]
    if mail.smtp_security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(mail.smtp_host, port, timeout=PATIENCE, context=context)
    server = smtplib.SMTP(mail.smtp_host, port, timeout=PATIENCE)
    if mail.smtp_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Log in; smtplib itself knows letters of ASCII alone, where RFC 4616 has all."""
    if (user + password).isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    code, said = server.docmd("AUTH", "PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode())
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, said)


def _password(mail: Mailed) -> str:
    """The password from the environment or its file; one that others may read is refused."""
    if mail.smtp_password_env:
        if mail.smtp_password_env not in os.environ:
            raise OSError(f"mail.smtp_password_env: there is no {mail.smtp_password_env} in the environment")
        return os.environ[mail.smtp_password_env]
    path = Path(mail.smtp_password_file or "")
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise OSError(f"{path}: others may read it; `chmod 600 {path}`")
    return path.read_text(encoding="utf-8").strip()
