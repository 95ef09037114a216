"""What the daemon tells: one decision is one log line, one record and one metrics update."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO, cast

import structlog
from prometheus_client import CollectorRegistry

from autoscaler.core import record
from autoscaler.core.plain import one_line
from autoscaler.core.state import State
from autoscaler.metrics import Metrics, direction
from autoscaler.orders.given import Given
from autoscaler.orders.words import in_words
from autoscaler.output import SteadyOutput
from autoscaler.ports import Tick
from autoscaler.records import MEMORY_BYTES, RecentRecords
from policies.model import Applied, BudgetLeft, Capacity, Decision, Demand, Refused, Unavailable, Unknown

LEADER_CHARACTERS = 200
"""Of what a lease says of its leader."""
LATE_TICKS = 3
"""A loop that has not ticked for so many intervals (and a deadline) is not healthy."""


@dataclass(slots=True)
class TargetView:
    """The newest of one target, for the pages."""

    stale_after_seconds: float
    ticked_at: float
    """When it last ticked, or when it was started."""
    records: RecentRecords
    tick: Tick | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this daemon acts, as the lease said last."""

    acts: bool
    epoch: int = 0
    """Of this daemon's term; 0 where there is none, or no lease."""
    leader: str = ""
    """Which other daemon acts, as far as the lease can say."""
    why: str = ""
    """Why nobody acts, as far as is known here."""


class Telemetry:
    """Listens to the loops; holds the metrics, the newest decisions and the health."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.targets: dict[str, TargetView] = {}
        self.mode = ""
        self.standing: Standing | None = None
        """None before the first answer of the lease."""
        self._clock = clock
        self._config_hash = ""
        self._sink: TextIO | None = None
        self._sink_fails = False
        self._orders_unread = ""
        self._log = structlog.get_logger()

    def begin(self, mode: str, config_hash: str, targets: Collection[str], sink: TextIO | None) -> None:
        """A configuration takes effect; its targets follow with `started`."""
        for gone in self.targets.keys() - set(targets):
            self.metrics.forget(gone)
        self.mode, self._config_hash, self._sink = mode, config_hash, sink
        structlog.contextvars.bind_contextvars(mode=mode)
        self.metrics.set("acting", float(mode == "act"))
        self.targets, self._bytes_each = {}, MEMORY_BYTES // max(1, len(targets))

    def started(
        self,
        target: str,
        config: Mapping[str, Any],
        state: State,
        memory_type: Any,
        *,
        late_seconds: float,
        kept: int,
    ) -> None:
        """A target starts, or goes on under another configuration: replay begins at this record."""
        view = TargetView(LATE_TICKS * late_seconds, self._clock(), RecentRecords(kept, self._bytes_each))
        self.targets[target] = view
        self.metrics.begin(target)
        line = record.encode_start(self._clock(), target, config, state, memory_type, self._config_hash)
        self._keep(view, line)
        self._log.info("target started", target=target, config_hash=self._config_hash, record=line)

    def decided(self, tick: Tick) -> None:
        """One line, one record, one metrics update."""
        view = self.targets[tick.target]
        # Both forms first: a policy's answer that has none is told nowhere, rather than half.
        line = record.encode_decision(tick.target, tick.observation, tick.decision, self._config_hash)
        words = summary(tick)
        view.tick, view.ticked_at = tick, self._clock()
        self.metrics.decided(tick)
        self._keep(view, line)
        self._log.info("decision", target=tick.target, **words, record=line)

    def wrote(self, target: str, outcome: Applied | Refused | Unknown, seconds: float) -> None:
        """A write ended."""
        self.metrics.wrote(target, outcome, seconds)
        log = self._log.info if isinstance(outcome, Applied) else self._log.warning
        why = {} if isinstance(outcome, Applied) else {"why": outcome.why}
        result = type(outcome).__name__.lower()
        log("write", target=target, desired=outcome.desired, result=result, **why)

    def skipped(self, target: str, ticks: int) -> None:
        """A tick took so long that others were left out."""
        self.metrics.count("ticks_skipped_total", target, by=ticks)
        self._log.warning("ticks skipped", target=target, ticks=ticks)

    def failed(self, target: str, why: str) -> None:
        """A defect was caught."""
        self.metrics.count("failures_total", target)
        self.targets[target].ticked_at = self._clock()
        self._log.error("defect", target=target, why=why)

    def untold(self, target: str, why: str) -> None:
        """Workers could not be told whether to take tasks."""
        self._log.warning("intake not set", target=target, why=why)

    def ordered(self, order: str, targets: Collection[str], given: Given) -> None:
        """An operator's order was taken."""
        self.metrics.count("orders_total", order, "given")
        words = given.model_dump(mode="json", exclude={"target"}, exclude_none=True)
        self._log.info("order", order=order, targets=sorted(targets), **words)

    def orders_read(self, why: str) -> None:
        """The orders were read again; `why` not: then they stay as they were."""
        if why != self._orders_unread:
            self._orders_unread = why
            if why:
                self._log.error("orders are not read", why=why)
            else:
                self._log.info("orders are read again")

    def standby_text(self) -> str:
        """That another daemon leads; empty: this one acts."""
        standing = self.standing
        if standing is None or standing.acts:
            return ""
        leader = standing.leader or "another daemon"
        return f"standing by: {standing.why or f'{leader} leads'}"

    def order_refused(self, order: str) -> None:
        """One was not, and whoever sent it was told why."""
        self.metrics.count("orders_total", order, "refused")

    def leads(self, epoch: int) -> None:
        """The daemon acts from now on; its targets follow with `started`."""
        self._stand(Standing(acts=True, epoch=epoch), "leading" if epoch else "")

    def waits(self, epoch: int, seconds: float) -> None:
        """It will, when no write of the former leader can be alive."""
        why = f"the lease is taken; for {seconds:.3g} s a write of the former leader may live"
        self._stand(Standing(acts=False, epoch=epoch, why=why), "taking over")

    def stands_by(self, leader: str) -> None:
        """Another daemon acts."""
        self._stand(Standing(acts=False, leader=one_line(leader, LEADER_CHARACTERS)), "standing by")

    def lease_unknown(self, why: str) -> None:
        """Nobody can say who acts, so this daemon does not."""
        self._stand(Standing(acts=False, why=why), "no lease")

    def lease_lost(self, epoch: int, why: str) -> None:
        """It acts no more; its targets are gone until it does."""
        for target in self.targets:
            self.metrics.forget(target)
        self.targets = {}
        self._stand(Standing(acts=False, why=why), "lease lost")

    def _stand(self, standing: Standing, event: str) -> None:
        if standing == self.standing:
            return
        self.standing = standing
        self.metrics.set("leader", float(standing.acts))
        self.metrics.set("lease_epoch", standing.epoch)
        if event:
            log = self._log.warning if standing.why and not standing.epoch else self._log.info
            fields = {key: value for key, value in asdict(standing).items() if value and key != "acts"}
            log(event, **fields)

    def late(self) -> dict[str, float]:
        """The targets whose loop has not ticked lately, with the seconds since."""
        now = self._clock()
        ages = {name: now - view.ticked_at for name, view in self.targets.items()}
        return {name: age for name, age in ages.items() if age > self.targets[name].stale_after_seconds}

    def _keep(self, view: TargetView, line: str) -> None:
        view.records.append(line)
        if self._sink is None:
            return
        try:
            self._sink.write(line + "\n")
            self._sink.flush()
        except OSError as error:  # a full disk must not keep the fleet from following the load
            if not self._sink_fails:
                self._log.error("records are not written", why=error.strerror)
            self._sink_fails = True
        else:
            self._sink_fails = False


