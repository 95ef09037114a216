"""Several daemons on one lease, on a virtual clock: one acts, the others stand by."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest
import trio.testing

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.leading import Candidate, LeaseTiming, Term
from autoscaler.lease.alone import Alone
from autoscaler.loop import Ports, TargetLoop, Timing
from autoscaler.ports import Leads, StandsBy, Tick
from policies.model import NOBODY, Applied, Capacity, Decision, Demand, LastWrite, Refused, Unknown
from policies.mwaa import Mwaa
from tests.shell.memory_lease import LeaseKeeper

pytestmark = pytest.mark.anyio
LOOP = Timing(interval_seconds=10, read_deadline_seconds=4, write_deadline_seconds=8)
LEASE = LeaseTiming(check_seconds=2, expiry_seconds=6, write_seconds=8)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class Service:
    """One worker service that all daemons size, with a load that never rests."""

    desired: int = 1
    writes: list[tuple[str, int, float]] = field(default_factory=list)


@dataclass
class Daemon:
    """A candidate with one target, and all that it told."""

    name: str
    keeper: LeaseKeeper
    service: Service
    before_write: Callable[[], Awaitable[None]] | None = None
    ticks: list[Tick] = field(default_factory=list)
    outcomes: list[Applied | Refused | Unknown] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    loops: list[TargetLoop] = field(default_factory=list)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def __post_init__(self) -> None:
        self.candidate = Candidate(self.keeper.lease_of(self.name), LEASE, self)

    async def run(self) -> None:
        with self.scope:
            await self.candidate.run(self.begin)

    def begin(self, term: Term) -> list[TargetLoop]:
        controller = Controller(Mwaa(slots_per_worker=1), GuardChain(Bounds(1, 1000)), Watch(1, 1000))
        ports = term.fenced(Ports(self, self))
        self.loops = [TargetLoop("default", controller, ports, LOOP, anyio.current_time, self)]
        return self.loops

    async def demand(self) -> Demand:
        return Demand(self.service.desired + 1, 0, anyio.current_time())

    async def capacity(self, *, list_workers: bool) -> Capacity:
        return Capacity(self.service.desired, 0, self.service.desired)

    async def apply(self, decision: Decision) -> LastWrite:
        if decision.desired is None:
            return None
        if self.before_write:
            await self.before_write()
        self.service.writes.append((self.name, decision.desired, anyio.current_time()))
        self.service.desired = decision.desired
        return Applied(decision.desired)

    def decided(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def wrote(self, target: str, outcome: Applied | Refused | Unknown, seconds: float) -> None:
        self.outcomes.append(outcome)

    def skipped(self, target: str, ticks: int) -> None:
        self.told.append("skipped")

    def failed(self, target: str, why: str) -> None:
        self.told.append(f"failed {why}")

    def untold(self, target: str, why: str) -> None: ...

    def leads(self, epoch: int) -> None:
        self.told.append(f"leads {epoch}")

    def waits(self, epoch: int, seconds: float) -> None:
        self.told.append(f"waits {seconds:g}")

    def stands_by(self, leader: str) -> None:
        if self.told[-1:] != [f"stands by {leader}"]:
            self.told.append(f"stands by {leader}")

    def lease_unknown(self, why: str) -> None:
        self.told.append(f"unknown {why}")

    def lease_lost(self, epoch: int, why: str) -> None:
        self.told.append(f"lost {epoch}: {why}")


async def play(*daemons: Daemon, seconds: float, story: Callable[[], Awaitable[None]] | None = None) -> None:
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for daemon in daemons:
                group.start_soon(daemon.run)
                await anyio.sleep(0.5)
            if story:
                await story()
            await anyio.sleep_forever()


def two() -> tuple[Daemon, Daemon, LeaseKeeper, Service]:
    keeper, service = LeaseKeeper(), Service()
    return Daemon("a", keeper, service), Daemon("b", keeper, service), keeper, service


async def test_one_acts_and_the_other_does_not_even_look():
    """The first one leads after the wait for a write of whoever led before; the second ticks never."""
    a, b, _, service = two()
    await play(a, b, seconds=60)
    assert {name for name, _, _ in service.writes} == {"a"}
    assert a.told == ["waits 8", "leads 1"]
    assert (b.told, b.ticks) == (["stands by a"], [])


async def test_a_leader_that_dies_is_followed_within_two_intervals():
    """Killed with its session at 30 s: the next first write comes a write's life later, and no sooner."""
    a, b, keeper, service = two()
    died_at = 0.0

    async def story() -> None:
        nonlocal died_at
        await anyio.sleep(30)
        a.scope.cancel()
        keeper.lose()
        died_at = anyio.current_time()

    await play(a, b, seconds=100, story=story)
    first = next(at for name, _, at in service.writes if name == "b")
    assert LOOP.write_deadline_seconds <= first - died_at < 2 * LOOP.interval_seconds
    assert b.told == ["stands by a", "waits 8", "leads 2"]
    assert b.ticks[0].observation.last_write is None


