"""The ECS agent's endpoint inside a task: its answers, the odd ones too, and our guard's client on it."""

import json

import httpx
import pytest

from autoscaler.demo.ecs import EcsWorld, ServiceSpec, Silence
from autoscaler.demo.ecs.agent import PATH, reply
from autoscaler.guard.agent import Agent, AgentError
from tests.fleets.hand_clock import HandClock

PROTECT = b'{"ProtectionEnabled": true, "ExpiresInMinutes": 5}'
RELEASE = b'{"ProtectionEnabled": false}'


@pytest.fixture
def world():
    clock = HandClock()
    world = EcsWorld(clock, seed=7)
    world.add_service(ServiceSpec(desired=2))
    clock.after(minutes=5)
    world.advance()
    return world


@pytest.fixture
def task(world):
    return world.service().wanted[0]


def test_protection_is_set_read_and_ended(world, task):
    """The date in whole seconds, as the agent writes it; protected means protected from scale-in."""
    bare = {"ProtectionEnabled": False, "TaskArn": task.arn}
    assert reply(world, task.id, "GET", b"") == (200, {"protection": bare})
    status, answer = reply(world, task.id, "PUT", PROTECT)
    assert (status, answer["protection"]["ProtectionEnabled"]) == (200, True)
    assert answer["protection"]["ExpirationDate"] == "2025-06-15T15:16:40Z"
    assert reply(world, task.id, "GET", b"") == (200, answer)
    world.set_desired(world.service(), 0)
    assert world.service().wanted == [task]
    assert reply(world, task.id, "PUT", RELEASE) == (200, {"protection": bare})
    assert world.service().wanted == []


def test_without_a_time_it_is_two_hours(world, task):
    """As through the API."""
    reply(world, task.id, "PUT", b'{"ProtectionEnabled": true}')
    assert task.protected_until == world.clock() + 7200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"ProtectionEnabled": true, "Reason": "busy"}',
        b'{"protectionEnabled": true}',
        b'{"ExpiresInMinutes": 5}',
        b'{"ProtectionEnabled": 1}',
        b'{"ProtectionEnabled": true, "ExpiresInMinutes": 0}',
        b'{"ProtectionEnabled": true, "ExpiresInMinutes": 2881}',
        b'{"ProtectionEnabled": true, "ExpiresInMinutes": true}',
        b'{"ProtectionEnabled": true, "ExpiresInMinutes": "5"}',
        b"\xff",
    ],
)
def test_what_the_agent_does_not_accept(world, task, body):
    """No JSON, unknown fields, wrong types, an impossible time: 400, and nothing is done."""
    status, answer = reply(world, task.id, "PUT", body)
    assert (status, answer["error"]["Code"]) == (400, "InvalidParameterException")
    assert task.protected_until == 0


def test_a_refusal_is_a_success_with_a_failure(world, task):
    """A task that is being stopped."""
    world.stop(task)
    status, answer = reply(world, task.id, "PUT", PROTECT)
    assert (status, answer["failure"]["Reason"]) == (200, "TASK_NOT_VALID")


def test_a_task_that_nobody_knows(world):
    """404 with an error."""
    status, answer = reply(world, "f" * 32, "GET", b"")
    assert (status, answer["error"]["Code"]) == (404, "ResourceNotFoundException")


@pytest.mark.anyio
async def test_our_own_client_inside_a_task(ecs, clock):
    """Over HTTP, with the date that the loopback's clock says."""
    task, *_ = ecs.world.service().wanted
    agent = Agent(ecs.agent_url(task))
    assert (await agent.read()).until == 0
    assert (await agent.protect(7)).until == clock.now + 420
    assert task.protected_until == clock.now + 420
    await agent.release()
    assert task.protected_until == 0


@pytest.mark.anyio
@pytest.mark.parametrize("blocked", [True, False])
async def test_our_own_client_is_told_of_a_blocked_deployment(ecs, blocked):
    """More are protected than desired: a 200 that is a refusal; renewing is refused too, or is not."""
    service = ecs.world.service()
    service.spec = ServiceSpec(reaction_seconds=5, silence=Silence(renewals_blocked=blocked))
    first, second, third = service.wanted
    for task in (first, second):
        await Agent(ecs.agent_url(task)).protect(60)
    ecs.world.set_desired(service, 1)
    with pytest.raises(AgentError, match="DEPLOYMENT_BLOCKED"):
        await Agent(ecs.agent_url(third)).protect(60)
    if blocked:
        with pytest.raises(AgentError, match="DEPLOYMENT_BLOCKED"):
            await Agent(ecs.agent_url(first)).protect(60)
    else:
        assert (await Agent(ecs.agent_url(first)).protect(90)).until > 0


@pytest.mark.anyio
async def test_over_http_other_methods_and_paths_are_none(ecs):
    """405 and 404, as for any server; a 400 keeps its document."""
    task, *_ = ecs.world.service().wanted
    url = f"{ecs.agent_url(task)}{PATH}"
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, content=PROTECT)).status_code == 405
        assert (await client.get(f"{url}/more")).status_code == 404
        answer = await client.put(url, content=json.dumps({"Protected": True}))
        assert (answer.status_code, answer.json()["error"]["Arn"]) == (400, task.arn)
