"""The loopback ECS behaves as ECS is documented to: stories on a clock moved by hand."""

from collections import Counter

import pytest

from autoscaler.demo.ecs import ServiceSpec, Silence
from autoscaler.demo.ecs.model import Status
from autoscaler.demo.ecs.world import EcsWorld


@pytest.fixture
def world(clock):
    return EcsWorld(clock, seed=7)


def running(service):
    return service.count(Status.RUNNING)


def moved(world, clock, **by):
    clock.after(**by)
    world.advance()


def test_tasks_take_their_launch_delay(world, clock):
    """Provisioning, pending, and running after the delay: not a second before."""
    service = world.add_service(ServiceSpec(desired=2, launch_seconds=60, launch_sigma=0))
    assert [task.status for task in service.wanted] == [Status.PROVISIONING] * 2
    moved(world, clock, seconds=12)
    assert [task.status for task in service.wanted] == [Status.PENDING] * 2
    moved(world, clock, seconds=47.9)
    assert running(service) == 0
    moved(world, clock, seconds=0.2)
    assert running(service) == 2
    assert all(task.started_at - task.created_at == pytest.approx(60) for task in service.wanted)


def test_launch_delays_spread_and_repeat(clock):
    """The same seed gives the same delays, and they are not all the same."""

    def delays(seed):
        world = EcsWorld(clock, seed)
        service = world.add_service(ServiceSpec(desired=20))
        moved(world, clock, minutes=10)
        return [task.started_at - task.created_at for task in service.wanted]

    assert delays(3) == pytest.approx(delays(3))
    assert delays(3) != pytest.approx(delays(4))
    assert len({round(delay, 3) for delay in delays(3)}) == 20


def test_never_a_protected_task_and_the_rest_waits_for_expiry(world, clock):
    """Scale-in takes all that are bare, and the protected ones only when protection has ended."""
    service = world.add_service(ServiceSpec(desired=6))
    moved(world, clock, minutes=5)
    held = service.wanted[:2]
    for task in held:
        assert world.protect(service, task, clock.now + 600) == ""
    world.set_desired(service, 1)
    assert service.wanted == held
    moved(world, clock, seconds=599)
    assert service.wanted == held
    moved(world, clock, seconds=100)
    assert len(service.wanted) == 1
    (left,) = set(held) - set(service.wanted)
    assert left.stopping_at == left.protected_until


def test_no_new_protection_while_desired_is_below_the_protected(world, clock):
    """DEPLOYMENT_BLOCKED for a bare task; renewing and ending go on."""
    service = world.add_service(ServiceSpec(desired=3))
    moved(world, clock, minutes=5)
    first, second, third = service.wanted
    for task in (first, second, third):
        world.protect(service, task, clock.now + 600)
    world.set_desired(service, 1)
    assert world.protect(service, first, clock.now + 1200) == ""
    assert world.protect(service, third, 0) == ""
    assert third.wanted  # a release alone stops nobody: only the next look at the service does
    assert world.protect(service, third, clock.now + 600) == "DEPLOYMENT_BLOCKED"
    world.advance()
    assert service.wanted == [first, second]
    assert world.protect(service, third, clock.now + 600) == "TASK_NOT_VALID"


def test_victims_keep_the_zones_balanced(world, clock):
    """Nine tasks over three zones; six leave; one or two are left in each."""
    service = world.add_service(ServiceSpec(desired=9))
    moved(world, clock, minutes=5)
    assert set(Counter(task.zone for task in service.wanted).values()) == {3}
    world.set_desired(service, 3)
    assert set(Counter(task.zone for task in service.wanted).values()) == {1}


@pytest.mark.parametrize("pending_first", [True, False])
def test_pending_tasks_go_first_or_not(clock, pending_first):
    """AWS does not say which, so both can be had."""
    world = EcsWorld(clock, seed=5)
    silence = Silence(pending_leave_first=pending_first)
    spec = ServiceSpec(desired=10, silence=silence, zones=("a",))
    service = world.add_service(spec)
    moved(world, clock, minutes=5)
    world.set_desired(service, 20)
    world.set_desired(service, 10)
    assert (running(service) == 10) is pending_first


