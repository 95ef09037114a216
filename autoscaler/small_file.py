"""Small text files: a configuration, a secret.  One that does not end, such as a device, is refused."""

from __future__ import annotations

import errno
from pathlib import Path

MOST_CONFIGURATION_BYTES = 2**20
MOST_SECRET_BYTES = 64 * 2**10


def text_in(path: str | Path, most_bytes: int) -> str:
    """What the file holds.  Raises `OSError`, also for one that is too long, and `UnicodeDecodeError`."""
    with Path(path).open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"longer than {most_bytes:,} bytes")
    return content.decode()
