"""A stop that nobody renews ends at the worker itself: a real worker, a real Redis, the agent's endpoint."""

import json
from time import time
from types import SimpleNamespace

import anyio
import pytest

from autoscaler.core.agreement import WorkerIntake
from autoscaler.guard.agent import Agent
from autoscaler.guard.intake import leased_intake
from autoscaler.guard.keeper import Rules, Work
from autoscaler.guard.overhear import MOST_BYTES, SILENT_SECONDS, Command, Heard, understood
from autoscaler.guard.run import Guard
from autoscaler.intake.broker import broker_of
from autoscaler.intake.celery import CeleryIntake
from autoscaler.intake.remote import Remote
from autoscaler.settings.intake import Celery
from tests.guard.agent_server import agent_server
from tests.intake.celery_workers import celery_workers, listed

pytestmark = pytest.mark.anyio

WORKERS = listed(("one.internal", "10.0.0.1"))
(ONE,) = WORKERS.ids
IDLE, STOPPED = WorkerIntake(0, 0, frozenset({"default"})), WorkerIntake(0, 0, frozenset())
LEASE_SECONDS = 600.0


@pytest.fixture(scope="module")
def worker(broker, tmp_path_factory):
    with celery_workers(broker.url, ("one.internal",), tmp_path_factory.mktemp("worker")) as (worker,):
        yield worker


class Idle:
    async def look(self) -> Work:
        return Work(0)


class Scene:
    """A worker, its guard, and a daemon that stops the worker's intake."""

    def __init__(self, url: str, agent: object) -> None:
        self.daemon = CeleryIntake(Remote(broker_of(url)), time, queues=frozenset({"default"}))
        self.agent, self.ahead_seconds = agent, 0.0
        celery, hosts = Celery(broker_url=url), ("10.0.0.1", "one.internal")
        self.leased = leased_intake(celery, hosts, queues=("default",), lease_seconds=LEASE_SECONDS)
        rules = Rules(idle_seconds=0.1)
        self.guard = Guard(rules, Agent(agent.url), Idle(), self.clock, 0.05, self.leased)

    def clock(self) -> float:
        """The guard's: the real one, which a test may put forward."""
        return time() + self.ahead_seconds

    async def stop(self) -> None:
        """The daemon stops the worker's intake, or renews the stop; the guard has heard it."""
        before = self.leased.leases.said_at.get("default", 0.0)
        assert (await self.daemon.apply(frozenset({ONE}), WORKERS)).confirmed == {ONE}
        await self.until(lambda: self.leased.leases.said_at.get("default", 0.0) > before)
        await self.worker_says(STOPPED)

    async def looks_twice(self) -> None:
        """The guard has looked twice since."""
        for _ in range(2):
            before = self.guard.seen.looked_at
            await self.until(lambda before=before: self.guard.seen.looked_at > before)

    async def worker_says(self, wanted: WorkerIntake) -> None:
        last = None
        with anyio.move_on_after(20):
            while last != wanted:
                last = (await self.daemon.look(WORKERS)).workers.get(ONE)
        assert last == wanted

    async def until(self, condition) -> None:
        with anyio.fail_after(20):
            while not condition():  # noqa: ASYNC110 - the guard sets no event
                await anyio.sleep(0.02)


@pytest.fixture
async def scene(broker, worker):
    """The worker is idle and consumes; its guard has protected it, let it go, and listens."""
    with agent_server() as agent:
        scene = Scene(broker.url, agent)
        await scene.daemon.look(WORKERS)
        await scene.daemon.apply(frozenset(), WORKERS)
        await scene.worker_says(IDLE)
        async with anyio.create_task_group() as group:
            group.start_soon(scene.guard.run)
            await scene.until(lambda: scene.guard.seen.releases and not scene.leased._to_find)
            await scene.until(lambda: not scene.leased.leases.said_at)
            yield scene
            group.cancel_scope.cancel()
        await scene.daemon.aclose()


