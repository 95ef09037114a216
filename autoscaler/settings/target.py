"""One worker service: its queues, bounds, policy, guards and deadlines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from autoscaler.core.budget import DAY_HOURS, Budget
from autoscaler.core.guards import Rate
from autoscaler.settings.section import Name, Section, Share
from autoscaler.settings.sources import SourceChoice, SourceKind
from policies import catalog
from policies.mwaa import ENVIRONMENT_CLASSES, EnvironmentClass

DEFAULT_SLOTS_PER_WORKER = 16  # Airflow's default of [celery] worker_concurrency
DEFAULT_MIN_WORKERS = 1
DEFAULT_MAX_WORKERS = 10


class RemovalMode(StrEnum):
    """How workers leave."""

    CAREFUL = "careful"
    IDLE = "idle"
    GATHER = "gather"


class Removal(Section):
    """How workers leave, and how long they may take."""

    mode: RemovalMode | None = None
    """`careful`: busy workers are protected, ECS picks among the others.  `idle`: chosen idle workers stop
    taking tasks and leave; `gather`: busy ones too, once they are done.  Without it `idle` where `celery`
    names a broker and `airflow` a database, else `careful`."""
    deadline_seconds: PositiveFloat = 3600.0
    """A worker that is not empty by then takes tasks again, and is left alone for as long."""
    kills: bool = False
    """At the deadline the worker leaves with the work it holds."""


class Guards(Section):
    """Limits between the policy's wish and the size.  The defaults are MWAA's behaviour."""

    warm_up_seconds: NonNegativeFloat = 120.0
    """After a start nothing goes in for so long: a restart never shrinks."""
    tolerance_out_share: Share = 0.0
    """A wish at most this share above the current size is ignored."""
    tolerance_in_share: Share = 0.0
    """A wish at most this share below the current size is ignored."""
    stabilization_out_seconds: NonNegativeFloat = 0.0
    """Out goes only as far as the smallest wish of this window."""
    stabilization_in_seconds: NonNegativeFloat = 0.0
    """In goes only as far as the largest wish of this window."""
    cooldown_out_seconds: NonNegativeFloat = 0.0
    """Pause after a scale-out before the next one."""
    cooldown_in_seconds: NonNegativeFloat = 0.0
    """Pause after a scale-in before the next one."""
    rate_out: Rate = Rate()
    """How fast the fleet may grow: `{rules = [{value = 4, unit = "count", period_seconds = 60}]}`."""
    rate_in: Rate = Rate()
    """How fast the fleet may shrink: `{rules = [{value = 10, unit = "percent", period_seconds = 60}]}`."""
    budget: Budget | None = None
    """Worker-hours: `{worker_hours_per_day = 240, burst_worker_hours = 80, floor_workers = 2}`.  Once
    spent, the fleet goes in to the floor until a quarter of the burst is back, with which it also starts."""
    foreign_quiet_seconds: NonNegativeFloat = 300.0
    """After somebody else set the size, nothing goes in for so long."""
    pending_deadline_seconds: PositiveFloat = 600.0
    """Workers that have not started by then raise an alarm and no longer hold a scale-in up."""


class Target(Section):
    """One worker service with its queues, bounds, policy and guards."""

    cluster: Name
    """ECS cluster, name or ARN."""
    service: Name
    """ECS service of the Celery workers."""
    queues: tuple[Name, ...] = ()
    """Airflow queues its workers serve; empty: all."""
    slots_per_worker: PositiveInt | None = None
    """Tasks one worker runs at a time (`worker_concurrency`).  Default: what the policy says, or 16."""
    min_workers: NonNegativeInt | None = None
    """Never fewer.  Default: 1."""
    max_workers: NonNegativeInt | None = None
    """Never more.  Default: the policy's MWAA class, or 10."""
    policy: dict[str, Any] = Field(default_factory=lambda: {"name": "mwaa"})
    """`name` (built in, entry point, or `pkg.mod:Class`) and the policy's own fields."""
    sources: tuple[SourceChoice, ...] = (SourceChoice(use=SourceKind.AIRFLOW_DB),)
    """Where demand is read, in order of preference."""
    interval_seconds: Annotated[float, Field(ge=1)] = 10.0
    """Time between two looks."""
    read_deadline_seconds: PositiveFloat = 8.0
    """A reading that takes longer has failed."""
    write_deadline_seconds: PositiveFloat = 8.0
    """A write without an answer for longer counts as unknown."""
    demand_max_age_seconds: PositiveFloat = 300.0
    """The controller believes no older demand, whatever the source allows."""
    protection_minutes: Annotated[int, Field(ge=11, le=2880)] = 60
    """How long a busy worker is protected before a scale-in; ECS ends it by itself then."""
    list_every_seconds: PositiveFloat = 60.0
    """How often the workers are listed although no scale-in needs it."""
    removal: Removal = Removal()
    """How workers leave."""
    guards: Guards = Guards()
    """Limits between wish and size."""

    @field_validator("sources", mode="before")
    @classmethod
    def _plain_names(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"use": entry} if isinstance(entry, str) else entry for entry in value]
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"min_workers {self.minimum} is above max_workers {self.maximum}")
        budget = self.guards.budget
        if budget is not None and self.minimum >= budget.sustained_workers:
            raise ValueError(
                f"min_workers {self.minimum} use {self.minimum * DAY_HOURS:g} worker-hours a day, all of "
                f"guards.budget: nothing would ever come back"
            )
        if not self.sources:
            raise ValueError("sources must name at least one of airflow_db, statsd, cloudwatch")
        if len({choice.use for choice in self.sources}) < len(self.sources):
            raise ValueError("sources names a source twice")
        catalog.build(self.policy, self.slots)
        for slots in _given(self.policy, "slots_per_worker"):
            if slots != self.slots:
                raise ValueError(f"slots_per_worker is {self.slots} here and {slots} in policy: give it once")
        return self

    @property
    def preset(self) -> EnvironmentClass | None:
        """The MWAA environment class that the policy, or the first of its parts that does, names."""
        found = (ENVIRONMENT_CLASSES.get(str(name)) for name in _given(self.policy, "environment_class"))
        return next(filter(None, found), None)

    @property
    def slots(self) -> int:
        """Tasks one worker runs at a time."""
        preset = self.preset.slots_per_worker if self.preset else DEFAULT_SLOTS_PER_WORKER
        in_policy = (each for each in _given(self.policy, "slots_per_worker") if isinstance(each, int))
        return self.slots_per_worker or next(in_policy, preset)

    @property
    def minimum(self) -> int:
        """The lower bound."""
        preset = self.preset.minimum if self.preset else DEFAULT_MIN_WORKERS
        return preset if self.min_workers is None else self.min_workers

    @property
    def maximum(self) -> int:
        """The upper bound."""
        preset = self.preset.maximum if self.preset else max(DEFAULT_MAX_WORKERS, self.minimum)
        return preset if self.max_workers is None else self.max_workers

    def uses(self, kind: SourceKind) -> bool:
        """Whether demand may come from this source."""
        return any(choice.use is kind for choice in self.sources)


def _given(policy: Mapping[str, Any], field: str) -> Iterator[Any]:
    """A field of the policy and of the policies that it is made of, wherever it is given."""
    if field in policy:
        yield policy[field]
    parts = policy.get("policies")
    for part in parts if isinstance(parts, list | tuple) else ():
        if isinstance(part, Mapping):
            yield from _given(part, field)
