"""What a policy is: an opinion on the size, formed from the history."""

from __future__ import annotations

from typing import Any, Protocol

from policies.history import History
from policies.model import Recommendation


class Policy(Protocol):
    """Recommends a number of workers from the history.  Pure: whatever it remembers is a value.

    A policy is a frozen dataclass; its fields are its configuration and are validated as such.
    """

    @property
    def monotone(self) -> bool:
        """True: with all else equal, more demand never lowers the recommendation."""
        ...

    @property
    def window_seconds(self) -> float:
        """How far back it looks: with constant demand it has settled after that long."""
        ...

    @property
    def memory_type(self) -> Any:
        """The type of its memory, which pydantic can dump to JSON and validate; None for no memory."""
        ...

    def initial(self) -> Any:
        """The memory before the first observation."""
        ...

    def recommend(self, memory: Any, history: History) -> tuple[Any, Recommendation]:
        """The next memory, and how many workers there should be."""
        ...
