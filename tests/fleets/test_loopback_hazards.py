"""What happens to workers though nobody asked for it, and what our fleet shows and does then."""

from dataclasses import replace
from random import Random

import pytest

from autoscaler.demo.ecs import EcsWorld, Fault, ServiceSpec, Silence
from autoscaler.demo.ecs.foreign import another_autoscaler, terraform_applies
from autoscaler.demo.ecs.model import Status
from autoscaler.demo.ecs.placement import imbalance
from autoscaler.demo.ecs.world import LEFT_OUT
from autoscaler.fleets.ecs import EcsFleet
from autoscaler.ports import FleetError
from policies.model import Applied, Refused, Rollout, Unknown, WorkerState
from tests.fleets.hand_clock import decision

BOTH = pytest.mark.parametrize("said", [True, False])


@pytest.fixture
def world(clock):
    return EcsWorld(clock, seed=7)


@pytest.fixture
async def seen(fleet) -> EcsFleet:
    await fleet.capacity(list_workers=True)
    return fleet


def moved(world, clock, **by):
    clock.after(**by)
    world.advance()


def steady(world, clock, **spec):
    service = world.add_service(ServiceSpec(launch_sigma=0, **spec))
    moved(world, clock, minutes=5)
    return service


def silent_on(service, **said):
    service.spec = replace(service.spec, silence=Silence(**said))


@BOTH
def test_spot_takes_a_protected_task_with_a_notice(world, clock, said):
    """SIGTERM comes with the notice or two minutes after it; it is replaced at once."""
    silence = Silence(spot_notice_is_sigterm=said)
    service = steady(world, clock, desired=2, spot=True, silence=silence)
    task, _ = service.wanted
    world.protect(service, task, clock.now + 3600)
    world.reclaim(task)
    assert task.stop_code == "SpotInterruption"
    assert len(service.wanted) == 2
    moved(world, clock, seconds=1)
    assert (task.status is Status.STOPPED) is said
    moved(world, clock, seconds=120)
    assert task.status is Status.STOPPED
    assert service.count(Status.RUNNING) == 2


def test_a_retired_task_is_replaced(world, clock):
    """Protection does not help against maintenance."""
    service = steady(world, clock, desired=1)
    (task,) = service.wanted
    world.protect(service, task, clock.now + 3600)
    world.retire(task)
    assert "maintenance" in task.stopped_reason
    moved(world, clock, minutes=2)
    assert service.count(Status.RUNNING) == 1


def uneven(world, clock, **spec):
    """Three in one zone, one in another, none in the third."""
    service = steady(world, clock, desired=4, zone_rebalancing=True, **spec)
    for task, zone in zip(service.wanted, "aaab", strict=True):
        task.zone = f"us-east-1{zone}"
    world.advance()
    return service


def test_rebalancing_starts_one_and_then_stops_one(world, clock):
    """Five for a while, then four again, evenly over the zones; its events say so."""
    service = uneven(world, clock)
    before = set(service.wanted)
    assert len(service.wanted) == 5
    assert "AZ Rebalancing in progress" in service.events[0].message
    moved(world, clock, minutes=2)
    assert len(service.wanted) == 4
    (left,) = before - set(service.wanted)
    assert (left.zone, left.stop_code) == ("us-east-1a", "ServiceSchedulerInitiated")
    moved(world, clock, minutes=5)
    assert imbalance(service.wanted, service.spec.zones) == 1
    assert before - {left} == set(service.wanted)


@BOTH
def test_rebalancing_and_protected_tasks(world, clock, said):
    """It leaves them alone, or it does not: both can be had."""
    service = steady(world, clock, desired=4, silence=Silence(rebalancing_spares_protected=said))
    for task, zone in zip(service.wanted, "aaab", strict=True):
        task.zone = f"us-east-1{zone}"
        world.protect(service, task, clock.now + 36000)
    before = set(service.wanted)
    service.spec = replace(service.spec, zone_rebalancing=True)
    moved(world, clock, minutes=10)
    assert (set(service.wanted) == before) is said
    assert len(service.wanted) == 4


def test_rebalancing_takes_nobody_elsewhere(world, clock):
    """Who could go is in another zone than the fullest: that would not help, so nobody comes or goes."""
    service = steady(world, clock, desired=4)
    for task, zone in zip(service.wanted, "aaab", strict=True):
        task.zone = f"us-east-1{zone}"
        if zone == "a":
            world.protect(service, task, clock.now + 36000)
    service.spec = replace(service.spec, zone_rebalancing=True)
    moved(world, clock, minutes=30)
    assert [task.zone[-1] for task in service.tasks.values()] == list("aaab")


