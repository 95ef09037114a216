"""What happened in a demonstration, sample by sample and decision by decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.demo.real_daemon import Choice
from autoscaler.demo.script import Script


class WorkerState(StrEnum):
    """Where a worker is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"


class Phase(StrEnum):
    """What a person watching would say is going on."""

    QUIET = "nothing to do"
    LAUNCHING = "workers are being launched"
    DRAINING = "the queue drains"
    SERVED = "every task has a slot"
    IDLE = "no load: the policy waits before it goes in"
    STOPPING = "workers stop"
    BACK = "back at the minimum"


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker, as far as it is seen."""

    host: str
    state: WorkerState
    busy_slots: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Load and fleet at one instant."""

    seconds: float
    """Since the start of the play."""
    queued: int
    running: int
    finished: int
    desired: int
    workers: tuple[WorkerView, ...]

    @property
    def load(self) -> int:
        """Tasks that want a slot."""
        return self.queued + self.running

    def count(self, state: WorkerState) -> int:
        """Workers in this state."""
        return sum(worker.state is state for worker in self.workers)


@dataclass(slots=True)
class Story:
    """Everything seen so far; it judges nothing but whether the play is over."""

    script: Script
    tasks: int
    """How many there will be."""
    started_at: float
    """Unix seconds."""
    samples: list[Sample] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    """The daemon's decisions, oldest first."""
    _back_since: float | None = None

    def add(self, sample: Sample, choices: Sequence[Choice]) -> None:
        """One look more, and the decisions since the last."""
        self.samples.append(sample)
        self.choices.extend(choices)
        if not (self._done(sample) and self.went_out and self._at_minimum(sample)):
            self._back_since = None
        elif self._back_since is None:
            self._back_since = sample.seconds

    @property
    def seconds(self) -> float:
        """How long it lasts so far."""
        return self.samples[-1].seconds if self.samples else 0.0

    @property
    def peak(self) -> int:
        """The most workers that ran at once."""
        return max((sample.count(WorkerState.RUNNING) for sample in self.samples), default=0)

    @property
    def went_out(self) -> bool:
        """Whether more workers than the minimum have run."""
        return self.peak > self.script.min_workers

    @property
    def came_back(self) -> bool:
        """Whether, all tasks done, the fleet is at its minimum again and nothing is still stopping."""
        return self._back_since is not None

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        if self.seconds >= self.script.limit_seconds:
            return True
        return self._back_since is not None and self.seconds - self._back_since >= self.script.quiet_seconds

    @property
    def phase(self) -> Phase:
        """What is going on now."""
        if not self.samples:
            return Phase.QUIET
        now = self.samples[-1]
        if now.load:
            return _under_load(now)
        if now.desired > self.script.min_workers:
            return Phase.IDLE
        if now.count(WorkerState.STOPPING) or now.count(WorkerState.RUNNING) > now.desired:
            return Phase.STOPPING
        return Phase.BACK if self.went_out else Phase.QUIET

    def _done(self, sample: Sample) -> bool:
        return sample.finished == self.tasks

    def _at_minimum(self, sample: Sample) -> bool:
        workers = [worker.state for worker in sample.workers]
        return sample.desired == len(workers) == workers.count(WorkerState.RUNNING) == self.script.min_workers


def _under_load(now: Sample) -> Phase:
    if now.count(WorkerState.RUNNING) < now.desired:
        return Phase.LAUNCHING
    return Phase.DRAINING if now.queued else Phase.SERVED
