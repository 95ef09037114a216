"""Who is chosen to leave, and how far each has come, as told by what is seen of the workers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autoscaler.core.listing import Listing
from autoscaler.core.proposal import Context
from autoscaler.core.state import Phase, Removal, Spared, Victim
from policies.model import NOBODY, Refused

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each part of a removal may take."""

    confirm_seconds: float = 5.0
    """Between the two looks that find a worker empty: longer than a message takes to be delivered."""
    deadline_seconds: float = HOUR
    """A worker that is not empty by then takes tasks again, and is left alone as long."""
    kills: bool = False
    """At the deadline the worker leaves with the work it holds."""
    settle_seconds: float = 60.0
    """A write may show late: so long nobody who may be leaving takes tasks."""
    freeze_seconds: float = HOUR
    """No removal for so long after another worker was stopped than those we had prepared."""

    def advanced(self, removal: Removal, seen: Listing, context: Context) -> Removal:
        """The removal after this look: who has gone is forgotten, everybody else where he really is."""
        at = context.at
        spared = tuple(each for each in removal.spared if each.until > at and each.worker in seen.staying)
        victims: list[Victim] = []
        frozen_until = removal.frozen_until
        for victim in removal.victims:
            if victim.worker not in seen.staying:
                continue
            if victim.phase is Phase.LEAVING:
                stays = self._leaving(victim, removal, seen, context)
                if stays is None and removal.lowered_to is not None and context.current <= removal.lowered_to:
                    frozen_until = at + self.freeze_seconds
                victims += [stays] if stays is not None else []
            elif (overdue := at - victim.chosen_at >= self.deadline_seconds) and not self.kills:
                spared = (*spared, Spared(victim.worker, at + self.deadline_seconds))
            else:
                victims.append(self._emptied(victim, seen, at, expendable=overdue))
        kept = {victim.worker for victim in victims}
        gave_up = {each.worker for each in spared} - {each.worker for each in removal.spared}
        idle_before = dict(removal.idle_since)
        return removal._replace(
            victims=tuple(victims),
            spared=spared,
            idle_since=tuple((worker, idle_before.get(worker, at)) for worker in sorted(seen.empty)),
            resumed=((removal.resumed | gave_up) & seen.staying) - seen.consuming - kept,
            lowered_to=removal.lowered_to if any(each.phase is Phase.LEAVING for each in victims) else None,
            frozen_until=frozen_until,
        )

    def _leaving(self, victim: Victim, removal: Removal, seen: Listing, context: Context) -> Victim | None:
        """None once it is plain that it does not leave."""
        state = context.state
        if isinstance(context.observation.last_write, Refused) and context.current != removal.lowered_to:
            return Victim(victim.worker, Phase.STOPPING, victim.chosen_at, context.at)
        settling = context.at - victim.since < self.settle_seconds or state.ownership.unconfirmed
        surplus = len(seen.staying) > context.current
        return victim if settling or surplus else None

    def _emptied(self, victim: Victim, seen: Listing, at: float, *, expendable: bool) -> Victim:
        """One step after the other, several at a look; back to the start when a doubt appears."""
        worker, phase, since = victim.worker, victim.phase, victim.since
        if worker not in seen.stopped:
            return victim if phase is Phase.STOPPING else replace(victim, phase=Phase.STOPPING, since=at)
        if phase is Phase.STOPPING:
            phase, since = Phase.EMPTYING, at
        if expendable:
            return replace(victim, phase=Phase.READY, since=since)
        if worker not in seen.empty:
            return replace(victim, phase=Phase.EMPTYING, since=since if phase is Phase.EMPTYING else at)
        if phase is Phase.EMPTYING:
            phase, since = Phase.IDLE, seen.empty_at
        elif phase is Phase.IDLE and seen.empty_at - since >= self.confirm_seconds:
            phase, since = Phase.READY, at
        return replace(victim, phase=phase, since=since)


def without(removal: Removal, given_up: frozenset[str]) -> Removal:
    """The removal without these, which shall take tasks again."""
    if not given_up:
        return removal
    victims = tuple(victim for victim in removal.victims if victim.worker not in given_up)
    return removal._replace(victims=victims, resumed=removal.resumed | given_up)


def least_advanced(removal: Removal, count: int) -> frozenset[str]:
    """The `count` victims that are furthest from leaving; none that is leaving already."""
    order = [Phase.STOPPING, Phase.EMPTYING, Phase.IDLE, Phase.READY]
    undoable = [victim for victim in removal.victims if victim.phase is not Phase.LEAVING]
    undoable.sort(key=lambda victim: (order.index(victim.phase), -victim.chosen_at, victim.worker))
    return frozenset(victim.worker for victim in undoable[: max(0, count)])


def chosen(
    removal: Removal, seen: Listing, among: frozenset[str], count: int, at: float, *, only_empty: bool
) -> Removal:
    """The removal with up to `count` more victims: the longest empty first, then the least loaded."""
    spared = frozenset(each.worker for each in removal.spared)
    candidates = (among & seen.consuming) - removal.stopped - spared
    if only_empty:
        candidates &= seen.empty
    if count <= 0 or not candidates:
        return removal
    idle_since, held = dict(removal.idle_since), seen.busy_slots()
    order = sorted(candidates, key=lambda worker: (idle_since.get(worker, at + 1), held(worker), worker))
    more = tuple(Victim(worker, Phase.STOPPING, at, at) for worker in order[:count])
    return removal._replace(victims=removal.victims + more)


def in_phase(removal: Removal, phase: Phase) -> frozenset[str]:
    """The victims that have come so far."""
    if not removal.victims:
        return NOBODY
    return frozenset(victim.worker for victim in removal.victims if victim.phase is phase)
