"""A search through all that removals, tasks, deaths, lost and late writes and restarts can lead to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.ownership import WRITE_SETTLES_SECONDS, Respect
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import Phase, State
from autoscaler.core.victims import Patience
from policies.model import Decision, LastWrite, Observation, Refused
from policies.mwaa import Mwaa, ScaleIn
from tests.core.removal_world import BusyWorkerStoppedError, Worker, World

TICK_SECONDS = 10.0
QUIET_SECONDS = 30.0
PATIENCE = Patience(deadline_seconds=60.0, settle_seconds=30.0, freeze_seconds=40.0, deaf_seconds=30.0)


def controller_for(most: int, way_in: SafeRemoval | None = None) -> Controller:
    """One slot a worker, so that every task wants a worker of its own; between 1 and `most` workers."""
    removal = SafeRemoval(PATIENCE, consolidates=True, stopped_share=0.5, pending_deadline_seconds=1e9)
    policy, guards = Mwaa(1, ScaleIn.CONTINUOUS), GuardChain(Bounds(1, most))
    watch, respect = Watch(1, most), Respect(QUIET_SECONDS)
    return Controller(policy, guards, watch, way_in or removal, respect, history_bound=1)


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon between two ticks."""

    state: State
    wants_workers: bool = False
    last_write: LastWrite = None


class Node(NamedTuple):
    """The world, the daemons that look at it, and the faults that may still come."""

    world: World
    daemons: tuple[Daemon, ...]
    at: float
    faults: int
    before: Node | None = None
    """How the search came here."""


def _started(controller: Controller) -> Daemon:
    """A fleet lists its workers at the first look, asked or not."""
    return Daemon(controller.initial(), wants_workers=True)


_Known = tuple[dict[str, tuple[object, ...]], tuple[object, ...]]
Lie = Callable[[Daemon, Observation], Observation]
"""What a daemon with a bug makes of what it sees."""


def key(node: Node) -> int:
    """The same for all nodes whose futures are the same: names and absolute times do not matter, nor which
    daemon is which.

    A hash of 64 bits: that two of a million nodes have the same by chance is less likely than 1 in 10^7.
    """
    world = node.world
    known = [_known(daemon, node.at) for daemon in node.daemons]
    return hash(frozenset(_key(world, node.faults, order) for order in permutations(known)))


def _key(world: World, faults: int, known: tuple[_Known, ...]) -> int:
    rows = sorted(
        hash(
            (
                (each.runs, each.busy, each.consuming, each.protected, each.flying, each.young),
                *(of_worker.get(each.name) for of_worker, _ in known),
            )
        )
        for each in world.workers
    )
    whole = (world.desired, world.queued, world.late, world.slow, faults)
    return hash((tuple(rows), whole, *(of_all for _, of_all in known)))


def _known(daemon: Daemon, at: float) -> _Known:
    """What a daemon remembers, by worker and of all; no instant for longer than any rule asks for it."""
    state = daemon.state
    removal, ownership = state.removal, state.ownership

    def age(instant: float, limit: float) -> float:
        return max(min(at - instant, limit), -limit)

    ranks = {since: rank for rank, since in enumerate(sorted({since for _, since in removal.idle_since}))}
    by_worker: dict[str, tuple[object, ...]] = {
        worker: ("idle", ranks[since]) for worker, since in removal.idle_since
    }

    def noted(worker: str, *values: object) -> None:
        by_worker[worker] = (*by_worker.get(worker, ()), *values)

    for victim in removal.victims:
        noted(victim.worker, victim.phase.value, age(victim.chosen_at, PATIENCE.deadline_seconds))
        if victim.phase is Phase.LEAVING:
            noted(victim.worker, age(victim.since, PATIENCE.settle_seconds))
        if victim.phase is Phase.IDLE:
            noted(victim.worker, age(victim.since, PATIENCE.confirm_seconds))
    for each in removal.spared:
        noted(each.worker, "spared", age(each.until, PATIENCE.deadline_seconds))
    for returning in removal.returning:
        bare = None if returning.bare_since is None else age(returning.bare_since, PATIENCE.deaf_seconds)
        noted(returning.worker, "returning", age(returning.since, 2 * PATIENCE.deaf_seconds), bare)
    for worker in state.protected:
        noted(worker, "ours")
    settles = len(ownership.expected) > 1 or ownership.unconfirmed
    of_all = (
        daemon.wants_workers,
        daemon.last_write,
        removal.lowered_to,
        removal.adopted,
        age(removal.frozen_until, PATIENCE.freeze_seconds),
        ownership.expected,
        age(ownership.wrote_at, WRITE_SETTLES_SECONDS) if settles else None,
        ownership.unconfirmed,
        ownership.confirmed,
        len(ownership.foreign_at),
        age(ownership.foreign_at[-1], QUIET_SECONDS) if ownership.foreign_at else None,
        state.short_since is None,
    )
    return by_worker, of_all


def following(node: Node, controller: Controller, lie: Lie | None = None) -> Iterator[Node]:
    """All that may be a tick later, whichever daemon it is that looks."""
    at = node.at + TICK_SECONDS
    for number, daemon in enumerate(node.daemons):
        for world, after, faults in _ticked(node.world, daemon, at, node.faults, controller, lie):
            daemons = (*node.daemons[:number], after, *node.daemons[number + 1 :])
            for later in world.later(at):
                yield Node(later, daemons, at, faults, node)


