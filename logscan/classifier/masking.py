"""Takes out of a reply what differs from one message to the next: addresses, names, ids and numbers."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logscan.classifier.words import Words

# What is looked at of a reply, in characters: RFC 5321 has lines of 512, Postfix logs 2,000, Exim some 1,000.
# What a hostile server writes beyond costs no time.
MAX_LENGTH = 4096

ADDRESS = "*@*"
NAME = "*"
NUMBER = "#"

# What the own server wrote around the other's words: no rule may take it for theirs.
_FRAME = (
    r"^(?:host \S+ \[[^\]]*\]:? )?[SL]MTP error (?:from remote mail(?: server|er) )?after "
    r"[A-Za-z ]+(?::?<[^>]*>)?[^:]*:(?: host \S+ \[[^\]]*\]:)?"  # Exim
    r"|^delivery temporarily suspended:|\bhost \S+ (?:said|refused to talk to me):"  # Postfix
    r"|\(in reply to [A-Za-z ]* command\)*"
    r"|[245]\.\d\.\d - [A-Za-z ()]+ [245]\d\d-'"  # Cisco
    r"|(?:Error encountered while communicating with p|P)rimary target IP address(?: responded with)?: "
    r'"+(?:[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?|" ?Attempted failover to alternate host.*$'  # Exchange
)
# Folds: Exim writes them as a backslash and an n, Postfix as a blank; both keep the codes at the start of every line.
_FOLD = (
    r"(?:^|(?:\\n|\s)+)[245]\d\d(?:[ -]+|$)(?:#?[245]\.\d{1,3}\.\d{1,3}\b[ -]?)?"
    r"|\\n|[\t\r\n]\s*|\s\s+"
)
_ADDRESS = r"""(?:"[^"@]*"|[^\s<>"'()\[\],;:]+)@[^\s<>"'()\[\],;:]+"""
_PLACE_OR_TIME = (
    r"\b\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
)
# Vendors' tags are shorter than ids (S3140, TSS04, LPN006_107), or stand in parentheses: AS(201806281).
_ID = r"\b(?:\w{1,6}-)?(?:[A-Za-z]+\d\w\w|\d+[A-Za-z])\w{5,}(?:-\w+|\.\d+)*"
# Each is one pass over the texts: first over all, then over the distinct ones that are left.
_MASK_EACH = ((f"{_FRAME}|{_FOLD}", " "), (_ADDRESS, ADDRESS), (_PLACE_OR_TIME, NAME))
_MASK_DISTINCT = (
    (_ID, NAME),
    (r"(^|[^\w.(-])\d{3,}\b", rf"\1{NUMBER}"),
    (r'(user:? )"[^"]*"', rf"\1{NAME}"),
)
_TOP = "com|net|org|edu|gov|mil|info|biz|name|pro|arpa|example|test|invalid|local|localdomain|lan|internal|cloud|online"
# A block list is known by its host name: a text that speaks of lists keeps its names, and so does every link.
_KEEPS_NAMES = r"(?i)bl\b|bl\.|block|black|\blisted|spam|abus|barracuda|sorbs|senderscore|proofpoint|cloudmark"
_BEFORE_NAME = r"""(^|[\s\[(<"'=,;]|[^/]/)"""
_HOST_NAME = "|".join(
    rf"{_BEFORE_NAME}(?:[{letters}0-9_-]+\.)+(?:[{letters}]{{2}}|{top})\b"
    for letters, top in (("a-z", _TOP), ("A-Z", _TOP.upper()))
)


_ACCENTED = r"[\x{c0}-\x{24f}\x{300}-\x{52f}\x{1e00}-\x{1fff}]"
_MARKS = r"[\x{300}-\x{36f}]"


def mask(replies: pa.StringArray) -> pa.StringArray:
    """The replies without what differs from one message to the next, so that equal refusals read equal.

    >>> replies = ["550-5.1.1 <ann@a.example>: no such user\\n550 5.1.1 k12-20020a170902.118 - gsmtp"]
    >>> mask(pa.array(replies)).to_pylist()
    ['<*@*>: no such user * - gsmtp']
    """
    half = Words.encode(_replace(pc.utf8_slice_codeunits(replies, 0, MAX_LENGTH), _MASK_EACH))
    texts = _fold(_replace(half.values, _MASK_DISTINCT))
    named = pc.replace_substring_regex(texts, _HOST_NAME, rf"\1\2{NAME}")
    texts = pc.if_else(pc.match_substring_regex(texts, _KEEPS_NAMES), texts, named)
    return Words(pc.utf8_trim_whitespace(texts), half.index).to_arrow()


def _fold(texts: pa.StringArray) -> pa.StringArray:
    """The texts without the accents of Latin, Greek and Cyrillic letters: see `catalogue.fold`."""
    accented = pc.match_substring_regex(texts, _ACCENTED)
    some = pc.utf8_normalize(texts.filter(accented), "NFD")
    some = pc.utf8_normalize(pc.replace_substring_regex(some, _MARKS, ""), "NFC")
    return pc.replace_with_mask(texts, accented, some)


def _replace(texts: pa.StringArray, masks: tuple[tuple[str, str], ...]) -> pa.StringArray:
    for pattern, token in masks:
        texts = pc.replace_substring_regex(texts, pattern, token)
    return texts
