"""What the ECS fleet writes, over HTTP: in which order, how often, and what each answer means."""

import pytest

from autoscaler.demo.ecs import Fault, LoopbackEcs, ServiceSpec, running_ecs
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from policies.model import Applied, Refused, Unknown
from tests.fleets.hand_clock import decision

pytestmark = pytest.mark.anyio


@pytest.fixture
async def seen(fleet) -> EcsFleet:
    """The fleet after a reading, as in every tick."""
    await fleet.capacity(list_workers=True)
    return fleet


def ids(ecs: LoopbackEcs) -> list[str]:
    return [task.arn for task in ecs.world.service().wanted]


def protected(ecs: LoopbackEcs) -> set[str]:
    service = ecs.world.service()
    return {task.arn for task in service.protected(ecs.world.clock())}


async def test_a_size_is_written_with_nothing_else(ecs, seen):
    """Cluster, service and desired count: anything more could start a deployment."""
    assert await seen.apply(decision(7)) == Applied(7)
    (call,) = ecs.writes
    assert call.request == {"cluster": "demo", "service": "workers", "desiredCount": 7}
    assert ecs.world.service().desired == 7
    assert (await seen.capacity(list_workers=False)).desired == 7


async def test_nothing_to_write_writes_nothing(ecs, seen):
    """No size, no protections: no call."""
    assert await seen.apply(decision(None)) is None
    assert ecs.writes == []


async def test_a_negative_size_is_refused_by_ourselves(ecs, seen):
    """ECS's own model would let it through."""
    assert isinstance(await seen.apply(decision(-1)), Refused)
    assert ecs.writes == []


async def test_protect_then_release_then_lower(ecs, seen, clock):
    """One decision, in the order that never leaves a busy worker bare."""
    first, second, third = ids(ecs)
    await seen.apply(decision(protected=[third]))
    assert await seen.apply(decision(2, protected=[first, second], released=[third])) == Applied(2)
    steps = [
        (call.operation, call.request.get("protectionEnabled"), call.request.get("tasks"))
        for call in ecs.writes[1:]
    ]
    assert steps == [
        ("UpdateTaskProtection", True, sorted([first, second])),
        ("UpdateTaskProtection", False, [third]),
        ("UpdateService", None, None),
    ]
    assert set(ids(ecs)) == protected(ecs) == {first, second}


async def test_a_protection_alone_is_applied_without_a_size(ecs, seen, clock):
    """Its length is the fleet's setting; set again it is renewed."""
    first, *_ = ids(ecs)
    assert await seen.apply(decision(protected=[first])) == Applied(None)
    workers = (await seen.capacity(list_workers=True)).workers
    assert list(workers.protected_until) == [clock.now + 3600, 0, 0]
    clock.after(minutes=10)
    assert await seen.apply(decision(protected=[first])) == Applied(None)
    workers = (await seen.capacity(list_workers=True)).workers
    assert workers.protected_until[0] == clock.now + 3600
    assert ecs.count("UpdateService") == 0


async def test_protections_go_ten_a_call(ecs, seen, clock):
    """25 workers: three calls, all of them protected."""
    ecs.world.set_desired(ecs.world.service(), 25)
    clock.after(minutes=5)
    ecs.world.advance()
    assert await seen.apply(decision(protected=ids(ecs))) == Applied(None)
    assert [len(call.request["tasks"]) for call in ecs.writes] == [10, 10, 5]
    assert len(protected(ecs)) == 25


async def test_applied_twice_changes_nothing(ecs, seen):
    """The same decision again leaves the same size, the same workers, the same protections."""
    first, second, _ = ids(ecs)
    for _ in range(2):
        assert await seen.apply(decision(2, protected=[first, second])) == Applied(2)
        assert (set(ids(ecs)), protected(ecs)) == ({first, second}, {first, second})


