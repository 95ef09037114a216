"""The loop on a virtual clock: what hangs, dies or comes late costs a hold and nothing else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pytest
import trio.testing

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.loop import Ports, TargetLoop, Timing
from autoscaler.ports import FleetError, SourceError, Tick
from autoscaler.telemetry import Telemetry
from policies.model import (
    Applied,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Reason,
    Recommendation,
    Refused,
    Unavailable,
    Unknown,
)
from policies.mwaa import Mwaa, MwaaMemory

TIMING = Timing(interval_seconds=10, read_deadline_seconds=4, write_deadline_seconds=3)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class ScriptedWorld:
    """A source and a fleet that do what the story says at each call."""

    queued: float = 0
    desired: int = 1
    before_demand: Callable[[], Awaitable[None]] | None = None
    before_capacity: Callable[[], Awaitable[None]] | None = None
    before_apply: Callable[[], Awaitable[None]] | None = None
    writes: list[int] = field(default_factory=list)

    async def demand(self) -> Demand:
        if self.before_demand:
            await self.before_demand()
        return Demand(self.queued, 0, anyio.current_time())

    async def capacity(self, *, list_workers: bool) -> Capacity:
        if self.before_capacity:
            await self.before_capacity()
        return Capacity(self.desired, 0, self.desired)

    async def apply(self, decision: Decision) -> LastWrite:
        if decision.desired is None:
            return None
        if self.before_apply:
            await self.before_apply()
        self.writes.append(decision.desired)
        self.desired = decision.desired
        return Applied(decision.desired)


@dataclass
class Notes:
    """A listener that writes everything down."""

    ticks: list[Tick] = field(default_factory=list)
    outcomes: list[Applied | Refused | Unknown] = field(default_factory=list)
    skips: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def decided(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def wrote(self, target: str, outcome: Applied | Refused | Unknown, seconds: float) -> None:
        self.outcomes.append(outcome)

    def skipped(self, target: str, ticks: int) -> None:
        self.skips.append(ticks)

    def failed(self, target: str, why: str) -> None:
        self.failures.append(why)

    def untold(self, target: str, why: str) -> None: ...


def looped(world: ScriptedWorld, notes: Notes, policy=None) -> TargetLoop:
    policy = policy or Mwaa(slots_per_worker=5)
    controller = Controller(policy, GuardChain(Bounds(1, 100)), Watch(5, 100))
    return TargetLoop("default", controller, Ports(world, world), TIMING, anyio.current_time, notes)


async def run_for(seconds: float, *loops: TargetLoop) -> None:
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for loop in loops:
                group.start_soon(loop.run)


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        raise error

    return act


@pytest.mark.anyio
async def test_a_rise_is_written_at_the_first_tick_and_once():
    """50 queued at 5 a worker: desired 10, then nothing more to write."""
    world, notes = ScriptedWorld(queued=50), Notes()
    await run_for(35, looped(world, notes))
    assert world.writes == [10]
    assert [tick.observation.at % 10 for tick in notes.ticks] == [notes.ticks[0].observation.at % 10] * 4
    assert notes.ticks[1].observation.last_write == Applied(10)


@pytest.mark.anyio
async def test_a_source_that_hangs_costs_a_hold_and_the_way_out_of_the_others_goes_on():
    """One target's database hangs; the other target follows its load at every tick."""
    deaf, notes = ScriptedWorld(queued=50, before_demand=anyio.sleep_forever), Notes()
    well, well_notes = ScriptedWorld(queued=20), Notes()
    await run_for(25, looped(deaf, notes), looped(well, well_notes))
    assert deaf.writes == []
    assert notes.ticks[0].observation.demand == Unavailable("no answer within 4 s")
    assert notes.ticks[0].decision.reason is Reason.NO_DATA
    assert well.writes == [4]
    assert len(well_notes.ticks) == 3


@pytest.mark.anyio
async def test_a_fleet_that_does_not_answer_is_not_written_to():
    """Without the fleet's word the load alone decides nothing."""
    world = ScriptedWorld(queued=50, before_capacity=raising(FleetError("AccessDenied on DescribeServices")))
    notes = Notes()
    await run_for(5, looped(world, notes))
    assert world.writes == []
    assert notes.ticks[0].decision.reason is Reason.CAPACITY_UNKNOWN


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "seen", "defects"),
    [
        (SourceError("connection refused"), "connection refused", 0),
        (KeyError("password=hunter2"), "unexpected KeyError", 1),
    ],
)
async def test_what_a_source_raises_becomes_a_reading(error, seen, defects):
    """A port's error is read as it is; a defect is named by kind and place, without its text."""
    notes = Notes()
    await run_for(5, looped(ScriptedWorld(before_demand=raising(error)), notes))
    assert notes.ticks[0].observation.demand == Unavailable(seen)
    assert len(notes.failures) == defects
    assert all("hunter2" not in why and "test_loop.py" in why for why in notes.failures)