async def test_a_stop_that_nobody_renews_ends_and_the_task_is_protected_first(scene):
    """The daemon died: the worker takes tasks again, and whoever counted on its stop cannot remove it."""
    agent, guard = scene.agent, scene.guard
    protections = guard.seen.protections
    await scene.stop()
    agent.refuses = True
    scene.ahead_seconds += LEASE_SECONDS
    await scene.until(lambda: guard.seen.agent_failures)
    await scene.looks_twice()
    await scene.worker_says(STOPPED)  # the lease is over, but the task is not protected
    agent.refuses = False
    scene.ahead_seconds += 30
    await scene.worker_says(IDLE)
    await scene.until(lambda: not scene.leased.leases.said_at)
    assert (guard.seen.resumptions, guard.seen.protections - protections) == (1, 1)


async def test_a_stop_that_is_renewed_stays(scene):
    """By nothing but the daemon saying it again; and a resumption of the daemon's ends the lease too."""
    for _ in range(3):
        await scene.stop()
        scene.ahead_seconds += 0.9 * LEASE_SECONDS
        await scene.looks_twice()
        await scene.worker_says(STOPPED)
    assert (await scene.daemon.apply(frozenset(), WORKERS)).confirmed == {ONE}
    await scene.until(lambda: not scene.leased.leases.said_at)
    await scene.worker_says(IDLE)
    assert scene.guard.seen.resumptions == 0


async def test_a_guard_that_had_lost_the_broker_gives_the_stop_a_whole_lease(scene):
    """A renewal may have been said while nobody listened."""
    await scene.stop()
    scene.ahead_seconds += 0.9 * LEASE_SECONDS
    said_at = scene.leased.leases.said_at["default"]
    scene.leased._overhearing._silent_seconds = SILENT_SECONDS  # so long that it connects anew
    await scene.until(lambda: scene.leased.leases.said_at["default"] > said_at)
    scene.ahead_seconds += 0.9 * LEASE_SECONDS
    await scene.looks_twice()
    await scene.worker_says(STOPPED)
    scene.ahead_seconds += 0.1 * LEASE_SECONDS
    await scene.worker_says(IDLE)


async def test_a_guard_that_was_restarted_finds_the_stop_and_gives_it_a_whole_lease(scene, broker):
    await scene.stop()
    later = Scene(broker.url, scene.agent)
    async with anyio.create_task_group() as group:
        group.start_soon(later.guard.run)
        await later.until(lambda: later.leased.leases.said_at)
        await later.looks_twice()
        await later.worker_says(STOPPED)
        later.ahead_seconds += LEASE_SECONDS
        await later.worker_says(IDLE)
        group.cancel_scope.cancel()
    await later.daemon.aclose()


NODES = frozenset({"celery@10.0.0.1", "celery@one.internal"})


def message(content_type="application/json", **document):
    command = {
        "method": "cancel_consumer",
        "arguments": {"queue": "default"},
        "destination": None,
        **document,
    }
    return SimpleNamespace(content_type=content_type, body=json.dumps(command))


def test_a_command_is_ours_if_it_names_us_or_everybody():
    assert understood(message(), NODES) == Heard(Command.STOP, "default")
    ours = message(destination=["celery@two", "celery@10.0.0.1"], method="add_consumer")
    assert understood(ours, NODES) == Heard(Command.RESUME, "default")
    assert understood(message(destination=["celery@two"]), NODES) is None
    assert understood(message(destination=[]), NODES) is None


@pytest.mark.parametrize(
    "hostile",
    [
        message(method="shutdown"),
        message(method=["cancel_consumer"]),
        message(arguments=None),
        message(arguments={"queue": 7}),
        message(arguments={"queue": "x" * 256}),
        message(destination="celery@10.0.0.1"),
        message(destination=[{"celery@10.0.0.1": 1}]),
        message(pattern="celery@*", matcher="glob"),
        message(content_type="application/x-python-serialize"),
        SimpleNamespace(content_type="application/json", body=None),
        SimpleNamespace(content_type="application/json", body=b"[" * 100_000),
        SimpleNamespace(content_type="application/json", body=b"\xff"),
        SimpleNamespace(content_type="application/json", body=b"7"),
        SimpleNamespace(content_type="application/json", body=b" " * (MOST_BYTES + 1)),
    ],
)
def test_whatever_else_is_broadcast_is_not_for_us(hostile):
    assert understood(hostile, NODES) is None
