"""What the ECS fleet reads, over HTTP: sizes, workers, protections, rollouts, rivals, and every failure."""

import math
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.demo.ecs import Fault, ServiceSpec, running_ecs
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from autoscaler.ports import FleetError
from policies.model import Rollout, WorkerState

pytestmark = pytest.mark.anyio


async def test_sizes_as_ecs_means_them(ecs, fleet, clock):
    """Desired at once, pending while they launch, running after."""
    ecs.world.set_desired(ecs.world.service(), 5)
    capacity = await fleet.capacity(list_workers=False)
    assert (capacity.desired, capacity.pending, capacity.running) == (5, 2, 3)
    assert (capacity.rollout, capacity.contested_by) == (Rollout.STEADY, "")
    clock.after(minutes=2)
    capacity = await fleet.capacity(list_workers=False)
    assert (capacity.desired, capacity.pending, capacity.running) == (5, 0, 5)


async def test_workers_with_hosts_states_and_protections(ecs, fleet, clock):
    """A protected, a bare, a leaving and a pending worker."""
    service = ecs.world.service()
    protected, bare, leaving = service.wanted
    ecs.world.protect(service, protected, clock.now + 900)
    ecs.world.stop(leaving)
    ecs.world.advance()
    (pending,) = [task for task in service.wanted if task.started_at is None]
    workers = (await fleet.capacity(list_workers=True)).workers
    assert workers.ids == (protected.arn, bare.arn, pending.arn)
    assert list(workers.state) == [WorkerState.RUNNING, WorkerState.RUNNING, WorkerState.PENDING]
    assert list(workers.protected_until) == [clock.now + 900, 0, 0]
    assert list(workers.started_at[:2]) == pytest.approx([protected.started_at, bare.started_at])
    assert math.isnan(workers.started_at[2])
    assert list(workers.created_at) == pytest.approx(
        [protected.created_at, bare.created_at, pending.created_at]
    )
    assert np.isnan(workers.busy_slots).all()
    assert np.isnan(workers.consuming).all()
    assert set(workers.hosts[0]) >= {protected.host_name, protected.address, protected.id, "ip-10-0-0-1"}


async def test_250_workers_come_in_three_pages(ecs, fleet, clock):
    """Three pages of each of the three calls."""
    ecs.world.set_desired(ecs.world.service(), 250)
    clock.after(minutes=5)
    capacity = await fleet.capacity(list_workers=True)
    assert len(capacity.workers) == 250 == len(set(capacity.workers.ids))
    for operation in ("ListTasks", "DescribeTasks", "GetTaskProtection"):
        assert ecs.count(operation) == 3


async def test_workers_are_listed_when_asked_or_due(ecs, fleet, clock):
    """At the start, then every minute, and whenever somebody needs them."""
    for seconds, list_workers, listed in (
        (0, False, True),
        (10, False, False),
        (10, True, True),
        (60, False, True),
    ):
        clock.after(seconds=seconds)
        capacity = await fleet.capacity(list_workers=list_workers)
        assert (capacity.workers is not None) is listed


async def test_a_worker_that_just_appeared_counts_as_pending_and_unknown(clock):
    """Listed but MISSING: it has no host yet, and its protection is unknown."""
    spec = ServiceSpec(desired=1, visible_after_seconds=1.0)
    async with running_ecs(spec, clock=clock) as ecs, ecs_clients("us-east-1", ecs.url) as clients:
        fleet = EcsFleet(clients, "demo", "workers", clock=clock)
        workers = (await fleet.capacity(list_workers=True)).workers
        assert list(workers.state) == [WorkerState.PENDING]
        assert math.isnan(workers.protected_until[0])
        assert workers.hosts[0] == (workers.ids[0].rsplit("/", 1)[1],)


@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.EMPTY, Fault.RESET_BEFORE])
async def test_protections_that_cannot_be_read_are_unknown(ecs, fleet, fault):
    """Unknown counts as protected; the rest of the listing stands."""
    ecs.faults.inject("GetTaskProtection", fault, times=None)
    workers = (await fleet.capacity(list_workers=True)).workers
    assert np.isnan(workers.protected_until).all()
    assert list(workers.state) == [WorkerState.RUNNING] * 3


