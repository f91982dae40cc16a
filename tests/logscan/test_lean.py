"""pandas and matplotlib stay out of the first screen, and come when they are asked for."""

from __future__ import annotations

import subprocess
import sys

FIRST_SCREEN = """
import sys
from logscan.lean import pandas_on_demand
pandas_on_demand()
from rich.console import Console
from logscan.publish import gather
from logscan.publish.screen import screen
from logscan.report import Asked
from logscan.run import Run
bounce = {"action": "bounced", "direction": "outbound", "code": 550, "cause": "policy", "reply": "550 no"}
events = Asked.of(bounce, bounce).events
Console(width=80).print(screen(gather(events, Run((), ()))))
print("loaded:", *sorted({"pandas", "matplotlib", "jinja2"} & set(sys.modules)))
import pyarrow, pandas
frame = events.to_table().to_pandas()
print(type(frame).__name__, len(frame), pyarrow.array(pandas.Series([1, 2])).to_pylist())
"""


def test_the_first_screen_loads_neither_pandas_nor_matplotlib() -> None:
    told = subprocess.run([sys.executable, "-c", FIRST_SCREEN], capture_output=True, text=True, check=True).stdout
    assert "policy" in told
    assert told.splitlines()[-2:] == ["loaded:", "DataFrame 2 [1, 2]"]
