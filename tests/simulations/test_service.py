"""Stories of the service around the workers: stops, accidents, replacements, launch limits, luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import Unavailable
from simulations.airflow import Airflow
from simulations.luck import Luck
from simulations.quantiles import constant, measured
from simulations.service import AccountModel, LaunchDelay, Pace, ServiceModel, fargate
from simulations.source import SourceModel
from simulations.world import World
from tests.simulations.worlds import decide, service, tasks

HOUR = 3600.0


def patient(slots=1, **changes):
    """Thirty seconds to stop, five to exit."""
    return service(slots, stop_timeout_seconds=30.0, exit_seconds=5.0, **changes)


def gone(world):
    """When each worker was gone."""
    return [None if np.isnan(at) else at for at in world.stopped_at]


def test_an_idle_worker_is_gone_some_seconds_after_sigterm():
    """It is out of the service's counts at once, exists until then, and takes nothing meanwhile."""
    world = World(tasks((2, 10)), patient(), 1, workers=1)
    world.advance(1.0)
    world.apply(decide(0))
    capacity = world.observe(1.0).capacity
    assert (capacity.desired, capacity.pending, capacity.running, world.size) == (0, 0, 0, 1)
    world.advance(10.0)
    assert gone(world) == [6.0]
    assert world.size == 0
    assert world.demand().queued == 1


def test_a_leaving_worker_finishes_what_it_runs_and_then_exits():
    """A task of 20 s that began at 0: SIGTERM at 1, the slot is free at 20, gone at 25, nothing lost."""
    world = World(tasks((0, 20), (0, 20)), patient(), 1, workers=1)
    world.advance(1.0)
    world.apply(decide(0, wants_workers=True))
    seen = world.observe(2.0)
    assert seen.capacity.workers.ids == ()
    assert seen.evidence.unplaced_hosts == ("worker-0",)
    world.advance(100.0)
    assert gone(world) == [25.0]
    assert (world.kernel.killed_tasks, world.kernel.ends_at[0]) == (0, 20.0)
    assert world.demand().queued == 1


def test_what_a_leaving_worker_has_taken_it_also_runs():
    """A task that is being started when SIGTERM comes is not yet running; it is not left behind."""
    slow = Airflow(start_delay=constant(3.0), slot_tail=constant(1.0))
    world = World(tasks((0, 20)), patient(), 1, workers=1, airflow=slow)
    world.advance(1.0)
    assert (world.demand().queued, world.demand().running) == (1, 0)
    world.apply(decide(0))
    world.advance(100.0)
    # It starts at 3, ends at 23, the slot is free at 24.
    assert gone(world) == [29.0]
    assert (world.kernel.killed_tasks, world.kernel.unfinished) == (0, 0)


def test_at_the_stop_timeout_a_worker_is_killed():
    """A task of 100 s does not end in thirty: it is lost, and the fleet's other worker runs it later."""
    world = World(tasks((0, 100)), patient(retry_delay_seconds=60.0), 1, workers=1)
    world.advance(10.0)
    world.apply(decide(0))
    world.advance(39.0)
    assert world.kernel.killed_tasks == 0
    world.advance(40.0)
    assert (gone(world), world.kernel.killed_tasks, world.kernel.lost_slot_seconds) == ([40.0], 1, 40.0)
    world.advance(100.0)
    assert world.demand().queued == 1


def test_a_pending_worker_has_nothing_to_finish():
    """It is gone at once."""
    world = World(tasks((500, 1)), patient(), 1, workers=0)
    world.apply(decide(1))
    world.advance(10.0)
    world.apply(decide(0))
    assert gone(world) == [10.0]


def test_a_reclaimed_worker_has_two_minutes_at_most_and_is_replaced():
    """Spot: even a protected worker gets its notice; the service launches another at once."""
    model = patient(reclaims_per_hour=1.0)
    model = replace(model, stop_timeout_seconds=1000.0)
    world = World(tasks((0, 50 * HOUR)), model, 3, workers=1)
    world.apply(decide(1, protected=["worker-0"]))
    world.advance(30 * HOUR)
    stopped = gone(world)
    # The task would run on for days: it ends with the notice, again and again; an idle worker exits.
    assert world.kernel.killed_tasks >= 5
    assert {stopped[number] - world.created_at[number + 1] for number in range(10)} == {5.0, 120.0}
    assert {world.ready_at[number] - world.created_at[number] for number in range(1, 10)} == {60.0}
    assert len(world.created_at) == world.fleet.reclaimed_workers + 1
    assert (world.desired, len(world.fleet.alive)) == (1, 1)


