r"""Takes people out of events: whoever holds the Parquet, the page or the CSV shall not learn anybody's address.

Two ways. `keyed`: an address becomes a pseudonym that only the holder of the key file can make again, the same in every
run, so one recipient is still one recipient. `domain`: it becomes `*@domain`, and nothing is left to tell two apart.

    column                            keyed                                domain
    sender, recipient                 p-wq3…@example.com                   *@example.com
    remote_host, client_host (*)      p-…, its last two labels stay        *., its last two labels stay
    remote_ip, client_ip (*)          p-…                                  null
    queue_id, message_id              p-…                                  null
    source                            p-…/mail.log                         mail.log
    reply                             what it says of addresses, clients and ids, in the same words
    lines that were not understood    withheld                             withheld

(*) of clients. The servers that we deliver to are public, in the DNS, and stay. So do domains, times and sizes.
Causes are judged before, from the whole text.

The pseudonym is a keyed BLAKE2b (RFC 7693), so a list of likely addresses does not help without the key. It is made of
the whole address, so equal names at two domains do not show. The local part is taken without its quotes (RFC 5321,
section 4.1.2) and its case, though section 2.4 lets a host tell case apart: none does in practice, replies often repeat
an address in another case, and the analyst counts people. A pseudonym carries a check of its own, so one of the same
key stays what it is when it is met again.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from base64 import b32decode, b32encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from html import escape
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from typing import Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logscan.columns import put
from logscan.enrich import domain_name
from logscan.run import Run

_T = TypeVar("_T")
Kind = Literal["address", "host", "ip", "id", "source"]

KEY_BYTES = 16
"""A key of fewer is refused."""
WITHHELD = "(withheld)"
HIDDEN = "*"

_ID_BYTES, _CHECK_BYTES = 8, 2
_LONG_WORD = 8
_TOKEN = re.compile(r"p-([a-z2-7]{16})")
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
# Names under these are of a house, not of the DNS (RFC 6761, 6762, 8375, 9476 and custom).
_HOUSE = ("local", "localdomain", "lan", "home", "internal", "intranet", "corp", "arpa", "private")
_PLAIN = frozenset({"", "<>", "unknown", "localhost", HIDDEN})
# What stands in angle brackets and is nobody's name.
_SPOKEN = frozenset({"cr", "lf", "crlf", "unknown", "none", "null", "end", "dot"})

# Nearly every reply of success has an id of its own: without it few distinct texts are left to look at.
# Each stands alone between blanks, so that no part of an address is taken for one.
_IDS = (
    (
        r"(queued as |notification: |queued mail for delivery[^A-Za-z0-9]*|\bid[=: ]\s?)[^\s@<>;,)]+($|[\s;,)>])",
        r"\1*\2",
    ),
    (
        r"(^|[\s(])(?:\w{1,6}-)?(?:[A-Za-z]+\d\w\w|\d+[A-Za-z])\w{5,}(?:-\w+|\.\d+)*($|[\s),;])",
        r"\1*\2",
    ),
)
# Every pattern here reads a text once from left to right: repeats are bounded, or of one class that what follows ends.
_PIECE = re.compile(
    r'"[^"@]*"@[^\s<>"()\[\],;:]+'  # a quoted local part
    r"|<[^<>\s]*>"
    r"|(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:\.\d{1,3}){0,3}"  # perhaps IPv6
    r"|[^\s<>\"()\[\],;:]+"
)
_DELIMITED = re.compile(r'[\s<>"()\[\],;:]')
_NAMED = re.compile(
    r"\b((?:sasl_)?user(?:name)?|login|account|mailbox|alias|recipient|sender|uid)( ?[=:] ?| )"
    r"(?:\"([^\"]{1,256})\"|'([^']{1,256})'"
    r"|(?<=[=:])([^\s,;<>\"'()\[\]]{1,256})|(?<=[=:] )([^\s,;<>\"'()\[\]]{1,256}))",
    re.I,
)
# Commands whose argument is a name, without angle brackets as Exim logs them.
_ASKED = re.compile(r"\b((?:VRFY|EXPN) +)(?!(?:commands?|is|not|disabled)\b)([^\s<>\"'()\[\],;:]{1,256})", re.I)
_IPV4 = re.compile(r"(?<!\d)\d{1,3}(?:[.-]\d{1,3}){3}(?!\d)")
_ENCODED_AT = re.compile(r"%40|=40|\+40|\\x40|\\100|&#64|&#x40|&commat|＠|﹫|%2540", re.I)
_LABELLED = re.compile(
    r"(?:(?:from|to|user|username|sender|recipient|rcpt|email|e-mail|mail|address|mailto|orcpt|sasl_username|login|uid)=)+",
    re.I,
)
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_LONG_IN_PATH = re.compile(r"[A-Za-z0-9+=_-]{24,}")
_SPELT = re.compile(rb"(?:%|=|\+|\\x)([0-9A-Fa-f]{2})")
# A line that a problem quotes.
_QUOTED = re.compile(r'".*"', re.S)
_QUERY = re.compile(r"([?#]).*")


class PrivacyError(ValueError):
    """The key file cannot be used, or the way is none of the two."""


@dataclass(frozen=True)
class Privacy:
    """How people are taken out of events: keyed by a secret, or, where there is none, down to their domains.

    >>> hidden = Privacy(None)
    >>> hidden.address("ann@A.example"), hidden.text("550 5.1.1 <ann@a.example>: user unknown (192.0.2.1)")
    ('*@a.example', '550 5.1.1 <*@a.example>: user unknown (*)')
    >>> keyed = Privacy(b"sixteen or more bytes")
    >>> keyed.address("Ann@a.example") == keyed.address('"ann"@A.EXAMPLE.') != keyed.address("ann@b.example")
    True
    >>> keyed.address(keyed.address("ann@a.example")) == keyed.address("ann@a.example")
    True
    """

    key: bytes | None

    @classmethod
    def of(cls, way: str, file: str | os.PathLike[str] | None = None) -> Privacy:
        """By the name of the way, `keyed` or `domain`, and the file of the key, which is made where there is none.

        Raises PrivacyError.
        """
        if way == "domain":
            if file is not None:
                raise PrivacyError("--key goes with --anonymize keyed")
            return cls(None)
        if way != "keyed":
            raise PrivacyError(f"--anonymize {way}: write keyed or domain")
        if file is None:
            raise PrivacyError("--anonymize keyed needs --key FILE; the file is made where there is none")
        return cls(_key(Path(file)))

    def events(self, events: pa.Table) -> pa.Table:
        """Events of `schema.EVENTS` without people. The answer depends on each row alone, and each value is made once.

        >>> event = {"direction": "inbound", "recipient": "ann@a.example", "reply": "550 no mailbox ann", "code": 550}
        >>> from logscan.schema import EVENTS
        >>> made = Privacy(None).events(pa.Table.from_pylist([event], schema=EVENTS)).to_pylist()[0]
        >>> made["recipient"], made["reply"], made["code"]
        ('*@a.example', '550 no mailbox *', 550)
        """
        ours = pc.fill_null(pc.is_in(events["direction"].cast(pa.string()), pa.array(["outbound", "local"])), False)
        made = put(events, "reply", self._replies(events, ours))
        for name in ("sender", "recipient"):
            made = put(made, name, _each(events[name], self.address))
            made = put(made, f"{name}_domain", _each(events[f"{name}_domain"], _only_domain))
        for name, change in (("host", self.host), ("ip", self.ip)):
            client = _each(events[f"client_{name}"], change)
            servers = _each(events[f"remote_{name}"], self.server)
            made = put(made, f"client_{name}", client)
            made = put(made, f"remote_{name}", pc.if_else(ours, servers, _each(events[f"remote_{name}"], change)))
        for name in ("queue_id", "message_id"):
            made = put(made, name, _each(events[name], self.id))
        made = put(made, "source", _each(events["source"], self.source))
        return made.cast(events.schema)

    def address(self, address: str) -> str:
        """An address without its local part; a name without a domain is one. `<>` stays."""
        if address in _PLAIN:
            return address
        local, domain = _parts(address)
        token = self._token("address", f"{local}@{domain}" if domain else local)
        return f"{token}@{domain}" if domain else token

    def host(self, name: str) -> str:
        """A client's name without what names the machine: the last two labels stay, of a name that is in the DNS.

        >>> Privacy(None).host("host-192-0-2-1.pool.isp.example"), Privacy(None).host("anns-pc.local")
        ('*.isp.example', '*')
        """
        domain = _only_domain(domain_name(name) or "")
        if name in _PLAIN:
            return name
        labels = domain.split(".") if domain else []
        if len(labels) < 2 or labels[-1] in _HOUSE or labels[-1].isdigit():
            return self._token("host", name.lower())
        if len(labels) == 2 or (len(labels) == 3 and labels[0] == HIDDEN) or self._is_own(labels[0]):
            return ".".join(labels)
        return f"{self._token('host', '.'.join(labels))}.{'.'.join(labels[-2:])}"

    def ip(self, address: str) -> str | None:
        """A client's address."""
        with_form = _ip(address)
        return self._token("ip", with_form or address) if self.key else None

    def id(self, name: str) -> str | None:
        """What a server or a program called a message."""
        return self._token("id", name) if self.key else None

    def server(self, name: str) -> str:
        """A server's name or address: public, as far as it is one that the DNS may have."""
        if name in _PLAIN or self._is_own(name) or _ip(name.strip("[]").removeprefix("IPv6:")):
            return name
        return name if _full(name) else self._token("host", name.lower())

    def source(self, path: str) -> str:
        """A log's file: its own name; its folder may be somebody's.

        >>> Privacy(None).source("/home/ann/logs/mail.log")
        'mail.log'
        """
        at = max(path.rfind("/"), path.rfind("\\")) + 1
        name = self.text(path[at:])
        if not at or not self.key:
            return name
        return f"{self._token('source', path[: at - 1])}/{name}"

    def text(self, text: str) -> str:
        """A reply without the addresses, clients and ids that it names, in whatever spelling they are known by."""
        text = _NAMED.sub(self._named, text)
        text = _ASKED.sub(lambda found: found[1] + self._encoded(found[2]), text)
        return _PIECE.sub(lambda found: self._piece(found[0]), text)

    def account(self, run: Run) -> Run:
        """The account of a run without the lines that were not understood, and with the sources as the events have."""
        held = self.withheld(run)
        return Run(
            tuple(replace(read, source=self.source(read.source)) for read in held.sources),
            tuple(
                replace(p, source=self.source(p.source), met=self.text(_QUOTED.sub(f'"{WITHHELD}"', p.met)))
                for p in held.problems
            ),
        )

    def withheld(self, run: Run) -> Run:
        """The account of a run without the lines that were not understood: nobody knows what stands where in them."""
        sources = []
        for read in run.sources:
            samples = tuple((offset, WITHHELD) for offset, _ in read.tally.samples)
            sources.append(replace(read, tally=replace(read.tally, samples=samples)))
        return Run(tuple(sources), run.problems)

    def _token(self, kind: Kind, value: str) -> str:
        """The pseudonym of a value; one of this key stays."""
        if self.key is None:
            return HIDDEN
        if self._is_own(value.partition("@")[0]):
            return value.partition("@")[0]
        number = blake2b(
            value.encode(errors="surrogatepass"), digest_size=_ID_BYTES, key=self.key, person=kind.encode()
        ).digest()
        return "p-" + b32encode(number + self._check(number)).decode().lower()

    def _check(self, number: bytes) -> bytes:
        return blake2b(number, digest_size=_CHECK_BYTES, key=self.key or b"", person=b"check").digest()

    def _is_own(self, word: str) -> bool:
        """Whether a word is a pseudonym already."""
        if self.key is None:
            return word == HIDDEN
        if not (found := _TOKEN.fullmatch(word)):
            return False
        made = b32decode(found[1].upper())
        return made[_ID_BYTES:] == self._check(made[:_ID_BYTES])

    def _named(self, found: re.Match[str]) -> str:
        name = next(group for group in found.groups()[2:] if group is not None)
        start, end = found.span(next(n for n in range(3, 7) if found[n] is not None))
        start, end = start - found.start(), end - found.start()
        hidden = self._piece(name) if "@" in name or _ENCODED_AT.search(name) else self.address(name)
        return found[0][:start] + hidden + found[0][end:]

    def _piece(self, piece: str) -> str:
        if piece.startswith("<"):
            return f"<{self._bracketed(piece[1:-1])}>"
        if "@" in piece or _ENCODED_AT.search(piece):
            label = _LABELLED.match(piece)
            start, end = label.end() if label else 0, len(piece.rstrip("'`.!?"))
            start += len(piece[start:]) - len(piece[start:].lstrip("'`"))
            return piece[:start] + self._encoded(piece[start:end]) + piece[end:] if start < end else piece
        if piece.count(":") >= 2:
            return self._shown_ip(piece) if _ip(piece) else ":".join(map(self._piece, piece.split(":")))
        if "/" in piece:
            piece = _QUERY.sub(rf"\1{HIDDEN}", piece)
        piece = (_LONG_IN_PATH if piece.startswith("//") else _LONG).sub(HIDDEN, piece)
        return _IPV4.sub(lambda found: self._shown_ip(found[0]), piece)

    def _encoded(self, address: str) -> str:
        """An address whose @ may be written in another way."""
        encoded = "@" not in address and _ENCODED_AT.search(address)
        return self._token("address", address.casefold()) if encoded else self.address(address)

    def _shown_ip(self, address: str) -> str:
        return self.ip(address) or HIDDEN

    def _bracketed(self, inner: str) -> str:
        if not inner or inner.casefold() in _SPOKEN or "://" in inner or inner.startswith("#"):
            return self.text(inner) if inner else inner
        if "@" in inner or _ENCODED_AT.search(inner):
            return self._encoded(inner)
        if "[" in inner:  # Postfix: <host.example[192.0.2.1]>
            name, _, address = inner.rstrip("]").partition("[")
            return f"{self.host(name)}[{self._shown_ip(address)}]"
        if _ip(inner):
            return self._shown_ip(inner)
        return self.host(inner) if "." in inner else self.address(inner)

    def _replies(self, events: pa.Table, ours: pa.ChunkedArray) -> pa.Array:
        """The replies: first each distinct text by itself, then of each row what names its own message and people."""
        column = events["reply"]
        if column.null_count == len(column):
            return pa.nulls(len(column), pa.string())
        for pattern, shown in _IDS:
            column = pc.replace_substring_regex(column, pattern, shown)
        words = column.combine_chunks().dictionary_encode()
        words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
        raw = words.dictionary.to_pylist()
        texts = [self.text(text) for text in raw]
        spelt = [_SPELT.search(text.encode()) is not None for text in texts]
        lowered = [text.casefold() for text in texts]
        places = words.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        names = [
            _lookup(events["sender"], self._own_address),
            _lookup(events["recipient"], self._own_address),
            _lookup(events["queue_id"], self._own_id),
            _lookup(events["message_id"], self._own_id),
            _lookup(events["client_host"], self._own_host),
            _lookup(pc.if_else(ours, None, events["remote_host"]), self._own_host),
        ]
        keep = [_lookup(events[name], _own_domain) for name in ("sender_domain", "recipient_domain")]
        keep.append(_lookup(pc.if_else(ours, events["remote_host"], None), _own_domain))
        odd = [_lookup(events[name], self._odd_address) for name in ("sender", "recipient")]
        made: list[str | None] = []
        for row, place in enumerate(places):
            if place < 0:
                made.append(None)
                continue
            text, low = texts[place], lowered[place]
            if whole := [pair for column in odd for pair in column(row) if pair[0] in raw[place].casefold()]:
                text = self.text(_without(raw[place], whole, []))
                low = text.casefold()
            own = [pair for column in names for pair in column(row)]
            if hits := [pair for pair in own if pair[0] in low]:
                text = _without(text, hits, [word for column in keep for word in column(row)])
            made.append(_without_spelt(text, own) if spelt[place] else text)
        return pa.array(made, pa.string())

    def _own_address(self, address: str) -> tuple[tuple[str, str], ...]:
        """The spellings of a local part and its pieces, and the pseudonym that stands for them."""
        if address in _PLAIN:
            return ()
        local = address.rpartition("@")[0] or address
        shown = self.address(address).partition("@")[0]
        pieces = [piece for piece in re.split(r"[+=#%!/]", local) if "." not in piece]
        found = {spelt for word in (local, _unquoted(local), *pieces) for spelt in _spellings(word)}
        return tuple((word, shown) for word in sorted(found, key=len, reverse=True) if _telling(word))

    def _odd_address(self, address: str) -> tuple[tuple[str, str], ...]:
        """An address that no text can be searched for without knowing it."""
        if address in _PLAIN or not _DELIMITED.search(address):
            return ()
        shown = self.address(address)
        return ((address.casefold(), shown), *self._own_address(address))

    def _own_id(self, name: str) -> tuple[tuple[str, str], ...]:
        shown = self.id(name) or HIDDEN
        return tuple((word.casefold(), shown) for word in (name, name.partition("@")[0]) if _telling(word))

    def _own_host(self, name: str) -> tuple[tuple[str, str], ...]:
        return () if name in _PLAIN else ((name.casefold(), self.host(name)),)


