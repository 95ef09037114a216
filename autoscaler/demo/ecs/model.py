"""What the loopback ECS keeps: services and their tasks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.demo.ecs.spec import ServiceSpec
from autoscaler.demo.ecs.workload import Process

REGION = "us-east-1"
ACCOUNT = "123456789012"
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
EVENTS_KEPT = 100


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


class RolloutState(StrEnum):
    """A deployment's `rolloutState`."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment of a service."""

    id: str
    revision: int
    """Of the task definition."""
    created_at: float
    state: RolloutState = RolloutState.IN_PROGRESS
    reason: str = ""
    broken: bool = False
    """Its tasks fail to start."""
    failed_tasks: int = 0
    """Failures to start, counted until the first one runs."""
    has_run: bool = False


@dataclass(slots=True, eq=False)
class Task:
    """One task of a service."""

    id: str
    number: int
    """Counts all tasks of the world; makes the address."""
    spec: ServiceSpec
    deployment: Deployment
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
        return f"{ARN}:task/{self.spec.cluster}/{self.id}"

    @property
    def address(self) -> str:
        """A private IPv4 address, the task's alone."""
        return f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}"

    @property
    def host_name(self) -> str:
        """What the worker calls itself."""
        return f"ip-{self.address.replace('.', '-')}.ec2.internal"

    @property
    def runs(self) -> bool:
        """Whether it runs and shall go on."""
        return self.wanted and self.status is Status.RUNNING


@dataclass(frozen=True, slots=True)
class Event:
    """A line among the service's events."""

    at: float
    message: str


@dataclass(slots=True, eq=False)
class Service:
    """A service with its tasks, the stopped ones included for a while."""

    spec: ServiceSpec
    desired: int
    created_at: float
    deployments: list[Deployment]
    """The primary one first."""
    tasks: dict[str, Task] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    """The newest first."""
    lowered_at: float = float("-inf")
    refused_until: float = float("-inf")
    """Fargate has no capacity for its launches before."""
    rebalancing: Task | None = None
    """The task beyond the desired count that shall make the zones even."""

    @property
    def arn(self) -> str:
        """The service's ARN."""
        return f"{ARN}:service/{self.spec.cluster}/{self.spec.name}"

    @property
    def cluster_arn(self) -> str:
        """The ARN of its cluster."""
        return f"{ARN}:cluster/{self.spec.cluster}"

    @property
    def primary(self) -> Deployment:
        """The deployment that shall be."""
        return self.deployments[0]

    @property
    def wanted(self) -> list[Task]:
        """The tasks that shall run, oldest first."""
        return [task for task in self.tasks.values() if task.wanted]

    def revision_arn(self, deployment: Deployment) -> str:
        """The ARN of what a deployment's tasks are made from."""
        return f"{ARN}:task-definition/{self.spec.name}:{deployment.revision}"

    def protected(self, at: float) -> list[Task]:
        """The wanted tasks with scale-in protection."""
        return [task for task in self.wanted if task.protected_until > at]

    def count(self, *states: Status, deployment: Deployment | None = None) -> int:
        """How many wanted tasks are in one of the states, of one deployment or of all."""
        return sum(
            task.wanted and task.status in states and deployment in {None, task.deployment}
            for task in self.tasks.values()
        )

    def say(self, at: float, message: str) -> None:
        """A new event."""
        self.events.appendleft(Event(at, f"(service {self.spec.name}) {message}"))
