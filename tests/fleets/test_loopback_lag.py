"""Readings that lag and writes that come late: what ECS shows then, and what our fleet makes of it."""

import pytest
from botocore.exceptions import BotoCoreError

from autoscaler.demo.ecs import EcsWorld, Fault, ServiceSpec, Silence, running_ecs
from autoscaler.demo.ecs.operations import OPERATIONS
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from policies.model import Applied, Refused, Rollout, Unknown
from tests.fleets.hand_clock import HandClock, decision

LAG_SECONDS = 10
LISTED = {"cluster": "demo", "serviceName": "workers"}
SERVICES = {"cluster": "demo", "services": ["workers"]}


def lagging_world(seed: int = 1, **spec) -> tuple[EcsWorld, HandClock]:
    """Three running tasks, and readings up to ten seconds old."""
    clock = HandClock()
    world = EcsWorld(clock, seed)
    world.add_service(ServiceSpec(desired=3, **spec))
    clock.after(minutes=5)
    world.advance()
    world.lag(LAG_SECONDS)
    clock.after(minutes=1)
    world.advance()
    return world, clock


def sizes_seen(world: EcsWorld, times: int = 40) -> list[int]:
    answers = [OPERATIONS["DescribeServices"](world, SERVICES) for _ in range(times)]
    return [answer["services"][0]["desiredCount"] for answer in answers]


def test_a_change_is_seen_by_some_readings_and_not_by_others():
    """Five seconds after it both sizes are shown, in no order; after the longest lag only the new one."""
    world, clock = lagging_world()
    world.set_desired(world.service(), 8)
    assert set(sizes_seen(world)) == {3}
    clock.after(seconds=5)
    world.advance()
    seen = sizes_seen(world)
    assert set(seen) == {3, 8}
    assert seen != sorted(seen)
    clock.after(seconds=5.1)
    world.advance()
    assert set(sizes_seen(world)) == {8}


def test_the_past_repeats_with_the_seed_and_looking_changes_nothing():
    """The same seed shows the same; a reading more does not move what happens."""

    def story(seed, looks):
        world, clock = lagging_world(seed)
        world.set_desired(world.service(), 8)
        clock.after(seconds=5)
        world.advance()
        seen = sizes_seen(world, looks)
        clock.after(minutes=3)
        world.advance()
        return seen, [(task.id, task.started_at) for task in world.service().wanted]

    assert story(3, 30) == story(3, 30)
    assert story(3, 30)[0] != story(4, 30)[0]
    assert story(3, 1)[1] == story(3, 30)[1]


def test_tasks_are_listed_and_described_as_they_were():
    """A task that has left is still listed and runs; a new one is neither listed nor known."""
    world, clock = lagging_world()
    before = {task.arn for task in world.service().wanted}
    world.set_desired(world.service(), 0)
    assert set(OPERATIONS["ListTasks"](world, LISTED)["taskArns"]) == before
    tasks = OPERATIONS["DescribeTasks"](world, {"cluster": "demo", "tasks": sorted(before)})["tasks"]
    assert {task["lastStatus"] for task in tasks} == {"RUNNING"}
    world.set_desired(world.service(), 2)
    new = [task.arn for task in world.service().wanted]
    described = OPERATIONS["DescribeTasks"](world, {"cluster": "demo", "tasks": new})
    assert [each["reason"] for each in described["failures"]] == ["MISSING"] * 2
    clock.after(seconds=LAG_SECONDS + 1)
    world.advance()
    assert OPERATIONS["ListTasks"](world, LISTED)["taskArns"] == new


@pytest.mark.parametrize("lags", [True, False])
def test_protections_lag_or_not(lags):
    """AWS does not say, so both can be had."""
    world, clock = lagging_world(silence=Silence(protection_reads_lag=lags))
    task = world.service().wanted[0]
    request = {"cluster": "demo", "tasks": [task.arn], "protectionEnabled": True}
    OPERATIONS["UpdateTaskProtection"](world, request)
    asked = {"cluster": "demo", "tasks": [task.arn]}
    (seen,) = OPERATIONS["GetTaskProtection"](world, asked)["protectedTasks"]
    assert seen["protectionEnabled"] is not lags
    clock.after(seconds=LAG_SECONDS + 1)
    world.advance()
    (seen,) = OPERATIONS["GetTaskProtection"](world, asked)["protectedTasks"]
    assert seen["protectionEnabled"] is True


def test_without_lag_nothing_is_kept():
    """The past costs nothing where nobody looks at it."""
    world, _ = lagging_world()
    world.lag(0)
    world.set_desired(world.service(), 8)
    assert set(sizes_seen(world)) == {8}


@pytest.fixture
async def seen(fleet) -> EcsFleet:
    await fleet.capacity(list_workers=True)
    return fleet


@pytest.mark.anyio
async def test_an_old_reading_is_no_licence_to_shrink(ecs, seen, clock):
    """We wrote 8, a lagging reading says 3, and a protection fails: 5 would lower, so it is not written."""
    assert await seen.apply(decision(8)) == Applied(8)
    ecs.faults.alter("DescribeServices", lambda answer: _sized(answer, 3))
    assert (await seen.capacity(list_workers=True)).desired == 3
    ecs.faults.clear()
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    worker = ecs.world.service().wanted[0].arn
    result = await seen.apply(decision(5, protected=[worker]))
    assert isinstance(result, Refused)
    assert result.why.startswith("not lowered: UpdateTaskProtection: ThrottlingException")
    assert ecs.world.service().desired == 8
    clock.after(minutes=2)
    assert (await seen.capacity(list_workers=True)).desired == 8
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    assert await seen.apply(decision(8, protected=[worker])) == Applied(8)


