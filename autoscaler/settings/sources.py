"""Where demand is read: settings of the sources, and a target's choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from autoscaler.settings.section import Name, Port, Section


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
