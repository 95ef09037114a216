"""Rolling deployments as ECS is documented to do them, and what our fleet sees of them."""

import pytest

from autoscaler.demo.ecs import EcsWorld, ServiceSpec, Silence, running_ecs
from autoscaler.demo.ecs.model import RolloutState, Status
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from policies.model import Rollout

SETTLED = {"launch_seconds": 60, "launch_sigma": 0}


@pytest.fixture
def world(clock):
    return EcsWorld(clock, seed=7)


def moved(world, clock, **by):
    clock.after(**by)
    world.advance()


def begun(world, clock, *, broken=False, **spec):
    """A steady service, and then a deployment."""
    service = world.add_service(ServiceSpec(**SETTLED, **spec))
    moved(world, clock, minutes=5)
    world.begin_rollout(service, broken=broken)
    return service


def sizes(service):
    return {
        each.id.rpartition("/")[2]: service.count(*Status, deployment=each) for each in service.deployments
    }


def test_the_new_ones_run_before_the_old_ones_leave(world, clock):
    """100 % healthy, 200 % at most: four beside four, then the old four go, and it is done."""
    service = begun(world, clock, desired=4)
    assert sizes(service) == {"2": 4, "1": 4}
    moved(world, clock, seconds=59)
    assert sizes(service) == {"2": 4, "1": 4}
    assert service.primary.state is RolloutState.IN_PROGRESS
    moved(world, clock, seconds=2)
    assert sizes(service) == {"2": 4}
    assert service.primary.state is RolloutState.COMPLETED
    assert {task.deployment.revision for task in service.wanted} == {2}


def test_without_room_for_more_the_old_ones_leave_first(world, clock):
    """50 % healthy, 100 % at most: two by two."""
    service = begun(world, clock, desired=4, minimum_healthy_percent=50, maximum_percent=100)
    assert sizes(service) == {"2": 2, "1": 2}
    moved(world, clock, seconds=61)
    assert sizes(service) == {"2": 4, "1": 0}
    assert service.primary.state is RolloutState.IN_PROGRESS
    moved(world, clock, seconds=61)
    assert service.primary.state is RolloutState.COMPLETED


def test_protected_ones_hold_a_rollout_up(world, clock):
    """The old deployment stays as long as one of its tasks is protected."""
    service = begun(world, clock, desired=2)
    held = next(task for task in service.wanted if task.deployment is not service.primary)
    world.protect(service, held, clock.now + 1200)
    moved(world, clock, minutes=10)
    assert sizes(service) == {"2": 2, "1": 1}
    assert service.primary.state is RolloutState.IN_PROGRESS
    moved(world, clock, minutes=11)
    assert sizes(service) == {"2": 2}
    assert service.primary.state is RolloutState.COMPLETED


def test_a_size_set_on_the_way_counts(world, clock):
    """Out: the new deployment grows.  In: it shrinks, and the old ones leave all the same."""
    service = begun(world, clock, desired=4)
    world.set_desired(service, 6)
    assert sizes(service) == {"2": 6, "1": 4}
    world.set_desired(service, 2)
    assert sizes(service) == {"2": 2, "1": 2}
    moved(world, clock, minutes=2)
    assert sizes(service) == {"2": 2}


def test_a_broken_one_without_circuit_breaker_tries_for_ever(world, clock):
    """The old ones go on working; the new ones never run."""
    service = begun(world, clock, broken=True, desired=2)
    moved(world, clock, minutes=30)
    assert sizes(service) == {"2": 2, "1": 2}
    assert service.count(Status.RUNNING) == 2
    assert service.primary.failed_tasks > 20


def test_a_circuit_breaker_gives_up(world, clock):
    """After three failures nothing is started any more, not even for a bigger size."""
    service = begun(world, clock, broken=True, desired=2, circuit_breaker=True)
    moved(world, clock, minutes=3)
    assert service.primary.state is RolloutState.FAILED
    assert service.primary.failed_tasks == 3
    assert sizes(service) == {"2": 0, "1": 2}
    world.set_desired(service, 5)
    moved(world, clock, minutes=10)
    assert service.count(Status.RUNNING) == 2
    assert "tasks failed to start" in service.events[0].message
    world.begin_rollout(service)
    moved(world, clock, minutes=2)
    assert sizes(service) == {"3": 5}


