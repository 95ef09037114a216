"""Demand from Amazon CloudWatch: MWAA's two pairs of metrics, or metrics of one's own.

Minutes late and without any promise of freshness, so rather a fallback than a first choice.  A
reading costs a call of two or three metrics ($0.01 per 1,000 of them).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from time import time
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from autoscaler.aws import BoundedSession
from autoscaler.core.plain import one_line
from autoscaler.ports import SourceError
from policies.model import Demand

if TYPE_CHECKING:
    from types_aiobotocore_cloudwatch import CloudWatchClient

MAX_AGE_SECONDS = 240.0
"""CloudWatch promises no freshness; one to three minutes late is usual, and a datapoint is a minute."""
PERIOD_SECONDS = 60
LOOK_BACK_SECONDS = 900.0
"""How far beyond the greatest age datapoints are asked for, only to say how old the newest one is."""
MAX_PAGES = 10
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CODE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, read once a minute."""

    namespace: str
    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    statistic: str = "Maximum"
    """How the samples of a minute become one value.  A gauge's maximum never understates the load."""

    def query(self, name: str) -> dict[str, Any]:
        """It, as GetMetricData wants it, with `name` to find it in the answer."""
        dimensions = [{"Name": key, "Value": value} for key, value in self.dimensions.items()]
        metric = {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}
        return {
            "Id": name,
            "MetricStat": {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": self.statistic},
            "ReturnData": True,
        }

    def __str__(self) -> str:
        dimensions = ", ".join(f"{key}={value}" for key, value in self.dimensions.items())
        return (
            f"{self.namespace} {self.name} ({dimensions})" if dimensions else f"{self.namespace} {self.name}"
        )


@dataclass(frozen=True, slots=True)
class LoadMetrics:
    """The metrics that make up the load."""

    queued: Metric
    running: Metric
    oldest_wait: Metric | None = None
    """Age of the oldest queued task in seconds; it may lack datapoints, then it reads 0."""

    def queries(self) -> list[dict[str, Any]]:
        """All of them, by the name of the field."""
        named = {"queued": self.queued, "running": self.running, "oldest_wait": self.oldest_wait}
        return [metric.query(name) for name, metric in named.items() if metric]


def executor_metrics(environment: str) -> LoadMetrics:
    """MWAA's namespace `AmazonMWAA`: the gauges of Airflow's executor.  Only their sum is load.

    Each of several schedulers has gauges of its own; how MWAA merges them into the one metric is not
    known, so with more than one scheduler this may be a part of the load.
    """
    dimensions = {"Function": "Executor", "Environment": environment}
    queued, running = (Metric("AmazonMWAA", name, dimensions) for name in ("QueuedTasks", "RunningTasks"))
    return LoadMetrics(queued, running)


def queue_metrics(environment: str) -> LoadMetrics:
    """MWAA's namespace `AWS/MWAA`: from the SQS queue between scheduler and workers."""
    dimensions = {"Environment": environment}
    return LoadMetrics(
        Metric("AWS/MWAA", "QueuedTasks", dimensions),
        Metric("AWS/MWAA", "RunningTasks", dimensions),
        Metric("AWS/MWAA", "ApproximateAgeOfOldestTask", dimensions),
    )


@asynccontextmanager
async def cloudwatch_client(
    region: str | None, endpoint_url: str | None = None, *, read_seconds: float = 5.0
) -> AsyncIterator[CloudWatchClient]:
    """A client, open until the context ends.  Region None: the one of the environment.

    Each of its two attempts waits 2 s for a connection and `read_seconds` for the answer.
    Raises `SourceError` if there is no region or no usable configuration.
    """
    config = AioConfig(
        http_session_cls=BoundedSession,
        connect_timeout=2,
        read_timeout=read_seconds,
        # adaptive mode would slow reads for minutes after a throttled call
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(
                get_session().create_client(
                    "cloudwatch", region_name=region, endpoint_url=endpoint_url, config=config
                )
            )
        except (BotoCoreError, ValueError) as error:
            remedy = "set aws.region (or AWS_REGION), and aws.endpoint_url only if you need one"
            raise SourceError(
                f"the CloudWatch client cannot be made: {type(error).__name__}; {remedy}"
            ) from None
        yield client


@dataclass(frozen=True, slots=True)
class CloudwatchSource:
    """The load at the newest minute for which both metrics have a datapoint.

    The same minute for both: a task that went from queued to running between two minutes would
    otherwise be counted in neither.
    """

    client: CloudWatchClient
    metrics: LoadMetrics
    max_age_seconds: float = MAX_AGE_SECONDS
    """A datapoint whose minute began longer ago is none."""
    clock: Callable[[], float] = time
    """The daemon's wall clock, Unix seconds."""

    async def demand(self) -> Demand:
        now = self.clock()
        try:
            series = _series(await self._pages(now))
        except SourceError as error:
            raise SourceError(f"cloudwatch: {error}") from None
        except ClientError as error:
            raise SourceError(f"cloudwatch: {_said(error)}") from None
        except Exception as error:  # noqa: BLE001 - botocore's parsers raise anything on a broken body
            raise SourceError(
                f"cloudwatch: GetMetricData brought no usable answer ({type(error).__name__}); "
                "check the network, the region and the credentials"
            ) from None
        return self._demand(series, now)

    async def _pages(self, now: float) -> list[Any]:
        results: list[Any] = []
        request: dict[str, Any] = {
            "MetricDataQueries": self.metrics.queries(),
            "StartTime": datetime.fromtimestamp(now - self.max_age_seconds - LOOK_BACK_SECONDS, UTC),
            # exclusive; a period more, in case the clock here is behind
            "EndTime": datetime.fromtimestamp(now + PERIOD_SECONDS, UTC),
            "ScanBy": "TimestampDescending",
        }
        for _ in range(MAX_PAGES):
            answer = await self.client.get_metric_data(**request)
            results += answer["MetricDataResults"]
            token = answer.get("NextToken")
            if not token:
                return results
            request["NextToken"] = token
        raise SourceError(f"GetMetricData did not end after {MAX_PAGES} pages")

    def _demand(self, series: Mapping[str, Mapping[float, float]], now: float) -> Demand:
        queued, running = series.get("queued", {}), series.get("running", {})
        minutes = queued.keys() & running.keys()
        if not minutes:
            lacking = self.metrics.running if queued else self.metrics.queued
            seconds = LOOK_BACK_SECONDS + self.max_age_seconds
            what = "no minute with both metrics" if queued and running else f"no datapoint of {lacking}"
            raise SourceError(
                f"cloudwatch: {what} in the last {seconds:.0f} s; check the name of the environment, "
                "the namespace, the region, and that the metrics are published"
            )
        at = max(minutes)
        if not now - at <= self.max_age_seconds:
            raise SourceError(
                f"cloudwatch: the newest datapoint of {self.metrics.queued} is {now - at:.0f} s old, "
                f"allowed are {self.max_age_seconds:.0f} s"
            )
        oldest_wait = series.get("oldest_wait", {}).get(at, 0.0)
        for value in (queued[at], running[at], oldest_wait):
            if not isfinite(value) or value < 0:
                raise SourceError(
                    f"cloudwatch: {self.metrics.queued} and its pair say {value:g}, which cannot be"
                )
        return Demand(queued[at], running[at], at, oldest_wait_seconds=oldest_wait, source="cloudwatch")


def _series(results: list[Any]) -> dict[str, dict[float, float]]:
    """Values by start of the minute, by the query's name.  Raises `SourceError` unless all are complete.

    A result may come in parts over several pages; PartialData means that the next one has more.
    """
    series: dict[str, dict[float, float]] = {}
    status: dict[str, str] = {}
    for result in results:
        points = zip(result["Timestamps"], result["Values"], strict=True)
        series.setdefault(result["Id"], {}).update({at.timestamp(): float(value) for at, value in points})
        status[result["Id"]] = result["StatusCode"]
    for name, code in status.items():
        if code != "Complete":
            remedy = "; check the IAM action cloudwatch:GetMetricData" if code == "Forbidden" else ""
            raise SourceError(f"GetMetricData says {code} for {name}, not Complete{remedy}")
    return series


def _said(error: ClientError) -> str:
    """The error's code and what to do.  Not its text, which may repeat what was sent."""
    code = one_line(str(error.response.get("Error", {}).get("Code", "no code")), _CODE_LENGTH)
    if code in _DENIED:
        return f"GetMetricData is refused: {code}; allow the IAM action cloudwatch:GetMetricData"
    return f"GetMetricData failed: {code}"
