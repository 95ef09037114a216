"""What a file holds, as long as it is not endless."""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from simulations.trace import TraceError

MOST_BYTES = 2 * 2**30
"""Of text, unpacked: some twenty million tasks.  Parquet is read by columns and has no such limit."""
MOST_TOML_BYTES = 2**20
PIECE_BYTES = 2**20
REMEDY = "a trace of that size is read as Parquet"


def content_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """All bytes of a file.  Raises `OSError`, also for one that is too long."""
    with path.open("rb") as file:
        if not path.is_file():  # a pipe or a device has no size
            content = _at_most(file, most_bytes)
        else:
            content = file.read() if path.stat().st_size <= most_bytes else None
    if content is None:
        raise OSError(errno.EFBIG, f"more than {most_bytes:,} bytes")
    return content


def unpacked(name: str, content: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a gzip file.  Raises `TraceError`, also for one that unpacks without end."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = _at_most(file, most_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{name}: not a whole gzip file: {error}") from None
    if plain is None:
        raise TraceError(f"{name}: unpacks to more than {most_bytes:,} bytes; {REMEDY}")
    return plain


def _at_most(file: BinaryIO | gzip.GzipFile, most_bytes: int) -> bytes | None:
    """All that is left to read; None: it is more than that."""
    pieces, size = [], 0
    while piece := file.read(PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            return None
    return b"".join(pieces)
