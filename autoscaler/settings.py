"""The configuration: a TOML file, overridden by the environment (`AUTOSCALER__SECTION__KEY`).

Parsed once, here; nobody else reads a file or the environment for configuration.  Every field says
its unit and why one would change it; the README's table and the JSON Schema are made from this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from autoscaler.core.guards import Rate
from policies import catalog
from policies.mwaa import ENVIRONMENT_CLASSES, EnvironmentClass

ENVIRONMENT_PREFIX = "AUTOSCALER__"
DEFAULT_SLOTS_PER_WORKER = 16  # Airflow's default of [celery] worker_concurrency
DEFAULT_MIN_WORKERS = 1
DEFAULT_MAX_WORKERS = 10

Name = Annotated[str, Field(min_length=1, max_length=255)]
Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A table of the configuration: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Mode(StrEnum):
    """Whether the daemon writes."""

    OBSERVE = "observe"
    ACT = "act"


class Airflow(Section):
    """Airflow's metadata database, the best source of demand and the only one that knows who is busy."""

    database_url: SecretStr | None = None
    """SQLAlchemy URL, as in Airflow's own `sql_alchemy_conn`; a read-only user suffices.  A secret."""
    database_url_file: str | None = None
    """A file that holds the URL; read again when the database refuses the credentials."""
    database_url_secret: str | None = None
    """AWS Secrets Manager id or ARN whose value is the URL; read again like the file."""
    statement_timeout_seconds: PositiveFloat = 5.0
    """A query that takes longer is given up, and the tick holds."""
    heartbeat_max_age_seconds: PositiveFloat = 30.0
    """A scheduler silent for longer is dead; without a living one demand is unknown, never zero."""
    phantom_seconds: PositiveFloat = 300.0
    """A task whose heartbeat is older is a phantom: not counted as load.  Airflow's own time-out is 300 s."""
    celery_executors: tuple[Name, ...] = ("CeleryExecutor",)
    """Executor names or aliases whose tasks run on these workers; the default executor always counts."""
    parallelism: PositiveInt | None = None
    """Airflow's `[core] parallelism`, if known; an alarm rises where the workers could run more."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        given = [
            name
            for name in ("database_url", "database_url_file", "database_url_secret")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not both")
        return self

    @property
    def has_database(self) -> bool:
        """Whether any of the three ways to name the database is used."""
        return bool(self.database_url or self.database_url_file or self.database_url_secret)


class Statsd(Section):
    """A StatsD server for Airflow's own metrics."""

    host: Name = "127.0.0.1"
    """Address to listen on; `::` or `0.0.0.0` for all."""
    port: Port = 8125
    """UDP port to listen on."""
    prefix: str = "airflow"
    """Airflow's `[metrics] statsd_prefix`."""
    executor: Name = "CeleryExecutor"
    """Whose gauges count, where Airflow runs several executors."""
    heartbeat_max_age_seconds: PositiveFloat = 15.0
    """A scheduler silent for longer is gone; it sends a heartbeat every five seconds."""
    schedulers: PositiveInt = 1
    """How many schedulers run: while fewer are heard, nothing goes in."""
    relay: str | None = None
    """`host:port` of another StatsD that shall get every packet unchanged."""


class CloudwatchNamespace(StrEnum):
    """Which pair of metrics to read."""

    EXECUTOR = "AmazonMWAA"
    QUEUE = "AWS/MWAA"


class CloudwatchMetric(Section):
    """One metric of your own."""

    namespace: Name
    """Its namespace."""
    name: Name
    """Its name."""
    dimensions: dict[Name, str] = Field(default_factory=dict)
    """All its dimensions."""


class Cloudwatch(Section):
    """Amazon CloudWatch: minutes late, so rather a fallback than a first choice."""

    environment: Name | None = None
    """The value of the metrics' environment dimension; needed unless `queued` and `running` are given."""
    namespace: CloudwatchNamespace = CloudwatchNamespace.EXECUTOR
    """`AmazonMWAA`: Airflow's executor gauges.  `AWS/MWAA`: the broker queue's."""
    queued: CloudwatchMetric | None = None
    """A metric of your own for waiting tasks: `{namespace = ..., name = ..., dimensions = {...}}`."""
    running: CloudwatchMetric | None = None
    """A metric of your own for running tasks."""

    @model_validator(mode="after")
    def _metrics(self) -> Self:
        if (self.queued is None) is not (self.running is None):
            raise ValueError("queued and running go together: the load is their sum")
        if (self.queued is None) is (self.environment is None):
            raise ValueError("give either environment, or queued and running")
        return self


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


class SourceKind(StrEnum):
    """Where demand can be read."""

    AIRFLOW_DB = "airflow_db"
    STATSD = "statsd"
    CLOUDWATCH = "cloudwatch"


DEFAULT_MAX_AGE_SECONDS: Mapping[SourceKind, float] = {
    SourceKind.AIRFLOW_DB: 30.0,
    SourceKind.STATSD: 30.0,
    SourceKind.CLOUDWATCH: 240.0,
}


class SourceChoice(Section):
    """One entry of a target's ordered list of sources."""

    use: SourceKind
    """Which source."""
    max_age_seconds: PositiveFloat | None = None
    """An older reading is none.  Default: 30 s, for CloudWatch 240 s."""

    @property
    def age_limit_seconds(self) -> float:
        """The configured limit or the source's default."""
        return self.max_age_seconds or DEFAULT_MAX_AGE_SECONDS[self.use]


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
    """How fast the fleet may grow."""
    rate_in: Rate = Rate()
    """How fast the fleet may shrink."""
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
    """Tasks one worker runs at a time (`worker_concurrency`).  Default: the policy's MWAA class, or 16."""
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
        if not self.sources:
            raise ValueError("sources must name at least one of airflow_db, statsd, cloudwatch")
        if len({choice.use for choice in self.sources}) < len(self.sources):
            raise ValueError("sources names a source twice")
        catalog.build(self.policy, self.slots)
        return self

    @property
    def preset(self) -> EnvironmentClass | None:
        """The MWAA environment class the policy names, if it does."""
        return ENVIRONMENT_CLASSES.get(str(self.policy.get("environment_class")))

    @property
    def slots(self) -> int:
        """Tasks one worker runs at a time."""
        preset = self.preset.slots_per_worker if self.preset else DEFAULT_SLOTS_PER_WORKER
        return self.slots_per_worker or preset

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


class Log(Section):
    """What the daemon prints."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json`: a line an event, decision records included; `console`: for people; `auto`: by the terminal."""
    records_path: str | None = None
    """A file that also gets every decision record; opened anew at each reload."""
    records_kept: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Decision records kept in memory for `/decisions` and `autoscaler explain`, per target."""


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
    statsd: Statsd = Statsd()
    """The StatsD server; it listens if a target uses it."""
    cloudwatch: Cloudwatch | None = None
    """Needed if a target uses CloudWatch."""
    aws: Aws = Aws()
    """How AWS is reached."""
    http: Http = Http()
    """The daemon's own pages."""
    log: Log = Log()
    """What the daemon prints."""

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
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
            if target.uses(SourceKind.CLOUDWATCH) and self.cloudwatch is None:
                raise ValueError(f"{where} reads cloudwatch, but cloudwatch is not configured")
            if target.queues and any(choice.use is not SourceKind.AIRFLOW_DB for choice in target.sources):
                raise ValueError(f"{where} has queues, which only airflow_db can tell apart")
        return self
