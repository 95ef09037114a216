"""The domain: what is observed, what is recommended, what is decided.  Frozen values only.

Instants are Unix seconds, durations are seconds, load is counted in worker slots.
A worker is one ECS task; a task is Airflow's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.orders import Orders

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEVER = float("-inf")


class Reason(StrEnum):
    """Why a number of workers was proposed, changed or kept.  Closed and safe as a metric label."""

    DEMAND = "demand"
    IDLE = "idle"
    WAITING_FOR_IDLE = "waiting_for_idle"
    SCHEDULE = "schedule"
    NO_OPINION = "no_opinion"
    INVALID_RECOMMENDATION = "invalid_recommendation"
    NO_DATA = "no_data"
    PARTIAL_DATA = "partial_data"
    CAPACITY_UNKNOWN = "capacity_unknown"
    WARMING_UP = "warming_up"
    WITHIN_TOLERANCE = "within_tolerance"
    STABILIZING = "stabilizing"
    COOLING_DOWN = "cooling_down"
    RATE_LIMITED = "rate_limited"
    AT_MINIMUM = "at_minimum"
    AT_MAXIMUM = "at_maximum"
    FOREIGN_WRITE = "foreign_write"
    CONTESTED = "contested"
    DEPLOYING = "deploying"
    DEPLOYMENT_FAILED = "deployment_failed"
    WRITE_UNCONFIRMED = "write_unconfirmed"
    WORKERS_PENDING = "workers_pending"
    WORKERS_UNLISTED = "workers_unlisted"
    BUSY_UNKNOWN = "busy_unknown"
    BUSY_UNPLACED = "busy_unplaced"
    PROTECTING = "protecting"
    WORKERS_HELD = "workers_held"
    DRAINING = "draining"
    LEAVING = "leaving"
    RESUMING = "resuming"
    INTAKE_UNKNOWN = "intake_unknown"
    FROZEN = "frozen"
    BUDGET_LOW = "budget_low"
    BUDGET_SPENT = "budget_spent"
    OVERRIDDEN = "overridden"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A reading that failed, is stale, or is not credible.  Never the same as zero."""

    why: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Work that wants slots at one instant."""

    queued: float
    """Tasks waiting for a slot."""
    running: float
    """Tasks holding a slot."""
    measured_at: float
    """When the load was so, by the daemon's clock."""
    oldest_wait_seconds: float = 0.0
    """How long the oldest queued task has waited."""
    scheduled: float = 0.0
    """Tasks that are ready but not yet queued: a look-ahead, not load."""
    phantoms: int = 0
    """Tasks left out of the load because whatever ran them is dead."""
    schedulers: int = 0
    """Live schedulers; 0: unknown."""
    whole: bool = True
    """False: part of the load may be missing, so a fall is not credible (a rise is)."""
    source: str = ""
    """Which source read it."""

    @property
    def load(self) -> float:
        """Slots wanted: queued + running."""
        return self.queued + self.running


class WorkerState(IntEnum):
    """Where a worker is in its life; the value of a row of `Workers.state`."""

    PENDING = 0
    RUNNING = 1
    STOPPING = 2


@dataclass(frozen=True, slots=True, eq=False)
class Workers:
    """The workers, one row each.  All columns have the length of `ids`."""

    ids: tuple[str, ...]
    hosts: tuple[tuple[str, ...], ...]
    """Every name under which Airflow may know the worker (private DNS name, IP address, container id)."""
    state: IntArray
    """A `WorkerState` each."""
    created_at: FloatArray
    started_at: FloatArray
    """NaN: not started."""
    busy_slots: FloatArray
    """Slots held by tasks; NaN: unknown, which counts as busy."""
    consuming: FloatArray
    """1: takes new tasks, 0: intake stopped, NaN: unknown."""
    protected_until: FloatArray
    """Scale-in protection ends then; 0: none; NaN: unknown, which counts as protected."""
    outdated: frozenset[str] = frozenset()
    """Ids of those that an older deployment started, while another one is being rolled out."""
    work_left_seconds: FloatArray | None = None
    """Until a worker's tasks are expected to have ended, by what such tasks took before; NaN: unknown.
    None: nobody said."""

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Workers):
            return NotImplemented
        return (
            self.ids == other.ids
            and self.hosts == other.hosts
            and self.outdated == other.outdated
            and (self.work_left_seconds is None) == (other.work_left_seconds is None)
            and all(
                np.array_equal(mine, theirs, equal_nan=True)
                for mine, theirs in zip(self.columns(), other.columns(), strict=True)
            )
        )

    __hash__ = None  # type: ignore[assignment]  # a value with arrays inside, never a key

    def columns(self) -> tuple[NDArray[Any], ...]:
        """The numeric columns that are there, in the order of the fields."""
        always = (
            self.state,
            self.created_at,
            self.started_at,
            self.busy_slots,
            self.consuming,
            self.protected_until,
        )
        return always if self.work_left_seconds is None else (*always, self.work_left_seconds)


