"""Whatever the service does to its workers, tasks start as the rules say, and the service keeps its own."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import WorkerState
from policies.mwaa import ScaleIn
from simulations.airflow import AIRFLOW_3
from simulations.run import simulate
from simulations.service import AccountModel, LaunchDelay, Pace, ServiceModel
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.test_replay import as_trace, assert_same, job_lists, timetable
from tests.simulations.worlds import controller, decide

MOST = 5


class Told:
    """A line that remembers whose intake was closed or opened, and when."""

    def __init__(self, line):
        self._line, self.intake = line, defaultdict(list)

    def take_tasks(self, worker, *, consuming):
        self.intake[worker].append((self._line.now, consuming))
        self._line.take_tasks(worker, consuming=consuming)

    def __getattr__(self, name):
        return getattr(self._line, name)


# A worker ready the instant it is ordered comes after that instant's starts; no timetable can say so.
services = st.builds(
    ServiceModel,
    st.just(2),
    st.builds(LaunchDelay, st.sampled_from([0.25, 3.0]), st.just(0.0)),
    slot_tail_seconds=st.sampled_from([0.0, 0.75]),
    retry_delay_seconds=st.sampled_from([0.0, 2.5]),
    protection_seconds=st.sampled_from([1.25, 100.0]),
    stop_timeout_seconds=st.sampled_from([0.0, 2.0, 30.0]),
    exit_seconds=st.sampled_from([0.0, 1.5]),
    launches=st.sampled_from([Pace(), Pace(0.5, 1)]),
    account=st.builds(
        AccountModel, st.sampled_from([float("inf"), MOST]), st.sampled_from([Pace(), Pace(1.0, 2)])
    ),
    never_start_share=st.sampled_from([0.0, 0.3]),
    give_up_seconds=st.sampled_from([4.0, 20.0]),
    reclaims_per_hour=st.sampled_from([0.0, 200.0]),
    retirements_per_hour=st.sampled_from([0.0, 100.0]),
)


@settings(max_examples=80, deadline=None)
@given(st.data(), services, st.integers(0, 99))
def test_tasks_start_by_the_rules_whatever_becomes_of_their_workers(data, model, seed):
    """Stops with a timeout, reclaims, retirements, launches that fail: every start is as the rules say.

    Who is protected stays through every scale-in; nobody exists beyond the quota; desired is approached
    as fast as pace and quota allow, and never overshot.
    """
    jobs = data.draw(job_lists(widest=2))
    world = World(as_trace(jobs), model, seed, workers=1)
    world.fleet.line = told = Told(world.fleet.line)
    at, tick = 0.0, data.draw(st.sampled_from([0.25, 1.0, 1.5]))
    for _ in range(data.draw(st.integers(0, 20))):
        names = sorted(world.fleet.alive)
        protect = data.draw(st.frozensets(st.sampled_from(names))) if names else frozenset()
        held = {name for name in names if world.fleet.protected_until[world.fleet.alive[name]] > at}
        accidents = _accidents(world)
        world.apply(decide(data.draw(st.none() | st.integers(0, 4)), protected=protect, wants_workers=True))
        assert held <= world.fleet.alive.keys(), "a protected worker was let go"
        at += tick
        seen = world.observe(at)
        capacity = seen.capacity
        assert len(capacity.workers) == capacity.running + capacity.pending
        assert capacity.running == (capacity.workers.state == WorkerState.RUNNING).sum()
        assert world.size <= model.account.most_workers
        kept = {name for name in capacity.workers.ids if name in held}
        assert len(held) - len(kept) <= _accidents(world) - accidents or model.protection_seconds < 2
    world.apply(decide(2))
    for _ in range(1000):
        if not world.kernel.unfinished:
            break
        world.advance(world.now + 30.0)
    assert world.kernel.unfinished == 0
    kernel = world.kernel
    hosts = timetable(world.created_at, world.ready_at, world.stopped_at, told.intake)
    assert_same(
        jobs, hosts, model, kernel.started_at, kernel.ends_at, kernel.waited_seconds, kernel.killed_tasks
    )
    assert world.fleet.killed_tasks == kernel.killed_tasks
    assert world.fleet.lost_slot_seconds == kernel.lost_slot_seconds


def _accidents(world):
    fleet = world.fleet
    return fleet.given_up_workers + fleet.reclaimed_workers + fleet.retired_workers


@settings(max_examples=40, deadline=None)
@given(services, st.integers(0, 99), st.sampled_from([None, AIRFLOW_3]), st.sampled_from(list(ScaleIn)))
def test_every_run_adds_up_on_any_service(model, seed, airflow, scale_in):
    """With the real controller: all tasks end once, workers live forwards in time, the fleet comes home."""
    generator = np.random.default_rng(seed)
    count = 60
    trace = trace_of(
        np.round(generator.uniform(0, 300, count)), np.round(generator.exponential(8, count)), starts_at=0.0
    )
    result = simulate(trace, controller(2, 1, 8, scale_in), model, seed, tick_seconds=5, airflow=airflow)
    assert not np.isnan(result.ended_at).any()
    assert (result.ended_at - result.started_at == trace.duration_seconds).all()
    assert (result.started_at >= trace.queued_at).all()
    assert (result.waited_seconds >= 0).all()
    assert (result.stopped_at >= result.created_at).all()
    assert (result.ready_at >= result.created_at).all()
    assert (result.failed_tasks, result.skipped_tasks) == (0, 0)
    again = simulate(trace, controller(2, 1, 8, scale_in), model, seed, tick_seconds=5, airflow=airflow)
    assert again.started_at.tobytes() == result.started_at.tobytes()
    assert again.stopped_at.tobytes() == result.stopped_at.tobytes()