async def test_a_leader_whose_host_vanishes_is_followed_within_two_intervals():
    """Nobody closes its session: the silence ends it."""
    a, b, keeper, service = two()
    died_at = 0.0

    async def story() -> None:
        nonlocal died_at
        await anyio.sleep(30)
        keeper.unreachable.add("a")
        a.scope.cancel()
        died_at = anyio.current_time()

    await play(a, b, seconds=100, story=story)
    first = next(at for name, _, at in service.writes if name == "b")
    assert first - died_at < 2 * LOOP.interval_seconds


async def test_a_leader_cut_off_from_the_lease_stops_before_another_starts():
    """It lives on, its ECS answers, and it wants to write at every tick."""
    a, b, keeper, service = two()

    async def story() -> None:
        await anyio.sleep(30)
        keeper.unreachable.add("a")

    await play(a, b, seconds=100, story=story)
    last = max(at for name, _, at in service.writes if name == "a")
    first = min(at for name, _, at in service.writes if name == "b")
    assert last + LOOP.write_deadline_seconds <= first
    assert any("not confirmed within 4 s" in line for line in a.told)
    assert a.told[-1].startswith("unknown no answer of the lease within 6 s")


async def test_a_write_is_fenced_when_the_lease_went_unnoticed():
    """The session ended a moment before a tick: that tick's write is not sent, and the term is over."""
    a, _, keeper, service = two()
    a.candidate.timing = replace(LEASE, write_seconds=7)  # no tick at the moment of a confirmation

    async def story() -> None:
        await anyio.sleep(20)
        await anyio.sleep_until(a.ticks[0].observation.at + 20 - 0.1)
        keeper.lose()

    await play(a, seconds=30, story=story)
    assert len(service.writes) == 2
    assert a.outcomes[-1] == Refused(4, "not written: the lease is lost")
    assert a.told[-2:] == ["lost 1: the lease is lost", "waits 7"]


async def test_a_write_in_flight_ends_before_another_daemon_acts():
    """Confirmed, then slow, and the lease goes meanwhile: it still ends within the successor's wait."""
    a, b, keeper, service = two()

    async def slowly() -> None:
        keeper.lose()
        await anyio.sleep(7.5)

    async def story() -> None:
        await anyio.sleep(15)
        a.before_write = slowly

    await play(a, b, seconds=100, story=story)
    first = min(at for name, _, at in service.writes if name == "b")
    slow = max(at for name, _, at in service.writes if name == "a" and at < first)
    assert slow < first


async def test_a_lease_that_does_not_answer_for_a_moment_costs_a_write_and_not_the_term():
    """Failing for a moment around a tick: refused, then written at the next tick under the same epoch."""
    a, _, keeper, _ = two()

    async def story() -> None:
        await anyio.sleep(10)
        await anyio.sleep_until(a.ticks[0].observation.at + 9)
        keeper.failing.add("a")
        await anyio.sleep(2.5)
        keeper.failing.clear()

    await play(a, seconds=35, story=story)
    assert [type(outcome) for outcome in a.outcomes] == [Applied, Refused, Applied]
    assert a.told == ["waits 8", "leads 1"]
    assert keeper.epoch == 1


async def test_nobody_leads_while_nobody_can_ask():
    """Without the lease there is no leader: both stand by, and one leads when it is back."""
    a, b, keeper, service = two()
    keeper.failing |= {"a", "b"}

    async def story() -> None:
        await anyio.sleep(30)
        assert service.writes == []
        keeper.failing.clear()

    await play(a, b, seconds=60, story=story)
    assert a.told[0] == b.told[0] == "unknown the lease does not answer"
    assert len({name for name, _, _ in service.writes}) == 1


