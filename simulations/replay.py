"""A decision log through the code again: the same decisions, or where they differ.

The log may be of any length: of each target one state is kept, and of the differences their number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from autoscaler.core import record
from autoscaler.core.codec import MisfitError, from_json, to_json
from autoscaler.core.controller import Controller
from autoscaler.core.guards import rounded
from autoscaler.core.record import DecisionRecord, RecordError, StartRecord
from autoscaler.core.state import State
from policies.model import Decision, Observation, Stage
from simulations.replay_log import Bad, Found, Other

HOUR = 3600.0
CAUTION = "drain"
"""The stage that says how far in the size may go now."""

Rebuild = Callable[[Any, str], Controller]
"""(configuration of a start record, mode or empty) -> its controller; raises `ValueError`."""
Change = Callable[[Controller], Controller]
"""The controller that decides instead; raises `ValueError`."""


@dataclass(frozen=True, slots=True)
class Different:
    """A decision that is another one now."""

    line: int
    at: float
    target: str
    recorded: Decision
    now: Decision

    @property
    def where(self) -> str:
        """The first stage of the trail that differs, or the first field where the trails are the same."""
        pairs = zip_longest(self.recorded.trail, self.now.trail)
        for number, (recorded, now) in enumerate(pairs, 1):
            if to_json(recorded) != to_json(now):
                return f"stage {number}: recorded {stage_text(recorded)}; now {stage_text(now)}"
        before, after = to_json(self.recorded), to_json(self.now)
        name = next(name for name in before if before[name] != after[name])
        return f"{name}: recorded {before[name]}; now {after[name]}"


@dataclass(slots=True)
class Tally:
    """One target's figures."""

    decisions: int = 0
    """Decided again."""
    different: int = 0
    skipped: int = 0
    """Not decided again: the state at that time is not known."""
    starts: int = 0
    recorded_worker_hours: float = 0.0
    """Asked for: each decision's size until the next one, but not from a stop to a fresh start."""
    now_worker_hours: float = 0.0
    recorded_peak: int = 0
    now_peak: int = 0
    first_at: float | None = None
    last_at: float | None = None


@dataclass(slots=True)
class _Target:
    """What one target's replay goes on with."""

    tally: Tally = field(default_factory=Tally)
    recorded_controller: Controller | None = None
    controller: Controller | None = None
    state: State | None = None
    """None: not known until the next start record."""
    last: tuple[float, int, int] | None = None
    """(instant, size asked for as recorded, as decided now) of the last decision."""


