"""The modelled Airflow: what its scheduler, pools, queues and slots do, as numbers with their sources.

"Measured" means: on Airflow 3.3.2 and 2.11.2 with CeleryExecutor, Redis and PostgreSQL.  Limits such as
`parallelism` are off unless they are given: Airflow's own defaults would throttle a trace from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from math import isfinite
from typing import Final

from simulations.quantiles import NONE, Quantiles, chance, constant
from simulations.trace import quantised

MOST: Final = 1_000_000_000
"""A larger limit limits nothing."""
Limit = int | Mapping[str, int] | None
"""A number for all, numbers by name (others are not limited), or no limit."""


LONGEST_DELAY_SECONDS = 30_000.0
"""Eight hours: a longer delay is a mistake, and would not fit into 32 bits."""


class WorkerChoice(StrEnum):
    """Which of the workers with a free slot gets the next task."""

    ROTATION = "rotation"
    """The one that has waited longest: so the broker serves blocked consumers.  Measured: no exception
    in 271 tasks."""
    FIRST_FIT = "first-fit"
    """The one launched first: packs tasks most tightly."""
    RANDOM = "random"


class QueueOrder(StrEnum):
    """Which of a line's queues is served next."""

    ROUND_ROBIN = "round-robin"
    """In turn: the default of Celery's transports."""
    ARRIVAL = "arrival"
    """The one whose first task was queued first."""


@dataclass(frozen=True, slots=True)
class Airflow:
    """One Airflow.  As it stands here every rule is off: tasks are queued in input order when ready.

    Raises `ValueError` for a number that makes no sense.
    """

    loop_period_seconds: float = 0.0
    """From one look of the scheduler to the next; 0: it looks at every instant.  Measured 1.03 to 1.2 s:
    1 s of sleep and the loop's own work."""
    schedule_delay: Quantiles = NONE
    """From a task's being ready until a loop can see it.  Measured 0.03 s; the rest of the 0.5 to 0.7 s
    between a parent's end and its child's scheduling is the wait for the loop."""
    by_priority: bool = False
    """Whether a loop takes tasks by priority, then by their run's start; else in input order."""
    queued_per_loop: int | None = None
    """Most tasks queued by one loop.  Airflow's `max_tis_per_query` (16) bounds one query, but a loop that
    found work is followed by the next without a pause: so None unless it was measured."""
    parallelism: int | None = None
    """Most tasks queued and running at a time: `[core] parallelism` times schedulers."""
    pools: Mapping[str, int] | None = None
    """Slots by pool, -1: unlimited; None: no pool is limited.  `default_pool` may be left out: unlimited."""
    max_active_tasks: Limit = None
    """Most tasks queued and running of one DAG run, or of one DAG."""
    max_active_tasks_per_run: bool = True
    """Whether `max_active_tasks` counts by DAG run (since Airflow 3.0) or by DAG (before)."""
    max_active_runs: Limit = None
    """Most DAG runs of one DAG at a time."""
    queue_order: QueueOrder = QueueOrder.ARRIVAL
    worker_choice: WorkerChoice = WorkerChoice.FIRST_FIT
    start_delay: Quantiles = NONE
    """From a worker's taking a task until it runs; it holds a slot.  Measured 0.05 to 0.1 s."""
    first_task_penalty: Quantiles = NONE
    """As much longer takes the first task of a fresh worker.  Measured 1.5 to 3.5 s."""
    slot_tail: Quantiles = NONE
    """How long a slot stays taken after its task's end.  Nobody sees it but the queue."""
    heartbeat_timeout_seconds: float = 0.0
    """Until Airflow notices that a worker's tasks died with it: `scheduler_zombie_task_threshold`, later
    `task_instance_heartbeat_timeout`, 300 s.  Measured 300 to 316 s."""
    retry_delay_seconds: float = 0.0
    """From there to the next try: Airflow's default is 300 s."""
    retries: int | None = None
    """How often a task that was lost with its worker is tried again; None: always."""
    queued_timeout_seconds: float | None = None
    """A task queued for longer is queued anew: `task_queued_timeout`, 600 s."""
    requeues: int = 2
    """How often; then it fails: `num_stuck_in_queued_retries`."""

    def __post_init__(self) -> None:
        for name in ("schedule_delay", "start_delay", "first_task_penalty", "slot_tail"):
            if (longest := getattr(self, name).seconds[-1]) > LONGEST_DELAY_SECONDS:
                expected = f"at most {LONGEST_DELAY_SECONDS:g} seconds"
                raise ValueError(f"{name}: expected {expected}, got {longest:g}")
        for name in ("loop_period_seconds", "heartbeat_timeout_seconds", "retry_delay_seconds"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))
        if (timeout := self.queued_timeout_seconds) is not None:
            if quantised(_seconds("queued_timeout_seconds", timeout)) <= 0:
                raise ValueError("queued_timeout_seconds: expected more than 0 seconds, got 0")
            object.__setattr__(self, "queued_timeout_seconds", quantised(timeout))
        for name, least in (("queued_per_loop", 1), ("parallelism", 1), ("retries", 0), ("requeues", 0)):
            _check(name, getattr(self, name), least)
        for name, least in (("pools", -1), ("max_active_tasks", 1), ("max_active_runs", 1)):
            limit = getattr(self, name)
            named = limit.items() if isinstance(limit, Mapping) else (("", limit),)
            for key, value in named:
                _check(f"{name}.{key}" if key else name, value, least)
        if self.queued_per_loop is not None and not self.loop_period_seconds:
            raise ValueError("queued_per_loop: expected a loop_period_seconds with it, got none")

    @property
    def is_plain(self) -> bool:
        """Whether the plain queue does the same: all rules are off, but for a constant tail and retries."""
        off = Airflow(
            slot_tail=self.slot_tail,
            heartbeat_timeout_seconds=self.heartbeat_timeout_seconds,
            retry_delay_seconds=self.retry_delay_seconds,
        )
        same = all(
            getattr(self, each.name) == getattr(off, each.name)
            for each in fields(self)
            if each.name not in {"requeues", "max_active_tasks_per_run", "queue_order"}
        )
        return same and self.slot_tail.constant


