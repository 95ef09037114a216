"""The modelled Airflow's compiled code: equal to the interpreted, and kept for later processes."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from simulations.airflow import AIRFLOW_3, QueueOrder, WorkerChoice
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.quantiles import chance
from simulations.trace import trace_of
from tests.simulations.test_kernel import in_another_process

EVERY_RULE = replace(
    AIRFLOW_3,
    loop_period_seconds=2.0,
    schedule_delay=chance(0.5, 0.5),
    queued_per_loop=6,
    parallelism=14,
    pools={"a": 3, "b": 2},
    max_active_tasks=4,
    max_active_runs=2,
    heartbeat_timeout_seconds=20.0,
    retry_delay_seconds=5.0,
    retries=0,
    queued_timeout_seconds=15.0,
    requeues=1,
)


def busy_trace():
    """Two hundred tasks that meet every rule."""
    lots, count = np.random.default_rng(2), 200
    run = np.sort(lots.integers(0, 20, count))
    child = np.flatnonzero((run[1:] == run[:-1]) & (lots.random(count - 1) < 0.4)) + 1
    return trace_of(
        run * 12.0,
        lots.integers(0, 60, count) / 2,
        slots=lots.integers(0, 3, count),
        edges=(child - 1, child),
        delay_seconds=lots.integers(0, 3, count),
        queue=lots.integers(0, 3, count),
        queues=("x", "y", "z"),
        dag=run % 4,
        dags=("", "etl", "ml", "dbt"),
        run=run,
        runs=("", *(f"run-{number}" for number in range(1, 20))),
        pool=lots.integers(0, 3, count),
        pools=("a", "b", "default_pool"),
        pool_slots=lots.integers(1, 3, count),
        priority=lots.integers(1, 4, count),
        starts_at=0.0,
    )


def fingerprint():
    """Two lines, workers that come, close, open, die; every order and choice."""
    digest = sha256()
    for order in QueueOrder:
        for choice in WorkerChoice:
            airflow = replace(EVERY_RULE, queue_order=order, worker_choice=choice)
            kernel = AirflowKernel(busy_trace(), airflow, [LineSpec(("x", "y"), 3), LineSpec((), 2)], 5)
            for at in range(0, 800, 20):
                line = kernel.lines[at // 20 % 2]
                worker = line.launch(float(at))
                line.take_tasks(worker, consuming=at % 3 > 0)
                if worker > 1:
                    line.take_tasks(worker - 1, consuming=True)
                    line.stop(worker - 2)
                kernel.advance(float(at + 20))
            kernel.advance(5000.0)
            counts = (kernel.unfinished, kernel.killed_tasks, kernel.failed_tasks, kernel.skipped_tasks)
            assert counts[0] == 0
            assert min(counts[1:]) > 0
            digest.update(str(counts).encode())
            digest.update(kernel.started_at.tobytes() + kernel.waited_seconds.tobytes())
    return digest.hexdigest()


def test_interpreted_it_gives_the_same():
    """The very same functions, run by Python itself: equal to the last bit."""
    code = (
        "from simulations import airflow_events;"
        "from tests.simulations.test_airflow_compiled import fingerprint;"
        "assert not hasattr(airflow_events.advance, 'stats');"
        "print(fingerprint())"
    )
    assert in_another_process(code, NUMBA_DISABLE_JIT="1") == fingerprint()


def test_a_later_process_compiles_nothing():
    """What this process compiled is kept; the next one only loads it."""
    fingerprint()
    code = (
        "from simulations import airflow_changes as c, airflow_events as e;"
        "from tests.simulations.test_airflow_compiled import fingerprint;"
        "fingerprint();"
        "doors = (e.advance, c.schedule, c.stop, c.take_tasks);"
        "print(*(len(f.stats.cache_hits) - len(f.stats.cache_misses) for f in doors))"
    )
    assert in_another_process(code) == "1 1 1 1"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_and_another_another(seed):
    """To the last bit."""

    def starts(seed):
        kernel = AirflowKernel(busy_trace(), EVERY_RULE, [LineSpec((), 4)], seed)
        for _ in range(4):
            kernel.lines[0].launch(0.0)
        kernel.advance(5000.0)
        return kernel.started_at.tobytes()

    assert starts(seed) == starts(seed) != starts(seed + 1)
