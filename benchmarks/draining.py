"""What it saves to drain workers: worker-hours at equal p95 wait, by how workers leave.

    python benchmarks/draining.py                                    # the traces of ../shared/data/traces
    python benchmarks/draining.py TRACE --slots 16 --max 100 [--days 3] [--tick 10] [--seed 1] [--json]

Each trace is played in Airflow 3.3's semantics on Fargate, with Amazon MWAA's formula:

    when-idle   the fleet shrinks after two minutes without any load (MWAA's rule)
    careful     it follows the load; busy workers are protected, ECS picks among the others
    idle        it follows the load; chosen idle workers stop taking tasks, run dry and leave
    gather      busy workers are chosen too

Waits are made equal with the knob that trades them for worker-hours: how long a lower wish must have lasted
(`guards.stabilization_in_seconds`).  Of each way the shortest window is searched, to a quarter of it, that
makes the p95 wait no longer than that of `when-idle`, and than that of `careful` without a window.
Where even a day's window does not, there is no row.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.drain import Caution
from autoscaler.core.guards import Bounds, GuardChain, Stabilization
from autoscaler.core.removal import SafeRemoval
from policies.mwaa import Mwaa, ScaleIn
from simulations.airflow import AIRFLOW_3
from simulations.price import Price
from simulations.run import SimulationError, simulate
from simulations.score import score
from simulations.service import fargate
from simulations.trace import Trace, TraceError
from simulations.trace_file import read_trace

DAY = 86_400.0
SHARED = Path(__file__).parents[2] / "shared" / "data" / "traces"
WHEN_IDLE, CAREFUL, IDLE, GATHER = "when-idle", "careful", "idle", "gather"
LONGEST_WINDOW_SECONDS = DAY
CLOSE_ENOUGH = 1.25
"""Between the shortest window that keeps the wait and one that does not."""
TOLERANCE = 1.02
"""By this factor a p95 may be longer than the one aimed at."""


@dataclass(frozen=True)
class Setup:
    """A trace, and the fleet that it is played on: about as large as its peak."""

    path: Path
    slots: int
    maximum: int
    days: float
    """Of the trace's first."""

    @property
    def name(self) -> str:
        return self.path.stem


KNOWN = (
    Setup(SHARED / "wf_cron_dag_7d.parquet", 16, 100, 3),
    Setup(SHARED / "alibaba2017_tasks_17h.parquet", 16, 30, 1),
    Setup(SHARED / "nasa_ipsc1993.parquet", 1, 10, 3),
    Setup(SHARED / "ricc2010_w1.parquet", 16, 120, 2),
    Setup(SHARED / "lcg2005_grid.parquet", 16, 220, 2),
)


@dataclass(frozen=True)
class Row:
    trace: str
    way: str
    window_seconds: float
    worker_hours: float
    wait_mean_seconds: float
    wait_p95_seconds: float
    killed_tasks: int
    scale_ins: int


class Bench:
    """One trace's runs, each made once."""

    def __init__(self, setup: Setup, trace: Trace, tick_seconds: float, seed: int) -> None:
        self._setup, self._trace = setup, trace
        self._tick_seconds, self._seed = tick_seconds, seed
        self._played: dict[tuple[str, float], Row] = {}

    def played(self, way: str, window_seconds: float = 0.0) -> Row:
        """One run."""
        key = way, window_seconds
        if key not in self._played:
            result = simulate(
                self._trace,
                _controller(way, self._setup, window_seconds),
                fargate(self._setup.slots),
                self._seed,
                tick_seconds=self._tick_seconds,
                airflow=AIRFLOW_3,
            )
            figures = score(result, Price("worker-hours", 1.0))
            self._played[key] = Row(
                self._setup.name,
                way,
                window_seconds,
                figures.worker_hours,
                figures.wait_mean_seconds,
                figures.wait_p95_seconds,
                figures.killed_tasks,
                figures.scale_ins,
            )
        return self._played[key]

    def matched(self, way: str, p95_seconds: float) -> Row | None:
        """With the shortest window that keeps the wait; None: none does."""

        def keeps(window_seconds: float) -> bool:
            return self.played(way, window_seconds).wait_p95_seconds <= TOLERANCE * p95_seconds

        if keeps(0.0):
            return self.played(way)
        short, long = 0.0, 4 * self._tick_seconds
        while not keeps(long):
            if long >= LONGEST_WINDOW_SECONDS:
                return None
            short, long = long, min(4 * long, LONGEST_WINDOW_SECONDS)
        while long > CLOSE_ENOUGH * max(short, self._tick_seconds):
            middle = float(np.sqrt(max(short, self._tick_seconds) * long))
            short, long = (short, middle) if keeps(middle) else (middle, long)
        return self.played(way, long)


