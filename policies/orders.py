"""What an operator ordered: an input of the step, like a reading.  Frozen values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """Which way a pause stops the size from going."""

    BOTH = "both"
    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Pause:
    """The desired count does not move that way."""

    way: Way
    until: float
    """Unix seconds; infinity: until it is ended.  From then on it is as if it had never been."""
    given_at: float
    by: str = ""
    """Who ordered it ..."""
    why: str = ""
    """... and why, in their own words."""


@dataclass(frozen=True, slots=True)
class Override:
    """Other bounds than the configured ones; None: as configured."""

    minimum: int | None
    maximum: int | None
    until: float
    """Unix seconds; from then on the configured bounds hold again."""
    given_at: float
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """All that is ordered for one target."""

    pause: Pause | None = None
    override: Override | None = None

    def standing(self, at: float) -> Orders | None:
        """Those that have not expired; None: there are none."""
        pause, override = self.pause, self.override
        if pause is not None and not at < pause.until:
            pause = None
        if override is not None and not at < override.until:
            override = None
        return None if pause is None and override is None else Orders(pause, override)

    def pauses(self, way: Way, at: float) -> bool:
        """Whether the size must not go that way now; `Way.BOTH`: neither way."""
        pause = self.pause
        return pause is not None and at < pause.until and pause.way in {way, Way.BOTH}
