"""Everything that may go wrong, by name; the rows of the table of what was met."""

from __future__ import annotations

from enum import StrEnum

from autoscaler.demo.ecs import Fault

READS = ("DescribeServices", "ListTasks", "DescribeTasks", "GetTaskProtection", "DescribeScalableTargets")
PROTECTS = ("UpdateTaskProtection",)
SIZES = ("UpdateService",)
GROUPS = {"read": READS, "protection": PROTECTS, "size": SIZES}
GROUP_OF = {operation: group for group, operations in GROUPS.items() for operation in operations}
LATE = frozenset({Fault.APPLY_LATE, Fault.ANSWERED_LATE})
CALLS = tuple(
    f"{group} {fault.value}"
    for group in GROUPS
    for fault in Fault
    if not (group == "read" and fault in LATE)  # what is late is a write
    and not (group == "size" and fault is Fault.ANSWERED_LATE)  # AWS confirms a size that it has noted
)


class Kind(StrEnum):
    """What goes wrong beside single calls."""

    DENIED = "grant withdrawn"
    LAG = "readings lag"
    NOT_PROTECTED = "protection refused"
    BLOCKED = "deployment blocked"
    LEFT_OUT = "protection left out"
    NO_CAPACITY = "no capacity"
    NEVER_STARTS = "never starts"
    SPOT = "spot reclaim"
    RETIRED = "retirement"
    EXITED = "worker exits"
    ROLLOUT = "rollout"
    BROKEN_ROLLOUT = "broken rollout"
    REBALANCING = "zone rebalancing"
    FOREIGN_OUT = "foreign write out"
    FOREIGN_IN = "foreign write in"
    CONTESTED = "another autoscaler"
    DEMAND_FAILS = "source outage"
    DEMAND_HANGS = "source hangs"
    DEMAND_STALE = "source stale"
    DEMAND_LAGS = "source lags"
    DEMAND_WRONG = "source wrong"
    DEMAND_PARTIAL = "statsd vanished"
    NO_SCHEDULER = "scheduler dead"
    SOURCE_DEFECT = "source defect"
    BUSY_FAILS = "witness outage"
    BUSY_HANGS = "witness hangs"
    BUSY_STALE = "witness stale"
    BUSY_STRANGE = "busy stranger"
    INTAKE_FAILS = "broker away"
    INTAKE_HANGS = "broker hangs"
    INTAKE_HALF = "half answers"
    INTAKE_LOST = "orders lost"
    DEATH = "daemon killed"
    RESTART = "daemon restarted"
    RELOAD = "reload"
    BAD_RELOAD = "bad reload"
    SECOND = "second daemon"
    LEASE_LOST = "lease lost"
    LEASE_FAILS = "lease unreachable"
    LEASE_HANGS = "lease hangs"
    PAUSED = "paused"
    PAUSED_IN = "paused in"
    PAUSED_OUT = "paused out"
    OVERRIDDEN = "other bounds"
    CLOCK_BACK = "clock set back"


ALL = (*CALLS, *(kind.value for kind in Kind))
