"""Words what a file was found to be: a line for its format, a few below it for what is in it."""

from __future__ import annotations

from logscan.likeness import listed
from logscan.publish.text import percent, safe
from logscan.recognise import Recognised, moment


def described(file: Recognised) -> list[str]:
    """The lines that `logscan formats` shows of a file; what the file itself says is made harmless."""
    name = safe(file.source.name)
    held = file.contents
    if held is None:
        advice = [f"    {file.likeness.advice}"] if file.likeness else []
        return [f"{name}: unknown; it {safe(str(file.likeness))}", *advice]
    packed = f", {file.source.codec}" if file.source.codec else ""
    envelope = held.envelope or "a form of its own"
    lines = [f"{name}: {file.parser} ({percent(file.confidence, 0)} sure)", f"    {envelope}, {file.encoding}{packed}"]
    span = (
        f", {moment(held.first)} to {moment(held.last)} UTC" if held.first is not None and held.last is not None else ""
    )
    lines.append(f"    of {held.lines:,} lines looked at{span}:")
    shares = [(count, format) for format, count in held.formats.items()]
    for group, what in (
        (held.neighbours, "other mail programs, not needed"),
        (held.servers, "mail servers that no parser here reads"),
        (held.others, "not of mail"),
    ):
        if group:
            shares.append((group.total(), f"{what} ({safe(listed(group))})"))
    if held.unread:
        shares.append((held.unread, "not understood"))
    lines += [f"    {percent(count / held.lines):>8} {what}" for count, what in shares]
    if held.doubt:
        lines.append(f"    {held.doubt.place} is not understood: {safe(held.doubt.text)}")
    return lines
