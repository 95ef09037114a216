"""Where decision records go beside the log: the newest into memory, all into a file."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

MEMORY_BYTES = 64 * 2**20
"""For the records of all targets together.  One that lists a thousand workers has 400 kB."""


class RecentRecords:
    """The newest records of one target: at most `count`, and in all `size` bytes or the last alone."""

    def __init__(self, count: int, size: int) -> None:
        self._count, self._size = count, size
        self._lines: deque[str] = deque()
        self._used = 0

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, line: str) -> None:
        """Keeps the line, which is ASCII, and drops the oldest beyond the bounds."""
        self._lines.append(line)
        self._used += len(line)
        while len(self._lines) > self._count or (self._used > self._size and len(self._lines) > 1):
            self._used -= len(self._lines.popleft())

    def newest(self, limit: int) -> list[str]:
        """The last `limit` records, oldest first."""
        return list(self._lines)[max(0, len(self._lines) - max(0, limit)) :]


@contextmanager
def opened_records(path: str) -> Iterator[TextIO]:
    """A file that records are added to.  Raises `OSError` if it cannot be opened."""
    # Unbuffered: what could not be written is gone, and neither grows nor comes back at the end.
    with Path(path).open("ab", buffering=0) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", write_through=True)