ANSWERS = [
    (Fault.THROTTLE, Refused, 3, "ThrottlingException"),
    (Fault.SERVER_ERROR, Unknown, 3, "ServerException"),
    (Fault.RESET_BEFORE, Unknown, 3, "Could not connect"),
    (Fault.RESET_AFTER, Unknown, 2, "Could not connect"),
    (Fault.APPLY_LATE, Unknown, 3, "Could not connect"),
    (Fault.HANG, Unknown, 3, "ReadTimeoutError"),
    (Fault.HANG_AFTER, Unknown, 2, "ReadTimeoutError"),
    (Fault.TRUNCATED, Unknown, 2, "no usable service"),
    (Fault.EMPTY, Unknown, 2, "no usable service"),
]


@pytest.mark.parametrize(("fault", "outcome", "size", "why"), ANSWERS, ids=[str(row[0]) for row in ANSWERS])
async def test_what_an_answer_means(ecs, seen, fault, outcome, size, why):
    """A clear no is Refused; whatever may have been done is Unknown; and it is asked exactly once."""
    ecs.faults.inject("UpdateService", fault)
    result = await seen.apply(decision(2))
    assert type(result) is outcome
    assert result.desired == 2
    assert why in result.why
    assert "\n" not in result.why
    assert ecs.count("UpdateService") == 1
    assert (await seen.capacity(list_workers=False)).desired == size


ALTERED = [
    (lambda answer: {"service": {**answer["service"], "desiredCount": 9}}, "asked for 2, the answer says 9"),
    (lambda _: {"service": {}}, "desiredCount = None"),
    (lambda _: {"service": None}, "no usable service"),
    (lambda _: [], ""),
    (lambda _: {"service": "workers"}, ""),
]


@pytest.mark.parametrize(("change", "why"), ALTERED)
async def test_a_confirmation_that_confirms_nothing(ecs, seen, change, why):
    """Another size, no size, no object: it may have been done."""
    ecs.faults.alter("UpdateService", change)
    result = await seen.apply(decision(2))
    assert isinstance(result, Unknown)
    assert why in result.why


async def test_a_service_that_is_gone_is_refused(ecs, clients, clock):
    """Missing service, missing grant: nothing was changed."""
    fleet = EcsFleet(clients, "demo", "nobody", clock=clock)
    assert await fleet.apply(decision(2)) == Refused(
        2, "UpdateService: ServiceNotFoundException: Service not found."
    )


async def test_a_missing_grant_is_named(ecs, seen):
    """And nothing was changed."""
    ecs.faults.denied.add("ecs:UpdateService")
    result = await seen.apply(decision(2))
    assert isinstance(result, Refused)
    assert result.why.endswith("; grant ecs:UpdateService")
    assert "a-secret-of-no-worth" not in repr(result)


async def test_without_credentials_nothing_was_sent(monkeypatch, ecs, clock):
    """A clear no of our own side."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with ecs_clients("us-east-1", ecs.url) as clients:
        result = await EcsFleet(clients, "demo", "workers", clock=clock).apply(decision(2))
    assert isinstance(result, Refused)
    assert ecs.writes == []


PROTECTION_FAULTS = [
    Fault.THROTTLE,
    Fault.SERVER_ERROR,
    Fault.RESET_AFTER,
    Fault.HANG,
    Fault.TRUNCATED,
    Fault.EMPTY,
]


@pytest.mark.parametrize("fault", sorted(PROTECTION_FAULTS))
async def test_no_lowering_while_a_protection_is_in_doubt(ecs, seen, fault):
    """The size is not even asked for."""
    ecs.faults.inject("UpdateTaskProtection", fault)
    result = await seen.apply(decision(1, protected=ids(ecs)[:1]))
    assert isinstance(result, Refused)
    assert result.why.startswith("not lowered: UpdateTaskProtection: ")
    assert ecs.count("UpdateService") == 0


async def test_no_release_while_a_protection_is_in_doubt(ecs, seen):
    """A failed protection leaves the others as they are."""
    first, second, _ = ids(ecs)
    await seen.apply(decision(protected=[second]))
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    await seen.apply(decision(2, protected=[first], released=[second]))
    assert protected(ecs) == {second}


async def test_out_goes_on_whatever_protections_do(ecs, seen):
    """More workers put nobody at risk."""
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    assert await seen.apply(decision(6, protected=ids(ecs)[:1])) == Applied(6)


async def test_a_size_never_read_is_not_lowered_either(ecs, fleet):
    """Without a reading any size might be lower."""
    ecs.faults.inject("UpdateTaskProtection", Fault.THROTTLE)
    assert isinstance(await fleet.apply(decision(6, protected=ids(ecs)[:1])), Refused)
    assert ecs.count("UpdateService") == 0


@pytest.mark.parametrize(
    ("fault", "outcome"), [(Fault.THROTTLE, Refused), (Fault.RESET_AFTER, Unknown), (Fault.EMPTY, Unknown)]
)
async def test_what_a_protection_alone_came_to(ecs, seen, fault, outcome):
    """Without a size to write the outcome is the protection's."""
    ecs.faults.inject("UpdateTaskProtection", fault)
    result = await seen.apply(decision(protected=ids(ecs)[:1]))
    assert type(result) is outcome
    assert result.desired is None