def _sized(answer, desired):
    (service,) = answer["services"]
    return {**answer, "services": [{**service, "desiredCount": desired}]}


@pytest.mark.anyio
async def test_nor_is_a_reading_before_a_late_write(ecs, seen, clock):
    """9 was given up and is on its way; the reading says 3; with a failed protection 6 might lower 9."""
    ecs.faults.inject("UpdateService", Fault.APPLY_LATE)
    assert isinstance(await seen.apply(decision(9)), Unknown)
    assert (await seen.capacity(list_workers=True)).desired == 3
    clock.after(seconds=ecs.faults.late_seconds + 1)
    ecs.world.advance()
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    worker = ecs.world.service().wanted[0].arn
    assert isinstance(await seen.apply(decision(6, protected=[worker])), Refused)
    assert ecs.world.service().desired == 9


@pytest.mark.anyio
async def test_old_sizes_are_forgotten_in_the_end(ecs, seen, clock):
    """A minute later only what is read counts."""
    assert await seen.apply(decision(9)) == Applied(9)
    ecs.world.set_desired(ecs.world.service(), 4)
    clock.after(minutes=2)
    assert (await seen.capacity(list_workers=True)).desired == 4
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    worker = ecs.world.service().wanted[0].arn
    assert await seen.apply(decision(6, protected=[worker])) == Applied(6)


@pytest.mark.anyio
async def test_a_whole_listing_out_of_the_past_is_whole(ecs, fleet, clock):
    """Readings of different ages: every worker has its columns, nobody is invented, none raises."""
    ecs.world.lag(LAG_SECONDS)
    ever = set()
    for step in range(40):
        ecs.world.set_desired(ecs.world.service(), 3 + step % 4)
        clock.after(seconds=3)
        ecs.world.advance()
        ever |= {task.arn for task in ecs.world.service().tasks.values()}
        workers = (await fleet.capacity(list_workers=True)).workers
        assert set(workers.ids) <= ever
        assert all(len(column) == len(workers) for column in workers.columns())
        assert not workers.outdated


@pytest.mark.anyio
async def test_nobody_is_taken_for_old_while_deployments_lag(ecs, fleet, clock):
    """Readings from before, in and after a rollout: a worker of the newest deployment is never outdated."""
    ecs.world.lag(LAG_SECONDS)
    service = ecs.world.service()
    ecs.world.begin_rollout(service)
    rollouts = set()
    for _ in range(40):
        clock.after(seconds=3)
        capacity = await fleet.capacity(list_workers=True)
        rollouts.add(capacity.rollout)
        newest = {task.arn for task in service.wanted if task.deployment is service.primary}
        assert not capacity.workers.outdated & newest
    assert rollouts == {Rollout.IN_PROGRESS, Rollout.STEADY}


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [Fault.APPLY_LATE, Fault.ANSWERED_LATE])
async def test_a_late_protection_is_not_there_until_it_is_read(ecs, seen, clock, fault):
    """Given up or even confirmed: only the next listing says who is protected."""
    worker, *_ = (task.arn for task in ecs.world.service().wanted)
    ecs.faults.inject("UpdateTaskProtection", fault)
    result = await seen.apply(decision(protected=[worker]))
    assert isinstance(result, Unknown if fault is Fault.APPLY_LATE else Applied)
    assert list((await seen.capacity(list_workers=True)).workers.protected_until) == [0, 0, 0]
    clock.after(seconds=ecs.faults.late_seconds + 1)
    assert (await seen.capacity(list_workers=True)).workers.protected_until[0] > clock.now


@pytest.mark.anyio
async def test_a_size_confirmed_too_early(ecs, seen, clock):
    """ECS says 5 and shows 3 for two seconds more: the reading is told as it is."""
    ecs.faults.inject("UpdateService", Fault.ANSWERED_LATE)
    assert await seen.apply(decision(5)) == Applied(5)
    assert (await seen.capacity(list_workers=False)).desired == 3
    clock.after(seconds=ecs.faults.late_seconds + 1)
    assert (await seen.capacity(list_workers=False)).desired == 5


@pytest.mark.anyio
async def test_a_late_write_overtakes_what_was_written_after_it(ecs, clients, clock):
    """The last to arrive wins, as without compare-and-swap it must; one for a service gone is lost."""
    ecs.faults.late_seconds = 20
    ecs.faults.inject("UpdateService", Fault.APPLY_LATE, times=2)
    for desired in (1, 2):
        with pytest.raises(BotoCoreError):
            await clients.writer.update_service(cluster="demo", service="workers", desiredCount=desired)
    await clients.writer.update_service(cluster="demo", service="workers", desiredCount=6)
    clock.after(seconds=21)
    ecs.world.advance()
    assert ecs.world.service().desired == 2


@pytest.mark.anyio
async def test_a_late_write_to_what_is_gone_is_lost(clock):
    """Nobody is left to be told."""
    async with running_ecs(ServiceSpec(desired=1), clock=clock) as ecs:
        async with ecs_clients("us-east-1", ecs.url) as clients:
            ecs.faults.inject("UpdateService", Fault.APPLY_LATE)
            with pytest.raises(BotoCoreError):
                await clients.writer.update_service(cluster="demo", service="workers", desiredCount=4)
        del ecs.world.services["demo", "workers"]
        clock.after(seconds=5)
        ecs.world.advance()
        assert not ecs.world.services
