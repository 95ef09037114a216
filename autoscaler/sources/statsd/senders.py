"""Who sends executor gauges, what each said last, and what that adds up to.  The time is handed in.

Each scheduler sends the gauges of its own executor from an address of its own, so the load is the
sum over addresses of the last values.  A sender that falls silent is the trouble: its tasks may run
on.  Its last value goes on counting, and the sum is not `whole`, so that nothing goes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from autoscaler.ports import SourceError
from autoscaler.sources.statsd.packets import Metric

Address = tuple[str, int]

NEVER = float("-inf")
QUEUED, RUNNING = "queued_tasks", "running_tasks"
MAX_SENDERS = 64
"""Nobody runs as many schedulers; the bound is against a flood of forged addresses."""
MAX_GAUGES_PER_SENDER = 32
"""Two for each of sixteen executor classes."""
MAX_CLASS_LENGTH = 100
"""Of an executor class's name, which errors repeat."""


@dataclass(slots=True)
class Gauge:
    """The last value of one gauge."""

    value: float
    at: float


@dataclass(slots=True)
class Sender:
    """One address that sends executor gauges or a scheduler's heartbeat."""

    address: Address
    first_at: float
    last_at: float
    heartbeat_at: float = NEVER
    gauges: dict[tuple[str, str], Gauge] = field(default_factory=dict)
    """By executor class (empty: it was not named) and field."""

    @property
    def classes(self) -> set[str]:
        """The executor classes it names."""
        return {name for name, _ in self.gauges if name}

    def report(self, executor: str) -> Report | None:
        """Its load on that executor; None if it says nothing of it.

        Airflow 3.3 sends every value plain and with the class: the plain form counts only where no
        class was ever named, or one task would count twice, or as another executor's.
        """
        name = executor if self.classes else ""
        queued, running = self.gauges.get((name, QUEUED)), self.gauges.get((name, RUNNING))
        known = [gauge for gauge in (queued, running) if gauge]
        if not known:
            return None
        return Report(
            self,
            queued.value if queued else 0.0,
            running.value if running else 0.0,
            min(gauge.at for gauge in known) if len(known) == 2 else NEVER,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What one sender says of one executor."""

    sender: Sender
    queued: float
    running: float
    at: float
    """When the older of the two values came; `NEVER` while one is missing."""

    def is_alive(self, now: float, silent_after_seconds: float) -> bool:
        """Both gauges are fresh, and so is the heartbeat if it ever sent one.

        A backfill of Airflow 2 has an executor and no heartbeat: its tasks are load like any other.
        """
        oldest = min(self.at, self.sender.heartbeat_at if self.sender.heartbeat_at != NEVER else self.at)
        return now - oldest <= silent_after_seconds


@dataclass(frozen=True, slots=True)
class Load:
    """The sum over the senders."""

    queued: float
    running: float
    at: float
    """When the oldest value of a living sender came."""
    schedulers: int
    """Living senders with a heartbeat."""
    whole: bool


class Senders:
    """All senders heard, bounded; `now` and the instants are seconds of one monotonic clock."""

    def __init__(
        self, prefix: str, silent_after_seconds: float, forget_after_seconds: float, started_at: float
    ) -> None:
        self._prefix = f"{prefix}." if prefix else ""
        self._silent_after_seconds = silent_after_seconds
        self._forget_after_seconds = forget_after_seconds
        self._started_at = started_at
        self._refused_at = NEVER
        self._senders: dict[Address, Sender] = {}

    def __len__(self) -> int:
        return len(self._senders)

    def heard(self, metric: Metric, address: Address, now: float) -> bool:
        """Takes in one metric; most are none of ours.  False: it is, and makes no sense."""
        if not metric.name.startswith(self._prefix):
            return True
        name = metric.name.removeprefix(self._prefix)
        if name == "scheduler_heartbeat":
            if sender := self._sender(address, now):
                sender.heartbeat_at = now
            return True
        group, _, rest = name.partition(".")
        what, _, suffix = rest.partition(".")
        if group != "executor" or what not in {QUEUED, RUNNING}:
            return True
        executor = suffix or metric.tags.get("executor_class_name") or metric.tags.get("name") or ""
        proper = metric.kind == "g" and len(executor) <= MAX_CLASS_LENGTH and executor.isprintable()
        return proper and self._gauged(metric, (executor, what), address, now)

    def load(self, executor: str, now: float) -> Load:
        """The load on that executor.  Raises `SourceError` unless a scheduler is alive to speak of it."""
        reports = [report for each in self._senders.values() if (report := each.report(executor))]
        living = [report for report in reports if report.is_alive(now, self._silent_after_seconds)]
        schedulers = sum(report.sender.heartbeat_at != NEVER for report in living)
        if not schedulers:
            raise SourceError(self._silence(executor, reports, now))
        self._forget(now)
        counted = [report for report in reports if report.sender.address in self._senders]
        chains = _chains(counted)
        queued = sum(max(report.queued for report in chain) for chain in chains)
        running = sum(max(report.running for report in chain) for chain in chains)
        for report in counted:
            _check(report)
        settled = now - self._started_at >= self._silent_after_seconds
        complete = len(living) == len(counted) and not self._has_mute(now) and not self._is_flooded(now)
        at = min(report.at for report in living)
        return Load(queued, running, at, schedulers, whole=settled and complete)

    def _gauged(self, metric: Metric, key: tuple[str, str], address: Address, now: float) -> bool:
        if metric.relative and (address not in self._senders or key not in self._senders[address].gauges):
            return False  # a change of an unknown value
        sender = self._sender(address, now)
        if sender is None:
            return True
        if key not in sender.gauges and len(sender.gauges) >= MAX_GAUGES_PER_SENDER:
            self._refused_at = now
            return True
        before = sender.gauges[key].value if metric.relative else 0.0
        sender.gauges[key] = Gauge(before + metric.value, now)
        return True

    def _sender(self, address: Address, now: float) -> Sender | None:
        sender = self._senders.get(address)
        if sender is None:
            if len(self._senders) >= MAX_SENDERS:
                self._forget(now)
            if len(self._senders) >= MAX_SENDERS:
                self._refused_at = now
                return None
            sender = self._senders[address] = Sender(address, now, now)
        sender.last_at = now
        return sender

    def _forget(self, now: float) -> None:
        oldest = now - self._forget_after_seconds
        self._senders = {key: each for key, each in self._senders.items() if each.last_at >= oldest}

    def _has_mute(self, now: float) -> bool:
        """Whether a scheduler lives of which no gauge was heard: its load is missing."""
        recent = now - self._silent_after_seconds
        return any(each.heartbeat_at >= recent and not each.gauges for each in self._senders.values())

    def _is_flooded(self, now: float) -> bool:
        """Whether a sender was turned away lately: its load is missing."""
        return now - self._refused_at <= self._forget_after_seconds

    def _silence(self, executor: str, reports: list[Report], now: float) -> str:
        """Why there is no reading, and what to do."""
        if reports:
            ago = now - max(report.sender.last_at for report in reports)
            if ago <= self._silent_after_seconds:
                return (
                    f"executor gauges come, but no fresh {self._prefix}scheduler_heartbeat: "
                    "see whether the scheduler is stuck, and that [metrics] metrics_allow_list lets it pass"
                )
            return f"all {len(reports)} senders are silent, the last for {ago:.0f} s: is a scheduler running?"
        named = sorted(set().union(*(sender.classes for sender in self._senders.values())))
        if named:
            return (
                f"gauges of {', '.join(named[:5])} come, none of {executor}: set statsd.executor to the class"
            )
        return (
            f"no {self._prefix}executor gauge was heard in {now - self._started_at:.0f} s: set Airflow's "
            "[metrics] statsd_on, statsd_host and statsd_port, and compare statsd_prefix with statsd.prefix"
        )


def _chains(reports: list[Report]) -> list[list[Report]]:
    """Senders that may be one scheduler, restarted: each began after the one before had ended.

    A scheduler's successor adopts its tasks, so their values are the same load: of a chain only the
    highest counts.  Living senders overlap now, so each has a chain of its own and all of them count.
    """
    chains: list[list[Report]] = []
    for report in sorted(reports, key=lambda report: report.sender.first_at):
        ended = [chain for chain in chains if chain[-1].sender.last_at < report.sender.first_at]
        if ended:
            min(ended, key=lambda chain: chain[-1].sender.last_at).append(report)
        else:
            chains.append([report])
    return chains


def _check(report: Report) -> None:
    for what, value in ((QUEUED, report.queued), (RUNNING, report.running)):
        if not isfinite(value) or value < 0:
            host, port = report.sender.address
            raise SourceError(f"{host} port {port} says executor.{what} = {value:g}, which cannot be")
