"""The smallest closed loop: a stationary load, a source that lags, workers that take time to launch.

Demand answers to the fleet, so a formula that settles on paper may still wind up here: workers on
their way must count as capacity.  Load is a fluid (no chance, no task lengths), which leaves only
what the controller does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain, WarmUp
from policies.model import Capacity, Demand, Evidence, LastWrite, Observation, Unavailable
from policies.policy import Policy
from simulations.invariants import holds
from simulations.play import EPOCH
from simulations.puppet import Puppet

TICK_SECONDS = 10.0
TASK_SECONDS = 300.0
"""Mean length of a task."""
HEADROOM = 1.5
"""A policy may keep up to half as many workers again as the load needs."""
MAXIMUM = 10_000


@dataclass(frozen=True, slots=True)
class Loop:
    """One closed loop and how it starts."""

    busy_slots: float
    """The load: arrivals a second times the length of a task."""
    slots_per_worker: int
    lag_seconds: float
    launch_seconds: float
    workers: int
    """At the start."""

    @property
    def needed(self) -> int:
        """The workers that the load fills."""
        return ceil(round(self.busy_slots / self.slots_per_worker, 9))

    @property
    def highest(self) -> float:
        """The upper edge of the band.

        While the first workers launch, unserved arrivals pile up: the load of lag, launch and three
        looks comes on top of what keeps running.
        """
        delay = self.lag_seconds + self.launch_seconds + 3 * TICK_SECONDS
        piled = self.busy_slots * (1 + delay / TASK_SECONDS)
        return ceil(piled / self.slots_per_worker) * HEADROOM + 1

    def sizes(self, policy: Policy, hours: float = 2.0) -> list[int]:
        """The desired count at every tick."""
        controller = Controller(
            policy,
            GuardChain(Bounds(0, MAXIMUM), WarmUp(0.0)),
            Watch(self.slots_per_worker, MAXIMUM),
            demand_max_age_seconds=self.lag_seconds + 60,
        )
        puppet, state = Puppet(self.slots_per_worker), controller.initial()
        puppet.resize(self.workers, EPOCH - 600, 0.0)
        running = min(self.busy_slots, self.workers * self.slots_per_worker)
        queued, listed, sizes = self.busy_slots - running, False, []
        last_write: LastWrite = None
        readings: deque[Demand] = deque()
        for tick in range(int(hours * 3600 / TICK_SECONDS)):
            at = EPOCH + tick * TICK_SECONDS
            queued += self.busy_slots / TASK_SECONDS * TICK_SECONDS
            running -= running / TASK_SECONDS * TICK_SECONDS
            ready = sum(started_at <= at for started_at in puppet.started_at.values())
            started = max(0.0, min(queued, ready * self.slots_per_worker - running))
            queued, running = queued - started, running + started
            puppet.occupy(running, at)
            readings.append(Demand(queued, running, at))
            demand: Demand | Unavailable = Unavailable("nothing arrived yet")
            while len(readings) > 1 and readings[1].measured_at <= at - self.lag_seconds:
                readings.popleft()
            if readings[0].measured_at <= at - self.lag_seconds:
                demand = readings[0]
            capacity: Capacity = puppet.capacity(at, listed=listed)
            observation = Observation(at, demand, capacity, Evidence(at), last_write)
            state, decision = controller.step(state, observation)
            last_write, listed = (
                puppet.apply(decision, at, launch_seconds=self.launch_seconds),
                decision.wants_workers,
            )
            sizes.append(puppet.desired)
        return sizes


def reversals(sizes: list[int]) -> int:
    """How often the size turned round."""
    moves = [after - before for before, after in pairwise(sizes) if after != before]
    return sum((one > 0) is not (two > 0) for one, two in pairwise(moves))


def converges_out(policy: Policy, loop: Loop, floor: float = 0.0, turns: int = 0) -> None:
    """From too few workers: inside the band after lag and launch, and it stays, turning at most twice.

    `floor`: what the policy wants without any load; `turns`: how often its calendar may turn it round.
    """
    sizes = loop.sizes(policy)
    delay = loop.lag_seconds + loop.launch_seconds + policy.window_seconds + 4 * TICK_SECONDS
    inside = sizes[int(delay / TICK_SECONDS) :]
    highest = max(loop.highest, floor)
    what = f"{loop.busy_slots:g} busy slots need {loop.needed} workers"
    holds(min(inside) >= loop.needed, f"{what}, but {min(inside)} are kept {delay:g} s after the start")
    holds(max(sizes) <= highest, f"{what}, at most {highest:g}, but it went out to {max(sizes)}")
    holds(reversals(sizes) <= 2 + turns, f"{what}, and the size turned round {reversals(sizes)} times")


def converges_in(policy: Policy, loop: Loop, floor: float = 0.0, turns: int = 0) -> None:
    """From too many workers: never out, never below the need, no turning round."""
    sizes = loop.sizes(policy)
    what = f"{loop.busy_slots:g} busy slots need {loop.needed} workers"
    holds(min(sizes) >= loop.needed, f"{what}, but only {min(sizes)} are kept")
    highest = max(loop.workers, floor)
    holds(max(sizes) <= highest, f"{what}, {loop.workers} run, but it went out to {max(sizes)}")
    holds(reversals(sizes) <= 1 + turns, f"{what}, and the size turned round {reversals(sizes)} times")
