"""What a controller remembers between two steps.  Written only by `Controller.step`.

The values that every step makes anew are named tuples: as frozen as dataclasses, and made in a
fifth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from policies.history import History
from policies.model import NEVER, NOBODY


@dataclass(frozen=True, slots=True)
class Move:
    """A change of the desired count that was (or may have been) applied."""

    at: float
    before: int
    after: int

    @property
    def workers(self) -> int:
        """How many workers it added; negative where it removed."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Wishes:
    """The extreme wish of a sliding window.

    Kept are only the wishes that can still become the extreme: each is beaten by none younger, so
    there are never more than distinct sizes in the window.
    """

    entries: tuple[tuple[float, int], ...] = ()

    def seen(self, at: float, wish: int, window_seconds: float, beats: Callable[[int, int], bool]) -> Wishes:
        """With one wish more, and without those `window_seconds` old or older."""
        entries = self.entries
        if entries and entries[-1][0] > at:  # a clock was set back: they count as of now, and no longer
            entries = tuple((min(seen_at, at), size) for seen_at, size in entries)
        stop = len(entries)
        while stop and not beats(entries[stop - 1][1], wish):
            stop -= 1
        start = 0
        while start < stop and at - entries[start][0] >= window_seconds:
            start += 1
        return Wishes((*entries[start:stop], (at, wish)))

    def extreme(self, at: float, window_seconds: float) -> int | None:
        """The largest (or smallest) wish younger than the window; None if there is none."""
        for seen_at, wish in self.entries:
            if at - seen_at < window_seconds:
                return wish
        return None


class Phase(StrEnum):
    """How far the removal of a worker has come."""

    STOPPING = "stopping"
    """Its intake shall stop; that it has was not seen yet."""
    EMPTYING = "emptying"
    """Its intake has stopped; what it holds runs to its end."""
    IDLE = "idle"
    """Seen empty once."""
    READY = "ready"
    """Seen empty again, later than a message on its way can arrive."""
    LEAVING = "leaving"
    """The desired count was lowered by it."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A worker that is being removed."""

    worker: str
    phase: Phase
    chosen_at: float
    since: float
    """Of the phase."""


@dataclass(frozen=True, slots=True)
class Spared:
    """A worker whose removal took too long: not chosen again until then."""

    worker: str
    until: float


class Returning(NamedTuple):
    """A worker without intake that shall take tasks again."""

    worker: str
    since: float
    """It is known to be without, by no wish of ours."""
    bare_since: float | None
    """It waits for a protection; None: it had one when it was seen last."""
    waits: bool = True
    """Whether its intake stays stopped for now."""


class Ownership(NamedTuple):
    """Which desired counts are ours, and when somebody else set one."""

    expected: tuple[int, ...] = ()
    """Counts that surprise nobody.  The first: last seen, or written with an answer.  Then, while a write
    settles, what it may still show as."""
    wrote_at: float = NEVER
    unconfirmed: bool = False
    """The last write got no answer and may still be applied."""
    foreign_at: tuple[float, ...] = ()
    """When others wrote, within the last hour."""
    confirmed: bool = True
    """The foreign size was seen in at least two readings."""


class Removal(NamedTuple):
    """Who is being removed, and what is known of the others' idleness."""

    victims: tuple[Victim, ...] = ()
    spared: tuple[Spared, ...] = ()
    idle_since: tuple[tuple[str, float], ...] = ()
    """Workers that were empty at the last listing, and since when they have been seen so."""
    returning: tuple[Returning, ...] = ()
    """Workers without intake that shall take tasks again."""
    lowered_to: int | None = None
    """The desired count without those that are leaving."""
    frozen_until: float = NEVER
    """No removal until then: another worker than ours was stopped."""
    adopted: bool = False
    """Whether the protections that an earlier daemon left were looked for."""
    unsure_until: float = NEVER
    """A protection that was set or ended without an answer may still change until then."""

    @property
    def chosen(self) -> frozenset[str]:
        """All that are being removed."""
        return frozenset(victim.worker for victim in self.victims) if self.victims else NOBODY

    @property
    def stopped(self) -> frozenset[str]:
        """All whose intake shall be stopped: they leave, or wait for a protection before they take tasks."""
        if not self.returning:
            return self.chosen
        return self.chosen | {each.worker for each in self.returning if each.waits}


NOTHING = Removal()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a budget holds."""

    worker_hours: float
    at: float
    workers: int
    """Running and pending then: they are charged from then on."""
    spent: bool = False
    """It was empty, and has not filled up enough since."""


class State(NamedTuple):
    """Everything one target's controller remembers; serialisable, and compared by value."""

    memory: Any
    history: History
    started_at: float | None = None
    """The first observation with credible demand and a known fleet: warm-up counts from it."""
    seen_at: float = NEVER
    """The newest observation whose capacity was known."""
    current: int | None = None
    """The desired count seen then."""
    lows: Wishes = Wishes()
    highs: Wishes = Wishes()
    moves: tuple[Move, ...] = ()
    """Within the longest rate period, and since the last foreign write."""
    scaled_out_at: float = NEVER
    scaled_in_at: float = NEVER
    ownership: Ownership = Ownership()
    protected: frozenset[str] = NOBODY
    """Workers whose protection we set, as far as we see."""
    short_since: float | None = None
    """Since when fewer workers run than desired, the desired count unchanged."""
    deaf_since: float | None = None
    """Since when tasks have been queued beside free slots."""
    removal: Removal = NOTHING
    tokens: Tokens | None = None
    """None: no budget, or nothing seen yet."""
