"""The loop with workers that can be told to stop taking tasks, on a virtual clock."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
import trio.testing

from autoscaler.core.agreement import Intakes, WorkerIntake
from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from autoscaler.loop import Ports, TargetLoop, Timing
from autoscaler.ports import IntakeError, Tick, Told
from policies.model import (
    Applied,
    Busy,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Reason,
    Refused,
    Unknown,
    Workers,
    WorkerState,
)
from policies.mwaa import Mwaa, ScaleIn

pytestmark = pytest.mark.anyio
TIMING = Timing(interval_seconds=10, read_deadline_seconds=4, write_deadline_seconds=3)
QUEUES = frozenset({"default"})


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class Service:
    """Source, witness, fleet and intake of a service whose first worker holds all the work."""

    running: int = 5
    names: list[str] = field(default_factory=lambda: ["w1", "w2", "w3"])
    stopped: set[str] = field(default_factory=set)
    protected: set[str] = field(default_factory=set)
    told: list[frozenset[str]] = field(default_factory=list)
    before_look: Callable[[], Awaitable[None]] | None = None
    before_telling: Callable[[], Awaitable[None]] | None = None
    unlisted: bool = False
    outcome: type[Refused | Unknown] | None = None
    """How a write of the size ends that changes nothing."""

    async def demand(self) -> Demand:
        return Demand(0, self.running, anyio.current_time())

    async def busy(self) -> Busy:
        return Busy({"w1": self.running}, anyio.current_time())

    async def capacity(self, *, list_workers: bool) -> Capacity:
        count = len(self.names)
        until = [anyio.current_time() + 3000 if name in self.protected else 0.0 for name in self.names]
        workers = Workers(
            tuple(self.names),
            tuple((name,) for name in self.names),
            np.full(count, WorkerState.RUNNING),
            np.zeros(count),
            np.zeros(count),
            np.full(count, np.nan),
            np.full(count, np.nan),
            np.array(until),
        )
        return Capacity(count, 0, count, workers=workers if list_workers and not self.unlisted else None)

    async def look(self, workers: Workers) -> Intakes:
        if self.before_look:
            await self.before_look()
        said = {
            name: WorkerIntake(
                self.running if name == "w1" else 0, 0, frozenset() if name in self.stopped else QUEUES
            )
            for name in workers.ids
        }
        return Intakes(said, anyio.current_time())

    async def set_intake(self, stopped: frozenset[str], workers: Workers) -> Told:
        self.told.append(stopped)
        if self.before_telling:
            await self.before_telling()
        self.stopped = set(stopped & set(workers.ids))
        return Told(stopped)

    async def apply(self, decision: Decision) -> LastWrite:
        self.protected |= decision.protected
        self.protected -= decision.released
        if self.outcome is not None and decision.desired is not None:
            return self.outcome(decision.desired, "it was not done")
        if decision.desired is not None:
            while len(self.names) > decision.desired:
                self.names.remove(next(name for name in self.names if name not in self.protected))
        writes = decision.desired is not None or decision.protected or decision.released
        return Applied(decision.desired) if writes else None


@dataclass
class IntakeOf:
    """The service's intake under the port's names."""

    service: Service

    async def look(self, workers: Workers) -> Intakes:
        return await self.service.look(workers)

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        return await self.service.set_intake(stopped, workers)


@dataclass
class Notes:
    """A listener that writes everything down."""

    ticks: list[Tick] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    untold_why: list[str] = field(default_factory=list)

    def decided(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def wrote(self, target, outcome, seconds) -> None: ...

    def skipped(self, target, ticks) -> None: ...

    def failed(self, target: str, why: str) -> None:
        self.failures.append(why)

    def untold(self, target: str, why: str) -> None:
        self.untold_why.append(why)


def looped(service: Service, notes: Notes) -> TargetLoop:
    controller = Controller(
        Mwaa(10, ScaleIn.CONTINUOUS), GuardChain(Bounds(1, 9)), Watch(10, 9), way_in=SafeRemoval()
    )
    ports = Ports(service, service, service, IntakeOf(service))
    return TargetLoop("default", controller, ports, TIMING, anyio.current_time, notes)


async def run_for(seconds: float, loop: TargetLoop) -> None:
    with anyio.move_on_after(seconds):
        await loop.run()


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        raise error

    return act


async def test_idle_workers_leave_one_by_one_and_the_busy_one_stays():
    """Five tasks on three workers of ten slots: one worker is enough, and it is the one that holds them."""
    service, notes = Service(), Notes()
    await run_for(155, looped(service, notes))
    assert service.names == ["w1"]
    assert frozenset({"w2"}) in service.told
    assert service.told[-1] == frozenset()
    assert notes.failures == []


async def test_workers_that_are_silent_do_not_leave():
    """A broker that hangs, and then one that refuses: nothing goes in, and the way out is not delayed."""
    service, notes = Service(before_look=anyio.sleep_forever), Notes()
    await run_for(95, looped(service, notes))
    assert len(service.names) == 3
    assert notes.ticks[-1].decision.reason is Reason.BUSY_UNKNOWN
    service, notes = Service(before_look=raising(IntakeError("redis://broker: refused"))), Notes()
    await run_for(95, looped(service, notes))
    assert len(service.names) == 3


async def test_an_intake_that_is_not_done_is_told_again():
    """What the workers do counts, not what they were told."""
    service, notes = Service(before_telling=raising(IntakeError("redis://broker: refused"))), Notes()
    await run_for(95, looped(service, notes))
    assert len(service.names) == 3
    assert service.told.count(frozenset({"w2"})) > 3
    assert set(notes.untold_why) == {"redis://broker: refused"}
    assert not notes.failures, "a broker that is away is no defect"
    service.before_telling = raising(ValueError("a defect"))
    await run_for(25, looped(service, notes))
    assert any(why.startswith("the intake failed, ValueError at ") for why in notes.failures)


async def test_nobody_is_told_the_same_again_on_an_old_look():
    """Another daemon may have stopped the worker since; what is new is told all the same."""
    service, notes = Service(), Notes()
    loop = looped(service, notes)
    await run_for(15, loop)
    service.unlisted, told = True, len(service.told)
    await run_for(95, loop)
    assert len(service.told) == told
    service.running = 25
    await run_for(310, loop)
    assert service.told[told:] == [frozenset()]


async def test_before_the_daemon_ends_workers_take_tasks_again():
    """Those that are leaving stay as they are."""
    service, notes = Service(), Notes()
    loop = looped(service, notes)
    await run_for(15, loop)
    assert service.stopped == {"w2"}
    await loop.rest()
    assert service.stopped == set()


@dataclass
class Stopping(Notes):
    """A daemon that is stopped between a decision and its write."""

    stop: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def decided(self, tick: Tick) -> None:
        super().decided(tick)
        if tick.decision.desired is not None:
            self.stop.cancel()


async def test_a_stop_between_a_decision_and_its_write_leaves_nobody_without_work():
    """Nothing was lowered, so nobody is leaving."""
    service, notes = Service(), Stopping()
    loop = looped(service, notes)
    with notes.stop:
        await loop.run()
    assert len(service.names) == 3
    assert service.stopped == {"w2"}
    await loop.rest()
    assert service.stopped == set()


async def test_a_stop_after_a_refused_write_leaves_nobody_without_work():
    """Of a worker that is leaving nobody knows whether it still may."""
    for outcome, left in ((Refused, set()), (Unknown, {"w2"})):
        service, notes = Service(), Notes()
        service.outcome = outcome
        loop = looped(service, notes)
        with anyio.move_on_after(300):
            while not notes.ticks or notes.ticks[-1].decision.desired is None:
                await loop.tick()
                await anyio.sleep(10)
        await loop.rest()
        assert (len(service.names), service.stopped) == (3, left)