def summary(tick: Tick) -> dict[str, Any]:
    """The one-line form of a decision, for the log and the status page."""
    observation, decision = tick.observation, tick.decision
    demand, capacity = observation.demand, observation.capacity
    line: dict[str, Any] = {"at": observation.at}
    match demand:
        case Demand():
            line |= {"queued": demand.queued, "running_tasks": demand.running, "source": demand.source}
        case Unavailable():
            line |= {"demand_unavailable": demand.why}
    match capacity:
        case Capacity():
            line |= {"desired": capacity.desired, "running": capacity.running, "pending": capacity.pending}
        case Unavailable():
            line |= {"capacity_unavailable": capacity.why}
    line |= {
        "decision": direction(capacity, decision),
        "workers": decision.workers,
        "reason": decision.reason.value,
        "trail": trail_text(decision),
    }
    if decision.budget is not None:
        line["budget"] = budget_text(decision.budget)
    if observation.orders is not None:
        line["ordered"] = in_words(observation.orders)
    if decision.alarms:
        line["alarms"] = {alarm.kind.value: alarm.note for alarm in decision.alarms}
    return line


def budget_text(budget: BudgetLeft) -> str:
    """What is left, in words."""
    seconds = f", for {budget.seconds:.0f} s at this size" if budget.seconds < float("inf") else ""
    return f"{budget.worker_hours:.1f} worker-hours left{seconds}"


def trail_text(decision: Decision) -> str:
    """The stages in words: `policy 3.4 demand > bounds 4 at_maximum (maximum 4)`."""
    parts = []
    for stage in decision.trail:
        note = f" ({stage.note})" if stage.note else ""
        parts.append(f"{stage.stage} {stage.workers:g} {stage.reason.value}{note}")
    return " > ".join(parts)


def configure_logging(log_format: str, stream: TextIO = sys.stdout) -> None:
    """JSON lines, or a console form when a person watches."""
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    shape: Any = _without_record if console else _parsed_record
    renderer = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*processors, shape, renderer],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", SteadyOutput(stream))),
        cache_logger_on_first_use=False,
    )


def _without_record(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("record", None)
    return event


def _parsed_record(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "record" in event:
        event["record"] = json.loads(event["record"])
    return event