def check_store(events: ds.Dataset, privacy: Privacy | None) -> None:
    """Raise PrivacyError where new events would stand beside others that were made private in another way, or not."""
    columns = {name: ds.field(name).cast(pa.string()) for name in ("sender", "recipient")}
    held = events.head(4096, columns=columns, filter=ds.field("recipient").is_valid() | ds.field("sender").is_valid())
    known = {a for name in columns for a in held[name].to_pylist() if a and a not in _PLAIN}
    if not known:
        return
    local = {address.partition("@")[0] for address in known}
    way = "domain" if local == {HIDDEN} else "keyed" if all(map(_TOKEN.fullmatch, local)) else None
    if way is None and privacy is None:
        return
    if way is None:
        raise PrivacyError("the store holds addresses as they are; name another folder for --anonymize")
    if privacy is None or (privacy.key is None) != (way == "domain"):
        raise PrivacyError(f"the store was made with --anonymize {way}; scan with the same")
    if privacy.key and not all(map(privacy._is_own, local)):
        raise PrivacyError("the store was made with another --key")


def _key(path: Path) -> bytes:
    """The key in a file; a new one of 32 random bytes where there is none, for the owner's eyes only."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise PrivacyError(f"{path}: others may read this key; chmod 600 {path}")
    secret = path.read_bytes().strip()
    if len(secret) < KEY_BYTES:
        raise PrivacyError(f"{path}: not a key: it has fewer than {KEY_BYTES} bytes")
    return blake2b(secret, digest_size=32, person=b"logscan key").digest()


def _parts(address: str) -> tuple[str, str | None]:
    """The normal local part, and the normal domain if it is one; else all of it is the local part."""
    local, at, name = address.strip("<>").rpartition("@")
    domain = _only_domain(domain_name(name) or "") if at else None
    if not domain:
        return _unquoted(address).casefold(), None
    return _unquoted(local).casefold(), domain


def _unquoted(local: str) -> str:
    """A local part without quotes and backslashes (RFC 5321, section 4.1.2), composed (RFC 6532, section 3.1)."""
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return unicodedata.normalize("NFC", local)


def _only_domain(name: str) -> str | None:
    return name if _DOMAIN.fullmatch(name) else None


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _telling(word: str) -> bool:
    """Whether a word is long enough to name somebody; a reply code is none."""
    return len(word) > 3 or (len(word) == 3 and not word.isdigit()) or (len(word) == 2 and not word.isascii())


def _spellings(word: str) -> set[str]:
    """A word as replies may spell it, with all its letters in sight."""
    return {
        one.casefold() for one in (word, unicodedata.normalize("NFD", word), escape(word), word.replace("\\", "\\\\"))
    }


def _decoded(text: str) -> str:
    r"""A text with the bytes in sight that it spells as in a URL, in xtext (RFC 3461), quoted-printable, or a log.

    >>> _decoded(r"a%20b+40c=3Dd\xc3\xa9%2541")
    'a b@c=dé%41'
    """
    return _SPELT.sub(lambda found: bytes([int(found[1], 16)]), text.encode()).decode(errors="replace")


def _full(name: str) -> bool:
    """Whether a name is a domain of several labels."""
    return "." in name and _only_domain(domain_name(name) or "") is not None


def _own_domain(name: str) -> tuple[str, ...]:
    return (name,) if _full(name) else ()


def _without(text: str, hits: list[tuple[str, str]], keep: list[str]) -> str:
    """The text with words replaced, but not within the names that stay; short ones only where they stand alone."""
    shown = dict(reversed(hits))
    words = sorted(shown, key=len, reverse=True)
    long = [re.escape(word) for word in words if len(word) >= _LONG_WORD]
    short = [re.escape(word) for word in words if len(word) < _LONG_WORD]
    parts = [rf"(?:{'|'.join([_TOKEN.pattern, *map(re.escape, keep)])})(?![^\W_])"]
    parts += [f"(?P<long>{'|'.join(long)})"] if long else []
    parts += [rf"(?<![^\W_])(?P<short>{'|'.join(short)})(?![^\W_])"] if short else []

    def instead(found: re.Match[str]) -> str:
        named = found.groupdict()
        word = named.get("long") or named.get("short")
        return shown.get(word.casefold(), HIDDEN) if word else found[0]

    return re.sub("|".join(parts), instead, text, flags=re.I)


def _without_spelt(text: str, own: list[tuple[str, str]]) -> str:
    """The text without the pieces that spell one of these words byte by byte, once or twice over."""

    def shown(found: re.Match[str]) -> str:
        once = _decoded(found[0])
        forms = [form.casefold() for form in (once, _decoded(once)) if form != found[0]]
        return next((instead for word, instead in own if any(word in form for form in forms)), found[0])

    return re.sub(r"\S+", shown, text)


def _each(column: pa.ChunkedArray, change: Callable[[str], str | None]) -> pa.ChunkedArray:
    """A column of strings, each distinct one changed once."""
    whole = column.combine_chunks()
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    changed = pa.array([None if word is None else change(word) for word in whole.dictionary.to_pylist()], pa.string())
    return changed.take(whole.indices)


def _lookup(
    column: pa.ChunkedArray | pa.Array, change: Callable[[str], tuple[_T, ...]]
) -> Callable[[int], tuple[_T, ...]]:
    """For each row, what a function makes of its string; nothing for null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    made: list[tuple[_T, ...]] = [() if word is None else change(word) for word in whole.dictionary.to_pylist()]
    made.append(())
    places = whole.indices.fill_null(len(made) - 1).to_numpy(zero_copy_only=False)
    return lambda row: made[places[row]]
