"""The other side of a connection, as Exim names it: `H=name (helo) [address]:port I=[our address]:port`.

Only the last bracket holds the address that the connection came from: the name may be missing, and the HELO name in
parentheses is the client's word, brackets in it too (host.c, host_and_ident; deliver.c, d_hostlog).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logscan.spans import Spans

# RE2. A HELO name has no blanks unless the site allows it (helo_accept_junk_hosts): the plain reading goes first.
PEER = (
    r"(?:H=)?(?:(?P<host>[^ ()\[\]=<>]+) )?(?:\((?:[^ ()]*|.*)\) )?\[(?P<ip>[^ \]]*)\](?::\w+)?\*?"
    r"(?: I=\[[^ \]]*\](?::\w+)?)?(?: \[[^ \]]*\](?::\w+)?)?"
)
# An address in angle brackets: a quoted local part may hold anything (RFC 5321, 4.1.2).
PATH = r'(?:"(?:[^"\\]|\\.)*")?[^<>]*'
# What log_selector may add beside the other side and the verdict, in any order; each with the blank before it.
FIELDS = (
    r'(?: (?:(?:[UIXPAQ]|Ci|CV|SNI|PRX|RT|id|DN)\*?=(?:"(?:[^"\\]|\\.)*"|[^ ]+)|DS|K|L[.*-]?|TFO\*?|PRDR'
    r"|\(failed to find host name from IP address\)))*"
)

_ADDRESS = r"^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"


def address(texts: pa.StringArray) -> pa.StringArray:
    """The texts that are an IP address; null where not.

    >>> address(pa.array(["192.0.2.1", "2001:db8::1", "unknown", None])).to_pylist()
    ['192.0.2.1', '2001:db8::1', None, None]
    """
    distinct = texts.dictionary_encode()
    good = pc.match_substring_regex(distinct.dictionary, _ADDRESS)
    if pc.all(good).as_py():
        return texts
    return pc.if_else(good.take(distinct.indices), texts, None)


def delivered_to(fields: Spans) -> tuple[Spans, Spans]:
    """Name and address of the host in ` H=name [address]:port`; missing where there is none.

    >>> rows, _ = Spans.lines(b" R=r T=t H=mx.example [192.0.2.1]:25 X=tls\\n T=local\\n")
    >>> [part.to_arrow().to_pylist() for part in delivered_to(rows)]
    [['mx.example', None], ['192.0.2.1', None]]
    """
    name, inside = fields.compact().after(b" H=").partition(b" [")
    inside = inside.before(b"]")
    return name, inside.where(inside.length > 0)
