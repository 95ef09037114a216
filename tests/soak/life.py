"""A process that may die between any two of its effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anyio.lowlevel import checkpoint


class Death(BaseException):
    """SIGKILL: nothing of the process runs on, not even what was shielded."""


@dataclass
class Life:
    """One daemon's.  Whoever acts for it breathes before and after each effect."""

    breaths_left: int | None = None
    """It dies then; None: not soon."""
    dead: bool = False
    epoch: int = 0
    """Of the lease that it held when it last asked, and when that was."""
    confirmed_at: float = float("-inf")

    about_to: Callable[[str], None] = lambda _: None
    """Is told of each call of ECS before it is made."""

    async def breath(self) -> None:
        """As `must_live`, and others may act first."""
        await checkpoint()
        self.must_live()

    def must_live(self) -> None:
        """Raises `Death` when the time has come, and ever after."""
        if self.breaths_left is not None:
            self.dead = self.dead or self.breaths_left <= 0
            self.breaths_left -= 1
        if self.dead:
            raise Death
