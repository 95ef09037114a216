"""The loopback ECS over HTTP, asked by a real client: formats, pages, limits, refusals, faults."""

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from autoscaler.demo.ecs import Fault, ServiceSpec, running_ecs, wire
from autoscaler.fleets.ecs import ecs_clients

pytestmark = pytest.mark.anyio
SERVICE = {"cluster": "demo", "service": "workers"}


async def code_of(call) -> str:
    with pytest.raises(ClientError) as caught:
        await call
    return caught.value.response["Error"]["Code"]


async def test_names_and_arns_are_the_same(ecs, clients):
    """Cluster, service and tasks by name or by ARN."""
    by_name = await clients.reader.describe_services(cluster="demo", services=["workers"])
    document = by_name["services"][0]
    by_arn = await clients.reader.describe_services(
        cluster=document["clusterArn"], services=[document["serviceArn"]]
    )
    assert by_arn["services"] == by_name["services"]
    assert (document["desiredCount"], document["runningCount"], document["pendingCount"]) == (3, 3, 0)


async def test_tasks_are_listed_in_pages(ecs, clients, clock):
    """250 tasks come in pages of at most 100, each once."""
    ecs.world.set_desired(ecs.world.service(), 250)
    clock.after(minutes=1)
    seen, token, pages = [], {}, 0
    while pages == 0 or token:
        page = await clients.reader.list_tasks(cluster="demo", serviceName="workers", **token)
        seen += page["taskArns"]
        token = {"nextToken": page["nextToken"]} if "nextToken" in page else {}
        pages += 1
    assert (pages, len(seen), len(set(seen))) == (3, 250, 250)


async def test_a_missing_service_is_a_success_with_a_failure(ecs, clients):
    """HTTP 200, no services, reason MISSING; a missing cluster is an error."""
    answer = await clients.reader.describe_services(cluster="demo", services=["nobody"])
    assert answer["services"] == []
    assert answer["failures"][0]["reason"] == "MISSING"
    call = clients.reader.describe_services(cluster="nowhere", services=["workers"])
    assert await code_of(call) == "ClusterNotFoundException"


async def test_what_the_model_lets_through_is_refused(ecs, clients):
    """A negative size, too many ids, an expiry out of range, another field of the service."""
    ids = [f"{number:032x}" for number in range(101)]
    for call in (
        clients.writer.update_service(**SERVICE, desiredCount=-1),
        clients.writer.update_service(**SERVICE, desiredCount=1, forceNewDeployment=True),
        clients.reader.describe_tasks(cluster="demo", tasks=ids),
        clients.reader.get_task_protection(cluster="demo", tasks=ids),
        clients.writer.update_task_protection(cluster="demo", tasks=ids[:11], protectionEnabled=True),
        clients.writer.update_task_protection(
            cluster="demo", tasks=ids[:1], protectionEnabled=True, expiresInMinutes=2881
        ),
    ):
        assert await code_of(call) == "InvalidParameterException"
    assert ecs.world.service().desired == 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b'{"service": "workers", "desiredCount": "3"}', "InvalidParameterException"),
        (b'{"service": "workers", "desired": 3}', "InvalidParameterException"),
        (b"{}", "InvalidParameterException"),
    ],
)
def test_requests_are_checked_against_the_model(body, code):
    """No JSON, a wrong type, an unknown field, a missing one."""
    with pytest.raises(wire.ApiError, match=code):
        wire.decoded("AmazonEC2ContainerServiceV20141113.UpdateService", body)


def test_answers_are_checked_against_the_model():
    """An answer that ECS could not give is our own mistake."""
    with pytest.raises(AssertionError, match="desiredCount"):
        wire.encoded("AmazonEC2ContainerServiceV20141113.UpdateService", {"service": {"desiredCount": "3"}})


async def test_protection_with_partial_success(ecs, clients, clock):
    """One protected, one unknown, one gone: 200 with two failures."""
    first, second, _ = ecs.world.service().wanted
    ecs.world.stop(second)
    ecs.world.advance()
    answer = await clients.writer.update_task_protection(
        cluster="demo", tasks=[first.arn, second.arn, "f" * 32], protectionEnabled=True, expiresInMinutes=5
    )
    assert [each["taskArn"] for each in answer["protectedTasks"]] == [first.arn]
    assert sorted(each["reason"] for each in answer["failures"]) == ["MISSING", "TASK_NOT_VALID"]
    read = await clients.reader.get_task_protection(cluster="demo", tasks=[first.arn])
    assert read["protectedTasks"][0]["expirationDate"].timestamp() == clock.now + 300
    clock.after(seconds=301)
    read = await clients.reader.get_task_protection(cluster="demo", tasks=[first.arn])
    assert read["protectedTasks"] == [{"taskArn": first.arn, "protectionEnabled": False}]


async def test_a_new_task_is_missing_for_a_moment(clock):
    """Listed, but not described yet."""
    spec = ServiceSpec(desired=1, visible_after_seconds=1.0)
    async with running_ecs(spec, clock=clock) as ecs, ecs_clients("us-east-1", ecs.url) as clients:
        listed = await clients.reader.list_tasks(cluster="demo", serviceName="workers")
        described = await clients.reader.describe_tasks(cluster="demo", tasks=listed["taskArns"])
        assert described["failures"][0]["reason"] == "MISSING"
        clock.after(seconds=1)
        described = await clients.reader.describe_tasks(cluster="demo", tasks=listed["taskArns"])
        assert described["tasks"][0]["attachments"][0]["details"][1]["value"].startswith("ip-10-")