def test_rebalancing_gives_up_its_task_when_the_service_shrinks(world, clock):
    """Fewer are wanted meanwhile: nobody leaves beyond that."""
    service = uneven(world, clock)
    world.set_desired(service, 2)
    moved(world, clock, minutes=5)
    assert service.rebalancing is None
    assert len(service.wanted) == 2


def test_without_room_above_the_size_there_is_no_rebalancing(world, clock):
    """At most 100 %: ECS could not start one first."""
    service = uneven(world, clock, maximum_percent=100)
    moved(world, clock, minutes=10)
    assert [task.zone[-1] for task in service.wanted] == list("aaab")


def test_no_capacity_is_told_by_events(world, clock):
    """Nothing is launched, each try is told, and afterwards it goes on."""
    service = steady(world, clock, desired=2)
    world.refuse_launches(service, seconds=100)
    world.set_desired(service, 5)
    moved(world, clock, seconds=99)
    assert len(service.wanted) == 2
    assert len(service.events) == 4
    assert "Capacity is unavailable at this time" in service.events[0].message
    moved(world, clock, seconds=2)
    assert len(service.wanted) == 5


def test_another_autoscaler_writes_for_ever(world, clock):
    """Every minute one of its sizes, the same ones with the same chance."""
    service = steady(world, clock, desired=2)
    another_autoscaler(world, service, every_seconds=60, sizes=(3, 9), chance=Random(1))
    sizes = []
    for _ in range(10):
        moved(world, clock, seconds=60)
        sizes.append(service.desired)
    assert set(sizes) == {3, 9}


def test_terraform_deploys_and_resets(world, clock):
    """A new revision, and the size its code says."""
    service = steady(world, clock, desired=40)
    terraform_applies(world, service, at=clock.now + 30, desired=2)
    moved(world, clock, seconds=29)
    assert (service.desired, len(service.deployments)) == (40, 1)
    moved(world, clock, seconds=2)
    assert (service.desired, service.primary.revision) == (2, 2)


def test_what_happens_next_is_known(world, clock):
    """A simulation may jump there; with nothing to come it is never."""
    assert world.next_at == float("inf")
    world.add_service(ServiceSpec(desired=1, launch_seconds=60, launch_sigma=0))
    assert world.next_at == clock.now + 12


@pytest.mark.anyio
@BOTH
async def test_a_reclaimed_worker_is_no_worker_any_more(ecs, seen, said):
    """Protected and busy or not it is out of the list; its replacement is on its way."""
    silent_on(ecs.world.service(), spot_notice_is_sigterm=said)
    first, *others = ecs.world.service().wanted
    first.spec = ecs.world.service().spec
    await seen.apply(decision(protected=[first.arn]))
    ecs.world.reclaim(first)
    capacity = await seen.capacity(list_workers=True)
    assert first.arn not in capacity.workers.ids
    assert {task.arn for task in others} < set(capacity.workers.ids)
    assert (capacity.desired, capacity.running, capacity.pending) == (3, 2, 1)
    assert list(capacity.workers.state).count(WorkerState.PENDING) == 1