def limit_of(limit: Limit, name: str) -> int | None:
    """The limit of one DAG or pool; None: none.  Nothing limits what has no name."""
    if not name:
        return None
    return limit.get(name) if isinstance(limit, Mapping) else limit


def _seconds(name: str, value: float) -> float:
    if not (isfinite(value) and 0 <= value <= 1e6):
        raise ValueError(f"{name}: expected 0 to 1e6 seconds, got {value:g}")
    return quantised(value)


def _check(name: str, value: int | None, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ValueError(f"{name}: expected a whole number, at least {least}, got {value!r}")
    if value is not None and value > MOST:
        raise ValueError(f"{name}: expected at most {MOST}, got {value}; leave it out for no limit")


PLAIN: Final = Airflow()
"""Queueing theory's world: no scheduler, no limits, no delays."""

AIRFLOW_3: Final = Airflow(
    loop_period_seconds=1.05,
    schedule_delay=constant(0.03),
    by_priority=True,
    queue_order=QueueOrder.ROUND_ROBIN,
    worker_choice=WorkerChoice.ROTATION,
    start_delay=Quantiles((0.05, 0.1)),
    first_task_penalty=Quantiles((1.5, 3.5)),
    # `[workers] min_heartbeat_interval`, 5 s, where a race is lost: on 35 % of tasks on a nearly idle
    # machine, 52 % on a half-loaded, 74 % on a busy one.  Here the half-loaded one.
    slot_tail=chance(0.52, 5.0),
    heartbeat_timeout_seconds=300.0,
    retry_delay_seconds=300.0,
    queued_timeout_seconds=600.0,
)
"""Airflow 3.3 as it was measured."""

AIRFLOW_2: Final = Airflow(
    loop_period_seconds=1.05,
    schedule_delay=constant(0.03),
    by_priority=True,
    max_active_tasks_per_run=False,
    queue_order=QueueOrder.ROUND_ROBIN,
    worker_choice=WorkerChoice.ROTATION,
    # A slot was held 1.0 s before its task and 0.25 s after it.
    start_delay=Quantiles((1.0, 1.1)),
    first_task_penalty=Quantiles((1.5, 3.5)),
    slot_tail=constant(0.25),
    heartbeat_timeout_seconds=300.0,
    retry_delay_seconds=300.0,
    queued_timeout_seconds=600.0,
)
"""Airflow 2.11 as it was measured."""

VERSIONS: Final[Mapping[str, Airflow]] = {
    "3.3": AIRFLOW_3,
    "3": AIRFLOW_3,
    "2.11": AIRFLOW_2,
    "2": AIRFLOW_2,
    "plain": PLAIN,
}
"""By the name that users write."""