class Replay:
    """Decides every decision of a log again.

    Without `change`, by the recorded configuration: then all must be the same, to the last note.  With it
    another controller decides on what was observed, and what counts as different is the size it asks for.
    That is an open loop: the recorded fleet answered to the recorded decisions.
    """

    def __init__(self, rebuild: Rebuild, change: Change | None = None, target: str | None = None) -> None:
        self._rebuild, self._change, self.only = rebuild, change, target
        self._targets: dict[str, _Target] = {}
        self.other_lines = 0

    @property
    def targets(self) -> dict[str, Tally]:
        """The figures of each target so far."""
        return {name: each.tally for name, each in self._targets.items()}

    def over(self, lines: Iterable[Found | Bad | Other]) -> Iterator[Different | Bad]:
        """Goes through a log; gives what differs and what is broken, in the log's order."""
        for each in lines:
            match each:
                case Other():
                    self.other_lines += 1
                case Bad():
                    yield each
                    if not each.cut_off:
                        self._lose(each.target)
                case Found() if self.only in {None, each.target}:
                    try:
                        yield from self._next(each)
                    except RecordError as error:
                        yield Bad(each.line, str(error).removeprefix(f"line {each.line}: "), each.target)
                        self._lose(each.target)

    def _lose(self, target: str | None) -> None:
        """A decision may be missing: what follows it rests on a state that nobody knows."""
        for name, each in self._targets.items():
            if target in {None, name}:
                each.state, each.last = None, None

    def _next(self, found: Found) -> Iterator[Different]:
        target = self._targets.setdefault(found.target, _Target())
        if found.kind == "start":
            self._start(target, found)
            return
        observation = self._observation(found)
        if target.state is None or target.controller is None:
            target.tally.skipped += 1
            return
        try:
            target.state, now = target.controller.step(target.state, observation)
        except Exception as error:  # noqa: BLE001 - a policy of the user's may raise anything
            raise RecordError(f"the step fails: {type(error).__name__}: {error}") from None
        # Compared as written: in memory NaN is unlike itself, and most need not be read.
        written = to_json(now)
        recorded = now if found.document.get("decision") == written else _decoded(found).decision
        same = recorded is now or to_json(recorded) == written
        try:
            _count(target, observation.at, asked(recorded), asked(now))
        except (ValueError, OverflowError):
            raise RecordError("decision.trail: expected a size that is a number of workers") from None
        if same or (self._change is not None and asked(recorded) == asked(now)):
            return
        target.tally.different += 1
        yield Different(found.line, observation.at, found.target, recorded, now)

    def _observation(self, found: Found) -> Observation:
        if found.document.get("v") != record.VERSION:
            return _decoded(found).observation
        try:
            seen: Observation = from_json(found.document.get("observation"), Observation, place="observation")
        except MisfitError as error:
            raise RecordError(str(error)) from None
        return seen

    def _start(self, target: _Target, found: Found) -> None:
        try:
            recorded = self._rebuild(found.document.get("config"), found.mode)
            if self._change is not None and recorded != target.recorded_controller:
                target.controller = self._change(recorded)
        except ValueError as error:
            raise RecordError(f"its configuration cannot be used here: {error}") from None
        start = record.decode(json.dumps(found.document), recorded.policy.memory_type, found.line)
        assert isinstance(start, StartRecord), "its kind says so"
        target.tally.starts += 1
        fresh = start.state.history.latest is None
        if fresh:
            target.last = None
        if self._change is None:
            target.controller, target.state = recorded, start.state
            return
        target.recorded_controller = recorded
        assert target.controller is not None, "made for the first start"
        if fresh or target.state is None:
            # Its own memory; what was observed before is the same for all.
            target.state = start.state._replace(memory=target.controller.policy.initial())


def _decoded(found: Found) -> DecisionRecord:
    decided = record.decode(json.dumps(found.document), line_number=found.line)
    assert isinstance(decided, DecisionRecord), "its kind says so"
    return decided


def _count(target: _Target, at: float, recorded: int, now: int) -> None:
    tally = target.tally
    tally.decisions += 1
    if target.last is not None:
        since, recorded_before, now_before = target.last
        hours = max(0.0, at - since) / HOUR
        tally.recorded_worker_hours += recorded_before * hours
        tally.now_worker_hours += now_before * hours
    target.last = (at, recorded, now)
    tally.recorded_peak = max(tally.recorded_peak, recorded)
    tally.now_peak = max(tally.now_peak, now)
    tally.first_at = at if tally.first_at is None else tally.first_at
    tally.last_at = at


def asking(decision: Decision) -> Stage:
    """The stage whose size policy and guards want, before the cautious removal of workers holds it up.

    That depends on who is busy, which is only listed when the recorded decisions asked for it.
    """
    wanted = (stage for stage in reversed(decision.trail) if stage.stage != CAUTION)
    return next(wanted, decision.trail[0])


def asked(decision: Decision) -> int:
    """The size of that stage, in whole workers."""
    return rounded(asking(decision).workers)


def stage_text(stage: Stage | None) -> str:
    """A stage in words: `bounds 4 at_maximum (maximum 4)`."""
    if stage is None:
        return "nothing"
    note = f" ({stage.note})" if stage.note else ""
    return f"{stage.stage} {stage.workers:g} {stage.reason.value}{note}"


def with_policy(controller: Controller, policy: Any) -> Controller:
    """The controller with another policy, and as one whose decisions nobody carries out.

    Only thus is the recorded fleet, which did not follow it, no intruder in its eyes.
    """
    return replace(controller, policy=policy, observing=True)
