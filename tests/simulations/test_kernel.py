"""The compiled kernel: interpreted it gives the same, it is kept for later, and any fleet has room."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from math import inf, isnan

import numpy as np
import pytest

from policies.mwaa import ScaleIn
from simulations import events
from simulations.compiled import compiled
from simulations.run import simulate
from simulations.service import ServiceModel
from simulations.trace import trace_of
from simulations.world import World
from tests.simulations.replay import Host, Job, Replay
from tests.simulations.worlds import controller, decide, service, tasks

YEAR = 365.25 * 86_400


def fingerprint():
    """Of a run with parents, wide tasks, slot tails, many ticks and many launches."""
    generator = np.random.default_rng(8)
    count = 400
    parent = np.arange(0, count - 7, 3)
    trace = trace_of(
        generator.integers(0, 3000, count),
        generator.integers(0, 200, count),
        slots=generator.integers(1, 4, count),
        edges=(parent, parent + 7),
    )
    model = ServiceModel(3, slot_tail_seconds=1.5)
    result = simulate(trace, controller(3, 1, 90, ScaleIn.CONTINUOUS), model, 5, tick_seconds=5)
    return sha256(result.started_at.tobytes() + result.waited_seconds.tobytes()).hexdigest()


def in_another_process(code, **environment):
    """What it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_interpreted_it_gives_the_same():
    """The very same functions, run by Python itself: equal to the last bit."""
    code = (
        "from simulations import events; from tests.simulations.test_kernel import fingerprint;"
        "assert not hasattr(events.advance, 'stats');"
        "print(fingerprint())"
    )
    assert in_another_process(code, NUMBA_DISABLE_JIT="1") == fingerprint()


def test_a_later_process_compiles_nothing():
    """What this process compiled is kept; the next one only loads it."""
    fingerprint()
    code = (
        "from simulations import events; from tests.simulations.test_kernel import fingerprint;"
        "fingerprint();"
        "used = (events.advance, events.plan, events.offer);"
        "print(*(len(f.stats.cache_hits) - len(f.stats.cache_misses) for f in used))"
    )
    assert in_another_process(code) == "1 1 1"


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same():
    """A function without a file has no place for its code, as in a read-only installation without a home."""
    made = {}
    exec("def twice(number): return 2 * number", made)
    assert compiled(made["twice"])(21) == 42


def replayed(jobs, world, model):
    """The rules' own outcome, for the fleet as it was."""
    hosts = [
        Host(created, ready, inf if isnan(stopped) else stopped)
        for created, ready, stopped in zip(world.created_at, world.ready_at, world.stopped_at, strict=True)
    ]
    return Replay(
        jobs, hosts, model.slots_per_worker, model.slot_tail_seconds, model.retry_delay_seconds
    ).outcome()


def random_jobs(count, span, longest):
    generator = np.random.default_rng(11)
    queued_at = np.sort(generator.integers(0, span, count)).tolist()
    return [
        Job(float(at), float(length))
        for at, length in zip(queued_at, generator.integers(1, longest, count).tolist(), strict=True)
    ]


@pytest.mark.parametrize("slots", [1, 40])
def test_a_fleet_that_outgrows_its_room_keeps_what_runs(slots):
    """From one worker to a hundred and fifty while tasks run, tails are held and others wait."""
    jobs = random_jobs(260, 60, 60)
    model = service(slots, launch_seconds=2.0, slot_tail_seconds=0.5)
    trace = tasks(*((job.queued_at, job.duration) for job in jobs))
    world = World(trace, model, 1, workers=1)
    for at, size in ((5.0, 2), (20.0, 3 if slots > 1 else 70), (40.0, 6 if slots > 1 else 150)):
        world.advance(at)
        world.apply(decide(size))
    world.advance(100_000.0)
    outcome = replayed(jobs, world, model)
    assert world.kernel.started_at.tolist() == [outcome.start[row] for row in range(len(jobs))]


def test_tasks_that_are_lost_again_and_again_find_room_in_the_queue():
    """Each task is queued many times; every try's wait is the rules'."""
    jobs = random_jobs(30, 10, 30)
    model = service(10, launch_seconds=1.0, retry_delay_seconds=0.0)
    world = World(tasks(*((job.queued_at, job.duration) for job in jobs)), model, 1, workers=2)
    for at in range(1, 60):
        world.advance(float(at))
        world.apply(decide(at % 3))
    world.apply(decide(2))
    world.advance(100_000.0)
    kernel, outcome = world.kernel, replayed(jobs, world, model)
    assert kernel.killed_tasks == outcome.killed > 60
    assert kernel.started_at.tolist() == [outcome.start[row] for row in range(len(jobs))]
    assert kernel.waited_seconds.tolist() == [outcome.waited[row] for row in range(len(jobs))]


def test_the_lowest_worker_is_found_among_thousands_of_gone_ones():
    """Wide tasks pass over workers without room, whatever word of the bits they are in."""
    trace = tasks((0, 500), (10, 100), (20, 100), (20, 100), slots=[1, 2, 1, 2])
    world = World(trace, service(2, launch_seconds=0.0), 1, workers=1)
    world.advance(1.0)
    world.apply(decide(protected=["worker-0"]))
    for _ in range(40):
        world.apply(decide(60))
        world.apply(decide(1))
    world.apply(decide(3))
    world.advance(20.0)
    busy = world.busy().slots_by_host
    assert world.desired == 3
    assert list(busy.values()) == [2, 2, 2]
    assert list(busy) == ["worker-0", "worker-2361", "worker-2362"]


def test_a_time_beyond_the_clock_is_refused():
    """Nothing overflows silently: neither a look, nor a task's end, nor a fleet that grows under it."""
    many = 200_000
    with pytest.raises(OverflowError, match="90 years after the trace's start"):
        World(trace_of(np.zeros(many), np.ones(many), starts_at=0.0), service(many), 1, workers=1).advance(
            90 * YEAR
        )
    long = trace_of(np.zeros(many), np.full(many, 9e8), starts_at=0.0)
    with pytest.raises(OverflowError, match="a task ends later"):
        World(long, service(many), 1, workers=1)
    world = World(long, service(100), 1, workers=1)
    with pytest.raises(OverflowError, match="with so many slots"):
        world.apply(decide(2000))
    assert np.iinfo(np.int64).max == events.NEVER


def test_a_worker_is_busy_until_its_last_slot_is_free():
    """Tasks of 10 and 4 s with a tail of 2 s: at 12; an idle worker: now; one in its tail: the tail's end."""
    world = World(tasks((0, 10), (0, 4)), service(2, slot_tail_seconds=2.0), 1, workers=2)
    kernel = world.kernel
    assert (kernel.busy_until(0), kernel.busy_until(1)) == (12.0, 0.0)
    world.advance(11.0)
    assert (kernel.busy_until(0), kernel.busy_until(1)) == (12.0, 11.0)
    world.advance(12.0)
    assert kernel.busy_until(0) == 12.0
    assert (kernel.scheduled_slots, kernel.failed_tasks, kernel.skipped_tasks) == (0, 0, 0)
