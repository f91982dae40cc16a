"""The law of the store: after any scans of logs that grow it is as after one scan of them all, row for row."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logscan.ingest import ingest
from logscan.plan import Options
from logscan.store import Store
from logscan.store.ledger import FACTS_KIND

SAMPLES = Path(__file__).parent.parent / "sample_logs"
OPTIONS = Options(workers=1, tz="UTC")
LOGS = {
    "exim": ["mx1-exim.log-20261124", "exim-all.mainlog", "exim-all.rejectlog"],
    "exim, syslog alone": ["mx1-exim.log-20261124"],
    "exchange 2016": ["exchange/MSGTRK20160417-1.LOG", "exchange/RECV20160416-2.LOG", "exchange/SEND20160416-2.LOG"],
    "exchange 2025": [
        "exchange/MSGTRK2025063021-1.LOG",
        "exchange/RECV2025063021-1.LOG",
        "exchange/SEND2025063023-1.LOG",
        "exchange/SEND2025063023-2.LOG",
        "exchange/AgentLog2025063021-1.LOG",
        "exchange/CONNECTLOG2025063021-1.LOG",
    ],
    "all": [
        "mail.log-20261124",
        "mx1-exim.log-20261124",
        "exim-all.mainlog",
        "exchange/MSGTRK2025063021-1.LOG",
        "exchange/RECV2025063021-1.LOG",
    ],
}


def lines(name: str) -> list[bytes]:
    return (SAMPLES / name).read_bytes().splitlines(keepends=True)


def rows(store: Store) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for row in store.dataset().to_table().to_pylist():
        row["source"] = Path(row["source"]).name
        if row["action"] == "attempt":  # one that was told before its outcome does not learn its recipient
            row["recipient"] = row["recipient_domain"] = None
        found[tuple(map(str, row.values()))] += 1
    return found


def tallies(store: Store) -> tuple[int, ...]:
    """Lines of each kind, and events, all sources together: what a session comes to is told of one of its sources."""
    run = store.run()
    tally = run.tally
    return (tally.understood, tally.known, tally.other, tally.unread, sum(read.events for read in run.sources))


def scanned(folder: Path, names: Sequence[str], nights: Sequence[Sequence[int]], options: Options = OPTIONS) -> Store:
    """A store after some nights, each with so many lines of each log."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
    store = Store.open(folder / "store")
    for night in nights:
        for name, count in zip(names, night, strict=True):
            if count:
                (folder / "logs" / Path(name).name).write_bytes(b"".join(lines(name)[:count]))
        if any(night):
            ingest([str(folder / "logs")], store, options)
    assert store.check() == []
    return store


@pytest.mark.parametrize("kind", LOGS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nights_give_what_one_scan_gives(tmp_path: Path, kind: str, data: Any) -> None:
    names = LOGS[kind]
    whole = [len(lines(name)) for name in names]
    cuts = [sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2))) for n in whole]
    nights = [*zip(*cuts, strict=True), whole]
    many, one = scanned(tmp_path / "many", names, nights), scanned(tmp_path / "one", names, [whole])
    assert rows(many) - rows(one) == rows(one) - rows(many) == Counter()
    assert tallies(many) == tallies(one)


@pytest.mark.parametrize("way", ["keyed", "domain"])
@pytest.mark.parametrize("kind", ["mail.log-20261124", "exim-all.mainlog"])
@pytest.mark.parametrize("cuts", [(50,), (120, 250), (200, 201, 330)], ids=str)
def test_anonymised_nights_give_what_one_scan_gives(tmp_path: Path, way: str, kind: str, cuts: tuple[int, ...]) -> None:
    key = tmp_path / "key" if way == "keyed" else None
    options = Options(workers=1, tz="UTC", anonymize=way, key=key)
    whole = len(lines(kind))
    many = scanned(tmp_path / "many", [kind], [*((cut,) for cut in cuts), (whole,)], options)
    one = scanned(tmp_path / "one", [kind], [(whole,)], options)
    assert rows(many) == rows(one)
    with many.commit() as commit:
        kept = [row for table in commit.beside(FACTS_KIND) for row in table.to_pylist()]
    assert kept, "some message is still open"
    shown = "p-" if key else "*"
    named = [row[name] for row in kept for name in ("sender", "recipient") if row[name] not in (None, "<>")]
    assert named
    assert all(name.startswith(shown) for name in named)
    assert all(row["client_ip"] is None or row["client_ip"].startswith("p-") for row in kept)