async def test_a_term_outlives_a_reload_and_not_a_loss():
    """Cancelled and run again: the same epoch, no wait; after a loss meanwhile another epoch, and a wait."""
    a, _, keeper, service = two()
    await play(a, seconds=20)
    a.scope = anyio.CancelScope()
    await play(a, seconds=3)
    assert a.told == ["waits 8", "leads 1", "leads 1"]
    assert len(service.writes) == 3
    keeper.lose()
    a.scope = anyio.CancelScope()
    await play(a, seconds=20)
    assert a.told[3:] == ["lost 1: the lease is lost", "waits 8", "leads 2"]


async def test_a_reload_does_not_cut_the_wait_short():
    """Reloaded three seconds after taking the lease: five more to wait."""
    a, *_ = two()
    await play(a, seconds=3)
    a.scope = anyio.CancelScope()
    await play(a, seconds=6)
    assert a.told == ["waits 8", "waits 5", "leads 1"]


async def test_a_daemon_that_stops_lets_another_lead():
    """Released, it is free at once."""
    a, b, keeper, service = two()
    await play(a, b, seconds=20)
    await a.candidate.release()
    assert keeper.holder == ""
    b.scope = anyio.CancelScope()
    await play(b, seconds=20)
    assert service.writes[-1][0] == "b"


async def test_a_lease_that_was_quiet_for_long_needs_no_wait():
    """As after an expiry that was waited for."""

    class Quiet(Alone):
        async def acquire(self) -> Leads:
            return Leads(1, quiet_seconds=7)

    a, *_ = two()
    a.candidate = Candidate(Quiet(), LEASE, a)
    await play(a, seconds=2)
    assert a.told == ["waits 1", "leads 1"]


async def test_a_daemon_alone_leads_at_once():
    """Without a lease nothing changes."""
    a, *_ = two()
    a.candidate = Candidate(Alone(), LEASE, a)
    await play(a, seconds=30)
    assert a.told == ["leads 0"]
    assert [outcome.desired for outcome in a.outcomes] == [2, 3, 4]
    await a.candidate.release()


async def test_a_defect_of_an_adapter_costs_the_lease_and_not_the_daemon():
    """Named by its kind, without its text."""

    class Broken(Alone):
        async def acquire(self) -> StandsBy:
            raise KeyError("password=hunter2")

    class BrokenLater(Alone):
        async def acquire(self) -> Leads:
            return Leads(1)

        async def confirm(self, epoch: int) -> None:
            raise KeyError("password=hunter2")

    a, b, *_ = two()
    a.candidate = Candidate(Broken(), LEASE, a)
    b.candidate = Candidate(BrokenLater(), LEASE, b)
    await play(a, b, seconds=15)
    assert a.told[0] == "unknown the lease could not be asked: unexpected KeyError"
    assert b.told[1] == "lost 1: the lease could not be confirmed: unexpected KeyError"
    assert b.service.writes == []


async def test_a_process_that_was_stopped_while_it_asked_does_not_write():
    """The answer was there at once; when it is read, it is five seconds old."""

    class Stopped(Alone):
        async def confirm(self, epoch: int) -> None:
            trio.lowlevel.current_clock().jump(5)

    term = Term(Stopped(), 1, LEASE)
    assert await term.refusal() == "the lease was not confirmed within 4 s"
    assert await term.refusal() == term.why_over != ""


async def test_an_intake_is_fenced_too():
    """Nobody is told to stop or to go on under a lost lease."""

    class Intake:
        def __init__(self) -> None:
            self.told: list[frozenset[str]] = []

        async def look(self, workers):
            return {}

        async def apply(self, stopped, workers):
            self.told.append(stopped)

    keeper, intake = LeaseKeeper(), Intake()
    lease = keeper.lease_of("a")
    standing = await lease.acquire()
    term = Term(lease, standing.epoch, LEASE)
    a, *_ = two()
    fenced = term.fenced(replace(Ports(a, a), intake=intake)).intake
    assert await fenced.look(None) == {}
    await fenced.apply(NOBODY, None)
    keeper.lose()
    told = await fenced.apply(frozenset({"w1"}), None)
    assert told.unconfirmed == {"w1": "the lease is lost"}
    assert await term.refusal() == "the lease is lost"
    assert intake.told == [NOBODY]
