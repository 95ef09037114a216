"""Every size that the service may have now."""

from __future__ import annotations

from collections import deque

DOUBT_SECONDS = 60.0
"""Readings lag by seconds, and a write that was given up may be applied as late as a client lives with it."""


class Sizes:
    """The sizes read or written lately: a later one does not prove an earlier one wrong at once."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, int]] = deque()

    def note(self, at: float, desired: int) -> None:
        """A size that was read, or that was asked for, whatever came of it."""
        self._noted.append((at, desired))
        while len(self._noted) > 1 and self._noted[0][0] < at - DOUBT_SECONDS:
            self._noted.popleft()

    def may_shrink(self, desired: int) -> bool:
        """Whether setting this size could lower what is there."""
        return not self._noted or desired < max(size for _, size in self._noted)