async def test_too_many_writes_are_throttled(ecs, clients, clock):
    """50 at once, then five a second."""
    for _ in range(50):
        await clients.writer.update_service(**SERVICE, desiredCount=3)
    call = clients.writer.update_service(**SERVICE, desiredCount=3)
    assert await code_of(call) == "ThrottlingException"
    clock.after(seconds=0.2)
    await clients.writer.update_service(**SERVICE, desiredCount=3)


async def test_a_denied_action_says_so(ecs, clients):
    """AccessDeniedException naming the action, and nothing is done."""
    ecs.faults.denied.add("ecs:UpdateService")
    call = clients.writer.update_service(**SERVICE, desiredCount=1)
    assert await code_of(call) == "AccessDeniedException"
    assert ecs.world.service().desired == 3


@pytest.mark.parametrize(
    ("fault", "applied", "outcome"),
    [
        (Fault.THROTTLE, False, ClientError),
        (Fault.SERVER_ERROR, False, ClientError),
        (Fault.RESET_BEFORE, False, BotoCoreError),
        (Fault.RESET_AFTER, True, BotoCoreError),
        (Fault.HANG, False, BotoCoreError),
        (Fault.HANG_AFTER, True, BotoCoreError),
        (Fault.TRUNCATED, True, None),
        (Fault.EMPTY, True, None),
    ],
)
async def test_faults(ecs, clients, fault, applied, outcome):
    """Each fault fails the way it is named, once, and did or did not do the work."""
    ecs.faults.inject("UpdateService", fault)
    call = clients.writer.update_service(**SERVICE, desiredCount=5)
    if outcome is None:
        assert "service" not in await call
    else:
        with pytest.raises(outcome):
            await call
    assert (ecs.world.service().desired == 5) is applied
    await clients.writer.update_service(**SERVICE, desiredCount=4)
    assert ecs.count("UpdateService") == 2
    assert ecs.world.service().desired == 4


async def test_a_late_write_comes_late(ecs, clients, clock):
    """The connection is reset, and the write is done two seconds later all the same."""
    ecs.faults.inject("UpdateService", Fault.APPLY_LATE)
    with pytest.raises(BotoCoreError):
        await clients.writer.update_service(**SERVICE, desiredCount=5)
    assert ecs.world.service().desired == 3
    clock.after(seconds=2.1)
    ecs.world.advance()
    assert ecs.world.service().desired == 5


async def test_created_stopped_and_counted(ecs, clients):
    """CreateService and StopTask, and every call on record with its outcome."""
    await clients.writer.create_service(cluster="demo", serviceName="more", desiredCount=2)
    listed = await clients.reader.list_tasks(cluster="demo", serviceName="more")
    await clients.writer.stop_task(cluster="demo", task=listed["taskArns"][0])
    again = await clients.reader.list_tasks(cluster="demo", serviceName="more")
    assert len(again["taskArns"]) == 2
    assert set(again["taskArns"]) != set(listed["taskArns"])
    assert [call.operation for call in ecs.writes] == ["CreateService", "StopTask"]
    assert all(call.outcome == "ok" for call in ecs.calls)
    twice = clients.writer.create_service(cluster="demo", serviceName="more")
    assert await code_of(twice) == "InvalidParameterException"
    assert (
        await code_of(clients.writer.stop_task(cluster="demo", task="f" * 32)) == "InvalidParameterException"
    )
    assert await code_of(clients.writer.delete_service(**SERVICE)) == "UnknownOperationException"


async def test_other_ways_to_ask(ecs, clients):
    """Tasks of the whole cluster, those that stopped, and what is refused."""
    reader = clients.reader
    assert len((await reader.list_tasks(cluster="demo"))["taskArns"]) == 3
    assert (await reader.list_tasks(cluster="demo", desiredStatus="STOPPED"))["taskArns"] == []
    assert len((await reader.get_task_protection(cluster="demo"))["protectedTasks"]) == 3
    definition = await reader.describe_task_definition(taskDefinition="workers:1")
    assert definition["taskDefinition"]["family"] == "workers"
    assert await code_of(reader.describe_task_definition(taskDefinition="other")) == "ClientException"
    for wrong in ({"maxResults": 101}, {"nextToken": "x"}):
        assert await code_of(reader.list_tasks(cluster="demo", **wrong)) == "InvalidParameterException"
    missing = reader.list_tasks(cluster="demo", serviceName="nobody")
    assert await code_of(missing) == "ServiceNotFoundException"


async def test_a_service_that_is_not_active_is_not_changed(clock):
    """ServiceNotActiveException."""
    spec = ServiceSpec(status="INACTIVE")
    async with running_ecs(spec, clock=clock) as ecs, ecs_clients("us-east-1", ecs.url) as clients:
        call = clients.writer.update_service(**SERVICE, desiredCount=1)
        assert await code_of(call) == "ServiceNotActiveException"


@pytest.mark.parametrize("target", ["Nobody.DescribeServices", "AnyScaleFrontendService.Describe"])
def test_targets_that_do_not_exist(target):
    """Another service, another operation."""
    with pytest.raises(wire.ApiError, match="UnknownOperationException"):
        wire.iam_action(target)
