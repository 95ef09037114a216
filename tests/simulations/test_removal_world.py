"""Removals in random worlds: no scale-in of ours kills a task, and in the end the fleet is small and works.

The world is the simulator's, with all that may befall a service; between it and the controller stand
lost, late and refused writes, lagging readings, looks that fail, and daemons that die.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.evidence import placed
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from autoscaler.core.state import State
from autoscaler.core.victims import Patience
from policies.model import (
    Capacity,
    Decision,
    LastWrite,
    Observation,
    Refused,
    Unavailable,
    Unknown,
)
from policies.mwaa import Mwaa, ScaleIn
from simulations.airflow import AIRFLOW_3, PLAIN, Airflow
from simulations.quantiles import Quantiles
from simulations.service import LaunchDelay, ServiceModel
from simulations.source import DATABASE, SourceModel
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.worlds import decide

TICK_SECONDS = 10.0
BUSY_SECONDS = 7200.0
CALM_SECONDS = 5 * 3600.0
"""Longer than a freeze, a drain's deadline and a protection together."""
LATE_SECONDS = 50.0
"""A write without an answer arrives within a minute."""
LAGGING = SourceModel(60.0, Quantiles((20.0, 60.0)), 0.05)
SPOT = {"reclaims_per_hour": 1.0, "retirements_per_hour": 0.2}
KEPT = {
    "launch": LaunchDelay(75.0, 0.05),
    "stop_timeout_seconds": 120.0,
    "exit_seconds": 5.0,
    "protection_seconds": 3600.0,
}


@dataclass
class Daemon:
    """What one daemon remembers between two ticks."""

    state: State
    last_write: LastWrite = None
    wants_workers: bool = True
    known: frozenset[str] = frozenset()
    """The workers that it has listed last: the others it can tell nothing ..."""
    idle_hands: frozenset[str] = frozenset()
    """... and of these whoever took no tasks then: nobody else is told to take them again."""
    told: frozenset[str] = frozenset()
    listed: bool = False


@dataclass
class Story:
    """One random world with one daemon at a time, or several that know nothing of each other."""

    seed: int
    faults: float
    controller: Controller
    world: World
    count: int = 1
    luck: Random = field(init=False)
    daemons: list[Daemon] = field(init=False)
    late: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.luck = Random(self.seed)
        self.daemons = [Daemon(self.controller.initial()) for _ in range(self.count)]

    def unlucky(self, share: float = 1.0) -> bool:
        return self.luck.random() < self.faults * share

    def run(self, seconds: float) -> None:
        until = self.world.now + seconds
        while self.world.now < until:
            self.tick()

    def tick(self) -> None:
        """All daemons look and act within a tick; one may be slow, and the next look before it acts."""
        at, pending = self.world.now, list[tuple[Daemon, Decision]]()
        for daemon in self.daemons:
            at += TICK_SECONDS / self.count
            self.pass_time(at)
            daemon.state, decision = self.controller.step(daemon.state, self.look(at, daemon))
            daemon.wants_workers = decision.wants_workers
            pending.append((daemon, decision))
            if daemon is self.daemons[-1] or not self.unlucky():
                self.act(pending, at)
                pending = []

    def act(self, pending: list[tuple[Daemon, Decision]], at: float) -> None:
        for daemon, decision in pending:
            daemon.last_write = self.done(decision, at, daemon)
            if self.unlucky(0.05):  # the daemon dies, and another one starts
                self.daemons[self.daemons.index(daemon)] = Daemon(self.controller.initial())

    def pass_time(self, at: float) -> None:
        for due, desired in sorted(self.late):
            if due <= at:
                self.late.remove((due, desired))
                self.world.advance(due)
                self.write(desired)
        self.world.advance(at)

    def look(self, at: float, daemon: Daemon) -> Observation:
        """Workers are also listed unasked now and then, and then nobody says who is busy."""
        world, asked = self.world, daemon.wants_workers
        listed = (asked or self.luck.random() < 1 / 6) and not self.unlucky(0.3)
        capacity: Capacity | Unavailable = world.capacity(list_workers=listed)
        seen, evidence = placed(capacity, world.busy() if asked and not self.unlucky(0.3) else None)
        if listed:
            evidence = replace(evidence, intake_at=at)
        if self.unlucky(0.3):
            seen = Unavailable("no answer")
        daemon.listed = isinstance(seen, Capacity) and seen.workers is not None
        if daemon.listed:
            daemon.known = frozenset(world.fleet.alive)
            daemon.idle_hands = world.fleet.intake_stopped
        return Observation(at, world.demand(), seen, evidence, daemon.last_write)

    def done(self, decision: Decision, at: float, daemon: Daemon) -> LastWrite:
        """The parts of a decision, each of which may fail by itself."""
        known = frozenset(self.world.fleet.alive.keys())
        stopped = self.world.fleet.intake_stopped & known
        if (daemon.listed or decision.intake_stopped != daemon.told) and not self.unlucky():  # a broker
            daemon.told = decision.intake_stopped
            stopped = (stopped - daemon.idle_hands) | (decision.intake_stopped & known & daemon.known)
        granted = frozenset(each for each in sorted(decision.protected & known) if not self.unlucky())
        released = frozenset(each for each in sorted(decision.released & known) if not self.unlucky())
        told = decide(protected=granted, released=released, intake_stopped=stopped)
        self.stops_nobody_busy(told)
        desired = decision.desired
        if desired is None:
            return None
        if desired < self.world.desired and granted != decision.protected:
            return Refused(desired, "not lowered")
        if self.unlucky():
            return Refused(desired, "throttled")
        if self.unlucky():
            self.late.append((at + self.luck.uniform(1, LATE_SECONDS), desired))
            return Unknown(desired, "late")
        outcome = self.write(desired)
        return Unknown(desired, "lost") if self.unlucky() else outcome

    def write(self, desired: int) -> LastWrite:
        fleet = self.world.fleet
        return self.stops_nobody_busy(decide(desired, intake_stopped=fleet.intake_stopped))

    def stops_nobody_busy(self, decision: Decision) -> LastWrite:
        held, before = self.world.busy().slots_by_host, set(self.world.fleet.alive)
        outcome = self.world.apply(decision)
        gone = before - self.world.fleet.alive.keys()
        assert not gone & held.keys(), (self.world.now, gone & held.keys(), self.daemons)
        return outcome