def test_a_retired_worker_is_replaced_too():
    """With the whole stop timeout."""
    world = World(tasks((0, 500 * HOUR)), patient(retirements_per_hour=0.1), 3, workers=2)
    world.advance(200 * HOUR)
    fleet = world.fleet
    assert fleet.retired_workers > 10
    assert (fleet.reclaimed_workers, len(fleet.alive)) == (0, 2)
    # Two workers for 200 hours at a tenth an hour, four standard deviations.
    assert abs(fleet.retired_workers - 40) < 4 * np.sqrt(40)


def test_a_launch_that_never_starts_is_given_up_and_tried_again():
    """It is pending for ten minutes; the share is what was asked for."""
    model = service(never_start_share=0.5, give_up_seconds=600.0)
    world = World(tasks((0, 1)), model, 5, workers=0)
    world.apply(decide(200))
    at_first = world.observe(60.0).capacity
    assert abs(at_first.running - 100) < 4 * np.sqrt(50)
    assert at_first.pending == 200 - at_first.running
    before = world.observe(599.0).capacity
    assert before.running == at_first.running
    world.advance(600.0)
    assert sum(at == 600.0 for at in gone(world)) == at_first.pending
    world.advance(4 * HOUR)
    assert world.observe(world.now).capacity.running == 200
    assert world.fleet.given_up_workers > 100


def test_launches_keep_the_services_pace():
    """Ten at once, then one a second: fifteen are ordered by the fifth second."""
    world = World(tasks((0, 1)), service(launches=Pace(1.0, 10)), 1, workers=0)
    world.apply(decide(15))
    capacity = world.observe(0.0).capacity
    assert (capacity.desired, capacity.pending) == (15, 10)
    assert world.observe(3.0).capacity.pending == 13
    world.advance(20.0)
    assert world.created_at == [0.0] * 10 + [1.0, 2.0, 3.0, 4.0, 5.0]
    world.apply(decide(20))
    assert len(world.created_at) == 20


def test_a_quota_leaves_workers_missing_until_others_are_gone():
    """Three are allowed; a leaving one counts until it is gone, and then the next is launched."""
    model = patient(account=AccountModel(most_workers=3))
    world = World(tasks((0, 1)), model, 1, workers=2)
    world.apply(decide(5))
    assert world.observe(1.0).capacity.pending == 1
    world.apply(decide(0))
    world.advance(2.0)
    world.apply(decide(3))
    assert world.observe(3.0).capacity.pending == 1
    capacity = world.observe(10.0).capacity
    assert (capacity.desired, capacity.pending, capacity.running) == (3, 3, 0)
    assert world.created_at[-2:] == [6.0, 6.0]


def fates(model, seed, launches):
    """A world after these sizes, a second each."""
    world = World(tasks((0, 1)), model, seed, workers=1)
    for size in launches:
        world.apply(decide(size))
        world.advance(world.now + 1.0)
    return world


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 99),
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_the_nth_workers_luck_is_the_same_whatever_the_policy_does(seed, sizes, measures, fails):
    """Common random numbers: launch delay, failure and time to reclaim belong to the n-th launch."""
    launch = LaunchDelay(measured=measured([40.0, 50.0, 90.0])) if measures else LaunchDelay()
    model = ServiceModel(1, launch, never_start_share=0.3 if fails else 0.0)
    steady, moved = fates(model, seed, [50]), fates(model, seed, [*sizes, 50])

    def delays(world):
        launched = zip(world.created_at, world.ready_at, strict=True)
        return [ready - created for created, ready in launched][:50]

    assert delays(steady) == delays(moved)


def test_lots_change_nobodys_fate():
    """However often lots are drawn, the launches to come are the same."""
    model = ServiceModel(1, reclaims_per_hour=2.0, retirements_per_hour=1.0, never_start_share=0.1)
    calm, busy = (Luck(model, np.random.SeedSequence(3).spawn(Luck.STREAMS)) for _ in range(2))
    fates = [calm.launched() for _ in range(20)]
    assert len({fate.reclaimed_after_seconds for fate in fates}) == 20
    for fate in fates:
        busy.lots(7)
        assert busy.launched() == fate


