"""Log files, folders, globs and pipes as chunks of whole lines, in bounded memory and never cut short in silence.

>>> import gzip, pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> _ = (folder / "mail.log").write_bytes(b"three\\nfour\\n")
>>> _ = (folder / "mail.log.1.gz").write_bytes(gzip.compress(b"one\\ntwo\\n"))
>>> sources, problems = discover([str(folder)])
>>> [(source.path.name, source.codec, list(chunks(source, 1 << 20))) for source in sources]
[('mail.log', None, [Chunk(offset=0, data=b'three\\nfour\\n', overlong=0)]),
 ('mail.log.1.gz', 'gzip', [Chunk(offset=0, data=b'one\\ntwo\\n', overlong=0)])]
"""

from logscan.sources.discovery import EXPECTED, discover
from logscan.sources.lines import MAX_LINE, Chunk, chunks, first_lines, split
from logscan.sources.source import Pipe, Source, SourceError

__all__ = [
    "EXPECTED",
    "MAX_LINE",
    "Chunk",
    "Pipe",
    "Source",
    "SourceError",
    "chunks",
    "discover",
    "first_lines",
    "split",
]
