"""Judges replies: the cause of each, how sure that is, and which words say so.

`classify` judges a table of events, `judge` one text. Both ask the same rules, in RE2 through pyarrow.
"""

from __future__ import annotations

from logscan.classifier.events import classify
from logscan.classifier.masking import MAX_LENGTH, mask
from logscan.classifier.texts import classify_texts, judge
from logscan.classifier.verdict import Verdict

__all__ = ["MAX_LENGTH", "Verdict", "classify", "classify_texts", "judge", "mask"]
