"""Judges replies: the cause of each, how sure that is, and which words say so.

`classify` judges a table of events, `judge` one text. Both ask the same rules, in RE2 through pyarrow.
"""

from __future__ import annotations

from logscan.classifier.events import MAX_LENGTH, classify, mask
from logscan.classifier.one import judge
from logscan.classifier.verdict import Verdict

__all__ = ["MAX_LENGTH", "Verdict", "classify", "judge", "mask"]