def story(
    seed: int,
    *,
    faults: float,
    way_in: SafeRemoval,
    airflow: Airflow = PLAIN,
    source: SourceModel = DATABASE,
    daemons: int = 1,
    **model: float,
) -> Story:
    """Bursts of tasks of some seconds up to half an hour, over eight workers at most."""
    generator = np.random.default_rng(seed)
    count = 200
    bursts = generator.uniform(0, BUSY_SECONDS * 0.8, 12)
    queued_at = np.sort(generator.choice(bursts, count) + generator.exponential(60, count))
    duration = np.minimum(generator.exponential(240, count) + 5, 1800)
    trace = trace_of(np.round(queued_at * 4) / 4, np.round(duration * 4) / 4, starts_at=0.0)
    controller = Controller(
        Mwaa(4, ScaleIn.CONTINUOUS), GuardChain(Bounds(1, 8)), Watch(4, 8), way_in=way_in, history_bound=16
    )
    service = ServiceModel(4, **(KEPT | model))
    tells = way_in.weighs_work
    world = World(trace, service, seed, workers=1, airflow=airflow, source=source, tells_work_left=tells)
    return Story(seed, faults, controller, world, daemons)


WAYS = [
    SafeRemoval(),
    SafeRemoval(consolidates=True),
    SafeRemoval(Patience(deadline_seconds=900.0), consolidates=True),
]


@pytest.mark.parametrize("way_in", WAYS, ids=["idle", "gather", "gather in haste"])
@pytest.mark.parametrize(
    ("faults", "model", "source"),
    [
        (0.0, {}, DATABASE),
        (0.1, {}, DATABASE),
        (0.1, {}, LAGGING),
        (0.1, SPOT, DATABASE),
        (0.1, SPOT | {"never_start_share": 0.05}, LAGGING),
    ],
)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_task_is_killed_and_in_the_end_the_fleet_is_small_and_works(seed, faults, model, source, way_in):
    """Faults for two hours, and then calm ones: losses of workers go on."""
    told = story(seed, faults=faults, way_in=way_in, source=source, **model)
    told.run(BUSY_SECONDS)
    told.faults = 0.0
    told.run(CALM_SECONDS)
    fleet = told.world.fleet
    if not model:
        assert fleet.killed_tasks == 0
        assert (fleet.desired, len(fleet.alive)) == (1, 1)
        assert not fleet.intake_stopped
    else:
        assert fleet.desired <= 2


@pytest.mark.parametrize("way_in", WAYS[:2], ids=["idle", "gather"])
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_so_it_is_with_a_real_airflows_delays(seed, way_in):
    told = story(seed, faults=0.1, way_in=way_in, airflow=AIRFLOW_3)
    told.run(BUSY_SECONDS)
    told.faults = 0.0
    told.run(CALM_SECONDS)
    fleet = told.world.fleet
    assert (fleet.killed_tasks, fleet.desired, len(fleet.intake_stopped)) == (0, 1, 0)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), way_in=st.sampled_from(WAYS))
def test_two_daemons_at_once_lose_nothing_either(seed, way_in):
    """What one prepares the other protects; in the end one of them is gone."""
    told = story(seed, faults=0.1, way_in=way_in, daemons=2)
    told.run(BUSY_SECONDS)
    told.faults = 0.0
    del told.daemons[1]
    told.run(CALM_SECONDS)
    fleet = told.world.fleet
    assert (fleet.killed_tasks, fleet.desired, len(fleet.intake_stopped)) == (0, 1, 0)
