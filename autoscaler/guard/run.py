"""The guard's loop: look at the worker, judge, ask the agent, and end leases that nobody renewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from autoscaler.guard.agent import Agent, AgentError
from autoscaler.guard.keeper import Memory, Order, Rules, Work, is_ours, protected, released, step
from policies.model import Unavailable

if TYPE_CHECKING:
    from autoscaler.guard.intake import LeasedIntake  # needs the extra `celery`, which SQS does not

LONGEST_PAUSE_SECONDS = 30.0
"""Between two calls to an agent that refuses: 1, 2, 4 ... up to this."""

log = structlog.get_logger()


class Probe(Protocol):
    """Looks at what the worker holds."""

    async def look(self) -> Work | Unavailable:
        """What it holds now; never raises for what the worker does."""
        ...


@dataclass(slots=True)
class Seen:
    """What the guard tells of itself."""

    looked_at: float
    work: Work | Unavailable = Unavailable("not looked yet")
    agent_failures: int = 0
    protections: int = 0
    releases: int = 0
    resumptions: int = 0


@dataclass(slots=True)
class Guard:
    """Keeps one worker's task protected while the worker holds work."""

    rules: Rules
    agent: Agent
    probe: Probe
    clock: Callable[[], float]
    """Unix seconds; it never goes back."""
    poll_seconds: float = 1.0
    intake: LeasedIntake | None = None
    memory: Memory = field(init=False)
    seen: Seen = field(init=False)
    _pause_seconds: float = 0.0
    _asks_again_at: float = float("-inf")

    def __post_init__(self) -> None:
        now = self.clock()
        self.memory, self.seen = Memory(now), Seen(now)

    async def run(self) -> None:
        """Ticks for ever.  When it ends it leaves the protection as it is: that ends by itself."""
        async with anyio.create_task_group() as group:
            if self.intake is not None:
                group.start_soon(self.intake.listen)
            while True:
                await self.tick()
                await anyio.sleep(self.poll_seconds)

    async def tick(self) -> None:
        """One look and what follows from it."""
        work = await self._look()
        at = self.clock()
        ended = () if self.intake is None else await self.intake.ended(at)
        was_ready = self.memory.ready
        self.memory, order = step(self.rules, self.memory, at, work, must_hold=bool(ended))
        if order is not Order.KEEP and at >= self._asks_again_at:
            await self._carry_out(order, at)
        if self.memory.ready and not was_ready:
            log.info("the worker may start", protected=self.memory.until > at)
        # Protected first: whoever stopped the intake may be about to remove this task.
        if self.intake is not None and ended and self.memory.covered and self.memory.until > at:
            self.seen.resumptions += await self.intake.resume(ended, at)
        self.seen.looked_at = self.clock()

    async def _look(self) -> Work | Unavailable:
        try:
            work = await self.probe.look()
        except Exception as error:  # noqa: BLE001 - a defect of a probe is a doubt, and doubt protects
            work = Unavailable(f"the probe failed: {type(error).__name__}")
        if isinstance(work, Unavailable) and work != self.seen.work:
            log.warning("what the worker holds is not known", why=work.why)
        self.seen.work = work
        return work

    async def _carry_out(self, order: Order, at: float) -> None:
        try:
            if order is Order.PROTECT:
                await self._protect(at)
            else:
                await self._release()
        except AgentError as error:
            self.seen.agent_failures += 1
            self._pause_seconds = min(LONGEST_PAUSE_SECONDS, 2 * self._pause_seconds or 1.0)
            self._asks_again_at = at + self._pause_seconds
            log.warning("the agent did not do it", order=order.value, why=str(error))
        else:
            self._pause_seconds, self._asks_again_at = 0.0, float("-inf")

    async def _protect(self, at: float) -> None:
        minutes = self.rules.expires_minutes
        found = await self.agent.protect(minutes)
        # Never longer than asked for, whatever clock the answer was read from.
        self.memory = protected(self.memory, min(found.until, at + minutes * 60))
        self.seen.protections += 1
        log.info("protected", until=self.memory.until)

    async def _release(self) -> None:
        if is_ours(self.memory, await self.agent.read()):
            # The agent takes its time: the last look before the release is a fresh one.
            self.memory, order = step(self.rules, self.memory, self.clock(), await self._look())
            if order is not Order.RELEASE:
                return
            await self.agent.release()
            self.seen.releases += 1
            log.info("released", idle_seconds=self.rules.idle_seconds)
        else:
            log.info("not released: somebody else set or ended the protection since")
        self.memory = released(self.memory)