async def test_partly_refused_protection_is_refused(ecs, seen):
    """One of two workers is gone: the other is protected, and the size stays."""
    first, second, _ = ids(ecs)
    ecs.world.stop(ecs.world.service().wanted[1])
    ecs.world.advance()
    result = await seen.apply(decision(1, protected=[first, second]))
    assert isinstance(result, Refused)
    assert f"1 of 2 workers not protected, {second}: TASK_NOT_VALID" in result.why
    assert protected(ecs) == {first}
    assert ecs.count("UpdateService") == 0


async def test_one_refused_page_does_not_leave_the_next_bare(ecs, seen, clock):
    """All that can be protected are."""
    ecs.world.set_desired(ecs.world.service(), 15)
    clock.after(minutes=5)
    ecs.world.advance()
    everybody = ids(ecs)
    unknown = "arn:aws:ecs:us-east-1:123456789012:task/demo/0"
    result = await seen.apply(decision(protected=[unknown, *everybody]))
    assert isinstance(result, Refused)
    assert protected(ecs) == set(everybody)


async def test_a_protection_left_out_of_the_answer_is_in_doubt(ecs, seen):
    """Neither done nor refused."""
    ecs.faults.alter("UpdateTaskProtection", lambda answer: {**answer, "protectedTasks": []})
    result = await seen.apply(decision(protected=ids(ecs)[:1]))
    assert isinstance(result, Unknown)
    assert "left out of the answer" in result.why


async def test_deployment_blocked_is_refused(clock):
    """Somebody set desired below the protected: no new protection, and no lowering."""
    spec = ServiceSpec(desired=3, reaction_seconds=5)
    async with running_ecs(spec, clock=clock) as ecs, ecs_clients("us-east-1", ecs.url) as clients:
        clock.after(minutes=5)
        fleet = EcsFleet(clients, "demo", "workers", clock=clock)
        assert (await fleet.capacity(list_workers=False)).desired == 3
        first, second, third = ids(ecs)
        await fleet.apply(decision(protected=[first, second]))
        ecs.world.set_desired(ecs.world.service(), 1)
        result = await fleet.apply(decision(0, protected=[third]))
        assert isinstance(result, Refused)
        assert "DEPLOYMENT_BLOCKED" in result.why
        assert ecs.world.service().desired == 1


async def test_releasing_who_is_gone_is_done(ecs, seen):
    """A worker that has left has no protection to end."""
    gone, *_ = ids(ecs)
    ecs.world.stop(ecs.world.service().wanted[0])
    ecs.world.advance()
    unknown = "arn:aws:ecs:us-east-1:123456789012:task/demo/0"
    assert await seen.apply(decision(2, released=[gone, unknown])) == Applied(2)


async def test_a_protected_worker_never_leaves(ecs, seen):
    """Down to nothing, and the protected one stays."""
    first, *_ = ids(ecs)
    assert await seen.apply(decision(0, protected=[first])) == Applied(0)
    assert ids(ecs) == [first]
