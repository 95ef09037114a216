"""Three daemons, one lease, and every fault at random: no two ever write at the same time."""

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import anyio
import pytest
import trio.testing

from policies.model import Decision, LastWrite
from tests.shell.memory_lease import LeaseKeeper
from tests.shell.test_leading import LEASE, LOOP, Daemon, Service

FAULTY_SECONDS = 600
CALM_SECONDS = LEASE.expiry_seconds + LEASE.check_seconds + LEASE.write_seconds + 2 * LOOP.interval_seconds


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class Writing(Daemon):
    """A daemon whose writes take their time, and are noted from the question to the end."""

    luck: Random = field(default_factory=Random)
    written: list[tuple[float, float, str]] = field(default_factory=list)

    async def apply(self, decision: Decision) -> LastWrite:
        begun_at = anyio.current_time()
        try:
            await anyio.sleep(self.luck.choice((0, 0.3, 5, 20)))
            return await super().apply(decision)
        finally:
            if decision.desired is not None:
                self.written.append((begun_at, anyio.current_time(), self.name))


async def live(daemon: Writing, luck: Random, ends_at: float) -> None:
    """Runs, and dies now and then: its session ends with it, or only when it was silent for long."""
    while True:
        daemon.scope = anyio.CancelScope()
        lifetime = luck.choice((5, 40, 200)) if anyio.current_time() < ends_at else float("inf")
        with anyio.move_on_after(lifetime):
            await daemon.run()
        if luck.random() < 0.5 and daemon.keeper.holder == daemon.name:
            daemon.keeper.lose()
        await anyio.sleep(luck.choice((0, 3, 15)))
        daemon.__post_init__()  # another process: it remembers nothing


async def meddle(keeper: LeaseKeeper, names: list[str], luck: Random, ends_at: float) -> None:
    """Cut networks, errors, ended sessions."""
    while anyio.current_time() < ends_at:
        match luck.randrange(4):
            case 0:
                keeper.lose()
            case 1:
                keeper.unreachable = {name for name in names if luck.random() < 0.4}
            case 2:
                keeper.failing = {name for name in names if luck.random() < 0.4}
            case _:
                keeper.unreachable, keeper.failing = set(), set()
        await anyio.sleep(luck.choice((0.7, 3, 11)))
    keeper.unreachable, keeper.failing = set(), set()


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(30))
async def test_no_two_daemons_write_at_the_same_time(seed):
    """Safety while faults are on; afterwards somebody leads and writes."""
    luck, keeper, service = Random(seed), LeaseKeeper(), Service()
    written: list[tuple[float, float, str]] = []
    names = ["a", "b", "c"]
    daemons = [Writing(name, keeper, service, luck=Random(seed * 10), written=written) for name in names]
    ends_at = anyio.current_time() + FAULTY_SECONDS
    with anyio.move_on_after(FAULTY_SECONDS + 200 + CALM_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(meddle, keeper, names, luck, ends_at)
            for daemon in daemons:
                group.start_soon(live, daemon, luck, ends_at)
    written.sort()
    for (_, ended_at, one), (begun_at, _, other) in pairwise(written):
        assert one == other or ended_at <= begun_at, f"{one} until {ended_at}, {other} from {begun_at}"
    assert written[-1][1] > ends_at
    assert len({name for _, _, name in written}) > 1