def test_once_one_has_run_failures_do_not_count(world, clock):
    """What breaks later is no failed deployment: the new ones are started again and again."""
    service = begun(world, clock, desired=2, circuit_breaker=True)
    moved(world, clock, minutes=2)
    service.primary.broken = True
    world.set_desired(service, 12)
    moved(world, clock, minutes=10)
    assert (service.primary.failed_tasks, service.primary.state) == (0, RolloutState.COMPLETED)
    assert service.count(Status.RUNNING) == 2


@pytest.mark.parametrize("reuses", [True, False])
def test_a_circuit_breaker_rolls_back(world, clock, reuses):
    """To the deployment before: the same one, or one like it; AWS does not say which."""
    silence = Silence(rollback_reuses_deployment=reuses)
    service = begun(
        world, clock, broken=True, desired=2, circuit_breaker=True, rolls_back=True, silence=silence
    )
    moved(world, clock, minutes=10)
    assert sizes(service) == ({"1": 2} if reuses else {"3": 2})
    assert service.primary.revision == 1
    assert service.primary.state is RolloutState.COMPLETED


@pytest.mark.anyio
async def test_the_fleet_tells_old_workers_from_new_ones(ecs, fleet, clock):
    """Outdated is who an older deployment started, as long as there is one."""
    service = ecs.world.service()
    old = {task.arn for task in service.wanted}
    assert (await fleet.capacity(list_workers=True)).workers.outdated == frozenset()
    ecs.world.begin_rollout(service)
    capacity = await fleet.capacity(list_workers=True)
    assert capacity.workers.outdated == old
    assert (capacity.rollout, capacity.desired, len(capacity.workers)) == (Rollout.IN_PROGRESS, 3, 6)
    clock.after(minutes=2)
    capacity = await fleet.capacity(list_workers=True)
    assert (capacity.rollout, capacity.workers.outdated) == (Rollout.STEADY, frozenset())
    assert not old & set(capacity.workers.ids)


@pytest.mark.anyio
async def test_workers_are_listed_as_soon_as_a_rollout_shows(ecs, fleet):
    """Unasked: the old ones that work must be protected before the new ones run."""
    await fleet.capacity(list_workers=True)
    assert (await fleet.capacity(list_workers=False)).workers is None
    ecs.world.begin_rollout(ecs.world.service())
    assert len((await fleet.capacity(list_workers=False)).workers.outdated) == 3


@pytest.mark.anyio
async def test_a_worker_of_an_unknown_deployment_is_not_outdated(ecs, fleet):
    """The size was read before the deployment, the workers after it: nobody is old yet."""
    service = ecs.world.service()
    ecs.world.begin_rollout(service)
    later = ecs.world.begin_rollout(service)
    ecs.faults.alter("DescribeServices", lambda answer: _without(answer, later.id))
    workers = (await fleet.capacity(list_workers=True)).workers
    assert workers.outdated == {task.arn for task in service.wanted if task.deployment.id == "ecs-svc/1"}


def _without(answer, deployment):
    (service,) = answer["services"]
    shown = [each for each in service["deployments"] if each["id"] != deployment]
    return {**answer, "services": [{**service, "deployments": shown}]}


@pytest.mark.anyio
async def test_during_a_rollback_the_fleet_knows_who_stays(clock):
    """The workers of before are current again, and the size is that of before."""
    spec = ServiceSpec(**SETTLED, desired=2, circuit_breaker=True, rolls_back=True)
    async with running_ecs(spec, clock=clock) as ecs, ecs_clients("us-east-1", ecs.url) as clients:
        fleet = EcsFleet(clients, "demo", "workers", clock=clock)
        clock.after(minutes=5)
        ecs.world.advance()
        before = set((await fleet.capacity(list_workers=True)).workers.ids)
        ecs.world.begin_rollout(ecs.world.service(), broken=True)
        for _ in range(10):
            clock.after(seconds=30)
            capacity = await fleet.capacity(list_workers=True)
            assert before <= set(capacity.workers.ids)
            assert capacity.desired == 2
        assert (capacity.rollout, capacity.workers.outdated) == (Rollout.STEADY, frozenset())
