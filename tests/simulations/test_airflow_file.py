"""The modelled Airflow from a version's name or a table: every key, and one line for every mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulations.airflow import AIRFLOW_2, AIRFLOW_3, PLAIN, QueueOrder, WorkerChoice, limit_of
from simulations.airflow_file import airflow_of
from simulations.quantiles import chance, constant, lognormal, measured


def test_versions_have_names():
    """As a user writes them."""
    assert airflow_of("3.3") is AIRFLOW_3
    assert airflow_of("2.11") is AIRFLOW_2
    assert airflow_of("plain") is PLAIN
    with pytest.raises(ValueError, match=r"version: expected one of 3.3, .*, plain, got '4'"):
        airflow_of("4")


def test_a_table_changes_a_version():
    """What it does not name stays as it was measured."""
    table = {
        "version": "2.11",
        "parallelism": 64,
        "pools": {"db": 3},
        "max_active_tasks": 16,
        "max_active_runs": {"etl": 1},
        "by_priority": False,
        "slot_tail": {"chance": 0.3, "seconds": 5},
        "start_delay": [0.3, 0.1],
        "first_task_penalty": 2,
        "schedule_delay": {"median": 0.1, "spread": 0.5},
        "queue_order": "arrival",
        "worker_choice": "random",
        "queued_timeout_seconds": 300,
    }
    assert airflow_of(table) == replace(
        AIRFLOW_2,
        parallelism=64,
        pools={"db": 3},
        max_active_tasks=16,
        max_active_runs={"etl": 1},
        by_priority=False,
        slot_tail=chance(0.3, 5.0),
        start_delay=measured([0.1, 0.3]),
        first_task_penalty=constant(2.0),
        schedule_delay=lognormal(0.1, 0.5),
        queue_order=QueueOrder.ARRIVAL,
        worker_choice=WorkerChoice.RANDOM,
        queued_timeout_seconds=300.0,
    )
    assert airflow_of({}) == AIRFLOW_3


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"version": 1}, "version: expected one of"),
        ({"slot_tial": 5}, "slot_tial: there is no such key; did you mean 'slot_tail'?"),
        ({"colour": 5}, "colour: there is no such key; known are version, loop_period_seconds"),
        ({"slot_tail": "long"}, "slot_tail: expected a number of seconds, a list of measured"),
        ({"slot_tail": True}, "slot_tail: expected a number of seconds"),
        ({"slot_tail": []}, "slot_tail: a distribution needs at least one value"),
        ({"slot_tail": [1, "x"]}, "slot_tail: expected a number, got 'x'"),
        ({"slot_tail": -1}, "slot_tail: a delay must be 0 to 1e"),
        ({"slot_tail": {"chance": 2, "seconds": 1}}, "slot_tail: a probability must be 0 to 1, got 2"),
        ({"slot_tail": {"chance": 0.2}}, "slot_tail: expected a number of seconds"),
        ({"slot_tail": {"chance": 0.2, "seconds": 1, "odd": 1}}, "slot_tail: expected a number of seconds"),
        ({"worker_choice": "luck"}, "worker_choice: expected one of rotation, first-fit, random, got 'luck'"),
        ({"by_priority": 1}, "by_priority: expected true or false, got 1"),
        ({"pools": 3}, "pools: expected a table of slots by pool, got 3"),
        ({"pools": {"db": -2}}, "pools.db: expected a whole number, at least -1, got -2"),
        ({"pools": {"db": 1.5}}, "pools.db: expected a whole number, at least -1, got 1.5"),
        ({"max_active_runs": {"etl": 0}}, "max_active_runs.etl: expected a whole number, at least 1, got 0"),
        ({"max_active_tasks": 0}, "max_active_tasks: expected a whole number, at least 1, got 0"),
        ({"parallelism": "many"}, "parallelism: expected a number, got 'many'"),
        ({"parallelism": 10**20}, "parallelism: expected at most 1000000000, got 1000000"),
        ({"parallelism": 2.5}, "parallelism: expected a whole number, at least 1, got 2.5"),
        ({"queued_timeout_seconds": 0}, "queued_timeout_seconds: expected more than 0 seconds"),
        ({"retry_delay_seconds": float("nan")}, "retry_delay_seconds: expected 0 to 1e6 seconds, got nan"),
        ({"slot_tail": [1, 40000]}, "slot_tail: expected at most 30000 seconds, got 40000"),
        (
            {"loop_period_seconds": 0, "queued_per_loop": 3},
            "queued_per_loop: expected a loop_period_seconds with it, got none",
        ),
        ({"loop_period_seconds": -1}, "loop_period_seconds: expected 0 to 1e6 seconds, got -1"),
    ],
)
def test_a_mistake_is_named(table, complaint):
    """The key, what was expected, what came; one line."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is what is tested
        airflow_of(table)
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_limits_by_name():
    """A number is everybody's, a table its own; what has no name is not limited."""
    assert limit_of(3, "etl") == 3
    assert limit_of({"etl": 2}, "etl") == 2
    assert limit_of({"etl": 2}, "other") is None
    assert limit_of(3, "") is None


def test_plain_is_what_the_plain_queue_can_play():
    """A constant tail and retries are; whatever else is on is not."""
    assert PLAIN.is_plain
    assert replace(PLAIN, slot_tail=constant(2.0), retry_delay_seconds=60.0).is_plain
    assert replace(PLAIN, queue_order=QueueOrder.ROUND_ROBIN).is_plain
    assert not replace(PLAIN, slot_tail=chance(0.5, 5.0)).is_plain
    assert not replace(PLAIN, parallelism=3).is_plain
    assert not AIRFLOW_3.is_plain