def _ticked(
    world: World, daemon: Daemon, at: float, faults: int, controller: Controller, lie: Lie | None
) -> Iterator[tuple[World, Daemon, int]]:
    """A tick of one daemon, which may die before it acts or right after."""
    most, newborn = controller.guards.bounds.maximum, _started(controller)
    for early, fault in world.moves(at, faults=faults > 0, most=most):
        observation = early.observed(at, daemon.last_write, listed=daemon.wants_workers)
        state, decision = controller.step(daemon.state, lie(daemon, observation) if lie else observation)
        left = faults - fault
        for now, late_fault in early.moves(at, faults=left > 0, most=most):
            fewer, landed = left - late_fault, now.landed()
            if fewer:
                yield landed, newborn, fewer - 1
            listed = daemon.wants_workers
            for after, outcome, lost in acted(
                landed, decision, at, listed=listed, faults=fewer > 0, most=most
            ):
                yield after, Daemon(state, decision.wants_workers, outcome), fewer - lost
                if fewer > lost:
                    yield after, newborn, fewer - lost - 1


def acted(
    world: World, decision: Decision, at: float, *, listed: bool, faults: bool, most: int
) -> Iterator[tuple[World, LastWrite, bool]]:
    """The parts of an act in their order; before the size is written something else may happen."""
    for told in world.intake(decision) if listed else [world]:
        if faults and decision.protected:
            yield told, Refused(decision.desired, "not protected"), True
        covered = told.covered(decision)
        if decision.desired is None:
            yield covered, None, False
            continue
        for between, _ in covered.moves(at, faults=False, most=most):
            yield from between.resized(decision.desired, at, faults=faults)


class Found(NamedTuple):
    """What a search reached."""

    count: int
    sample: list[Node]
    complete: bool
    ticks: int
    """All that can happen within so many ticks was searched."""


def search(
    start: Node, controller: Controller, most_nodes: int, lie: Lie | None = None, *, every: int = 1
) -> Found:
    """Breadth first, until there is nothing new or too much; every so many nodes are kept."""
    met, sample = {key(start)}, [start]
    open_, ticks = deque([start]), 0
    while open_:
        node = open_.popleft()
        ticks = round((node.at - start.at) / TICK_SECONDS)
        if len(met) >= most_nodes:
            return Found(len(met), sample, complete=False, ticks=ticks)
        try:
            for after in following(node, controller, lie):
                if (name := key(after)) not in met:
                    met.add(name)
                    open_.append(after)
                    if len(met) % every == 0:
                        sample.append(after._replace(before=None))
        except BusyWorkerStoppedError as error:
            raise BusyWorkerStoppedError("\n".join([*_story(node), str(error)])) from None
    return Found(len(met), sample, complete=True, ticks=ticks)


def _story(node: Node) -> list[str]:
    """How the search came there, a line a tick."""
    lines = [_told(node)]
    while node.before is not None:
        node = node.before
        lines.append(_told(node))
    return lines[::-1]


def _told(node: Node) -> str:
    world = node.world
    phases = {
        each.worker: each.phase.value for daemon in node.daemons for each in daemon.state.removal.victims
    }
    workers = "  ".join(
        "".join(
            (
                each.name,
                "" if each.runs else " pending",
                " busy" if each.busy else "",
                "" if each.consuming else " stopped",
                " protected" if each.protected else "",
                " flying" if each.flying else "",
                f" <{phases[each.name]}>" if each.name in phases else "",
            )
        )
        for each in world.workers
    )
    return (
        f"{node.at:.0f} desired {world.desired} queued {world.queued} late {world.late} slow {world.slow} | "
        f"{workers} | {[daemon.last_write for daemon in node.daemons]}"
    )


def beginning(workers: int, busy: int, faults: int, controller: Controller, *, daemons: int = 1) -> Node:
    """Workers that run, some of them busy, and daemons that just started."""
    rows = tuple(Worker(f"s{number}", busy=number < busy) for number in range(workers))
    return Node(World(rows, workers), (_started(controller),) * daemons, 1e6, faults)


def calmed(node: Node, controller: Controller, ticks: int) -> Node:
    """So long after the last fault: no task is left and none comes, and of two daemons one is gone.

    Halfway the protections end that nobody renewed.
    """
    world, daemon, at = node.world, node.daemons[0], node.at
    for tick in range(ticks):
        at += TICK_SECONDS
        rows = tuple(
            each._replace(
                busy=False,
                flying=False,
                runs=each.runs or not each.young,
                protected=each.protected and tick != ticks // 2,
            )
            for each in world.workers
        )
        world = world._replace(workers=rows, queued=0)
        observation = world.observed(at, daemon.last_write, listed=daemon.wants_workers)
        state, decision = controller.step(daemon.state, observation)
        acts = acted(world, decision, at, listed=daemon.wants_workers, faults=False, most=0)
        world, outcome, _ = next(acts)
        daemon = Daemon(state, decision.wants_workers, outcome)
        world = next(next(world.later(at)).settled(at))
    return Node(world, (daemon,), at, 0)


def is_well(node: Node) -> bool:
    """One worker, as the bounds say, and it takes tasks."""
    workers = node.world.workers
    return node.world.desired == len(workers) == 1 and all(each.consuming for each in workers)
