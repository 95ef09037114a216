"""The Prometheus metrics.  The README's table is made from `TABLE`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from autoscaler.orders.given import KINDS
from autoscaler.ports import Tick
from policies.model import (
    AlarmKind,
    Applied,
    Capacity,
    Decision,
    Demand,
    Observation,
    Reason,
    Refused,
    Unavailable,
    Unknown,
)
from policies.orders import Orders, Way

PREFIX = "autoscaler"
TICK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table of metrics."""

    name: str
    kind: type[Gauge | Counter | Histogram]
    labels: tuple[str, ...]
    meaning: str


_TARGET = ("target",)
TABLE = (
    Metric("acting", Gauge, (), "1: the mode is act; 0: the daemon only observes"),
    Metric("leader", Gauge, (), "1: this daemon leads, or there is no lease; 0: it stands by"),
    Metric("lease_epoch", Gauge, (), "The epoch of this daemon's lease; 0: it holds none"),
    Metric("demand_queued", Gauge, _TARGET, "Tasks waiting for a slot; NaN while unknown"),
    Metric("demand_running", Gauge, _TARGET, "Tasks holding a slot; NaN while unknown"),
    Metric("demand_scheduled", Gauge, _TARGET, "Tasks ready but not yet queued; NaN while unknown"),
    Metric("demand_oldest_wait_seconds", Gauge, _TARGET, "Wait of the oldest queued task"),
    Metric("demand_phantoms", Gauge, _TARGET, "Tasks left out of the load: no process runs them"),
    Metric("demand_age_seconds", Gauge, _TARGET, "Age of the demand when it was decided on"),
    Metric("demand_credible", Gauge, _TARGET, "1: demand was read and believed; 0: it is unknown"),
    Metric("readings_total", Counter, ("target", "source"), "Credible readings by the source they came from"),
    Metric("workers_desired", Gauge, _TARGET, "The service's desired count"),
    Metric("workers_running", Gauge, _TARGET, "Running workers"),
    Metric("workers_pending", Gauge, _TARGET, "Workers on their way"),
    Metric("workers_recommended", Gauge, _TARGET, "What the policy asked for, unrounded"),
    Metric(
        "workers_decided",
        Gauge,
        _TARGET,
        "What came out of the guards; in observe mode what it would set; NaN while unknown",
    ),
    Metric("capacity_known", Gauge, _TARGET, "1: the fleet answered; 0: it did not"),
    Metric("decisions_total", Counter, ("target", "direction"), "Decisions: out, in or hold"),
    Metric("reasons_total", Counter, ("target", "reason"), "Decisions by the reason of their last stage"),
    Metric(
        "holds_total",
        Counter,
        ("target", "reason"),
        "Decisions by every reason that a guard gave, mostly for another size than the wish",
    ),
    Metric("writes_total", Counter, ("target", "result"), "Writes: applied, refused or unknown"),
    Metric("write_seconds", Histogram, _TARGET, "Duration of a write"),
    Metric("read_seconds", Histogram, _TARGET, "Duration of a tick's readings"),
    Metric("ticks_skipped_total", Counter, _TARGET, "Ticks left out because one took too long"),
    Metric("failures_total", Counter, _TARGET, "Defects that were caught; the log says where"),
    Metric("last_tick_timestamp_seconds", Gauge, _TARGET, "When the target last ticked"),
    Metric("alarm", Gauge, ("target", "kind"), "1: a person should look at it; the log and /status say why"),
    Metric("statsd_packets", Gauge, (), "Datagrams heard since the StatsD server was opened"),
    Metric("statsd_malformed", Gauge, (), "Metrics or datagrams among them that made no sense"),
    Metric("statsd_senders", Gauge, (), "Senders remembered, silent ones included"),
    Metric("statsd_relayed", Gauge, (), "Packets handed on to the other StatsD"),
    Metric("statsd_relay_errors", Gauge, (), "Packets that could not be handed on"),
    Metric("budget_worker_hours", Gauge, _TARGET, "What its budget has left; below zero: a debt"),
    Metric("budget_seconds_left", Gauge, _TARGET, "Until its budget is spent at the present size; 0: it is"),
    Metric("paused", Gauge, ("target", "way"), "1: an operator has paused the way out, or in"),
    Metric("bounds_overridden", Gauge, _TARGET, "1: an operator's bounds hold, not the configured ones"),
    Metric("orders_total", Counter, ("order", "result"), "Orders of operators: given or refused"),
    Metric("reloads_total", Counter, ("result",), "Reloads of the configuration: done or refused"),
)


