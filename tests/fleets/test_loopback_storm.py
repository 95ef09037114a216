"""The real loop, core and client on a loopback ECS that does its worst: nobody who works is stopped by us."""

import os
from random import Random

import pytest

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.core.removal import SafeRemoval
from autoscaler.demo.ecs import ServiceSpec, Silence, running_ecs
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from autoscaler.loop import Ports, TargetLoop, Timing
from policies.mwaa import Mwaa, ScaleIn
from tests.fleets.storm import SLOTS, Floor, Hurried, weather

pytestmark = pytest.mark.anyio
STORM_TICKS = 120
CALM_TICKS = 300
TICK_SECONDS = 15
SEEDS = range(int(os.environ.get("STORM_SEEDS", "1")))
SAID = (
    Silence(),
    Silence(
        pending_leave_first=False,
        renewals_blocked=True,
        protection_reads_lag=True,
        rollback_reuses_deployment=False,
        spot_notice_is_sigterm=False,
    ),
)


class Silent:
    """A listener that remembers what must not happen."""

    def __init__(self):
        self.failures = []

    def decided(self, tick): ...

    def wrote(self, name, outcome, seconds): ...

    def skipped(self, name, ticks): ...

    def failed(self, name, why):
        self.failures.append(why)

    def untold(self, name, why): ...


@pytest.mark.parametrize("silence", SAID, ids=["one way", "the other way"])
@pytest.mark.parametrize("rollouts", [False, True], ids=["steady", "rollouts"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_nobody_who_works_is_stopped(clock, aws_session, seed, rollouts, silence):
    """Half an hour of storm, then calm: the fleet is at its size and everybody takes tasks."""
    spec = ServiceSpec(
        desired=3,
        launch_seconds=40,
        reaction_seconds=3,
        visible_after_seconds=1,
        circuit_breaker=True,
        rolls_back=True,
        silence=silence,
    )
    chance = Random(seed)
    async with (
        running_ecs(spec, clock=clock, seed=seed, tick_seconds=3600) as ecs,
        ecs_clients("us-east-1", ecs.url, session=aws_session) as clients,
    ):
        floor = Floor(ecs, chance)
        fleet = Hurried(EcsFleet(clients, "demo", "workers", clock=clock), floor)
        controller = Controller(
            Mwaa(SLOTS, ScaleIn.CONTINUOUS), GuardChain(Bounds(1, 12)), Watch(SLOTS, 12), SafeRemoval()
        )
        listener = Silent()
        loop = TargetLoop(
            "etl", controller, Ports(floor, fleet, floor, floor), Timing(15, 30, 30), clock, listener
        )
        service, lowered = ecs.world.service(), 0

        async def tick():
            nonlocal lowered
            before = service.desired
            await loop.tick()
            lowered += service.desired < before
            for _ in range(TICK_SECONDS // 5):
                clock.after(seconds=5)
                floor.work()
            assert not floor.killed, f"at {clock.now}"

        for number in range(STORM_TICKS):
            weather(ecs, chance, rollouts=rollouts)
            floor.queued += chance.choice((0, 0, 0, 5, 30)) if number % 40 < 20 else 0
            await tick()
        ecs.faults.clear()
        ecs.world.lag(0)
        ecs.world.refuse_protection([])
        for _ in range(CALM_TICKS):
            await tick()
            if len(service.wanted) == 1 and not floor.stopped:
                break
        assert lowered > 0
        assert listener.failures == []
        assert (floor.queued, floor.running, service.desired, len(service.wanted)) == (0, 0, 1, 1)
        assert service.wanted[0].arn not in floor.stopped
