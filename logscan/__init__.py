"""Who refuses our mail, with which SMTP code, why, since when, and what to do: mail server logs as one table.

>>> import logscan
>>> table = logscan.scan_lines([
...     "Oct 26 18:13:50 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <c@d.example>: "
...     "Relay access denied; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>"
... ])
>>> table.select(["action", "code", "enhanced", "recipient", "cause"]).to_pylist()
[{'action': 'rejected', 'code': 554, 'enhanced': '5.7.1', 'recipient': 'c@d.example', 'cause': 'relay-denied'}]
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from logscan.classifier import Verdict

__all__ = ["__version__", "classify", "read", "scan", "scan_lines"]
__version__ = "0.1.0"


def scan(paths: str | PathLike[str] | Iterable[str | PathLike[str]], **options: Any) -> pa.Table:
    """The events of log files as an Arrow table with the columns of `logscan.schema.EVENTS`, in the order of time.

    paths:   files, folders, globs, `-` for standard input; compressed or not.
    options: see `logscan.plan.Options`: format, tz, year, workers, block_size, rules.

    A file that cannot be read is told in a `UserWarning`, the others are read. Raises `logscan.plan.UsageError` for
    options that cannot be, and for paths of which none can be read.
    """
    import warnings

    from logscan.columns import concat
    from logscan.pipeline import scanning
    from logscan.plan import Options, UsageError
    from logscan.schema import EVENTS

    several = [paths] if isinstance(paths, str | PathLike) else list(paths)
    with scanning(several, Options(**options)) as scanned:
        tables = list(scanned.tables())
        if not scanned.run.sources and scanned.run.problems:
            raise UsageError("; ".join(str(problem) for problem in scanned.run.problems))
        for problem in scanned.run.problems:
            warnings.warn(str(problem), UserWarning, stacklevel=2)
        return concat(tables).cast(EVENTS) if tables else EVENTS.empty_table()


def read(paths: str | PathLike[str] | Iterable[str | PathLike[str]], **options: Any) -> pd.DataFrame:
    """The events of log files as a pandas data frame; paths and options as for `scan`."""
    frame: pd.DataFrame = scan(paths, **options).to_pandas()
    return frame


def scan_lines(lines: Iterable[str], parser: str = "postfix", *, year: int | None = None) -> pa.Table:
    """The events of some lines, as `scan` gives those of files. Stamps without year are of `year`, else of this one."""
    from datetime import UTC, datetime

    import numpy as np

    from logscan import plugins
    from logscan.alone import parse_alone
    from logscan.classifier import classify
    from logscan.clock import Clock
    from logscan.copies import marked
    from logscan.enrich import enrich
    from logscan.parser import Block, Parser
    from logscan.schema import EVENTS

    chosen, _ = plugins.load(plugins.PARSERS, Parser, parser)
    data = "".join(line + "\n" for line in lines).encode(errors="surrogateescape")
    middle = int(datetime(year or datetime.now(UTC).year, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000
    clock = Clock(UTC, np.zeros(1, np.int64), np.array([middle]))
    events, _ = parse_alone(chosen[parser], [Block.of(data, 0, "", clock)])
    events = marked(enrich(events, parser, "", chosen[parser].logs).sort_by("time"))
    return classify(events).select(EVENTS.names).sort_by("offset")


@overload
def classify(reply: str, *, rules: str | PathLike[str] | None = None, **known: Any) -> Verdict: ...


@overload
def classify(reply: pd.Series[Any], *, rules: str | PathLike[str] | None = None, **known: Any) -> pd.DataFrame: ...


@overload
def classify(
    reply: pa.Array | pa.ChunkedArray | Iterable[str | None],
    *,
    rules: str | PathLike[str] | None = None,
    **known: Any,
) -> pa.Table: ...


def classify(reply: Any, *, rules: str | PathLike[str] | None = None, **known: Any) -> Any:
    """What a reply means, or each of a column of replies.

    reply: one text: gives a `logscan.classifier.Verdict`. An Arrow array or any iterable of texts: gives an Arrow table
           with a row for each. A pandas series: gives a data frame with its index.
    rules: a file of rules of your own, which go first.
    known: stage, server, code and enhanced where known: one value, or a column of them.

    >>> classify("550 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org").detail
    'list: Spamhaus ZEN'
    >>> classify(["452 4.2.2 Mailbox full", "250 Ok"])["cause"].to_pylist()
    ['mailbox-full', 'success']
    """
    import pyarrow as pa

    from logscan.classifier import classify_texts, judge
    from logscan.plan import Options

    site = Options(rules=rules).site()
    if isinstance(reply, str):
        return judge(reply, **known, site=site)
    columns = {}
    for name, column in {"texts": reply, **known}.items():
        if type(column).__module__.partition(".")[0] == "pandas":
            column = pa.Array.from_pandas(column)
        elif not isinstance(column, pa.Array | pa.ChunkedArray):
            column = pa.array(list(column), pa.int16() if name == "code" else pa.string())
        columns[name] = column
    judged = classify_texts(columns.pop("texts"), **columns, site=site)
    if type(reply).__module__.partition(".")[0] != "pandas":
        return judged
    frame = judged.to_pandas()
    frame.index = reply.index
    return frame
