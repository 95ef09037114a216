"""A controller against a puppet: looks, failures, foreign writes, reloads and restarts, one at a time.

After every look all invariants are checked, the step is taken twice, the records are kept, and in
the end the whole log is replayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.core.codec import to_json
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds
from autoscaler.core.record import DecisionRecord, Record, StartRecord, decode, encode, replay
from autoscaler.core.state import State
from policies.model import Capacity, Decision, Demand, Evidence, LastWrite, Observation, Unavailable
from policies.orders import Orders
from simulations.invariants import Invariants, holds
from simulations.puppet import Outcome, Puppet

EPOCH = 1_800_000_000.0
"""A Friday in January 2027, 08:00 UTC."""
HISTORY_BOUND = 32
"""Short, so that histories fill and move within a few steps."""


@dataclass(frozen=True, slots=True)
class Look:
    """One observation: what the sources manage to say, and how the write after it ends."""

    seconds: float = 10.0
    """Since the look before."""
    queued: float = 0.0
    running: float = 0.0
    age_seconds: float = 0.0
    """Of the demand's reading."""
    whole: bool = True
    read: bool = True
    """Whether the load could be read at all."""
    fleet_known: bool = True
    witnessed: bool = True
    """Whether somebody knows who is busy."""
    stranger: bool = False
    """Whether a host that is no worker of ours is busy."""
    outcome: Outcome = Outcome.APPLIED
    orders: Orders | None = None


@dataclass
class Play:
    """One target from its start on."""

    controller: Controller
    puppet: Puppet
    at: float = EPOCH
    state: State = field(init=False)
    invariants: Invariants = field(default_factory=Invariants)
    decision: Decision | None = None
    last_write: LastWrite = None
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = replace(self.controller, history_bound=HISTORY_BOUND)
        self.restart()

    def look(self, look: Look) -> Decision:
        """Observes, steps, checks and writes."""
        self.at += look.seconds
        placed = self.puppet.occupy(look.running, self.at)
        observation = self._observed(look, placed)
        before = self.state
        self.state, decision = self.controller.step(before, observation)
        again = self.controller.step(before, observation)
        holds(
            self._written(*again) == self._written(self.state, decision),
            "the same step twice gives two answers",
        )
        self.invariants.check(self.controller, before, observation, self.state, decision)
        self.records.append(DecisionRecord(self.at, "t", observation, decision, "h"))
        lost = len(self.puppet.lost_busy)
        self.last_write = self.puppet.apply(decision, self.at, look.outcome)
        if look.outcome is not Outcome.LATE and self.puppet.late is None:
            # A write that arrives late finds another world; no protocol without a fence is safe then.
            holds(len(self.puppet.lost_busy) == lost, f"a busy worker was stopped by {decision}")
        self.decision = decision
        return decision

    def _observed(self, look: Look, running: float) -> Observation:
        demand: Demand | Unavailable = Unavailable("unreadable")
        if look.read:
            demand = Demand(look.queued, running, self.at - look.age_seconds, whole=look.whole)
        capacity: Capacity | Unavailable = Unavailable("no answer")
        listed = self.decision is not None and self.decision.wants_workers
        if look.fleet_known:
            capacity = self.puppet.capacity(self.at, listed=listed, witnessed=look.witnessed)
        strangers = ("stranger",) if look.stranger and listed else ()
        evidence = Evidence(self.at, strangers) if listed and look.witnessed else Evidence()
        return Observation(self.at, demand, capacity, evidence, self.last_write, look.orders)

    def _written(self, state: State, decision: Decision) -> tuple[Any, Any]:
        """As JSON: in memory NaN is unlike itself."""
        return to_json(state, self.controller.policy.memory_type), to_json(decision)

    def foreign_write(self, desired: int) -> None:
        """Somebody else sets the size, with no regard for who is busy."""
        self.puppet.resize(desired, self.at, 60.0)
        self.puppet.lost_busy.clear()

    def reload(self, bounds: Bounds) -> None:
        """Another configuration, the state kept."""
        self.controller = replace(self.controller, guards=replace(self.controller.guards, bounds=bounds))
        self._starts()

    def restart(self) -> None:
        """The state is lost, and what became of the last write with it."""
        self.state, self.last_write, self.decision = self.controller.initial(), None, None
        self.invariants.restarted()
        self.records.clear()
        self._starts()

    def _starts(self) -> None:
        self.records.append(StartRecord(self.at, "t", {}, self.state, "h"))

    def replays(self) -> None:
        """The log since the last start, written and read again, gives every decision again."""
        start = max(number for number, each in enumerate(self.records) if isinstance(each, StartRecord))
        memory_type: Any = self.controller.policy.memory_type
        lines = [encode(record, memory_type) for record in self.records[start:]]
        records = [decode(line, memory_type, number) for number, line in enumerate(lines, 1)]
        again = [encode(record, memory_type) for record in records]
        holds(lines == again, "a record changes when it is read and written")
        differences = list(replay(self.controller, records))
        holds(not differences, f"a replay decides otherwise: {differences[:1]}")
