"""A measured run's work, played by the simulator's Airflow under a fleet with a timetable."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from benchmarks.measured_fleet import Shift
from benchmarks.measured_run import RunError
from benchmarks.measured_workload import Deployment, Played, Work
from simulations.airflow import AIRFLOW_3, Airflow
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.quantiles import NONE, chance
from simulations.trace import Trace, quantised, trace_of

EARLY_SECONDS = 60.0
"""The simulated run begins so much before the measured one: its first workers have had their time."""
TAIL_SECONDS = 5.0
"""`[workers] min_heartbeat_interval`: how long a slot stays taken if it is not free at once."""
BOOT_SECONDS = (7.0, 12.0)
"""From a worker process's start until it takes tasks, measured."""
FOREVER_SECONDS = 1e6


def play(
    work: list[Work], fleet: list[Shift], deployment: Deployment, tail_share: float, seed: int
) -> Played:
    """Seconds from the run's zero, by row.  `tail_share` 0: no slot stays taken after its task."""
    trace = trace_from(work)
    airflow = airflow_with(deployment, tail_share)
    if all(shift.began_at == -inf for shift in fleet):
        airflow = replace(airflow, first_task_penalty=NONE)  # workers that have worked before
    kernel = AirflowKernel(trace, airflow, [LineSpec((), deployment.slots_per_worker)], seed)
    line, boots = kernel.lines[0], np.random.default_rng(seed)
    changes: list[tuple[float, int, bool]] = []
    for shift in fleet:
        boot = 0.0 if shift.booted else boots.uniform(*BOOT_SECONDS)
        ready_at = quantised(max(0.0, shift.began_at + boot + EARLY_SECONDS))
        worker = line.launch(ready_at)
        if shift.told_to_stop_at < inf:
            changes.append((max(0.0, shift.told_to_stop_at + EARLY_SECONDS), worker, shift.killed))
    for at, worker, killed in sorted(changes):
        kernel.advance(quantised(at))
        if killed:
            line.stop(worker)
        else:
            line.take_tasks(worker, consuming=False)
    kernel.advance(FOREVER_SECONDS)
    if kernel.unfinished or kernel.failed_tasks:
        left = kernel.unfinished + kernel.failed_tasks + kernel.skipped_tasks
        raise RunError(f"{left} of {len(work)} tasks never ran under this fleet")
    times = (kernel.scheduled_at, kernel.queued_at, kernel.started_at, kernel.ends_at)
    return Played(*(column - EARLY_SECONDS for column in times), np.array(kernel.worker))


def airflow_with(deployment: Deployment, tail_share: float) -> Airflow:
    """Airflow 3.3 as it was configured, with the tail that was measured."""
    return replace(
        AIRFLOW_3,
        slot_tail=chance(tail_share, TAIL_SECONDS) if tail_share else NONE,
        parallelism=deployment.parallelism,
        max_active_runs=deployment.active_runs,
        pools=deployment.pools,
    )


def trace_from(work: list[Work]) -> Trace:
    """The work as a trace, which begins `EARLY_SECONDS` before the run's zero."""
    dag, dags = _coded([each.of.dag for each in work])
    run, runs = _coded([each.of.run for each in work])
    pool, pools = _coded([each.of.pool for each in work])
    parents = [parent for each in work for parent in each.parents]
    children = [row for row, each in enumerate(work) for _ in each.parents]
    return trace_of(
        [each.queued_at + EARLY_SECONDS for each in work],
        [each.duration_seconds for each in work],
        slots=[each.slots for each in work],
        edges=(parents, children),
        keys=[f"{each.of.run}.{each.of.task}.{each.of.map_index}#{each.of.number}" for each in work],
        delay_seconds=[each.delay_seconds for each in work],
        dag=dag,
        dags=dags,
        run=run,
        runs=runs,
        pool=pool,
        pools=pools,
        pool_slots=[each.of.pool_slots for each in work],
        priority=[each.of.priority for each in work],
        starts_at=0.0,
        source="measured run",
    )


def _coded(names: list[str]) -> tuple[list[int], tuple[str, ...]]:
    known = tuple(dict.fromkeys(names))
    place = {name: number for number, name in enumerate(known)}
    return [place[name] for name in names], known