def test_a_task_that_ends_or_is_stopped_is_replaced(world, clock):
    """Neither an exit nor StopTask is scale-in."""
    service = world.add_service(ServiceSpec(desired=2))
    moved(world, clock, minutes=5)
    first, second = service.wanted
    first.process.kill()
    world.stop(second)
    moved(world, clock, seconds=1)
    assert len(service.wanted) == 2
    assert not {first, second} & set(service.wanted)
    assert (first.stop_code, first.exit_code) == ("EssentialContainerExited", 137)
    assert second.stop_code == "UserInitiated"


def test_stopping_goes_through_deactivation(world, clock):
    """DEACTIVATING for its time, then SIGTERM, then STOPPED."""
    service = world.add_service(ServiceSpec(desired=1, deactivating_seconds=5))
    moved(world, clock, minutes=5)
    task = service.wanted[0]
    world.set_desired(service, 0)
    assert task.status is Status.DEACTIVATING
    moved(world, clock, seconds=5.1)
    assert task.status is Status.STOPPED
    assert task.stop_code == "ServiceSchedulerInitiated"


def test_services_that_wait_for_launches_wait_together(world, clock):
    """Ten services short of tasks look again once a launch, not once each: that would double for ever."""
    services = [world.add_service(ServiceSpec(name=f"service-{n}", desired=20)) for n in range(10)]
    moved(world, clock, seconds=6)
    assert sum(len(service.wanted) for service in services) == 200


def test_launches_are_rate_limited(world, clock):
    """100 at once, then 20 a second."""
    service = world.add_service(ServiceSpec(desired=200))
    assert len(service.wanted) == 100
    moved(world, clock, seconds=2)
    assert len(service.wanted) == 140
    moved(world, clock, seconds=4)
    assert len(service.wanted) == 200


def test_tasks_that_never_start_stay_pending(world, clock):
    """All or some of them, as asked."""
    service = world.add_service(ServiceSpec(desired=5, never_starts_share=1.0))
    moved(world, clock, minutes=60)
    assert running(service) == 0
    assert service.count(Status.PENDING) == 5


def test_every_task_has_an_address_of_its_own(world):
    """100 tasks, 100 addresses and host names."""
    service = world.add_service(ServiceSpec(desired=100))
    assert len({task.address for task in service.wanted}) == 100
    assert service.wanted[0].host_name == "ip-10-0-0-1.ec2.internal"


def test_who_leaves_is_chosen_after_the_reaction_time(world, clock):
    """ECS does not stop tasks in the instant of the call."""
    service = world.add_service(ServiceSpec(desired=3, reaction_seconds=5))
    moved(world, clock, minutes=5)
    world.set_desired(service, 1)
    lowered_at = clock.now
    moved(world, clock, seconds=4)
    assert len(service.wanted) == 3
    moved(world, clock, seconds=60)
    assert len(service.wanted) == 1
    assert {task.stopping_at for task in service.tasks.values()} == {None, lowered_at + 5}


def test_a_task_told_to_stop_before_it_started_never_starts(world, clock):
    """Neither in PROVISIONING nor in PENDING; told twice it stops once."""
    service = world.add_service(ServiceSpec(desired=2, launch_seconds=60, launch_sigma=0))
    first, second = service.wanted
    moved(world, clock, seconds=1)
    world.stop(first)
    world.stop(first, reason="again")
    moved(world, clock, seconds=30)
    world.stop(second)
    moved(world, clock, minutes=10)
    for task in (first, second):
        assert (task.status, task.started_at) == (Status.STOPPED, None)
    assert first.stopped_reason == "Task stopped by user"


def test_stopped_tasks_are_forgotten_in_the_end(world, clock):
    """The last two hundred are kept; ECS keeps them for an hour."""
    service = world.add_service(ServiceSpec(desired=0, launch_seconds=1))
    for _ in range(3):
        world.set_desired(service, 100)
        moved(world, clock, minutes=1)
        world.set_desired(service, 0)
        moved(world, clock, minutes=1)
    assert len(service.tasks) == 200


def test_a_closed_world_stands_still(world, clock):
    """No task is started, stopped or replaced any more."""
    service = world.add_service(ServiceSpec(desired=2))
    moved(world, clock, minutes=5)
    world.close()
    world.set_desired(service, 5)
    moved(world, clock, minutes=5)
    assert len(service.tasks) == 2