def _controller(way: str, setup: Setup, window_seconds: float) -> Controller:
    policy = Mwaa(setup.slots, ScaleIn.WHEN_IDLE if way == WHEN_IDLE else ScaleIn.CONTINUOUS)
    stabilization = Stabilization(0.0, window_seconds) if window_seconds else None
    return Controller(
        policy,
        GuardChain(Bounds(1, setup.maximum), stabilization=stabilization),
        Watch(setup.slots, setup.maximum),
        way_in=Caution() if way in {WHEN_IDLE, CAREFUL} else SafeRemoval(consolidates=way == GATHER),
    )


def comparisons(bench: Bench) -> dict[str, list[Row]]:
    """Rows by what they are equal to; the first of each is what the others are compared with."""
    found = {}
    for aim, ways in ((WHEN_IDLE, (CAREFUL, IDLE, GATHER)), (CAREFUL, (IDLE, GATHER))):
        first = bench.played(aim)
        others = [bench.matched(way, first.wait_p95_seconds) for way in ways]
        found[aim] = [first, *(row for row in others if row is not None)]
    return found


def first_days(trace: Trace, days: float) -> Trace:
    """The tasks of the first days.  Raises `ValueError` if there are none."""
    rows = np.flatnonzero(trace.queued_at < days * DAY)
    if not len(rows):
        raise ValueError(f"no task comes in the first {days:g} days; give more --days")
    return trace if len(rows) == len(trace) else trace.at_rows(rows)


def show(setup: Setup, tasks: int, found: dict[str, list[Row]]) -> None:
    print(f"\n{setup.name}: {tasks:,} tasks, {setup.slots} slots a worker, at most {setup.maximum} workers")
    print(
        f"{'':12}{'window s':>10}{'worker-hours':>14}{'saved':>8}{'wait mean':>11}{'p95 s':>8}{'killed':>8}"
    )
    for aim, rows in found.items():
        print(f"  no longer waits than {aim} without a window:")
        for row in rows:
            saved = 1 - row.worker_hours / rows[0].worker_hours
            print(
                f"    {row.way:10}{row.window_seconds:>8.0f}{row.worker_hours:>14,.1f}{saved:>8.1%}"
                f"{row.wait_mean_seconds:>11.2f}{row.wait_p95_seconds:>8.2f}{row.killed_tasks:>8}",
                flush=True,
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trace", nargs="?", type=Path)
    parser.add_argument("--slots", type=int, default=16, help="slots per worker")
    parser.add_argument("--max", type=int, default=100, help="most workers")
    parser.add_argument("--days", type=float, default=3.0, help="so many of the trace's first days")
    parser.add_argument("--tick", type=float, default=10.0, help="seconds from look to look")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    setups = (
        [Setup(options.trace, options.slots, options.max, options.days)] if options.trace else list(KNOWN)
    )
    if not all(setup.path.exists() for setup in setups):
        print(f"no trace at {setups[0].path}; name one: draining.py TRACE --slots N --max N", file=sys.stderr)
        return 2
    documents: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for setup in setups:
        try:
            trace = first_days(read_trace(setup.path), setup.days)
            found = comparisons(Bench(setup, trace, options.tick, options.seed))
        except (TraceError, SimulationError, ValueError) as error:
            print(f"{setup.name}: {error}", file=sys.stderr)
            return 1
        documents[setup.name] = {aim: [asdict(row) for row in rows] for aim, rows in found.items()}
        if not options.json:
            show(setup, len(trace), found)
    if options.json:
        print(json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
