"""The whole daemon in a few short random worlds; `make worlds` and `make soak` play them by the day."""

from dataclasses import replace

import pytest

from tests.soak.clients import in_process
from tests.soak.profile import profile_of
from tests.soak.story import Outcome, Story, as_it_is
from tests.soak.wire import wired_clients


def short(seed: int, clients=in_process) -> Outcome:
    """Half an hour of storm, and then calm."""
    profile = replace(profile_of(seed), storm_seconds=1800.0, strikes_every_seconds=60.0)
    return Story(profile, as_it_is, clients).play()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_the_storm_nothing_breaks_and_in_the_calm_all_heals(seed):
    outcome = short(seed)
    assert outcome.broken == []
    assert outcome.calm_ticks > 0
    assert outcome.lines > 60


def test_a_seed_is_all_that_a_world_is():
    """To the last call, line and fault: so a violation can be played again."""
    first, second = short(7), short(7)
    assert replace(first, cpu_seconds=0) == replace(second, cpu_seconds=0)


def test_the_client_library_makes_no_difference():
    """Through aiobotocore, its retries and its parsers, the same world comes to the same end."""
    direct, wired = short(3), short(3, wired_clients)
    assert (wired.broken, wired.tasks, wired.days) == (direct.broken, direct.tasks, direct.days)
    assert wired.calls == direct.calls > 100
