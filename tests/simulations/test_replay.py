"""The world agrees with an independent replay of its rules, to the last start time."""

from __future__ import annotations

from collections import defaultdict
from math import inf, isnan

from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.run import simulate
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.replay import Host, Job, Replay
from tests.simulations.worlds import controller, decide, service

# Quarters of a second in a short span: most events share their instant with others.
quarters = st.integers(0, 60).map(lambda n: n / 4)


@st.composite
def job_lists(draw, widest):
    count = draw(st.integers(1, 14))
    order = draw(st.permutations(range(count)))
    place = {job: at for at, job in enumerate(order)}
    jobs = []
    for number in range(count):
        # A parent stands earlier in a hidden order, so rows themselves are in any order.
        earlier = sorted(job for job in range(count) if place[job] < place[number])
        parents = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else []
        length = draw(st.integers(0, 24)) / 4
        jobs.append(Job(draw(quarters), length, draw(st.integers(1, widest)), tuple(parents)))
    return jobs


def as_trace(jobs):
    parents = [parent for job in jobs for parent in job.parents]
    children = [number for number, job in enumerate(jobs) for _ in job.parents]
    return trace_of(
        [job.queued_at for job in jobs],
        [job.duration for job in jobs],
        slots=[job.slots for job in jobs],
        edges=(parents, children),
        starts_at=0.0,
    )


def timetable(created_at, ready_at, stopped_at, intake=None):
    return [
        Host(created, ready, inf if isnan(stopped) else stopped, tuple((intake or {}).get(number, ())))
        for number, (created, ready, stopped) in enumerate(zip(created_at, ready_at, stopped_at, strict=True))
    ]


def assert_same(jobs, hosts, model, started_at, ended_at, waited, killed):
    outcome = Replay(
        jobs, hosts, model.slots_per_worker, model.slot_tail_seconds, model.retry_delay_seconds
    ).outcome()
    rows = range(len(jobs))
    assert list(started_at) == [outcome.start[row] for row in rows]
    assert list(ended_at) == [outcome.end[row] for row in rows]
    assert list(waited) == [outcome.waited[row] for row in rows]
    assert killed == outcome.killed


class Fleet:
    """Drives a world by hand and keeps the fleet's rules in view."""

    def __init__(self, world):
        self.world = world
        self.protected = {}
        self.closed = set()
        self.intake = defaultdict(list)

    def apply(self, draw, at, model):
        names = [f"worker-{number}" for number, stop in enumerate(self.world.stopped_at) if isnan(stop)]
        some = st.frozensets(st.sampled_from(names)) if names else st.just(frozenset())
        desired = draw(st.none() | st.integers(0, 4))
        before, size = set(names), self.world.desired
        live = {name for name, until in self.protected.items() if until > at and name in before}
        protect = draw(some) if len(live) <= size else frozenset()
        release, closed = draw(some) - protect, draw(some)
        self.world.apply(decide(desired, protected=protect, released=release, intake_stopped=closed))
        self.protected |= dict.fromkeys(protect, at + model.protection_seconds)
        self.protected |= dict.fromkeys(release, 0.0)
        for name in closed ^ self.closed:
            self.intake[int(name.removeprefix("worker-"))].append((at, name not in closed))
        after = {f"worker-{number}" for number, stop in enumerate(self.world.stopped_at) if isnan(stop)}
        self.check(at, before - after, after)
        self.closed = closed & after

    def check(self, at, victims, after):
        held = {name for name, until in self.protected.items() if until > at and name in after}
        assert not [name for name in victims if self.protected.get(name, 0.0) > at], "a protected worker went"
        assert len(after) >= self.world.desired
        assert len(after) == self.world.desired or after == held, "a surplus may only be protected workers"


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    tail=st.sampled_from([0.0, 0.75]),
    retry=st.sampled_from([0.0, 2.5]),
    launch=st.sampled_from([0.0, 2.0]),
    protection=st.sampled_from([1.25, 100.0]),
)
def test_any_fleet_that_grows_shrinks_protects_and_kills(data, tail, retry, launch, protection):
    """Decisions at random, kills and half-protected scale-ins included: every start is as the rules say."""
    slots = data.draw(st.integers(1, 3))
    jobs = data.draw(job_lists(widest=slots))
    model = service(
        slots,
        launch_seconds=launch,
        slot_tail_seconds=tail,
        retry_delay_seconds=retry,
        protection_seconds=protection,
        pending_leave_first=data.draw(st.booleans()),
    )
    world = World(as_trace(jobs), model, data.draw(st.integers(0, 99)), workers=1)
    fleet, tick, at = Fleet(world), data.draw(st.sampled_from([0.25, 1.0, 1.5])), 0.0
    for _ in range(data.draw(st.integers(0, 20))):
        fleet.apply(data.draw, at, model)
        at += tick
        world.advance(at)
    world.apply(decide(2, intake_stopped=()))
    for name in fleet.closed:
        fleet.intake[int(name.removeprefix("worker-"))].append((at, True))
    world.advance(at + 10_000)
    assert world.kernel.unfinished == 0
    kernel = world.kernel
    hosts = timetable(world.created_at, world.ready_at, world.stopped_at, fleet.intake)
    assert_same(
        jobs, hosts, model, kernel.started_at, kernel.ends_at, kernel.waited_seconds, kernel.killed_tasks
    )


@settings(max_examples=60, deadline=None)
@given(jobs=job_lists(widest=2), launch=st.sampled_from([0.0, 3.0]), tick=st.sampled_from([0.5, 2.0]))
def test_the_controller_in_charge(jobs, launch, tick):
    """With the real controller growing and shrinking the fleet, the start times are still the rules'."""
    model = service(2, launch_seconds=launch, slot_tail_seconds=0.25)
    result = simulate(as_trace(jobs), controller(2, 1, 3), model, 7, tick_seconds=tick)
    stopped = [at if at < result.finished_at else inf for at in result.stopped_at]
    hosts = timetable(result.created_at, result.ready_at, stopped)
    assert_same(
        jobs,
        hosts,
        model,
        result.started_at,
        result.ended_at,
        result.waited_seconds,
        result.killed_tasks,
    )
