"""What happens when: the loopback world's only notion of time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator


class Agenda:
    """Acts in the order of their instants, then in the order in which they were noted."""

    def __init__(self, now: float) -> None:
        self.now = now
        """The instant of what is happening."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()

    def at(self, instant: float, act: Callable[[], None]) -> None:
        """Does something when the time has come."""
        heapq.heappush(self._due, (instant, next(self._sequence), act))

    def look_at(self, instant: float) -> None:
        """Nothing happens then, but whoever looks after every act looks then too."""
        self.at(instant, _nothing)

    @property
    def next_at(self) -> float:
        """When something happens next; infinite if nothing will."""
        return self._due[0][0] if self._due else float("inf")

    def passing(self, until: float) -> Iterator[None]:
        """Does what is due, with a stop after each act; at the end `now` is `until`."""
        while self._due and self._due[0][0] <= until:
            instant, _, act = heapq.heappop(self._due)
            self.now = max(self.now, instant)
            act()
            yield
        self.now = max(self.now, until)


def _nothing() -> None:
    """An act without effect."""
