"""Who is chosen to leave, and how far each has come, as told by what is seen of the workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from autoscaler.core.listing import Listing
from autoscaler.core.proposal import Context
from autoscaler.core.returning import unseen
from autoscaler.core.state import Phase, Removal, Spared, Victim
from policies.model import NOBODY, Refused, Unknown

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
    deaf_seconds: float = 300.0
    """So long a worker without intake waits for a protection before it works again; then it does so without.
    Who has not done so after twice as long is not waited for."""

    def advanced(self, removal: Removal, seen: Listing, context: Context) -> Removal:
        """The removal after this look: who has gone is forgotten, everybody else where he really is."""
        at, removal = context.at, self._by_now(removal, context.at)
        spared = tuple(each for each in removal.spared if each.until > at and each.worker in seen.staying)
        victims: list[Victim] = []
        frozen_until = removal.frozen_until
        for victim in removal.victims:
            if victim.worker not in seen.staying:
                continue
            if victim.phase is Phase.LEAVING and victim.worker in seen.consuming:
                continue  # somebody else has given it work
            if victim.phase is Phase.LEAVING:
                stays = self._leaving(victim, removal, seen, context)
                if stays is None and removal.lowered_to is not None and context.current <= removal.lowered_to:
                    frozen_until = at + self.freeze_seconds
                victims += [stays] if stays is not None else []
            elif (
                (overdue := self._overdue(victim, at))
                and not self.kills
                and victim.worker not in seen.outdated
            ):
                spared = (*spared, Spared(victim.worker, at + self.deadline_seconds))
            else:
                victims.append(self._emptied(victim, seen, at, expendable=overdue and self.kills))
        idle_before, write = dict(removal.idle_since), context.observation.last_write
        unsure = isinstance(write, Unknown) and write.desired is None
        return removal._replace(
            victims=tuple(victims),
            spared=spared,
            idle_since=tuple((worker, idle_before.get(worker, at)) for worker in sorted(seen.empty)),
            lowered_to=removal.lowered_to if any(each.phase is Phase.LEAVING for each in victims) else None,
            frozen_until=frozen_until,
            unsure_until=at + self.settle_seconds if unsure else removal.unsure_until,
        )

    def unseen(self, removal: Removal, at: float, *, undo: bool) -> Removal:
        """The removal while nobody looks: whoever has had its time is no victim any more.

        With `undo` nobody is who has not begun to leave.  They take tasks again after `deaf_seconds`.
        """
        if not removal.victims and not removal.returning:
            return removal
        removal = self._by_now(removal, at)
        gave_up = frozenset(
            victim.worker
            for victim in removal.victims
            if (
                at - victim.since >= self.deadline_seconds
                if victim.phase is Phase.LEAVING
                else undo or (self._overdue(victim, at) and not self.kills)
            )
        )
        returning = unseen(removal.returning, gave_up, at, self.deaf_seconds)
        return without(removal, gave_up)._replace(returning=returning)

    def _overdue(self, victim: Victim, at: float) -> bool:
        return at - victim.chosen_at >= self.deadline_seconds

    def _by_now(self, removal: Removal, at: float) -> Removal:
        """No instant is in the future, and no end further than it can be: a clock may be set back."""
        return removal._replace(
            victims=tuple(
                replace(each, chosen_at=min(each.chosen_at, at), since=min(each.since, at))
                for each in removal.victims
            ),
            spared=tuple(
                Spared(each.worker, min(each.until, at + self.deadline_seconds)) for each in removal.spared
            ),
            frozen_until=min(removal.frozen_until, at + self.freeze_seconds),
            unsure_until=min(removal.unsure_until, at + self.settle_seconds),
        )

    def _leaving(self, victim: Victim, removal: Removal, seen: Listing, context: Context) -> Victim | None:
        """None once it is plain that it does not leave."""
        state = context.state
        write = context.observation.last_write
        ours = (
            isinstance(write, Refused) and write.desired is not None and write.desired == removal.lowered_to
        )
        if ours and context.current != removal.lowered_to:
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
    """The removal without these."""
    if not given_up:
        return removal
    return removal._replace(victims=tuple(each for each in removal.victims if each.worker not in given_up))


def undone(removal: Removal) -> Removal:
    """The removal with those only that have begun to leave."""
    return without(removal, removal.chosen - in_phase(removal, Phase.LEAVING))


def let_go(removal: Removal, ready: frozenset[str], at: float) -> Removal:
    """The removal with these on their way out."""
    victims = tuple(
        Victim(each.worker, Phase.LEAVING, each.chosen_at, at) if each.worker in ready else each
        for each in removal.victims
    )
    return removal._replace(victims=victims)


def least_advanced(removal: Removal, count: int) -> frozenset[str]:
    """The `count` victims that are furthest from leaving; none that is leaving already."""
    order = [Phase.STOPPING, Phase.EMPTYING, Phase.IDLE, Phase.READY]
    undoable = [victim for victim in removal.victims if victim.phase is not Phase.LEAVING]
    undoable.sort(key=lambda victim: (order.index(victim.phase), -victim.chosen_at, victim.worker))
    return frozenset(victim.worker for victim in undoable[: max(0, count)])


def chosen(
    removal: Removal,
    seen: Listing,
    among: frozenset[str],
    count: int,
    at: float,
    *,
    deaf: frozenset[str],
    only_empty: bool,
    budget_seconds: float = inf,
) -> Removal:
    """The removal with up to `count` more victims: the deaf, the longest empty, the soonest empty.

    None that is expected to hold work for longer than `budget_seconds`.  Whoever holds work gives his place
    back to an empty worker: that one is gone in a minute, where a long task may take an hour.
    """
    spared = frozenset(each.worker for each in removal.spared)
    candidates = (among & (seen.consuming | deaf)) - removal.chosen - spared
    empty = candidates & seen.empty
    if len(empty) > count and (holding := _holding(removal, seen)):
        work_left = seen.work_left()
        order = sorted(holding, key=lambda worker: (-work_left(worker), worker))
        return without(removal, frozenset(order[: len(empty) - max(0, count)]))
    candidates = empty if only_empty else candidates - seen.busy_beyond(budget_seconds)
    if count <= 0 or not candidates:
        return removal
    idle_since, work_left, held = dict(removal.idle_since), seen.work_left(), seen.busy_slots()
    order = sorted(
        candidates,
        key=lambda worker: (
            worker not in deaf,
            idle_since.get(worker, at + 1),
            work_left(worker),
            held(worker),
            worker,
        ),
    )
    more = tuple(Victim(worker, Phase.STOPPING, at, at) for worker in order[:count])
    return removal._replace(victims=removal.victims + more)


def _holding(removal: Removal, seen: Listing) -> frozenset[str]:
    """The victims that are waited for: they hold work, and are not to leave with it."""
    waiting = in_phase(removal, Phase.STOPPING) | in_phase(removal, Phase.EMPTYING)
    return waiting - seen.empty


def in_phase(removal: Removal, phase: Phase) -> frozenset[str]:
    """The victims that have come so far."""
    if not removal.victims:
        return NOBODY
    return frozenset(victim.worker for victim in removal.victims if victim.phase is phase)
