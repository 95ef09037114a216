"""What runs inside a task."""

from __future__ import annotations

from typing import Protocol


class Process(Protocol):
    """What runs inside a task."""

    def exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def terminate(self) -> None:
        """Asks it to end (SIGTERM)."""
        ...

    def kill(self) -> None:
        """Ends it and all it started (SIGKILL)."""
        ...


class PretendProcess:
    """Runs until it is told to end, and then ends at once."""

    def __init__(self) -> None:
        self._code: int | None = None

    def exit_code(self) -> int | None:
        return self._code

    def terminate(self) -> None:
        self._code = 0

    def kill(self) -> None:
        self._code = 137
