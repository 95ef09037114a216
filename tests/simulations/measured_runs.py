"""Measured runs of our own making: files as a real Airflow's, written by a simulated one."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from math import isnan

import numpy as np

from benchmarks.fidelity_play import play
from benchmarks.measured_run import Try
from benchmarks.measured_workload import Deployment, Work

ZERO = 1_704_103_200.0
DEPLOYMENT = Deployment(slots_per_worker=2, pools={"db": 3})
EDGES = {
    "fan": {"start": [f"shard_{n}" for n in range(8)], **{f"shard_{n}": ["collect"] for n in range(8)}},
    "chain": {"wait": ["flaky"], "flaky": ["done"], "done": []},
    "pooled": {f"dump_{n}": ["merge"] for n in range(5)},
}
COLUMNS = [
    *("table", "dag_id", "task_id", "run_id", "map_index", "try_number", "queue", "pool", "pool_slots"),
    *("priority_weight", "operator", "state", "scheduled_dttm", "queued_dttm", "start_date", "end_date"),
    "hostname",
]
OPERATORS = {"start": "EmptyOperator", "wait": "PythonSensor"}
SENSOR_SECONDS, RETRY_SECONDS = 30.0, 10.0


def works():
    """Twelve runs of each DAG: an empty task, a sensor that looks again, a retry, a pool."""
    rows, generator = [], np.random.default_rng(3)

    def add(dag, run, task, created, parents=(), *, number=1, delay=0.0):
        pool, width = ("db", 2 if task == "dump_0" else 1) if task.startswith("dump") else ("default_pool", 1)
        each = Try(
            dag, task, f"{dag}_{run:02d}", -1, number, OPERATORS.get(task, "PythonOperator"), pool, width, 1,
            "default", "" if task == "start" else "w", 0.0, 0.0, 0.0, 0.0,
        )  # fmt: skip
        seconds = 0.0 if task == "start" else 0.1 if task == "wait" else float(generator.lognormal(2.2, 0.4))
        rows.append(Work(each, created if parents else created + delay, seconds, parents, delay))
        return len(rows) - 1

    for run in range(12):
        created = 60.0 * run
        start = add("fan", run, "start", created)
        shards = tuple(add("fan", run, f"shard_{n}", created, (start,)) for n in range(8))
        add("fan", run, "collect", created, shards)
        wait = add("chain", run, "wait", created + 7, delay=SENSOR_SECONDS)
        first = add("chain", run, "flaky", created + 7, (wait,))
        second = add("chain", run, "flaky", created + 7, (first,), number=2, delay=RETRY_SECONDS)
        add("chain", run, "done", created + 7, (second,))
        dumps = tuple(add("pooled", run, f"dump_{n}", created + 20) for n in range(5))
        add("pooled", run, "merge", created + 20, dumps)
    return rows


def write_run(directory, name, fleet, *, tail_share=0.7, seed=1):
    """`tasks-NAME.csv` and so on, of the workload under that fleet."""
    work = works()
    played = play(work, fleet, DEPLOYMENT, tail_share, seed)
    with (directory / f"tasks-{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_row(each, played, row) for row, each in enumerate(work))
    created = {
        each.of.run: each.queued_at - (each.delay_seconds if not each.parents else 0.0) for each in work
    }
    with (directory / f"dagruns-{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dag_id", "run_id", "queued_at", "start_date"])
        for run, at in created.items():
            writer.writerow([run.split("_")[0], run, text(at), text(at + 0.5)])
    (directory / f"edges-{name}.json").write_text(json.dumps(EDGES))


def _row(each, played, row):
    of, empty = each.of, each.slots == 0
    history = of.task == "flaky" and of.number == 1
    return {
        "table": "task_instance_history" if history else "task_instance",
        "dag_id": of.dag,
        "task_id": of.task,
        "run_id": of.run,
        "map_index": of.map_index,
        "try_number": of.number,
        "queue": of.queue,
        "pool": of.pool,
        "pool_slots": of.pool_slots,
        "priority_weight": of.priority,
        "operator": of.operator,
        "state": "failed" if history else "success",
        "scheduled_dttm": "" if empty else text(played.scheduled_at[row]),
        "queued_dttm": "" if empty else text(played.queued_at[row]),
        "start_date": text(played.started_at[row]),
        "end_date": text(played.ended_at[row]),
        "hostname": "" if empty else f"w{played.worker[row]}",
    }


def text(at):
    """As PostgreSQL writes it."""
    return "" if isnan(at) else datetime.fromtimestamp(ZERO + float(at), UTC).isoformat(" ")
