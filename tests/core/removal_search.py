"""A search through all that removals, tasks, deaths, lost and late writes and restarts can lead to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import State
from autoscaler.core.victims import Patience
from policies.model import Decision, LastWrite
from policies.mwaa import Mwaa, ScaleIn
from tests.core.removal_world import World, Worker

TICK_SECONDS = 10.0
AGE_LIMIT = 60.0
"""No rule of the search's controller asks whether something is older."""
PATIENCE = Patience(deadline_seconds=40.0, settle_seconds=20.0, freeze_seconds=40.0)


def controller_for(most: int, way_in: SafeRemoval | None = None) -> Controller:
    """One slot a worker, so that every task wants a worker of its own; between 1 and `most` workers."""
    removal = SafeRemoval(PATIENCE, consolidates=True, stopped_share=0.5, pending_deadline_seconds=1e9)
    policy, guards = Mwaa(1, ScaleIn.CONTINUOUS), GuardChain(Bounds(1, most))
    return Controller(policy, guards, Watch(1, most), way_in=way_in or removal, history_bound=1)


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon between two ticks."""

    state: State
    wants_workers: bool = False
    last_write: LastWrite = None


class Node(NamedTuple):
    """The world, the daemon that looks at it, and the faults that may still come."""

    world: World
    daemon: Daemon
    at: float
    faults: int


def key(node: Node) -> tuple[object, ...]:
    """The same for all nodes whose futures are the same: names and absolute times do not matter."""
    state, at = node.daemon.state, node.at
    removal, ownership = state.removal, state.ownership

    def age(instant: float | None, limit: float = AGE_LIMIT) -> float | None:
        return None if instant is None else max(min(at - instant, limit), -limit)

    victims = {
        each.worker: (each.phase.value, age(each.chosen_at, 40.0), age(each.since, 20.0))
        for each in removal.victims
    }
    spared = {each.worker: age(each.until) for each in removal.spared}
    rows = sorted(
        (
            (each.runs, each.busy, each.consuming, each.protected, each.flying),
            victims.get(each.name, ()),
            spared.get(each.name, 0.0),
            each.name in removal.resumed,
            each.name in state.protected,
        )
        for each in node.world.workers
    )
    world = node.world
    return (
        tuple(rows),
        (world.desired, world.queued, world.late, world.slow),
        (node.daemon.wants_workers, node.daemon.last_write, removal.lowered_to, removal.adopted),
        age(removal.frozen_until),
        (ownership.expected, age(ownership.wrote_at), ownership.unconfirmed, ownership.confirmed),
        tuple(age(each) for each in ownership.foreign_at),
        state.short_since is None,
        node.faults,
    )


def following(node: Node, controller: Controller) -> Iterator[Node]:
    """All that may be a tick later."""
    at, most = node.at + TICK_SECONDS, controller.guards.bounds.maximum
    listed, newborn = node.daemon.wants_workers, Daemon(controller.initial())
    for early, fault in node.world.moves(at, faults=node.faults > 0, most=most):
        observation = early.observed(at, node.daemon.last_write, listed=listed)
        state, decision = controller.step(node.daemon.state, observation)
        left = node.faults - fault
        for now, late_fault in early.moves(at, faults=left > 0, most=most):
            fewer = left - late_fault
            landed = now.landed()
            if fewer:  # the daemon dies before it acts
                yield from (Node(world, newborn, at, fewer - 1) for world in landed.later(at))
            for after, outcome, lost in acted(landed, decision, at, listed=listed, faults=fewer > 0, most=most):
                daemon = Daemon(state, decision.wants_workers, outcome)
                for world in after.later(at):
                    yield Node(world, daemon, at, fewer - lost)
                    if fewer > lost:  # or right after it
                        yield Node(world, newborn, at, fewer - lost - 1)


def acted(
    world: World, decision: Decision, at: float, *, listed: bool, faults: bool, most: int
) -> Iterator[tuple[World, LastWrite, bool]]:
    """The parts of an act in their order; before the size is written something else may happen."""
    for told in world.intake(decision) if listed else [world]:
        covered = told.covered(decision)
        if decision.desired is None:
            yield covered, None, False
            continue
        for between, _ in covered.moves(at, faults=False, most=most):
            yield from between.resized(decision.desired, at, faults=faults)


class Found(NamedTuple):
    """What a search reached."""

    nodes: dict[tuple[object, ...], Node]
    complete: bool


def search(start: Node, controller: Controller, most_nodes: int) -> Found:
    """Breadth first, until there is nothing new or too much."""
    nodes = {key(start): start}
    open_ = deque([start])
    while open_:
        if len(nodes) >= most_nodes:
            return Found(nodes, complete=False)
        for node in following(open_.popleft(), controller):
            if (name := key(node)) not in nodes:
                nodes[name] = node
                open_.append(node)
    return Found(nodes, complete=True)


def beginning(workers: int, busy: int, faults: int, controller: Controller) -> Node:
    """Workers that run, some of them busy, and a daemon that just started."""
    rows = tuple(Worker(f"s{number}", busy=number < busy) for number in range(workers))
    return Node(World(rows, workers), Daemon(controller.initial()), 1e6, faults)
