"""The parity proof: the daemon's loop over the simulated world, on a virtual clock, sees and decides
exactly what the simulator does, tick for tick, also while readings fail and writes get lost."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
import trio.testing

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.evidence import placed
from autoscaler.core.guards import Bounds, Cooldown, GuardChain, Stabilization, WarmUp
from autoscaler.loop import Ports, TargetLoop, Timing
from autoscaler.ports import FleetError, SourceError, Tick
from policies.model import (
    Busy,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Observation,
    Refused,
    Unavailable,
    Unknown,
)
from policies.mwaa import Mwaa, ScaleIn
from simulations.run import simulate
from simulations.service import ServiceModel
from simulations.trace import Trace, trace_of
from simulations.world import World

TICK_SECONDS = 15.0
DEADLINE_SECONDS = 4.0
SLOTS, MINIMUM, MAXIMUM = 4, 1, 25


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def bursts(seed: int) -> Trace:
    """Three bursts of 80 tasks with quiet between them, on the quarter second."""
    generator = np.random.default_rng(seed)
    starts = np.concatenate([generator.uniform(0, 120, 80) + 900 * burst for burst in range(3)])
    durations = generator.lognormal(3.5, 0.7, len(starts))
    return trace_of(np.sort(np.round(starts * 4) / 4), np.round(durations * 4) / 4, starts_at=0.0)


def controller(scale_in: ScaleIn) -> Controller:
    guards = GuardChain(
        Bounds(MINIMUM, MAXIMUM), WarmUp(30), stabilization=Stabilization(0, 60), cooldown=Cooldown(0, 30)
    )
    return Controller(Mwaa(SLOTS, scale_in), guards, Watch(SLOTS, MAXIMUM))


@dataclass
class Faults:
    """What goes wrong at which tick; the same for both bodies."""

    seed: int
    share: float

    def at(self, at: float) -> str:
        generator = np.random.default_rng([self.seed, round(at)])
        if generator.random() >= self.share:
            return ""
        return str(
            generator.choice(["no demand", "demand hangs", "no capacity", "refused", "lost", "write hangs"])
        )


NO_FAULTS = Faults(0, 0.0)


def applied(world: World, fault: str, decision: Decision) -> LastWrite:
    """The world's answer to a decision, or the fault's."""
    writes = decision.desired is not None or decision.protected or decision.released
    if fault == "refused" and writes:
        return Refused(decision.desired, "ThrottlingException")
    outcome = world.apply(decision)
    if fault == "lost" and writes:
        return Unknown(decision.desired, "the answer was lost")
    return outcome


@dataclass
class Simulated:
    """The simulator's tick with faults: observe, step, apply."""

    world: World
    controller: Controller
    faults: Faults
    seen: list[tuple[Observation, Decision]] = field(default_factory=list)

    def play(self, ticks: int) -> None:
        state, last_write, wants_workers = self.controller.initial(), None, False
        for number in range(ticks):
            at = number * TICK_SECONDS
            fault = self.faults.at(at)
            self.world.advance(at)
            demand = {
                "no demand": Unavailable("connection refused"),
                "demand hangs": Unavailable("no answer within 4 s"),
            }.get(fault) or self.world.demand()
            capacity = (
                Unavailable("AccessDenied")
                if fault == "no capacity"
                else self.world.capacity(list_workers=wants_workers)
            )
            capacity, evidence = placed(capacity, self.world.busy() if wants_workers else None)
            observation = Observation(at, demand, capacity, evidence, last_write)
            state, decision = self.controller.step(state, observation)
            self.seen.append((observation, decision))
            wants_workers = decision.wants_workers
            if fault == "demand hangs":
                self.world.advance(at + DEADLINE_SECONDS)
            last_write = applied(self.world, fault, decision)
            if fault == "write hangs" and last_write is not None:
                last_write = Unknown(decision.desired, "no answer within 4 s")