@pytest.mark.anyio
async def test_a_service_on_spot_is_sized_like_any_other(ecs, clients, seen):
    """It names a capacity provider instead of a launch type, and so do its tasks."""
    service = ecs.world.service()
    service.spec = replace(service.spec, spot=True)
    assert await seen.apply(decision(4)) == Applied(4)
    assert (await seen.capacity(list_workers=True)).desired == 4
    shown = (await clients.reader.describe_services(cluster="demo", services=["workers"]))["services"][0]
    assert shown["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"
    newest = [service.wanted[-1].arn]
    (task,) = (await clients.reader.describe_tasks(cluster="demo", tasks=newest))["tasks"]
    assert task["capacityProviderName"] == "FARGATE_SPOT"


@pytest.mark.anyio
async def test_rebalancing_shows_one_worker_more_than_desired(ecs, seen, clock):
    """Listed and desired differ, by which the core knows that now is not the time."""
    service = ecs.world.service()
    for task in service.wanted:
        task.zone = "us-east-1a"
    service.spec = replace(service.spec, zone_rebalancing=True)
    capacity = await seen.capacity(list_workers=True)
    assert (capacity.desired, len(capacity.workers)) == (3, 4)


@pytest.mark.anyio
async def test_workers_that_get_no_capacity_are_missing_not_pending(ecs, seen):
    """Eight desired, three there, none on its way."""
    ecs.world.refuse_launches(ecs.world.service(), seconds=600)
    assert await seen.apply(decision(8)) == Applied(8)
    capacity = await seen.capacity(list_workers=True)
    assert (capacity.desired, capacity.running, capacity.pending) == (8, 3, 0)
    assert len(capacity.workers) == 3


REASONS = [("TASK_NOT_VALID", Refused), ("DEPLOYMENT_BLOCKED", Refused), (LEFT_OUT, Unknown)]


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "outcome"), REASONS)
async def test_one_of_three_is_not_protected(ecs, seen, reason, outcome):
    """The others are; and a size is not lowered on such a footing, nor is anybody released."""
    service = ecs.world.service()
    first, second, third = service.wanted
    await seen.apply(decision(protected=[third.arn]))
    ecs.world.refuse_protection([second], reason)
    wanted = [first.arn, second.arn]
    result = await seen.apply(decision(2, protected=wanted, released=[third.arn]))
    assert isinstance(result, Refused)
    assert f"1 of 2 workers not protected, {second.arn}" in result.why
    assert set(service.protected(ecs.world.clock())) == {first, third}
    assert service.desired == 3
    assert isinstance(await seen.apply(decision(protected=wanted)), outcome)
    ecs.world.refuse_protection([])
    assert await seen.apply(decision(2, protected=wanted, released=[third.arn])) == Applied(2)
    assert service.wanted == [first, second]


@pytest.mark.anyio
async def test_a_release_that_is_refused_lowers_nothing(ecs, seen):
    """Or ECS would take another one."""
    service = ecs.world.service()
    everybody = [task.arn for task in service.wanted]
    await seen.apply(decision(protected=everybody))
    ecs.world.refuse_protection(service.wanted[:1], "DEPLOYMENT_BLOCKED")
    result = await seen.apply(decision(2, released=everybody[:1]))
    assert isinstance(result, Refused)
    assert "1 of 1 workers not released" in result.why
    assert service.desired == 3


@pytest.mark.anyio
@BOTH
async def test_more_protected_than_desired(ecs, seen, said):
    """Somebody lowered the size: whether renewing is refused or not, nothing is lowered; out it goes."""
    service = ecs.world.service()
    silent_on(service, renewals_blocked=said)
    everybody = [task.arn for task in service.wanted]
    await seen.apply(decision(protected=everybody))
    ecs.world.set_desired(service, 1)
    assert (await seen.capacity(list_workers=True)).desired == 1
    result = await seen.apply(decision(0, protected=everybody))
    assert isinstance(result, Refused if said else Applied)
    assert {task.arn for task in service.wanted} == set(everybody)
    assert await seen.apply(decision(4, protected=everybody)) == Applied(4)
    assert await seen.apply(decision(4, protected=everybody)) == Applied(4)


@pytest.mark.anyio
async def test_expired_credentials_hold(ecs, seen):
    """A reading that failed, a write that was refused, and nothing done; new ones heal it."""
    ecs.faults.inject("DescribeServices", Fault.EXPIRED, times=None)
    ecs.faults.inject("UpdateService", Fault.EXPIRED)
    with pytest.raises(FleetError, match="ExpiredTokenException"):
        await seen.capacity(list_workers=False)
    result = await seen.apply(decision(1))
    assert isinstance(result, Refused)
    assert "ExpiredTokenException" in result.why
    assert ecs.world.service().desired == 3
    ecs.faults.clear()
    assert (await seen.capacity(list_workers=False)).desired == 3


@pytest.mark.anyio
async def test_a_deployment_from_outside_is_seen_whole(ecs, seen, clock):
    """Its size, its rollout, who is old; and our protection keeps the busy one through it."""
    service = ecs.world.service()
    busy, *_ = service.wanted
    await seen.apply(decision(protected=[busy.arn]))
    terraform_applies(ecs.world, service, at=clock.now + 10, desired=2)
    clock.after(seconds=11)
    capacity = await seen.capacity(list_workers=True)
    assert (capacity.desired, capacity.rollout) == (2, Rollout.IN_PROGRESS)
    assert busy.arn in capacity.workers.outdated
    clock.after(minutes=10)
    capacity = await seen.capacity(list_workers=True)
    assert capacity.workers.outdated == {busy.arn}
    assert (capacity.rollout, busy.status) == (Rollout.IN_PROGRESS, Status.RUNNING)
    assert await seen.apply(decision(released=[busy.arn])) == Applied(None)
    assert (await seen.capacity(list_workers=True)).rollout is Rollout.STEADY
