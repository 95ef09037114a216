"""A measured run's work under a fleet, played by the replay."""

from __future__ import annotations

from math import inf

import numpy as np

from benchmarks.measured_workload import LOOP_SECONDS, Played
from tests.simulations.airflow_replay import AirflowReplay, Host, Job, Rules

TAIL_SECONDS, SHORT_TAIL_SECONDS, SCHEDULER_DELAY, START_DELAY = 5.05, 0.05, 0.03, 0.09


def play(work, fleet, deployment, tail_share, seed):
    """As `benchmarks.fidelity.Play`."""
    luck = np.random.default_rng(seed)
    stays = luck.random(len(work)) < tail_share
    jobs = [
        Job(
            each.queued_at,
            each.duration_seconds,
            each.slots,
            each.parents,
            each.delay_seconds,
            dag=each.of.dag,
            run=each.of.run,
            pool=each.of.pool,
            pool_slots=each.of.pool_slots,
            priority=each.of.priority,
            scheduler_delay=SCHEDULER_DELAY,
            start_delay=START_DELAY,
            first_task_penalty=2.5,
            tail=0.0 if tail_share == 0 else TAIL_SECONDS if stays[row] else SHORT_TAIL_SECONDS,
        )
        for row, each in enumerate(work)
    ]
    hosts = [_host(shift, luck) for shift in fleet]
    rules = Rules(
        slots_per_worker=(deployment.slots_per_worker,),
        loop_period=LOOP_SECONDS,
        loop_phase=luck.random(),
        by_priority=True,
        parallelism=deployment.parallelism,
        pools=deployment.pools,
        active_runs=deployment.active_runs,
    )
    replay = AirflowReplay(jobs, hosts, rules).played()
    rows = range(len(work))
    times = (replay.scheduled_at, replay.queued_at, replay.start, replay.end)
    columns = (np.array([column.get(row, np.nan) for row in rows]) for column in times)
    return Played(*columns, np.array([replay.host.get(row, -1) for row in rows]))


def _host(shift, luck):
    boot = 0.0 if shift.booted else luck.uniform(7, 12)
    if shift.killed:
        return Host(shift.began_at + boot, shift.told_to_stop_at)
    closes = () if shift.told_to_stop_at == inf else ((shift.told_to_stop_at, False),)
    return Host(shift.began_at + boot, intake=closes)