@pytest.mark.anyio
async def test_a_late_tick_is_skipped_and_the_rhythm_kept():
    """Reading 4 s and writing 3 s fit in 10 s; an 25 s tick leaves two out and does not catch up."""
    world, notes = ScriptedWorld(), Notes()
    loop = looped(world, notes)
    slow = iter([25.0])

    async def step_slowly() -> None:
        await anyio.sleep(next(slow, 0.0))

    loop.timing = Timing(10, 60, 3)
    world.before_demand = step_slowly
    start = anyio.current_time()
    await run_for(45, loop)
    assert [round(tick.observation.at - start) for tick in notes.ticks] == [0, 30, 40]
    assert notes.skips == [2]


@pytest.mark.anyio
async def test_a_write_without_an_answer_is_unknown_to_the_next_step():
    """The write may have been applied: the step must know that nobody knows."""
    world, notes = ScriptedWorld(queued=50, before_apply=anyio.sleep_forever), Notes()
    await run_for(12, looped(world, notes))
    assert notes.ticks[1].observation.last_write == Unknown(10, "no answer within 3 s")


@pytest.mark.anyio
async def test_a_defect_in_the_fleet_counts_as_unknown():
    """Whatever it was, the write may have been applied."""
    world, notes = ScriptedWorld(queued=50, before_apply=raising(ZeroDivisionError())), Notes()
    await run_for(5, looped(world, notes))
    assert notes.outcomes == [Unknown(10, "unexpected ZeroDivisionError")]
    assert notes.failures


@pytest.mark.anyio
async def test_a_policy_that_raises_costs_the_tick_and_not_the_daemon():
    """The state stays as it was; the next tick is asked again."""

    class Broken(Mwaa):
        def recommend(self, memory, history):
            raise RuntimeError("division by hope")

    world, notes = ScriptedWorld(queued=50), Notes()
    await run_for(15, looped(world, notes, Broken(slots_per_worker=5)))
    assert world.writes == []
    assert notes.failures == ["the step failed, holding: RuntimeError: division by hope"] * 2


@pytest.mark.anyio
async def test_a_decision_that_cannot_be_told_is_not_carried_out():
    """A policy that names no `Reason` breaks the record: the target holds, and the daemon lives."""

    class Wordy(Mwaa):
        def recommend(self, memory, history):
            return memory, Recommendation(7, "because")

    telemetry = Telemetry(anyio.current_time)
    telemetry.begin("act", "", ["default"], None)
    world = ScriptedWorld(queued=50)
    loop = looped(world, telemetry, Wordy(slots_per_worker=5))
    telemetry.started("default", {}, loop.memory.state, MwaaMemory, late_seconds=20, kept=3)
    await run_for(15, loop)
    assert world.writes == []
    assert telemetry.targets["default"].tick is None
    assert telemetry.registry.get_sample_value("autoscaler_failures_total", {"target": "default"}) == 2


@pytest.mark.anyio
async def test_a_stop_waits_for_the_write_in_flight():
    """Cancelled one second into a two-second write: the write is finished, not torn."""
    world, notes = ScriptedWorld(queued=50), Notes()

    async def two_seconds() -> None:
        await anyio.sleep(2)

    world.before_apply = two_seconds
    start = anyio.current_time()
    await run_for(1, looped(world, notes))
    assert world.writes == [10]
    assert notes.outcomes == [Applied(10)]
    assert anyio.current_time() - start == 2


@pytest.mark.anyio
async def test_a_stop_before_the_write_begins_prevents_it():
    """The stop arrives while the tick is being told: nothing is written any more."""
    world, notes = ScriptedWorld(queued=50), Notes()
    with anyio.CancelScope() as scope:
        loop = looped(world, notes)

        def stop(tick: Tick) -> None:
            scope.cancel()

        notes.decided = stop
        await loop.tick()
    assert world.writes == []