@pytest.mark.parametrize("operation", ["ListTasks", "DescribeTasks"])
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TRUNCATED])
async def test_workers_that_cannot_be_listed_leave_the_size_readable(ecs, fleet, operation, fault):
    """No list blocks the way in; the way out stays free.  The next reading tries again."""
    ecs.faults.inject(operation, fault, times=2)
    capacity = await fleet.capacity(list_workers=False)
    assert (capacity.desired, capacity.workers) == (3, None)
    ecs.faults.clear()
    assert (await fleet.capacity(list_workers=False)).workers is not None


async def test_pages_without_end_are_given_up(ecs, fleet):
    """A token for ever is a loop, not a fleet."""
    ecs.faults.alter("ListTasks", lambda answer: {**answer, "nextToken": "0"})
    assert (await fleet.capacity(list_workers=True)).workers is None
    assert ecs.count("ListTasks") == 60


async def test_rollouts(ecs, fleet, clock):
    """In progress and failed; in progress and steady again."""
    service = ecs.world.service()
    service.spec = replace(service.spec, circuit_breaker=True)
    for broken, ends in ((True, Rollout.FAILED), (False, Rollout.STEADY)):
        ecs.world.begin_rollout(service, broken=broken)
        assert (await fleet.capacity(list_workers=False)).rollout is Rollout.IN_PROGRESS
        clock.after(minutes=5)
        assert (await fleet.capacity(list_workers=False)).rollout is ends


async def test_a_foreign_writer_is_seen(ecs, fleet):
    """Somebody sets 40: that is the size."""
    ecs.world.set_desired(ecs.world.service(), 40)
    assert (await fleet.capacity(list_workers=False)).desired == 40


async def test_a_scalable_target_contests_the_size(ecs, fleet, clock):
    """Looked at again every five minutes; all three suspended is nobody, two of three is not."""
    await fleet.capacity(list_workers=False)
    ecs.scalable_targets.register()
    assert (await fleet.capacity(list_workers=False)).contested_by == ""
    clock.after(minutes=5)
    contested_by = (await fleet.capacity(list_workers=False)).contested_by
    assert contested_by == "Application Auto Scaling (1 to 10 on service/demo/workers)"
    ecs.scalable_targets.register(suspended=(True, True, False))
    clock.after(minutes=5)
    assert (await fleet.capacity(list_workers=False)).contested_by == contested_by
    ecs.scalable_targets.register(suspended=(True, True, True))
    clock.after(minutes=5)
    assert (await fleet.capacity(list_workers=False)).contested_by == ""
    assert ecs.count("DescribeScalableTargets") == 4


async def test_a_rival_that_cannot_be_asked_about(ecs, fleet, clock):
    """Before the first answer: perhaps.  After it: the last answer holds, and it is asked again soon."""
    ecs.faults.denied.add("application-autoscaling:DescribeScalableTargets")
    contested_by = (await fleet.capacity(list_workers=False)).contested_by
    assert contested_by.startswith("perhaps Application Auto Scaling (it cannot be asked: ")
    assert "grant application-autoscaling:DescribeScalableTargets" in contested_by
    assert (await fleet.capacity(list_workers=False)).contested_by == contested_by
    assert ecs.count("DescribeScalableTargets") == 1
    ecs.faults.clear()
    clock.after(seconds=30)
    assert (await fleet.capacity(list_workers=False)).contested_by == ""
    ecs.faults.inject("DescribeScalableTargets", Fault.TRUNCATED, times=None)
    clock.after(minutes=5)
    assert (await fleet.capacity(list_workers=False)).contested_by == ""


UNREADABLE = [
    (Fault.THROTTLE, "ThrottlingException: Rate exceeded"),
    (Fault.SERVER_ERROR, "ServerException: Service Unavailable"),
    (Fault.RESET_BEFORE, "Could not connect"),
    (Fault.HANG, "ReadTimeoutError"),
    (Fault.TRUNCATED, "no usable services"),
    (Fault.EMPTY, "no usable services"),
]


@pytest.mark.parametrize(("fault", "why"), UNREADABLE, ids=[str(fault) for fault, _ in UNREADABLE])
async def test_a_reading_that_fails_says_what_and_where(ecs, fleet, fault, why):
    """Twice the same fault is a failed reading, one line naming service and cause."""
    ecs.faults.inject("DescribeServices", fault, times=2)
    with pytest.raises(FleetError) as caught:
        await fleet.capacity(list_workers=False)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "a-secret-of-no-worth" not in str(caught.value)
    ecs.faults.clear()
    assert (await fleet.capacity(list_workers=False)).desired == 3


