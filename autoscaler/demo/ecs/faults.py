"""What may go wrong between a client and the loopback ECS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum
from typing import Any

Alter = Callable[[dict[str, Any]], Any]


class Fault(StrEnum):
    """How one call goes wrong."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    EXPIRED = "expired"
    """The credentials have expired; nothing was done."""
    RESET_BEFORE = "reset_before"
    """The connection is reset, and nothing was done."""
    RESET_AFTER = "reset_after"
    """It was done, and the connection is reset instead of an answer."""
    APPLY_LATE = "apply_late"
    """The connection is reset, and it is done `late_seconds` later, whatever was written meanwhile."""
    ANSWERED_LATE = "answered_late"
    """A success is answered, and it is done `late_seconds` later."""
    HANG = "hang"
    """No answer at all; nothing was done."""
    HANG_AFTER = "hang_after"
    """It was done, and no answer comes."""
    TRUNCATED = "truncated"
    """It was done, and the answer is 200 with half of the body."""
    EMPTY = "empty"
    """It was done, and the answer is 200 without a body."""


class Faults:
    """The faults to come, per operation, in the order they were injected."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        """IAM actions (`ecs:UpdateService`) that are refused."""
        self.late_seconds = 2.0
        self._coming: defaultdict[str, list[Fault]] = defaultdict(list)
        self._always: dict[str, Fault] = {}
        self._alter: dict[str, Alter] = {}

    def inject(self, operation: str, fault: Fault, times: int | None = 1) -> None:
        """The next `times` calls go wrong; None: all of them, until `clear`."""
        if times is None:
            self._always[operation] = fault
        else:
            self._coming[operation].extend([fault] * times)

    def alter(self, operation: str, change: Alter) -> None:
        """Every answer goes through `change`, which may return nonsense, until `clear`."""
        self._alter[operation] = change

    def clear(self) -> None:
        """Everything goes well again."""
        self.denied.clear()
        self._coming.clear()
        self._always.clear()
        self._alter.clear()

    def take(self, operation: str) -> Fault | None:
        """How the call that is being answered goes wrong."""
        coming = self._coming[operation]
        return coming.pop(0) if coming else self._always.get(operation)

    def altered(self, operation: str, answer: dict[str, Any]) -> Any:
        """The answer as the client shall see it."""
        change = self._alter.get(operation)
        return answer if change is None else change(answer)