@dataclass
class WorldPorts:
    """The simulated world as the loop's source, witness and fleet."""

    world: World
    faults: Faults
    clock: Callable[[], float]
    fault: str = ""

    def _now(self) -> None:
        self.world.advance(self.clock())

    async def demand(self) -> Demand:
        self._now()
        self.fault = self.faults.at(self.clock())
        if self.fault == "no demand":
            raise SourceError("connection refused")
        if self.fault == "demand hangs":
            await anyio.sleep_forever()
        return self.world.demand()

    async def capacity(self, *, list_workers: bool) -> Capacity:
        self._now()
        if self.faults.at(self.clock()) == "no capacity":
            raise FleetError("AccessDenied")
        return self.world.capacity(list_workers=list_workers)

    async def busy(self) -> Busy:
        self._now()
        return self.world.busy()

    async def apply(self, decision: Decision) -> LastWrite:
        self._now()
        outcome = applied(self.world, self.fault, decision)
        if self.fault == "write hangs" and outcome is not None:
            await anyio.sleep_forever()
        return outcome


@dataclass
class Seen:
    """A listener that keeps what was observed and decided."""

    seen: list[tuple[Observation, Decision]] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def decided(self, tick: Tick) -> None:
        self.seen.append((tick.observation, tick.decision))

    def wrote(self, target: str, outcome: LastWrite, seconds: float) -> None:
        """Its effect is in the next observation."""

    def skipped(self, target: str, ticks: int) -> None:
        self.defects.append(f"{ticks} ticks skipped")

    def failed(self, target: str, why: str) -> None:
        self.defects.append(why)

    def untold(self, target: str, why: str) -> None: ...


async def looped(world: World, brain: Controller, faults: Faults, ticks: int) -> Seen:
    """The daemon's own loop over the world, for so many ticks."""
    start, listener = anyio.current_time(), Seen()

    def clock() -> float:
        return round((anyio.current_time() - start) * 1000) / 1000

    ports = WorldPorts(world, faults, clock)
    timing = Timing(TICK_SECONDS, DEADLINE_SECONDS, DEADLINE_SECONDS)
    loop = TargetLoop("default", brain, Ports(ports, ports, ports), timing, clock, listener)
    with anyio.move_on_after((ticks - 1) * TICK_SECONDS + 14):
        await loop.run()
    return listener


def world(trace: Trace, seed: int) -> World:
    return World(trace, ServiceModel(SLOTS), seed, workers=MINIMUM)


@pytest.mark.anyio
@pytest.mark.parametrize("scale_in", list(ScaleIn))
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_loop_and_simulator_agree_tick_for_tick_through_faults(seed, scale_in):
    """A quarter of the ticks goes wrong in one of six ways; both bodies see and decide the same."""
    faults, ticks = Faults(seed, 0.25), 200
    simulated = Simulated(world(bursts(seed), seed), controller(scale_in), faults)
    simulated.play(ticks)
    daemon = await looped(world(bursts(seed), seed), controller(scale_in), faults, ticks)
    assert daemon.defects == []
    for mine, theirs in zip(daemon.seen, simulated.seen, strict=True):
        assert mine == theirs
    assert {faults.at(number * TICK_SECONDS) for number in range(ticks)} >= {
        "no demand",
        "lost",
        "write hangs",
    }
    writes = [decision.desired for _, decision in daemon.seen if decision.desired is not None]
    assert max(writes) > 10
    assert min(writes) == MINIMUM


@pytest.mark.anyio
@pytest.mark.parametrize("scale_in", list(ScaleIn))
async def test_loop_and_simulate_agree_without_faults(scale_in):
    """The public `simulate` and the loop: the same observations, the same decisions."""
    trace, steps = bursts(7), []
    simulate(
        trace,
        controller(scale_in),
        ServiceModel(SLOTS),
        7,
        tick_seconds=TICK_SECONDS,
        on_step=lambda observation, decision: steps.append((observation, decision)),
    )
    daemon = await looped(world(trace, 7), controller(scale_in), NO_FAULTS, len(steps))
    assert len(steps) > 100
    for mine, theirs in zip(daemon.seen, steps, strict=True):
        assert mine == theirs
