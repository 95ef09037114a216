"""What the loopback ECS keeps: services and their tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from autoscaler.demo.ecs.processes import Process

REGION = "us-east-1"
ACCOUNT = "123456789012"
_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"


class ApiError(Exception):
    """An error answer of the API: its code and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Status(StrEnum):
    """A task's `lastStatus`."""

    PROVISIONING = "PROVISIONING"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DEACTIVATING = "DEACTIVATING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """How a service is and behaves.  Durations are seconds."""

    name: str = "workers"
    cluster: str = "demo"
    desired: int = 0
    command: tuple[str, ...] | None = None
    """What each task runs as a process of its own; None: tasks are pretended."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to each process's environment, beside its own `HOSTNAME` and `ECS_TASK_*`."""
    output: Path | None = None
    """The file to which all tasks append what they print; None: it is lost."""
    launch_seconds: float = 59.0
    """Median from created to started (53-62 s were measured on Fargate)."""
    launch_sigma: float = 0.2
    """Spread of the lognormal launch delay; 0: always the median."""
    never_starts_share: float = 0.0
    """Share of the tasks that stay PENDING for ever."""
    reaction_seconds: float = 0.0
    """Between a lower desired count and the choice of who leaves."""
    deactivating_seconds: float = 0.0
    """Between the order to stop and SIGTERM."""
    stop_timeout_seconds: float = 30.0
    """Between SIGTERM and SIGKILL."""
    visible_after_seconds: float = 0.0
    """A task younger than that is listed, but MISSING where it is described."""
    pending_leave_first: bool = True
    """AWS does not say whether tasks on their way go before running ones; so both can be had."""
    zones: tuple[str, ...] = ("us-east-1a", "us-east-1b", "us-east-1c")
    zone_rebalancing: bool = False
    controller: str = "ECS"
    strategy: str = "REPLICA"
    status: str = "ACTIVE"
    platform_version: str = "1.4.0"
    worker_environment: Mapping[str, str] = field(
        default_factory=lambda: {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "16"}
    )
    """The environment that the task definition shows."""
    worker_command: tuple[str, ...] = ("celery", "worker")
    """The command that the task definition shows."""


@dataclass(slots=True, eq=False)
class Task:
    """One task of a service."""

    id: str
    number: int
    """Counts all tasks of the world; makes the address."""
    cluster: str
    service_name: str
    zone: str
    created_at: float
    status: Status = Status.PROVISIONING
    wanted: bool = True
    """`desiredStatus` is RUNNING."""
    started_at: float | None = None
    stopping_at: float | None = None
    stopped_at: float | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    protected_until: float = 0.0
    process: Process | None = None

    @property
    def arn(self) -> str:
        """The task's ARN."""
        return f"{_ARN}:task/{self.cluster}/{self.id}"

    @property
    def address(self) -> str:
        """A private IPv4 address, the task's alone."""
        return f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}"

    @property
    def host_name(self) -> str:
        """What the worker calls itself."""
        return f"ip-{self.address.replace('.', '-')}.ec2.internal"


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment of a service."""

    id: str
    primary: bool
    state: str
    """`rolloutState`: COMPLETED, IN_PROGRESS or FAILED."""


@dataclass(slots=True, eq=False)
class Service:
    """A service with its tasks, the stopped ones included for a while."""

    spec: ServiceSpec
    desired: int
    created_at: float
    deployments: list[Deployment]
    tasks: dict[str, Task] = field(default_factory=dict)
    lowered_at: float = float("-inf")

    @property
    def arn(self) -> str:
        """The service's ARN."""
        return f"{_ARN}:service/{self.spec.cluster}/{self.spec.name}"

    @property
    def cluster_arn(self) -> str:
        """The ARN of its cluster."""
        return f"{_ARN}:cluster/{self.spec.cluster}"

    @property
    def task_definition_arn(self) -> str:
        """The ARN of what its tasks are made from."""
        return f"{_ARN}:task-definition/{self.spec.name}:1"

    @property
    def wanted(self) -> list[Task]:
        """The tasks that shall run, oldest first."""
        return [task for task in self.tasks.values() if task.wanted]

    def protected(self, at: float) -> list[Task]:
        """The wanted tasks with scale-in protection."""
        return [task for task in self.wanted if task.protected_until > at]

    def count(self, *states: Status) -> int:
        """How many wanted tasks are in one of the states."""
        return sum(task.wanted and task.status in states for task in self.tasks.values())