async def test_one_failed_answer_is_tried_again(ecs, fleet):
    """A reader may repeat itself: a single fault is no failed reading."""
    ecs.faults.inject("DescribeServices", Fault.RESET_BEFORE)
    assert (await fleet.capacity(list_workers=False)).desired == 3
    assert ecs.count("DescribeServices") == 2


async def test_a_missing_grant_is_named(ecs, fleet):
    """The remedy is in the message."""
    ecs.faults.denied.add("ecs:DescribeServices")
    with pytest.raises(
        FleetError, match=r"ECS service demo/workers: .*AccessDenied.*; grant ecs:DescribeServices"
    ):
        await fleet.capacity(list_workers=False)


async def test_a_missing_service_is_named(clients, clock):
    """HTTP 200 with a failure in it is a failure."""
    fleet = EcsFleet(clients, "demo", "nobody", clock=clock)
    with pytest.raises(FleetError, match=r"demo/nobody does not exist; check target\.cluster"):
        await fleet.capacity(list_workers=False)


async def test_service_and_cluster_may_be_arns(ecs, clients, clock):
    """As the configuration allows."""
    service = ecs.world.service()
    fleet = EcsFleet(clients, service.cluster_arn, service.arn, clock=clock)
    ecs.scalable_targets.register()
    capacity = await fleet.capacity(list_workers=True)
    assert (capacity.desired, len(capacity.workers)) == (3, 3)
    assert "service/demo/workers" in capacity.contested_by


async def test_an_ecs_that_is_gone_is_a_failed_reading(clock):
    """Nobody listens: unknown, never zero."""
    async with running_ecs(ServiceSpec(), clock=clock) as ecs:
        url = ecs.url
    async with ecs_clients("us-east-1", url) as clients:
        fleet = EcsFleet(clients, "demo", "workers", clock=clock)
        with pytest.raises(FleetError, match="Could not connect"):
            await fleet.capacity(list_workers=False)


async def test_no_credentials_hold(monkeypatch, ecs, clock):
    """botocore's own errors are failed readings too."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with ecs_clients("us-east-1", ecs.url) as clients:
        with pytest.raises(FleetError, match="NoCredentialsError"):
            await EcsFleet(clients, "demo", "workers", clock=clock).capacity(list_workers=False)


@pytest.mark.parametrize(
    ("region", "endpoint", "why"),
    [(None, None, "You must specify a region"), ("us-east-1", "no url", "Invalid endpoint")],
)
async def test_clients_that_cannot_be_made(monkeypatch, region, endpoint, why):
    """No region, or an endpoint that is none: said at once, with the setting to mend."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(FleetError, match=f"{why}.*set aws.region"):
        async with ecs_clients(region, endpoint):
            pytest.fail("made")


async def test_a_rival_question_without_answer_costs_no_reading(ecs, aws_session, clock):
    """It is given up after three seconds although a read may take longer, and counts as perhaps."""
    ecs.faults.inject("DescribeScalableTargets", Fault.HANG, times=None)
    async with ecs_clients("us-east-1", ecs.url, session=aws_session) as patient:
        capacity = await EcsFleet(patient, "demo", "workers", clock=clock).capacity(list_workers=False)
    assert capacity.desired == 3
    assert capacity.contested_by.endswith("(it cannot be asked: no answer in 3 s)")


@pytest.mark.parametrize("field", ["taskArn", "lastStatus"])
async def test_a_worker_without_a_used_field_is_no_worker(ecs, fleet, field):
    """Then nobody is listed: better none than a wrong one."""

    def without(answer):
        for task in answer["tasks"]:
            del task[field]
        return answer

    ecs.faults.alter("DescribeTasks", without)
    assert (await fleet.capacity(list_workers=True)).workers is None


async def test_a_worker_told_to_stop_is_left_out_at_once(ecs, fleet):
    """Its desired status counts, though it still runs."""
    first, *_ = ecs.world.service().wanted

    def told(answer):
        for task in answer["tasks"]:
            if task["taskArn"] == first.arn:
                task["desiredStatus"] = "STOPPED"
        return answer

    ecs.faults.alter("DescribeTasks", told)
    workers = (await fleet.capacity(list_workers=True)).workers
    assert len(workers) == 2
    assert first.arn not in workers.ids


@pytest.mark.parametrize("minutes", [0, 2881])
def test_protection_minutes_that_ecs_would_refuse(clock, minutes):
    """Refused when the fleet is made."""
    with pytest.raises(ValueError, match=f"between 1 and 2880, got {minutes}"):
        EcsFleet(None, "demo", "workers", clock=clock, protection_minutes=minutes)
