"""The configuration: a TOML file, overridden by the environment (`AUTOSCALER__SECTION__KEY`).

Parsed once, here; nobody else reads a file or the environment for configuration.  Every field says
its unit and why one would change it; the README's table and the JSON Schema are made from this file.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from autoscaler.settings.intake import Celery
from autoscaler.settings.lease import Lease, LeaseKind
from autoscaler.settings.orders import Orders
from autoscaler.settings.section import Name, Port, Section
from autoscaler.settings.sources import (
    Airflow,
    Cloudwatch,
    CloudwatchMetric,
    CloudwatchNamespace,
    SourceChoice,
    SourceKind,
    Statsd,
)
from autoscaler.settings.target import Guards, Removal, RemovalMode, Target

__all__ = [
    "Airflow", "Aws", "Celery", "Cloudwatch", "CloudwatchMetric", "CloudwatchNamespace", "Guards", "Http",
    "Lease", "LeaseKind", "Log", "Mode", "Orders", "Removal", "RemovalMode", "Settings", "SourceChoice",
    "SourceKind", "Statsd", "Target",
]  # fmt: skip

ENVIRONMENT_PREFIX = "AUTOSCALER__"


class Mode(StrEnum):
    """Whether the daemon writes."""

    OBSERVE = "observe"
    ACT = "act"


class Aws(Section):
    """How AWS is reached; credentials come from the usual chain (task role, environment, profile)."""

    region: str | None = None
    """Region; by default the one of the environment."""
    endpoint_url: str | None = None
    """Another endpoint for all of AWS, such as a test double; for ECS alone: AWS_ENDPOINT_URL_ECS."""


class Http(Section):
    """Where `/metrics`, `/healthz`, `/readyz`, `/status` and `/decisions` are served."""

    host: Name = "127.0.0.1"
    """Address to listen on; only this machine unless configured otherwise."""
    port: Port = 9275
    """TCP port to listen on; 0 takes a free one."""


class Log(Section):
    """What the daemon prints."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json`: a line an event, decision records included; `console`: for people; `auto`: by the terminal."""
    records_path: str | None = None
    """A file that also gets every decision record; opened anew at each reload."""
    records_kept: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Decision records kept per target for `/decisions` and `autoscaler explain`; fewer if they are large."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        allow_inf_nan=False,
    )

    mode: Mode = Mode.OBSERVE
    """`observe` reads and explains, and writes nothing; `act` sets the size."""
    targets: Annotated[dict[Name, Target], Field(min_length=1, max_length=500)]
    """The services to size, by a name of your own."""
    airflow: Airflow = Airflow()
    """The metadata database."""
    celery: Celery = Celery()
    """The workers' broker, over which they are told to stop taking tasks; for `removal.mode`."""
    statsd: Statsd = Statsd()
    """The StatsD server; it listens if a target uses it."""
    cloudwatch: Cloudwatch | None = None
    """Needed if a target uses CloudWatch."""
    aws: Aws = Aws()
    """How AWS is reached."""
    lease: Lease = Lease()
    """Which of several daemons acts."""
    http: Http = Http()
    """The daemon's own pages."""
    log: Log = Log()
    """What the daemon prints."""
    orders: Orders = Orders()
    """Pauses and other bounds, as an operator orders them."""

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        if self.lease.kind is LeaseKind.DATABASE and not (
            self.lease.has_database or self.airflow.has_database
        ):
            raise ValueError("lease.kind database needs airflow.database_url or lease.database_url")
        services: dict[tuple[str, str], str] = {}
        for name, target in self.targets.items():
            where = f"targets.{name}"
            other = services.setdefault((target.cluster, target.service), name)
            if other != name:
                raise ValueError(f"{where} and targets.{other} size the same service: one writer per service")
            if target.uses(SourceKind.AIRFLOW_DB) and not self.airflow.has_database:
                raise ValueError(
                    f"{where} reads airflow_db, but airflow.database_url (or _file, or _secret) is not set"
                )
            if (mode := self.removal_mode(target)) is not RemovalMode.CAREFUL:
                needs = f"{where}.removal.mode {mode} needs"
                if not self.celery.has_broker:
                    raise ValueError(f"{needs} celery.broker_url (or _file)")
                if not self.airflow.has_database:
                    raise ValueError(f"{needs} airflow.database_url (or _file, or _secret) too")
            if target.uses(SourceKind.CLOUDWATCH) and self.cloudwatch is None:
                raise ValueError(f"{where} reads cloudwatch, but cloudwatch is not configured")
            if target.queues and any(choice.use is not SourceKind.AIRFLOW_DB for choice in target.sources):
                raise ValueError(f"{where} has queues, which only airflow_db can tell apart")
        return self

    def removal_mode(self, target: Target) -> RemovalMode:
        """How the target's workers leave."""
        if target.removal.mode is not None:
            return target.removal.mode
        tells = self.celery.has_broker and self.airflow.has_database
        return RemovalMode.IDLE if tells else RemovalMode.CAREFUL

    @property
    def shared_name(self) -> str:
        """What the daemons of the same services have in common: the name of their lease and orders."""
        services = sorted(f"{target.cluster} {target.service}" for target in self.targets.values())
        made = sha256(repr((self.aws.region, services)).encode()).hexdigest()
        return self.lease.name or f"services-{made[:16]}"
