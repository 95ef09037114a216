"""What a report keeps of each tick: every change of the size, the decisions worth a look, all reasons.

Memory is bounded by the number of changes, whatever the number of ticks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from heapq import heappush, heappushpop
from math import isfinite

from autoscaler.core.guards import rounded
from policies.model import Capacity, Decision, Demand, Observation, Reason, Stage

MOVES_KEPT, HOLDS_KEPT = 300, 150
"""More than a person reads; the largest and the longest stay."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision worth a look, or the same hold again and again."""

    at: float
    until: float
    """The last tick of it."""
    ticks: int
    before: int | None
    """The size as it was; None: unknown."""
    after: int | None
    queued: float | None
    running: float | None
    trail: tuple[Stage, ...]
    """Of the first tick."""
    alarms: tuple[str, ...] = ()

    @property
    def reason(self) -> Reason:
        """Why this size and no other."""
        return self.trail[-1].reason

    @property
    def moves(self) -> bool:
        """Whether the size changed."""
        return self.before != self.after


class Recorder:
    """Hand it to `simulate` as `on_step`."""

    def __init__(self) -> None:
        self.desired_at: list[float] = []
        """When the desired count became ..."""
        self.desired: list[int] = []
        """... this."""
        self.reasons: Counter[tuple[str, Reason]] = Counter()
        """Ticks by direction (`out`, `in`, `hold`, `stay`) and reason."""
        self.moves = self.holds = self.ticks = 0
        self._moves: list[tuple[float, int, Entry]] = []
        self._holds: list[tuple[float, int, Entry]] = []
        self._holding: Entry | None = None

    def __call__(self, observation: Observation, decision: Decision) -> None:
        """One tick."""
        self.ticks += 1
        capacity = observation.capacity
        before = capacity.desired if isinstance(capacity, Capacity) else None
        after = before if decision.desired is None else decision.desired
        if after is not None and (not self.desired or after != self.desired[-1]):
            self.desired_at.append(observation.at)
            self.desired.append(after)
        direction = _direction(before, after, decision)
        self.reasons[direction, decision.reason] += 1
        if direction == "stay" and not decision.alarms:
            self._end_hold()
        elif direction in {"out", "in"}:
            self._end_hold()
            self.moves += 1
            entry = _entry(observation, decision, before, after)
            _keep(self._moves, abs((after or 0) - (before or 0)), self.moves, entry, MOVES_KEPT)
        else:
            self._hold(_entry(observation, decision, before, after))

    def entries(self) -> list[Entry]:
        """The largest changes and the longest holds, in the order of time."""
        self._end_hold()
        return sorted((each[2] for each in (*self._moves, *self._holds)), key=lambda entry: entry.at)

    def _hold(self, entry: Entry) -> None:
        held = self._holding
        if held is not None and (held.reason, held.alarms) == (entry.reason, entry.alarms):
            self._holding = replace(held, until=entry.at, ticks=held.ticks + 1)
            return
        self._end_hold()
        self._holding = entry

    def _end_hold(self) -> None:
        if self._holding is not None:
            self.holds += 1
            _keep(self._holds, self._holding.ticks, self.holds, self._holding, HOLDS_KEPT)
            self._holding = None


def _direction(before: int | None, after: int | None, decision: Decision) -> str:
    """`hold`: the policy wanted another size and did not get it; resting at the minimum is no news."""
    if before is not None and after is not None and before != after:
        return "out" if after > before else "in"
    wish = decision.recommended
    granted = isfinite(wish) and rounded(wish) == after
    return "stay" if granted or decision.reason is Reason.AT_MINIMUM else "hold"


def _entry(observation: Observation, decision: Decision, before: int | None, after: int | None) -> Entry:
    demand = observation.demand
    queued, running = (demand.queued, demand.running) if isinstance(demand, Demand) else (None, None)
    alarms = tuple(f"{alarm.kind.value.replace('_', ' ')}: {alarm.note}" for alarm in decision.alarms)
    at = observation.at
    return Entry(at, at, 1, before, after, queued, running, decision.trail, alarms)


def _keep(kept: list[tuple[float, int, Entry]], weight: float, number: int, entry: Entry, limit: int) -> None:
    """The weightiest; of equal ones the earliest."""
    item = (weight, -number, entry)
    if len(kept) < limit:
        heappush(kept, item)
    else:
        heappushpop(kept, item)
