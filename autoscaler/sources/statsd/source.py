"""Demand from what the StatsD server heard."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import time

from autoscaler.ports import SourceError
from autoscaler.sources.statsd.server import StatsdServer
from policies.model import Demand


@dataclass(frozen=True, slots=True)
class StatsdSource:
    """One executor's load as its schedulers tell it.

    Airflow's Celery executor counts a task as running from the moment it is sent to the broker, so
    `queued` is nearly always 0 and `running` holds the waiting ones too: only the sum, `Demand.load`,
    means anything, and it is exact to a second or two.  Of the hybrid executors of Airflow 2
    (`CeleryKubernetesExecutor`) both halves send the same plain names: read those from the database.

    A reading is not `whole`, so nothing goes in on it, when a sender fell silent (until it is back or
    forgotten), in the first seconds after a start, and while fewer than `expected_schedulers` live: a
    scheduler may stay mute when its StatsD host was restarted (apache/airflow#47374), and nothing that
    was heard tells.
    """

    server: StatsdServer
    executor: str = "CeleryExecutor"
    """The class whose gauges count."""
    expected_schedulers: int = 1
    """How many schedulers run, as far as one knows."""
    queues: Collection[str] = ()
    """Must be empty: see `__post_init__`."""
    clock: Callable[[], float] = time
    """The daemon's wall clock, Unix seconds."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for queues.

        Executor gauges know no queue.  `ti.queued.QUEUE.DAG.TASK` does not help: only Airflow 3 sends it,
        every 30 s; where the queue's name ends is a guess, as all three parts may hold dots; and the 0
        that ends a gauge is sent once, so one lost packet leaves load that never goes.
        """
        if self.queues:
            raise ValueError(
                f"statsd cannot tell the queues {', '.join(sorted(self.queues))} apart: "
                "read them with the source airflow_db"
            )

    async def demand(self) -> Demand:
        host, port = self.server.address
        try:
            load, age_seconds = self.server.load(self.executor)
        except SourceError as error:
            raise SourceError(f"statsd on {host} port {port}: {error}") from None
        return Demand(
            queued=load.queued,
            running=load.running,
            measured_at=self.clock() - age_seconds,
            schedulers=load.schedulers,
            whole=load.whole and load.schedulers >= self.expected_schedulers,
            source="statsd",
        )
