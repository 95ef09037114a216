"""The guard's loop against the agent's endpoint: what it asks, and what it does when it is refused."""

from dataclasses import dataclass, field
from time import time

import httpx
import pytest
import structlog

from autoscaler.guard.agent import Agent
from autoscaler.guard.keeper import Rules, Work
from autoscaler.guard.pages import STALE_SECONDS, application, unhealthy
from autoscaler.guard.run import Guard
from policies.model import Unavailable
from tests.guard.agent_server import REFUSED, THROTTLED, agent_server

pytestmark = pytest.mark.anyio

IDLE, BUSY, DOUBT = Work(0), Work(2), Unavailable("nobody sees")
RULES = Rules(idle_seconds=60, expires_minutes=60, start_anyway_seconds=120)


@dataclass
class Probe:
    work: Work | Unavailable = DOUBT

    async def look(self) -> Work | Unavailable:
        if self.work is None:
            raise RuntimeError("a defect")
        return self.work


@dataclass
class Story:
    """The clock moves by hand; the agent keeps to the real one, so stories begin now."""

    server: object
    at: float = field(default_factory=time)
    probe: Probe = field(default_factory=Probe)

    def __post_init__(self) -> None:
        self.guard = Guard(RULES, Agent(self.server.url, seconds=1), self.probe, lambda: self.at)

    async def sees(self, work, after=0.0) -> list:
        """The calls that a look makes."""
        self.at += after
        self.probe.work = work
        before = len(self.server.calls)
        await self.guard.tick()
        return [
            method if method == "GET" else document["ProtectionEnabled"]
            for method, document in self.server.calls[before:]
        ]


@pytest.fixture
def story():
    with agent_server() as server:
        yield Story(server)


async def test_the_life_of_a_worker(story):
    """Protected before it starts, while it works, and until it was idle for a spell; then anew."""
    assert unhealthy(story.guard) == "the task is not protected yet"
    assert await story.sees(DOUBT) == [True]
    assert unhealthy(story.guard) == ""
    assert await story.sees(BUSY, after=1) == []
    assert await story.sees(IDLE, after=1) == []
    assert await story.sees(IDLE, after=59) == []
    assert story.server.protected
    assert await story.sees(IDLE, after=1) == ["GET", False]
    assert not story.server.protected
    assert await story.sees(IDLE, after=100) == []
    assert await story.sees(BUSY, after=1) == [True]
    assert story.server.protected


async def test_it_is_not_healthy_while_it_is_refused_and_asks_ever_more_seldom(story):
    story.server.refuses = True
    asked = [second for second in range(100) if await story.sees(DOUBT, after=1)]
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91]
    assert unhealthy(story.guard) == "the task is not protected yet"
    await story.sees(DOUBT, after=20)
    assert unhealthy(story.guard) == ""  # an unprotected worker beats no worker
    story.server.refuses = False
    assert await story.sees(BUSY, after=10) == [True]
    assert await story.sees(BUSY, after=1) == []


async def test_a_refused_protection_is_no_protection(story):
    """A 200 with a failure in it."""
    story.server.odd.append((200, REFUSED))
    with structlog.testing.capture_logs() as lines:
        await story.sees(BUSY)
    assert (story.guard.memory.until, story.guard.memory.ready) == (0.0, False)
    assert any("DEPLOYMENT_BLOCKED" in line.get("why", "") for line in lines)
    assert await story.sees(BUSY, after=1) == [True]


async def test_a_refused_release_leaves_it_protected_and_is_tried_again(story):
    await story.sees(BUSY)
    await story.sees(IDLE, after=1)
    story.server.odd += [(400, THROTTLED)]
    assert await story.sees(IDLE, after=60) == ["GET"]
    story.server.odd += [(200, {"protection": {"ProtectionEnabled": True}})]
    assert await story.sees(IDLE, after=1) == ["GET"]
    assert story.server.protected
    assert await story.sees(IDLE, after=2) == ["GET", False]


@pytest.mark.parametrize("seen", [BUSY, DOUBT, Work(0, ended=True)], ids=["work", "doubt", "short task"])
async def test_work_that_comes_while_the_agent_answers_is_seen_before_the_release(story, seen):
    """The last look is a fresh one; and the spell begins anew."""
    await story.sees(BUSY)
    await story.sees(IDLE, after=1)

    def works() -> None:
        story.probe.work = seen

    story.server.meanwhile = works
    assert await story.sees(IDLE, after=60) == ["GET"]
    assert story.server.protected
    assert await story.sees(IDLE, after=1) == []
    assert await story.sees(IDLE, after=60) == ["GET", False]


async def test_a_protection_that_somebody_else_set_is_left_to_them(story):
    """The daemon protects whoever shall stay; the guard must not take that away under its feet."""
    await story.sees(BUSY)
    story.server.until += 1800
    await story.sees(IDLE, after=1)
    assert await story.sees(IDLE, after=60) == ["GET"]
    assert story.server.protected
    assert await story.sees(IDLE, after=100) == []
    assert await story.sees(BUSY, after=1) == [True]


async def test_a_protection_that_somebody_ended_is_set_again_with_the_next_work(story):
    await story.sees(BUSY)
    story.server.until = 0.0
    await story.sees(IDLE, after=1)
    assert await story.sees(BUSY, after=1) == [True]


async def test_a_probe_that_fails_is_a_doubt(story):
    await story.sees(IDLE)
    assert await story.sees(IDLE, after=30) == []
    assert await story.sees(None, after=29) == [True]
    assert story.guard.seen.work == Unavailable("the probe failed: RuntimeError")
    assert await story.sees(IDLE, after=31) == []


async def test_a_loop_that_stands_still_is_unhealthy(story):
    await story.sees(IDLE)
    story.at += STALE_SECONDS + 1
    assert unhealthy(story.guard) == f"the worker was last looked at {STALE_SECONDS + 1:.0f} s ago"


async def test_the_pages(story):
    transport = httpx.ASGITransport(application(story.guard))
    async with httpx.AsyncClient(transport=transport, base_url="http://guard") as client:
        assert (await client.get("/healthz")).status_code == 503
        await story.sees(BUSY)
        assert (await client.get("/healthz")).text == "ok\n"
        text = (await client.get("/metrics")).text
    assert "autoscaler_guard_tasks 2.0" in text
    assert "autoscaler_guard_protections_total 1.0" in text
    assert "autoscaler_guard_stopped_queues 0.0" in text
    await story.sees(DOUBT, after=1)
