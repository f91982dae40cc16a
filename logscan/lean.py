"""Keeps pandas out of a command that does not ask for it: importing it takes longer than most commands take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas:
    """A finder of modules that refuses to import pandas."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise `ModuleNotFoundError` for pandas, and leave the others to others."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed yet", name=fullname)
        return None


def pandas_on_demand() -> None:
    """Let pyarrow import pandas when a data frame is asked for, not at the first value (0.3 s warm, 1 s cold).

    pyarrow looks for pandas once when it meets a value that may be a Series (`pyarrow.scalar`, and so the import of
    `pyarrow.dataset`), and again only when it must have it (`Table.to_pandas`): pandas-shim.pxi, pyarrow 23 to 26.
    So it is made to look now, and to find nothing. For a command's first lines, before a Series exists; a library
    leaves this to its user. No effect where pandas is loaded already.

    >>> pandas_on_demand()
    """
    if "pandas" in sys.modules:
        return
    refusal = _NoPandas()
    sys.meta_path.insert(0, refusal)
    try:
        import pyarrow as pa

        pa.scalar(True)
    finally:
        sys.meta_path.remove(refusal)
