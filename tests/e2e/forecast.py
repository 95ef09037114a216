"""What the simulator makes of the very tasks that ran, beside what was measured."""

import csv
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import numpy as np

from autoscaler.demo.children import DemoError
from tests.e2e.airflow import POOLS, Airflow
from tests.e2e.fleet import STOP_TIMEOUT_SECONDS
from tests.e2e.scene import Run

WORLD = """\
[airflow]
version = "{version}"
max_active_tasks = 64
pools = {{narrow = {narrow}}}
{slot_tail}
[service]
launch = {launches}
stop_timeout_seconds = {stop_timeout_seconds}
exit_seconds = 5
before_pull_seconds = 0
"""

SLOT_TAIL = {"3.3": "slot_tail = {chance = 0.52, seconds = 1}"}
"""As long as the workers' `min_heartbeat_interval`, which is 1 s here."""


@dataclass(frozen=True)
class Figures:
    """Of one run."""

    tasks: int
    wait_mean_seconds: float
    wait_p95_seconds: float
    worker_seconds: float

    def __str__(self) -> str:
        waits = f"{self.wait_mean_seconds:9.1f} s  {self.wait_p95_seconds:8.1f} s"
        return f"{self.tasks:6d}  {waits}  {self.worker_seconds:10.0f} s"


HEADER = " tasks  mean wait    p95 wait  worker-seconds"


async def measured(airflow: Airflow, run: Run, folder: Path) -> Figures:
    """As it was; the run's tasks are in `folder / "NAME.csv"` then.  Raises `DemoError`."""
    since, until = (datetime.fromtimestamp(at, UTC).isoformat() for at in (run.start, run.end))
    trace = folder / f"{run.name}.csv"
    await _autoscaler(
        ["trace", "export", str(trace), "--since", since, "--until", until],
        {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow.database_url},
    )
    with trace.open() as rows:
        waits = [float(row["wait_s"]) for row in csv.DictReader(rows)]
    return Figures(len(waits), float(np.mean(waits)), float(np.percentile(waits, 95)), run.worker_seconds)


async def forecast(run: Run, folder: Path, version: str) -> Figures:
    """As the simulator sees it, with the daemon's configuration of the run.  Raises `DemoError`."""
    world = folder / "world.toml"
    text = WORLD.format(
        version=version,
        slot_tail=SLOT_TAIL.get(version, ""),
        narrow=POOLS["narrow"],
        launches=[round(seconds, 1) for seconds in run.launches],
        stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
    )
    await anyio.Path(world).write_text(text)
    configuration = folder / f"{run.name}.toml"
    await anyio.Path(configuration).write_text(run.configuration)
    trace = folder / f"{run.name}.csv"
    told = await _autoscaler(
        [
            "simulate",
            str(trace),
            "--config",
            str(configuration),
            "--world",
            str(world),
            "--seed",
            "1",
            "--json",
        ]
    )
    said = json.loads(told)
    waits = said["wait_mean_seconds"], said["wait_p95_seconds"]
    return Figures(said["tasks"], *waits, said["worker_hours"] * 3600)


async def _autoscaler(arguments: list[str], environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "autoscaler", *arguments]
    done = await anyio.run_process(command, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        said = done.stderr.decode().strip().splitlines()
        raise DemoError(f"autoscaler {arguments[0]} failed: {' | '.join(said[-5:])}")
    return done.stdout.decode()
