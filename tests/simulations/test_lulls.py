"""Ticks that cannot change anything are passed over, and the result is the same to the last bit."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.core.guards import Bounds, GuardChain, Stabilization
from policies.catalog import build
from policies.lull import Lull
from policies.mwaa import ScaleIn
from simulations.inputs import guard_chains
from simulations.kernel import Kernel, Rest
from simulations.run import SimulationError, simulate
from simulations.service import LaunchDelay, ServiceModel
from tests.simulations.worlds import controller, service, tasks

FOLLOWING = {"name": "mwaa", "scale_in": "continuous"}
FLOOR = {"name": "scheduled-floor", "cron": "*/20 * * * *", "workers": 3, "duration_seconds": 300}
POLICIES = (
    {"name": "mwaa"},
    {"name": "mwaa", "idle_seconds": 0},
    FOLLOWING,
    {"name": "highest", "policies": [FOLLOWING, FLOOR]},
    {"name": "highest", "policies": [{"name": "mwaa"}, FLOOR]},
)
EVERY_TICK = {"on_step": lambda *_: None}


def same(one, other):
    """Equal in every field, the arrays bit by bit."""
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.tobytes() == theirs.tobytes(), field.name
        else:
            assert mine == theirs, field.name


def outcome(*arguments, **options):
    try:
        return simulate(*arguments, **options)
    except SimulationError as error:
        return str(error)


rows = st.lists(
    st.tuples(st.integers(0, 200).map(lambda tenth: 60.0 * tenth), st.sampled_from([0.0, 7.0, 45.0, 900.0])),
    min_size=1,
    max_size=40,
)
services = st.builds(
    ServiceModel,
    st.integers(1, 4),
    st.builds(LaunchDelay, st.sampled_from([0.0, 60.0]), st.sampled_from([0.0, 0.3])),
    slot_tail_seconds=st.sampled_from([0.0, 4.0]),
    protection_seconds=st.sampled_from([100.0, 7200.0]),
    stop_timeout_seconds=st.sampled_from([0.0, 120.0]),
    reclaims_per_hour=st.sampled_from([0.0, 0.0, 1.0]),
)


@given(
    rows,
    services,
    st.sampled_from(POLICIES),
    guard_chains,
    st.sampled_from([5.0, 10.0, 30.0, 77.7]),
    st.integers(0, 2),
)
@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_passing_over_ticks_changes_no_result(shape, model, policy, guards, tick_seconds, seed):
    """Any policy, any guards, any tick: the same tasks, workers, counts and errors."""
    if guards.bounds.maximum == 0:
        guards = replace(guards, bounds=Bounds(guards.bounds.minimum, 1))
    slots = model.slots_per_worker
    chosen = replace(controller(slots, 0, 1), policy=build(policy, slots), guards=guards)
    arguments = (tasks(*shape), chosen, model, seed)
    short = outcome(*arguments, tick_seconds=tick_seconds)
    full = outcome(*arguments, tick_seconds=tick_seconds, **EVERY_TICK)
    if isinstance(full, str):
        assert short == full
    else:
        same(short, full)


def counted(monkeypatch, run):
    """How many ticks were passed over."""
    passed, rest = [], Kernel.rest

    def counts(self, *arguments):
        found = rest(self, *arguments)
        passed.append(found.looks)
        return found

    monkeypatch.setattr(Kernel, "rest", counts)
    return run(), sum(passed)


@pytest.mark.parametrize("scale_in", ScaleIn)
def test_most_ticks_of_a_steady_load_are_passed_over(monkeypatch, scale_in):
    """Ten tasks side by side for three hours need some looks at the beginning and at the end."""
    trace = tasks(*[(float(start), 3600.0) for start in range(0, 7200, 360)])
    guards = GuardChain(Bounds(1, 20), stabilization=Stabilization(0.0, 300.0))
    chosen = replace(controller(20, 1, 20, scale_in), guards=guards)
    result, passed = counted(monkeypatch, lambda: simulate(trace, chosen, service(20), 1, tick_seconds=10.0))
    assert result.ticks > 1000
    assert passed > result.ticks - 60


def test_who_watches_sees_every_tick():
    seen = []
    result = simulate(
        tasks((0.0, 3600.0)), controller(1, 1, 2), service(), 1, on_step=lambda *step: seen.append(step)
    )
    assert len(seen) == result.ticks


def test_progress_is_told_on_the_way():
    """Though hardly any tick is taken."""
    told = []
    trace = tasks(*[(60.0 * row, 30.0) for row in range(500)])
    simulate(trace, controller(1, 1, 2), service(), 1, tick_seconds=10.0, on_progress=told.append)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] <= 500


def test_a_task_that_waits_in_vain_is_found_out_at_the_same_tick():
    """Nobody asks for workers, and nothing moves: the error says as many days, skipped or not."""
    nobody = replace(
        controller(1, 0, 2),
        policy=build({"name": "scheduled-floor", "cron": "0 0 1 1 *", "workers": 1, "duration_seconds": 60}),
    )
    trace = tasks((86_400.0 * 40, 10.0))
    with pytest.raises(SimulationError) as full:
        simulate(trace, nobody, service(), 1, tick_seconds=600.0, **EVERY_TICK)
    with pytest.raises(SimulationError) as short:
        simulate(trace, nobody, service(), 1, tick_seconds=600.0)
    assert str(short.value) == str(full.value)


def rests(kernel, look, lull, quiet_until=0.0):
    rest = kernel.rest(look, 10.0, lull, quiet_until)
    return rest, kernel.now


def test_a_rest_ends_before_the_look_that_shows_something():
    """Two tasks on one slot: the second waits from 25 s on, so the looks at 10 and 20 s show nothing."""
    kernel = Kernel(tasks((0.0, 60.0), (25.0, 60.0)), slots_per_worker=1)
    kernel.launch(0.0)
    kernel.advance(0.0)
    assert rests(kernel, 10.0, Lull(1, 1)) == (Rest(2, None, 2), 20.0)
    assert kernel.queued_slots == 1, "what is due up to 30 s has happened"
    assert rests(kernel, 30.0, Lull(1, 1)) == (Rest(0, None, 2), 20.0)


def test_a_rest_ends_with_the_lull_and_with_the_last_task():
    kernel = Kernel(tasks((0.0, 15.0), (15.0, 60.0)), slots_per_worker=2)
    kernel.launch(0.0)
    kernel.advance(0.0)
    assert rests(kernel, 10.0, Lull(0, 2, until=30.0)) == (Rest(2, 20.0, 1), 20.0)
    assert rests(kernel, 30.0, Lull(0, 2)) == (Rest(5, None, 1), 70.0)
    assert kernel.unfinished == 0


def test_nothing_to_run_is_progress_while_the_trace_goes_on():
    kernel = Kernel(tasks((100.0, 5.0)), slots_per_worker=1)
    kernel.launch(0.0)
    kernel.advance(0.0)
    rest = kernel.rest(10.0, 10.0, Lull(0, 0), 50.0)
    assert rest == Rest(9, 50.0, 1)
