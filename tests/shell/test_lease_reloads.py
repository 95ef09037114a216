"""The whole daemon on a virtual clock: what becomes of its lease at a reload and at a stop."""

import signal
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio
import pytest
import trio.testing

from autoscaler.daemon import Daemon, Surroundings
from autoscaler.loop import Ports
from autoscaler.settings import Settings
from autoscaler.wiring import Wired
from policies.model import Applied, Capacity, Decision, Demand
from tests.shell.memory_lease import LeaseKeeper

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class World:
    """A quiet service, the signals that a person sends, and the leases by name."""

    keepers: dict[str, LeaseKeeper] = field(default_factory=dict)
    desired: int = 3

    def __post_init__(self):
        self.send, self.arrive = anyio.create_memory_object_stream(10)

    @contextmanager
    def signals(self):
        with self.arrive.clone() as arriving:
            yield arriving

    @asynccontextmanager
    async def wired(self, settings, clock):
        yield Wired({name: Ports(self, self) for name in settings.targets}, {})

    @asynccontextmanager
    async def served(self, application, host, port):
        yield "http://nowhere"

    def lease(self, settings):
        return self.keepers.setdefault(settings.lease.name or "none", LeaseKeeper()).lease_of("this")

    async def demand(self) -> Demand:
        return Demand(30, 0, anyio.current_time())

    async def capacity(self, *, list_workers: bool) -> Capacity:
        return Capacity(self.desired, 0, self.desired)

    async def apply(self, decision: Decision) -> Applied | None:
        return None if decision.desired is None else Applied(decision.desired)


def settings(name):
    target = {"cluster": "c", "service": "s", "sources": ["statsd"]}
    lease = {"kind": "file", "path": "p", "name": name} if name else {}
    return Settings.model_validate({"mode": "act", "targets": {"default": target}, "lease": lease})


async def lived(world, first, *story):
    """Each of the story's configurations is loaded after a minute; then a minute, and SIGTERM."""
    following = iter(story)
    around = Surroundings(anyio.current_time, world.signals, world.wired, world.served, world.lease)
    daemon, epochs, memories = Daemon(first, lambda: next(following), around), [], []

    async def play():
        for _ in range(len(story) + 1):
            await anyio.sleep(60)
            epochs.append(daemon.telemetry.standing.epoch)
            memories.append(daemon._remembered["default"].memory)
            world.send.send_nowait(signal.SIGHUP if len(epochs) <= len(story) else signal.SIGTERM)

    async with anyio.create_task_group() as group:
        group.start_soon(play)
        await daemon.run()
    world.send.close()
    world.arrive.close()
    return epochs, memories


async def test_a_reload_keeps_the_term_and_the_memory():
    """No other daemon could lead meanwhile; the way in is as warm as before."""
    world = World()
    epochs, (before, after) = await lived(world, settings("n"), settings("n"))
    assert epochs == [1, 1]
    assert after is before
    assert [taken for taken, *_ in world.keepers["n"].taken] == ["this"]


async def test_a_lease_kept_elsewhere_is_another_term():
    """The old one is released, and the daemon starts like a new one."""
    world = World()
    epochs, memories = await lived(world, settings("n"), settings("m"), settings(None))
    assert epochs == [1, 1, 1]  # each lease counts for itself
    assert len({id(memory) for memory in memories}) == 3
    assert set(world.keepers) == {"n", "m", "none"}
    assert world.keepers["n"].holder == world.keepers["m"].holder == ""


async def test_a_stop_lets_the_next_daemon_lead_at_once():
    """Nothing is left to expire."""
    world = World()
    await lived(world, settings("n"))
    assert world.keepers["n"].holder == ""