class Metrics:
    """The metrics of one daemon."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._all: dict[str, Gauge | Counter | Histogram] = {}
        for row in TABLE:
            name = f"{PREFIX}_{row.name}"
            if row.kind is Histogram:
                metric: Gauge | Counter | Histogram = Histogram(
                    name, row.meaning, row.labels, registry=registry, buckets=TICK_BUCKETS
                )
            else:
                metric = row.kind(name, row.meaning, row.labels, registry=registry)
            self._all[row.name] = metric
        for result in ("done", "refused"):
            self.count("reloads_total", result, by=0)
        for order in KINDS:
            for result in ("given", "refused"):
                self.count("orders_total", order, result, by=0)

    def begin(self, target: str) -> None:
        """A target starts: what counts rare events counts from 0, or its first event would be no increase."""
        self.count("failures_total", target, by=0)
        self.count("ticks_skipped_total", target, by=0)
        for result in ("applied", "refused", "unknown"):
            self.count("writes_total", target, result, by=0)
        for name in ("budget_worker_hours", "budget_seconds_left"):  # it may have none any more
            self._all[name].remove_by_labels({"target": target})

    def forget(self, target: str) -> None:
        """A target is gone: its series end, or it would look like one that no longer ticks."""
        for row in TABLE:
            if "target" in row.labels:
                self._all[row.name].remove_by_labels({"target": target})

    def set(self, name: str, value: float, *labels: str) -> None:
        """Sets a gauge."""
        gauge = self._all[name]
        assert isinstance(gauge, Gauge)
        (gauge.labels(*labels) if labels else gauge).set(value)

    def follow(self, name: str, value: Callable[[], float]) -> None:
        """Lets a gauge read its value from elsewhere whenever it is asked."""
        gauge = self._all[name]
        assert isinstance(gauge, Gauge)
        gauge.set_function(value)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Adds to a counter."""
        counter = self._all[name]
        assert isinstance(counter, Counter)
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Adds a value to a histogram."""
        histogram = self._all[name]
        assert isinstance(histogram, Histogram)
        histogram.labels(*labels).observe(value)

    def decided(self, tick: Tick) -> None:
        """All that one decision says."""
        target, observation, decision = tick.target, tick.observation, tick.decision
        self.observe("read_seconds", tick.read_seconds, target)
        self.set("last_tick_timestamp_seconds", observation.at, target)
        believed = all(stage.reason is not Reason.NO_DATA for stage in decision.trail)
        demand = observation.demand if believed else Unavailable("not believed")
        self._demand(target, demand, observation.at)
        self._capacity(target, observation.capacity)
        self.set("workers_recommended", decision.recommended, target)
        known = isinstance(observation.capacity, Capacity)
        self.set("workers_decided", decision.workers if known else _NAN, target)
        self.count("decisions_total", target, direction(observation.capacity, decision))
        self.count("reasons_total", target, decision.reason.value)
        for reason in {stage.reason for stage in decision.trail[1:]}:
            self.count("holds_total", target, reason.value)
        self._orders(target, observation)
        if decision.budget is not None:
            self.set("budget_worker_hours", decision.budget.worker_hours, target)
            self.set("budget_seconds_left", decision.budget.seconds, target)
        raised = {alarm.kind for alarm in decision.alarms}
        for kind in AlarmKind:
            self.set("alarm", float(kind in raised), target, kind.value)

    def wrote(self, target: str, outcome: Applied | Refused | Unknown, seconds: float) -> None:
        """A write's result and duration."""
        self.count("writes_total", target, type(outcome).__name__.lower())
        self.observe("write_seconds", seconds, target)

    def _demand(self, target: str, demand: Demand | Unavailable, at: float) -> None:
        known = isinstance(demand, Demand)
        self.set("demand_credible", float(known), target)
        if isinstance(demand, Demand):
            values: tuple[float, ...] = (
                demand.queued,
                demand.running,
                demand.scheduled,
                demand.oldest_wait_seconds,
                demand.phantoms,
                at - demand.measured_at,
            )
            self.count("readings_total", target, demand.source or "unnamed")
        else:
            values = (_NAN,) * 6
        for name, value in zip(
            ("queued", "running", "scheduled", "oldest_wait_seconds", "phantoms", "age_seconds"),
            values,
            strict=True,
        ):
            self.set(f"demand_{name}", value, target)

    def _orders(self, target: str, observation: Observation) -> None:
        orders = observation.orders or Orders()
        for way in (Way.OUT, Way.IN):
            self.set("paused", float(orders.pauses(way, observation.at)), target, way.value)
        self.set("bounds_overridden", float(orders.override is not None), target)

    def _capacity(self, target: str, capacity: Capacity | Unavailable) -> None:
        self.set("capacity_known", float(isinstance(capacity, Capacity)), target)
        if isinstance(capacity, Capacity):
            self.set("workers_desired", capacity.desired, target)
            self.set("workers_running", capacity.running, target)
            self.set("workers_pending", capacity.pending, target)


def direction(capacity: Capacity | Unavailable, decision: Decision) -> str:
    """Where a decision moves the size: out, in, or hold."""
    if decision.desired is None or not isinstance(capacity, Capacity):
        return "hold"
    return "out" if decision.desired > capacity.desired else "in"
