"""A pause at any point of a removal: no busy worker is stopped, and nobody is left without tasks."""

from dataclasses import dataclass, replace

import pytest

from autoscaler.core.controller import Controller
from autoscaler.core.state import Phase
from policies.orders import Orders, Pause, Way
from tests.core.removal_search import beginning, calmed, controller_for, is_well, search

PAUSED = Orders(Pause(Way.BOTH, float("inf"), 0.0))
CALM_TICKS = 40
EVERY = 23
"""Every so many nodes are followed to their calm end."""


@dataclass(frozen=True)
class Paused:
    """The controller under a pause that nobody ends."""

    controller: Controller

    @property
    def guards(self):
        return self.controller.guards

    def step(self, state, observation):
        return self.controller.step(state, replace(observation, orders=PAUSED))


def paused_at(phase):
    """As soon as a worker has come so far, until none has."""

    def ordered(daemon, observation):
        reached = any(each.phase is phase for each in daemon.state.removal.victims)
        return replace(observation, orders=PAUSED) if reached else observation

    return ordered


@pytest.mark.parametrize("phase", Phase)
def test_a_pause_wherever_a_removal_is_stops_nobody_and_leaves_nobody_without_tasks(phase):
    """All that may happen to two workers with a fault; in the end under the pause, and once it is over."""
    controller = controller_for(2)
    found = search(beginning(2, 1, 1, controller), controller, 100_000, paused_at(phase), every=EVERY)
    assert found.complete
    for node in found.sample:
        held = calmed(node, Paused(controller), CALM_TICKS)
        assert all(worker.consuming for worker in held.world.workers), node
        assert len(held.world.workers) == held.world.desired, node
        assert is_well(calmed(node, controller, CALM_TICKS)), node
