"""What several logs of a server tell is counted once, however the events come together."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from logscan import merge
from logscan.copies import APART, happening, marked
from logscan.enrich import conform, enrich

LOGS = ("main", "reject", "syslog")
EVENT = st.tuples(st.integers(0, 60_000_000), st.integers(0, 2), st.sampled_from("abc"))


def told(events: list[tuple[int, int, str]]) -> pa.Table:
    times, logs, names = zip(*events, strict=True)
    return pa.table(
        {
            "time": pa.array(np.array(times, np.int64).astype("M8[us]")).cast(pa.timestamp("us", "UTC")),
            "host": pa.nulls(len(events), pa.string()),
            "offset": np.arange(len(events)),
            "log": [LOGS[log] for log in logs],
            "happening": happening(pa.array(names)),
        }
    )


def by_hand(events: list[tuple[int, int, str]]) -> list[bool]:
    return [
        any(name == other and log > better and abs(time - at) <= APART for at, better, other in events)
        for time, log, name in events
    ]


@given(st.lists(EVENT, min_size=1, max_size=40))
def test_a_copy_is_told_by_a_better_log_within_ten_seconds(events) -> None:
    events = sorted(events)
    table = marked(enrich(told(events), "exim", "mainlog", LOGS))
    assert table["copy"].to_pylist() == by_hand(events)


@given(st.lists(EVENT, min_size=1, max_size=40), st.integers(1, 20), st.integers(1, 5))
def test_windows_do_not_hide_the_better_log(events, size, files) -> None:
    events = sorted(events)
    with TemporaryDirectory() as folder:
        runs = []
        for number in range(files):
            rows = events[number::files]
            if rows:
                table = enrich(told(rows), "exim", f"log{number}", LOGS)
                runs.append(merge.write_run(table, Path(folder) / f"{number}.run"))
        tables = [merge.load(window) for window in merge.windows(runs, size)]
    whole = pa.concat_tables(tables)
    wanted = sorted(zip(events, by_hand(events), strict=True))
    found = zip(merge.micros(whole).tolist(), whole["log"].to_pylist(), whole["copy"].to_pylist(), strict=True)
    assert sorted(found) == sorted((time, LOGS[log], copy) for (time, log, _), copy in wanted)


def test_servers_do_not_copy_each_other() -> None:
    exim, other = (enrich(told([(0, log, "a")]), mta, "log", LOGS) for mta, log in (("exim", 0), ("exchange", 1)))
    assert marked(pa.concat_tables([exim, other]).unify_dictionaries())["copy"].to_pylist() == [False, False]


def test_events_of_servers_with_one_log_are_no_copies() -> None:
    plain = conform(told([(0, 0, "a"), (0, 1, "a")]).drop_columns(["happening"]))
    assert marked(plain)["copy"].to_pylist() == [False, False]


@given(st.lists(st.tuples(st.text(), st.none() | st.text()), max_size=30))
def test_equal_rows_have_equal_numbers_and_others_do_not(rows) -> None:
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in (0, 1)]
    numbers = happening(*columns).to_pylist()
    assert len(set(numbers)) == len(set(rows))
    assert numbers == [happening(*(column.slice(i, 1) for column in columns))[0].as_py() for i in range(len(rows))]
