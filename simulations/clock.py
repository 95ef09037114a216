"""Time passes for all of a world at once: tasks, then services in the order of the targets, then readings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Tasks(Protocol):
    """A kernel, as far as time goes."""

    now: float
    """Unix seconds."""

    def advance(self, until: float) -> None:
        """Lets everything happen that is due up to and including `until`."""


class Timed(Protocol):
    """What does something between two decisions."""

    due_at: float

    def act(self) -> None:
        """Does what is due."""


class Clock:
    """Nobody looks before everything due at that instant has happened."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._services: list[Timed] = []
        self._views: list[Timed] = []
        self._timed: list[Timed] = []

    def joined_by(self, service: Timed, views: Iterable[Timed]) -> None:
        """They act from now on."""
        self._services.append(service)
        self._views += views
        self._timed = self._services + self._views

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self._tasks.now

    def advance(self, until: float) -> None:
        """Lets time pass.  Raises `ValueError` for a time that is past."""
        tasks, timed = self._tasks, self._timed
        if until < tasks.now:
            raise ValueError(f"time does not run backwards: now {tasks.now}, asked for {until}")
        while (at := timed[0].due_at if len(timed) == 1 else min([each.due_at for each in timed])) <= until:
            tasks.advance(at)
            for each in timed:
                if each.due_at <= at:
                    each.act()
        tasks.advance(until)
