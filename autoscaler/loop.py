"""Observe, step, act, tell: one target's ticks, each by its deadline.

The only place where failures of the world are caught; they become inputs of the next step.
Written on anyio alone, so that the same loop runs on a virtual clock over a simulated world.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint

from autoscaler.core.agreement import Intakes, agreed
from autoscaler.core.controller import Controller
from autoscaler.core.evidence import placed
from autoscaler.core.state import Phase, State
from autoscaler.core.victims import in_phase
from autoscaler.ports import (
    Fleet,
    FleetError,
    Intake,
    IntakeError,
    Listener,
    Source,
    SourceError,
    Tick,
    Witness,
)
from policies.model import (
    NOBODY,
    Busy,
    Capacity,
    Decision,
    Demand,
    LastWrite,
    Observation,
    Refused,
    Unavailable,
    Unknown,
    Workers,
)
from policies.orders import Orders

Reading = TypeVar("Reading")


@dataclass(frozen=True, slots=True)
class Timing:
    """When a target looks, and how long it waits for answers."""

    interval_seconds: float
    read_deadline_seconds: float
    write_deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Ports:
    """The world of one target.

    Without a witness nobody says who is busy; without an intake nobody says, or sets, who takes tasks.
    """

    source: Source
    fleet: Fleet
    witness: Witness | None = None
    intake: Intake | None = None
    orders: Callable[[float], Orders | None] = lambda _: None
    """What an operator has ordered, at an instant."""


@dataclass(slots=True)
class Memory:
    """What a target's loop carries from tick to tick, and across a reload."""

    state: State
    last_write: LastWrite = None
    wants_workers: bool = False
    workers: Workers | None = None
    """The last that were listed: whose intake can be set."""
    told: frozenset[str] = NOBODY
    """Whose intake was to be stopped when the workers were told last."""


@dataclass(slots=True)
class TargetLoop:
    """Runs one target's controller against the world."""

    name: str
    controller: Controller
    ports: Ports
    timing: Timing
    clock: Callable[[], float]
    """The daemon's wall clock, Unix seconds."""
    listener: Listener
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.controller.initial())

    async def run(self) -> None:
        """Ticks for ever.  A late tick is skipped, never stacked."""
        interval, due = self.timing.interval_seconds, anyio.current_time()
        while True:
            await anyio.sleep_until(due)
            await self.tick()
            late = anyio.current_time() - due
            missed = int(late // interval)
            if missed:
                self.listener.skipped(self.name, missed)
            due += interval * (missed + 1)

    async def tick(self) -> None:
        """One look, one decision, and the write it asks for."""
        started, at = anyio.current_time(), self.clock()
        observation = await self._observe(at)
        read_seconds = anyio.current_time() - started
        try:
            state, decision = self.controller.step(self.memory.state, observation)
            # Told before it counts: what cannot be written down is not carried out.
            self.listener.decided(Tick(self.name, observation, decision, read_seconds))
        except Exception as error:  # noqa: BLE001 - a policy of the user's must not take the daemon down
            self.listener.failed(self.name, f"the step failed, holding: {type(error).__name__}: {error}")
            return
        await (
            checkpoint()
        )  # a stop that arrived meanwhile wins: no new write, and nobody is taken for leaving
        memory = self.memory
        memory.state, memory.last_write, memory.wants_workers = state, None, decision.wants_workers
        seen, stopped = observation.capacity, decision.intake_stopped
        async with anyio.create_task_group() as group:  # a broker that is gone must not delay the way out
            # No old look is told again: another daemon may have stopped the worker since.
            if stopped != memory.told or (isinstance(seen, Capacity) and seen.workers is not None):
                group.start_soon(self._set_intake, stopped)
            group.start_soon(self._act, decision)

    async def _observe(self, at: float) -> Observation:
        memory, ports = self.memory, self.ports
        demand: list[Demand | Unavailable] = []
        capacity: list[Capacity | Unavailable] = []
        busy: list[Busy | Unavailable] = []
        async with anyio.create_task_group() as group:
            group.start_soon(self._read, ports.source.demand, demand)
            group.start_soon(
                self._read, lambda: ports.fleet.capacity(list_workers=memory.wants_workers), capacity
            )
            if ports.witness is not None and memory.wants_workers:
                group.start_soon(self._read, ports.witness.busy, busy)
        seen, evidence = placed(capacity[0], busy[0] if busy else None)
        if ports.intake is not None and isinstance(seen, Capacity) and seen.workers is not None:
            intakes: list[Intakes | Unavailable] = []
            memory.workers = workers = seen.workers
            await self._read(partial(ports.intake.look, workers), intakes)
            seen, evidence = agreed(seen, evidence, intakes[0])
        return Observation(at, demand[0], seen, evidence, memory.last_write, ports.orders(at))

    async def _read(
        self, ask: Callable[[], Awaitable[Reading]], answers: list[Reading | Unavailable]
    ) -> None:
        seconds = self.timing.read_deadline_seconds
        answer: Reading | Unavailable = Unavailable(f"no answer within {seconds:g} s")
        with anyio.move_on_after(seconds):
            try:
                answer = await ask()
            except (SourceError, FleetError, IntakeError) as error:
                answer = Unavailable(str(error))
            except Exception as error:  # noqa: BLE001 - a defect of an adapter costs a hold, not the daemon
                answer = Unavailable(f"unexpected {type(error).__name__}")
                self.listener.failed(self.name, f"an adapter failed, {_origin(error)}")
        answers.append(answer)

    async def _act(self, decision: Decision) -> None:
        seconds, started = self.timing.write_deadline_seconds, anyio.current_time()
        outcome: LastWrite = Unknown(decision.desired, f"no answer within {seconds:g} s")
        # Shielded: a stop waits for the write in flight, so that none is left half-way.
        with anyio.move_on_after(seconds, shield=True):
            try:
                outcome = await self.ports.fleet.apply(decision)
            except Exception as error:  # noqa: BLE001 - whatever it was, the write may have been applied
                outcome = Unknown(decision.desired, f"unexpected {type(error).__name__}")
                self.listener.failed(self.name, f"the fleet failed, {_origin(error)}")
        self.memory.last_write = outcome
        if outcome is not None:
            self.listener.wrote(self.name, outcome, anyio.current_time() - started)

    async def _set_intake(self, stopped: frozenset[str]) -> None:
        """What was not done shows at the next look."""
        intake, workers = self.ports.intake, self.memory.workers
        if intake is None or workers is None:
            return
        with anyio.move_on_after(self.timing.write_deadline_seconds, shield=True):
            try:
                await intake.apply(stopped, workers)
                self.memory.told = stopped
            except IntakeError as error:
                self.listener.untold(self.name, str(error))
            except Exception as error:  # noqa: BLE001 - as for the fleet
                self.listener.failed(self.name, f"the intake failed, {_origin(error)}")

    async def rest(self) -> None:
        """Before the loop ends: whoever was to leave and has not begun to takes tasks again."""
        removal, write = self.memory.state.removal, self.memory.last_write
        refused = isinstance(write, Refused) and write.desired == removal.lowered_to
        await self._set_intake(NOBODY if refused else in_phase(removal, Phase.LEAVING))


def _origin(error: BaseException) -> str:
    """The kind and place of a defect.  Not its text: a driver's may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
