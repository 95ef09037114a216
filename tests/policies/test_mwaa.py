"""MWAA's formula, its two ways in, and its environment classes."""

import pytest

from policies.catalog import build
from policies.history import History
from policies.model import Capacity, Demand, Observation, Reason, Recommendation, Unavailable
from policies.mwaa import ENVIRONMENT_CLASSES, Mwaa, MwaaMemory, ScaleIn


def asked(policy: Mwaa, *looks: tuple[float, float | None], desired: int = 4) -> list[Recommendation]:
    """What it says to (seconds, load) after (seconds, load); None: unreadable."""
    memory, history, answers = policy.initial(), History(), []
    for at, load in looks:
        demand = Unavailable("down") if load is None else Demand(0.0, load, at)
        history = history.append(Observation(at, demand, Capacity(desired, 0, desired)))
        memory, answer = policy.recommend(memory, history)
        answers.append(answer)
    return answers


def test_continuous_is_the_formula_unrounded():
    answers = asked(Mwaa(5, ScaleIn.CONTINUOUS), (0, 12), (10, 0), (20, None))
    assert [(each.workers, each.because) for each in answers] == [
        (2.4, Reason.DEMAND),
        (0.0, Reason.DEMAND),
        (4.0, Reason.NO_OPINION),
    ]


def test_when_idle_goes_out_by_the_formula_and_stays():
    answers = asked(Mwaa(5), (0, 23), (10, 18), (20, 15), (30, 1))
    assert [(each.workers, each.because) for each in answers] == [
        (4.6, Reason.DEMAND),
        (4.0, Reason.DEMAND),
        (4.0, Reason.WAITING_FOR_IDLE),
        (4.0, Reason.WAITING_FOR_IDLE),
    ]


def test_when_idle_needs_an_unbroken_two_minutes():
    answers = asked(Mwaa(5), (0, 0), (100, None), (110, 0), (220, 0), (230, 0), (240, 5))
    reasons = [each.because for each in answers]
    assert reasons == [
        Reason.WAITING_FOR_IDLE,
        Reason.NO_OPINION,
        Reason.WAITING_FOR_IDLE,
        Reason.WAITING_FOR_IDLE,
        Reason.IDLE,
        Reason.WAITING_FOR_IDLE,
    ]
    assert answers[4].workers == 0.0


def test_one_old_reading_shown_again_is_no_two_minutes_of_nothing():
    """Idle time is the readings' own: a metric that comes every five minutes proves what it measured."""
    policy, history = Mwaa(5), History()
    memory = policy.initial()
    for at, measured_at, reason in (
        (200.0, 0.0, Reason.WAITING_FOR_IDLE),
        (400.0, 0.0, Reason.WAITING_FOR_IDLE),
        (410.0, 120.0, Reason.IDLE),
    ):
        history = history.append(Observation(at, Demand(0, 0, measured_at), Capacity(4, 0, 4)))
        memory, answer = policy.recommend(memory, history)
        assert answer.because is reason
    assert memory == MwaaMemory(0.0)


def test_an_unknown_fleet_has_no_size_to_stay_at():
    history = History().append(Observation(0.0, Demand(0, 9, 0.0), Unavailable("throttled")))
    _, answer = Mwaa(5).recommend(MwaaMemory(), history)
    assert answer == Recommendation(1.8, Reason.DEMAND)
    history = History().append(Observation(0.0, Unavailable("down"), Unavailable("throttled")))
    assert Mwaa(5).recommend(MwaaMemory(), history)[1] == Recommendation(0.0, Reason.NO_OPINION)


def test_its_window_is_the_idle_time_where_that_counts():
    assert (Mwaa(5).window_seconds, Mwaa(5, ScaleIn.CONTINUOUS).window_seconds) == (120.0, 0.0)


@pytest.mark.parametrize(
    ("name", "slots", "maximum", "autoscales", "verified"),
    [
        ("mw1.micro", 3, 1, False, True),
        ("mw1.small", 5, 10, True, True),
        ("mw1.medium", 10, 10, True, True),
        ("mw1.large", 20, 10, True, True),
        ("mw1.xlarge", 40, 10, True, False),
        ("mw1.2xlarge", 80, 10, True, False),
    ],
)
def test_environment_classes(name: str, slots: int, maximum: int, autoscales: bool, verified: bool):  # noqa: FBT001
    preset = ENVIRONMENT_CLASSES[name]
    assert (preset.slots_per_worker, preset.minimum, preset.maximum) == (slots, 1, maximum)
    assert (preset.autoscales, preset.price_verified) == (autoscales, verified)
    assert build({"name": "mwaa", "environment_class": name}) == Mwaa(slots)


def test_the_targets_own_slots_beat_the_class():
    """Changing the class changes no worker's concurrency; and a field of the policy beats both."""
    specification = {"name": "mwaa", "environment_class": "mw1.small"}
    assert build(specification, 8) == Mwaa(8)
    assert build(specification | {"slots_per_worker": 6}, 8) == Mwaa(6)
    assert build({"name": "mwaa", "scale_in": "continuous"}, 8) == Mwaa(8, ScaleIn.CONTINUOUS)