class Rollout(StrEnum):
    """The state of the service's deployment."""

    STEADY = "steady"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the fleet says.  `desired`, `pending`, `running` mean what ECS means."""

    desired: int
    pending: int
    running: int
    draining: int = 0
    """Workers with stopped intake: they count as running but offer no slots."""
    workers: Workers | None = None
    """None: not listed this time (listing is a call a page, so only when somebody needs it)."""
    rollout: Rollout = Rollout.STEADY
    contested_by: str = ""
    """Who else sets this size (an Application Auto Scaling target); empty: nobody."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Which hosts hold work, as one independent side sees it."""

    slots_by_host: Mapping[str, int]
    measured_at: float
    work_left_by_host: Mapping[str, float] = field(default_factory=dict)
    """Seconds until the host's tasks are expected to have ended; hosts of which nobody knows are left out."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the workers' columns rest on."""

    busy_at: float = NEVER
    """When `busy_slots` was true; `NEVER`: nobody said."""
    unplaced_hosts: tuple[str, ...] = ()
    """Busy hosts that are none of the listed workers."""
    intake_at: float = NEVER
    """When `consuming` was true; `NEVER`: nobody said."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The fleet confirmed the write; `desired` None: only protections were written."""

    desired: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The fleet said no: nothing changed."""

    desired: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer: the write may have been applied, or may be applied late."""

    desired: int | None
    why: str


LastWrite = Applied | Refused | Unknown | None
"""How the previous decision's write ended; None: there was nothing to write."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world, and everything a step may know about it."""

    at: float
    demand: Demand | Unavailable
    capacity: Capacity | Unavailable
    evidence: Evidence = Evidence()
    last_write: LastWrite = None
    orders: Orders | None = None
    """What an operator ordered; None: nothing."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An opinion: unbounded, and unrounded because tolerance needs the ratio."""

    workers: float
    because: Reason
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of a decision's trail: after `stage`, `workers` are proposed, because of `reason`."""

    stage: str
    workers: float
    reason: Reason
    note: str = ""


class AlarmKind(StrEnum):
    """What a person should look at.  Closed and safe as a metric label."""

    DEAF_WORKERS = "deaf_workers"
    PENDING_TOO_LONG = "pending_too_long"
    PHANTOM_TASKS = "phantom_tasks"
    PARALLELISM_TOO_LOW = "parallelism_too_low"
    FOREIGN_WRITES = "foreign_writes"
    CONTESTED = "contested"
    DEPLOYMENT_FAILED = "deployment_failed"
    BUSY_UNPLACED = "busy_unplaced"
    DRAIN_OVERDUE = "drain_overdue"
    WRONG_WORKER_STOPPED = "wrong_worker_stopped"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to look at, in words."""

    kind: AlarmKind
    note: str


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """What a target may still use."""

    worker_hours: float
    """Negative: what was used beyond it, by workers that had to be held."""
    seconds: float
    """Until it is spent at the present size; infinity: never."""


NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall be: absolute, complete, and safe to apply twice."""

    desired: int | None
    """The service's desired count; None: write nothing."""
    trail: tuple[Stage, ...]
    """Every stage that had something to say, the policy first."""
    intake_stopped: frozenset[str] = NOBODY
    """All workers that shall take no new task; everybody else shall take tasks."""
    protected: frozenset[str] = NOBODY
    """Workers whose protection shall be set, or renewed, now."""
    released: frozenset[str] = NOBODY
    """Workers whose protection shall be ended now."""
    wants_workers: bool = False
    """The next step needs the workers listed."""
    alarms: tuple[Alarm, ...] = ()
    """What a person should look at."""
    budget: BudgetLeft | None = None
    """None: the target has none, or its fleet is not known."""

    @property
    def reason(self) -> Reason:
        """The reason of the last stage: why this size and no other."""
        return self.trail[-1].reason

    @property
    def workers(self) -> float:
        """The size that came out of the last stage."""
        return self.trail[-1].workers

    @property
    def recommended(self) -> float:
        """What the policy asked for, before any guard."""
        return self.trail[0].workers
