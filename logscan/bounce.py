"""Reads a mail that came back: what its delivery status says of each recipient, or what its words quote.

RFC 3464 (the report's fields) and RFC 6522 (the report as a mail). Mails without such a part, as qmail and many others
send, quote the reply in their text.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

MAX_TEXT = 1 << 16
MAX_WORDS = 2000

STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_HEADER = re.compile(
    rb"(?:From |[A-Za-z][A-Za-z0-9-]{1,60}:[ \t\S])[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n|[A-Za-z][A-Za-z0-9-]{1,60}:)"
)
_MAIL_FIELDS = (
    "from",
    "to",
    "subject",
    "date",
    "received",
    "message-id",
    "return-path",
    "mime-version",
    "content-type",
)
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b", re.ASCII)
_REPLY = re.compile(r"(?:^|[\s:>\"'(\[#])([2-5]\d\d)(?=[ -]+#?[245]\.\d|[ -]+[<\"(A-Za-z])", re.ASCII)
# What qmail adds in the same paragraph.
_OWN = re.compile(r" Giving up on \S*.*$")
_ADDRESS = re.compile(r"[^\s<>\"'()\[\],;:]{1,64}@[^\s<>\"'()\[\],;:]{1,255}")
_TAG = re.compile(r"<(?:br|/p|/div|/tr|/li)[^<>]{0,500}>", re.I), re.compile(r"<[a-zA-Z/!][^<>@]{0,2000}>")


@dataclass(frozen=True)
class Returned:
    """What a bounce says of one recipient; what it does not say is None."""

    reply: str | None = None
    enhanced: str | None = None
    recipient: str | None = None
    server: str | None = None
    action: str | None = None


def is_mail(data: bytes) -> bool:
    r"""Whether some text is a mail: it starts with the lines of a header.

    >>> is_mail(b"From: a@b.example\nSubject: Undelivered\n\nHello"), is_mail(b"550 5.1.1 no: such user\n")
    (True, False)
    """
    head = data[: 1 << 16].lstrip()
    if not _HEADER.match(head):
        return False
    parsed = email.message_from_bytes(head)
    return sum(name.lower() in _MAIL_FIELDS for name in parsed.keys()) >= 2  # noqa: SIM118 - a message has several of one name


def read(data: bytes) -> list[Returned]:
    r"""What a bounce mail says of each recipient; nothing where it reports nothing.

    >>> mail = b'''From: mailer-daemon@mx.example
    ... MIME-Version: 1.0
    ... Content-Type: multipart/report; report-type=delivery-status; boundary="b"
    ...
    ... --b
    ... Content-Type: message/delivery-status
    ...
    ... Reporting-MTA: dns; mx.example
    ...
    ... Final-Recipient: rfc822; ann@there.example
    ... Action: failed
    ... Status: 5.1.1
    ... Remote-MTA: dns; mx.there.example
    ... Diagnostic-Code: smtp; 550 5.1.1 No such user
    ...
    ... --b--
    ... '''
    >>> [told] = read(mail)
    >>> told.recipient, told.enhanced, told.server, told.reply
    ('ann@there.example', '5.1.1', 'mx.there.example', '550 5.1.1 No such user')
    """
    mail = email.message_from_bytes(data)
    parts = list(_parts(mail))
    told = [one for part in parts if part.get_content_type() in STATUS_TYPES for one in _status(part)]
    return told or _quoted("\n\n".join(_texts(mail)))


def _parts(mail: Message) -> Iterator[Message]:
    # Not `walk`: what came back may be a bounce itself, and nesting is the sender's to choose.
    left = [(mail, 0)]
    while left:
        part, depth = left.pop(0)
        yield part
        if part.get_content_type() not in STATUS_TYPES and part.is_multipart() and depth < 10:
            inner = part.get_payload()
            left += [(one, depth + 1) for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _status(part: Message) -> Iterator[Returned]:
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, Message) or not any(name in block for name in ("Status", "Action", "Final-Recipient")):
            continue
        kind, diagnostic = _typed(block["Diagnostic-Code"])
        status = _ENHANCED.search(str(block["Status"] or ""))
        # X.400 and others number in their own way.
        if kind.lower().startswith("x400"):
            diagnostic = None
        yield Returned(
            diagnostic,
            status[1] if status else None,
            _typed(block["Final-Recipient"] or block["Original-Recipient"])[1],
            _typed(block["Remote-MTA"])[1],
            (str(block["Action"]).strip().lower().split(" ")[0] or None) if block["Action"] else None,
        )


def _typed(value: object) -> tuple[str, str | None]:
    """A field such as `smtp; 550 no`: its type and what stands after it, unfolded."""
    if value is None:
        return "", None
    kind, mark, rest = str(value).partition(";")
    if not mark or " " in kind.strip():
        kind, rest = "", str(value)
    return kind.strip(), " ".join(rest.split())[:MAX_WORDS].strip() or None


def _texts(mail: Message) -> Iterator[str]:
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind not in ("text/plain", "text/html") or part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        try:
            text = payload[: 4 * MAX_TEXT].decode(part.get_content_charset() or "utf-8", "backslashreplace")
        except (LookupError, UnicodeError, ValueError):
            text = payload[: 4 * MAX_TEXT].decode("latin-1")
        yield _plain(text) if kind == "text/html" else text


def _plain(page: str) -> str:
    import html

    for pattern, instead in zip(_TAG, ("\n", ""), strict=True):
        page = pattern.sub(instead, page)
    return html.unescape(page)


def _quoted(text: str) -> list[Returned]:
    r"""The replies that a text quotes, each with the address before it.

    >>> [told] = _quoted("Sorry.\n\n<ann@there.example>:\nRemote host said: 550 5.1.1 no such\nuser here\n\nThe rest")
    >>> told.reply, told.recipient
    ('550 5.1.1 no such user here', 'ann@there.example')
    """
    found: dict[tuple[str, str | None], Returned] = {}
    recipient = None
    for paragraph in re.split(r"\n[ \t\r]*\n", text[:MAX_TEXT]):
        joined = " ".join(paragraph.split())[:MAX_WORDS]
        reply = _REPLY.search(joined)
        before = _ADDRESS.findall(joined[: reply.start()] if reply else joined)
        recipient = before[-1].strip(".") if before else recipient
        if reply:
            words = _OWN.sub("", joined[reply.start(1) :])
            found.setdefault((words, recipient), Returned(words, None, recipient))
    return list(found.values())
