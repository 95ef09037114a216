"""What the services of one account share: a quota of workers, and how fast they are launched."""

from __future__ import annotations

from math import ceil
from typing import Protocol

from simulations.service import AccountModel, Pace
from simulations.trace import QUANTA_PER_SECOND


class Waiter(Protocol):
    """A service that the quota holds back."""

    def look_again(self) -> None:
        """There is room now."""


class Bucket:
    """A pace kept: AWS's token bucket, as the instant from which the next launch may be."""

    def __init__(self, pace: Pace) -> None:
        self._between_seconds = 1 / pace.per_second
        self._ahead_seconds = (pace.burst - 1) * self._between_seconds
        self._full_at = float("-inf")

    @property
    def next_at(self) -> float:
        """No launch before; a time that the world can tell apart."""
        at = self._full_at - self._ahead_seconds
        return ceil(at * QUANTA_PER_SECOND) / QUANTA_PER_SECOND if at > 0 else at

    def take(self, now: float) -> None:
        """One launch."""
        self._full_at = max(self._full_at, now) + self._between_seconds


class Account:
    """Counts all workers that exist."""

    def __init__(self, model: AccountModel) -> None:
        self._most, self._workers = model.most_workers, 0
        self._bucket = Bucket(model.launches)
        self._held_back: list[Waiter] = []

    @property
    def next_at(self) -> float:
        """When the account's pace allows another launch."""
        return self._bucket.next_at

    def has_room(self, waiter: Waiter) -> bool:
        """Whether the quota allows another worker; if not, the waiter is told when it does."""
        if self._workers < self._most:
            return True
        if waiter not in self._held_back:
            self._held_back.append(waiter)
        return False

    def launched(self, now: float) -> None:
        """One more, at the account's pace."""
        self._workers += 1
        self._bucket.take(now)

    def there_from_the_start(self, workers: int) -> None:
        """So many that nobody had to launch."""
        self._workers += workers

    def left(self) -> None:
        """One less."""
        self._workers -= 1
        held_back, self._held_back = self._held_back, []
        for waiter in held_back:
            waiter.look_again()
