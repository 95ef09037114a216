"""Others who set a service's size: an autoscaler with an opinion, a deployment that resets it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from autoscaler.demo.ecs.model import Service
from autoscaler.demo.ecs.world import EcsWorld


def another_autoscaler(
    world: EcsWorld, service: Service, *, every_seconds: float, sizes: Sequence[int], chance: Random
) -> None:
    """From now on, and for ever, one of the sizes is set every so often."""

    def write(at: float) -> None:
        world.set_desired(service, chance.choice(sizes))
        world.at(at + every_seconds, lambda: write(at + every_seconds))

    start = world.clock() + every_seconds
    world.at(start, lambda: write(start))


def terraform_applies(world: EcsWorld, service: Service, *, at: float, desired: int) -> None:
    """Somebody deploys a new revision then, and with it the size that the code happens to say."""

    def apply() -> None:
        world.begin_rollout(service)
        world.set_desired(service, desired)

    world.at(at, apply)
