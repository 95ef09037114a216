"""The agent's endpoint: only a protection that says what was asked for is a success."""

from time import time

import pytest

from autoscaler.guard.agent import MOST_BYTES, Agent, AgentError
from autoscaler.guard.keeper import Protection
from tests.guard.agent_server import DENIED, REFUSED, THROTTLED, agent_server

pytestmark = pytest.mark.anyio

ENABLED = {"ProtectionEnabled": True, "ExpirationDate": "2026-11-20T12:00:00Z"}


@pytest.fixture
def server():
    with agent_server() as server:
        yield server


@pytest.fixture
def agent(server) -> Agent:
    return Agent(server.url)


async def test_a_task_is_protected_read_and_released(agent, server):
    """The real endpoint refuses unknown fields, and so does the double."""
    before = time()
    found = await agent.protect(60)
    assert before + 3598 <= found.until <= time() + 3600
    assert abs((await agent.read()).until - found.until) <= 1
    await agent.release()
    assert await agent.read() == Protection(0.0)
    assert server.calls == [
        ("PUT", {"ProtectionEnabled": True, "ExpiresInMinutes": 60}),
        ("GET", {}),
        ("PUT", {"ProtectionEnabled": False}),
        ("GET", {}),
    ]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, REFUSED, r"DEPLOYMENT_BLOCKED \(Task is being drained.\)$"),
        (200, {**REFUSED, "protection": ENABLED}, "DEPLOYMENT_BLOCKED"),
        (400, DENIED, r"AccessDeniedException .*; give the task role ecs:GetTaskProtection and ecs:Update"),
        (400, THROTTLED, r"ThrottlingException \(Rate exceeded\)"),
        (500, {"error": None}, "refused without a reason"),
        (200, {"failure": {"Reason": "\x1b[2J" + "x" * 1000}}, r" \?\[2Jx{290,296}\.\.\.$"),
        (200, {}, "HTTP 200 without a protection"),
        (200, {"protection": {}}, "nobody can tell until when"),
        (200, {"protection": {"ProtectionEnabled": True}}, "nobody can tell until when"),
        (200, {"protection": {**ENABLED, "ExpirationDate": "soon"}}, "nobody can tell until when"),
        (200, {"protection": {**ENABLED, "ProtectionEnabled": "yes"}}, "nobody can tell until when"),
        (200, {"protection": {"ProtectionEnabled": False}}, "not protected, though nothing was refused"),
        (500, {"protection": ENABLED}, "HTTP 500 without a protection"),
        (200, b'{"protection": {"Protec', "no JSON object"),
        (200, b"", "no JSON object"),
        (200, b"[" * 50_000, "no JSON object"),
        (200, b" " * (MOST_BYTES + 1), "no JSON object"),
        (404, b"404 page not found", "HTTP 404 with an answer that is no JSON object"),
    ],
)
async def test_whatever_else_is_answered_is_no_protection(agent, server, status, answer, said):
    server.odd.append((status, answer))
    with pytest.raises(AgentError, match=said) as raised:
        await agent.protect(60)
    assert str(raised.value).isprintable()
    assert server.url in str(raised.value)


async def test_a_release_that_leaves_the_task_protected_is_none(agent, server):
    server.odd.append((200, {"protection": ENABLED}))
    with pytest.raises(AgentError, match="still protected"):
        await agent.release()


async def test_a_date_without_a_zone_is_utc(agent, server):
    server.odd.append((200, {"protection": {**ENABLED, "ExpirationDate": "2026-11-20T12:00:00"}}))
    server.odd.append((200, {"protection": ENABLED}))
    assert await agent.read() == await agent.read()


async def test_an_agent_that_is_silent_is_an_error_within_its_time(server):
    server.silence.clear()
    with pytest.raises(AgentError, match=r"no answer .*; it needs Fargate 1.4.0"):
        await Agent(server.url, seconds=0.2).protect(60)


async def test_an_agent_that_is_not_there_is_an_error():
    with agent_server() as gone:
        pass
    with pytest.raises(AgentError, match="no answer"):
        await Agent(gone.url).read()