def test_one_more_kind_of_accident_changes_no_other_luck():
    """Launch delays are the same with and without reclaims; launches that fail change only themselves."""
    calm = fates(ServiceModel(1), 4, [20])
    stormy = fates(ServiceModel(1, reclaims_per_hour=1.0, retirements_per_hour=1.0), 4, [20])
    assert calm.ready_at == stormy.ready_at
    failing = fates(ServiceModel(1, never_start_share=0.3), 4, [20])
    started = [number for number, at in enumerate(failing.ready_at) if at < 600]
    assert 5 < len(started) < 20
    assert [failing.ready_at[number] for number in started] == [calm.ready_at[number] for number in started]


def test_measured_launches_are_drawn_from_the_measurements():
    """No launch is outside of what was measured."""
    model = ServiceModel(1, LaunchDelay(measured=measured([30.0, 45.0, 200.0])))
    world = fates(model, 1, [300])
    delays = np.array(world.ready_at[1:]) - np.array(world.created_at[1:])
    assert delays.min() >= 30.0
    assert delays.max() <= 200.0
    assert np.median(delays) == pytest.approx(45.0, abs=8.0)


def test_a_source_with_a_lag_sees_the_past():
    """Readings every 60 s, seen 90 s later: at 200 the load of 60, and it says so."""
    trace = tasks((0, 1000), (61, 1000), (121, 1000))
    source = SourceModel(60.0, constant(90.0))
    world = World(trace, service(5), 1, workers=1, source=source)
    assert world.observe(10.0).demand == Unavailable("the source has no reading yet")
    assert world.observe(90.0).demand.measured_at == 0.0
    seen = world.observe(200.0).demand
    assert (seen.measured_at, seen.load) == (60.0, 1.0)
    assert world.observe(210.0).demand.load == 2.0
    assert world.demand().measured_at == 120.0


def test_a_lost_reading_is_unavailable_and_never_zero():
    """A third of the looks fail; the others see now."""
    world = World(tasks((0, 1e5)), service(), 7, workers=1, source=SourceModel(loss=1 / 3))
    seen = [world.observe(float(at)).demand for at in range(900)]
    lost = [each for each in seen if isinstance(each, Unavailable)]
    assert {each.why for each in lost} == {"the reading was lost"}
    assert abs(len(lost) - 300) < 4 * np.sqrt(200)
    assert {each.load for each in seen if not isinstance(each, Unavailable)} == {1.0}


def test_a_reading_that_was_overtaken_is_not_seen():
    """With lags between 0 and 600 s later readings may come first; what is seen never goes back."""
    source = SourceModel(10.0, measured([0.0, 600.0]))
    world = World(tasks((0, 1e5)), service(), 7, workers=1, source=source)
    seen = [world.observe(600.0 + at).demand.measured_at for at in range(0, 3000, 7)]
    assert seen == sorted(seen)
    assert len(set(seen)) > 20


def test_fargate_is_what_aws_says():
    """The defaults of a real service."""
    model = fargate(16)
    assert (model.stop_timeout_seconds, model.exit_seconds, model.before_pull_seconds) == (30.0, 5.0, 15.0)
    assert model.launches.per_second * 60 == pytest.approx(500)
    assert model.account.launches == Pace(20.0, 100)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ServiceModel(1, never_start_share=1.0), "never start share must be at least 0 and less"),
        (lambda: ServiceModel(1, reclaims_per_hour=-1), "reclaims per hour must be 0 or more, got -1"),
        (
            lambda: ServiceModel(1, stop_timeout_seconds=float("inf")),
            "stop timeout seconds must be 0 or more",
        ),
        (
            lambda: ServiceModel(1, reclaims_per_hour=1e5),
            "reclaims per hour must be at most 1000 of a worker",
        ),
        (
            lambda: ServiceModel(1, never_start_share=0.5, give_up_seconds=0),
            "give up seconds must be at least 1, got 0",
        ),
        (lambda: ServiceModel(1, exit_seconds=1e308), r"exit seconds must be at most 1e\+09, got 1e\+308"),
        (lambda: Pace(0.0), "launches per second must be more than 0, got 0"),
        (lambda: Pace(1.0, 0), "launches at once must be at least 1, got 0"),
        (lambda: AccountModel(0), "account: most workers must be at least 1, got 0"),
        (lambda: SourceModel(-1.0), "source: period seconds must be 0, or 1 or more, got -1"),
        (lambda: SourceModel(0.0, constant(60.0)), "source: a lag needs a period"),
        (lambda: SourceModel(loss=1.5), "source: loss must be between 0 and 1, got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    """One clear line each."""
    with pytest.raises(ValueError, match=message):
        build()
