"""How a service of the loopback ECS is and behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What AWS does not say, so that both can be had."""

    pending_leave_first: bool = True
    """Whether tasks on their way go before running ones."""
    renewals_blocked: bool = False
    """Whether DEPLOYMENT_BLOCKED also keeps a protection from being renewed."""
    protection_reads_lag: bool = False
    """Whether GetTaskProtection lags as the other readings do."""
    rebalancing_spares_protected: bool = True
    """Whether zone rebalancing leaves protected tasks alone."""
    spot_notice_is_sigterm: bool = True
    """Whether SIGTERM comes with Spot's two minutes of notice, and not at their end."""
    rollback_reuses_deployment: bool = True
    """Whether the deployment that is rolled back to is the old one, and not a new one like it."""


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
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    circuit_breaker: bool = False
    """A deployment whose tasks do not start is given up."""
    rolls_back: bool = False
    """A deployment that is given up is followed by the one before it."""
    spot: bool = False
    """Its tasks run on FARGATE_SPOT."""
    zones: tuple[str, ...] = ("us-east-1a", "us-east-1b", "us-east-1c")
    zone_rebalancing: bool = False
    silence: Silence = Silence()
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
