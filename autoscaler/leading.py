"""One daemon acts, the others stand by: from a lease and the loops of all targets.

Whoever takes the lease waits until no write of its predecessor can be alive, and then starts like a new
daemon.  Before each write the lease is asked again, within the write's own deadline.  So a write ends
at most that deadline after a moment at which the lease was held, and nobody else acts sooner:

    A is confirmed  t        |--- A's write, at most `write_seconds` ---|
    A dies, B takes >= t     |--- B waits `write_seconds` --------------|--- B acts

ECS itself compares nothing, and may apply a write late: against that stand the protections of busy workers.
Written on anyio alone, so that whole daemons run on a virtual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import anyio

from autoscaler.fence import FencedFleet, FencedIntake
from autoscaler.loop import Ports, TargetLoop
from autoscaler.ports import Leads, Lease, LeaseError, LeaseLostError, StandsBy


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How often the lease is asked, and how long things may live without an answer."""

    check_seconds: float
    """Between two tries of a stand-by, and between two confirmations of the leader."""
    expiry_seconds: float
    """Unconfirmed for so long, the lease is given up."""
    write_seconds: float
    """The longest deadline of a write."""


class LeaseListener(Protocol):
    """Is told who leads.  Returns at once and never raises."""

    def leads(self, epoch: int) -> None:
        """From now on this daemon acts."""
        ...

    def waits(self, epoch: int, seconds: float) -> None:
        """The lease was taken; for so long a write of the former leader may live."""
        ...

    def stands_by(self, leader: str) -> None:
        """Another daemon leads.  Told at every look."""
        ...

    def lease_unknown(self, why: str) -> None:
        """The lease could not be asked: nobody may act, so this daemon stands by."""
        ...

    def lease_lost(self, epoch: int, why: str) -> None:
        """The term is over: nothing is written any more."""
        ...


class Term:
    """One daemon's time as the leader."""

    def __init__(self, lease: Lease, epoch: int, timing: LeaseTiming) -> None:
        self.epoch = epoch
        self.why_over = ""
        """Empty while it lasts."""
        self._lease = lease
        self._timing = timing
        self._confirmed_at = anyio.current_time()
        self._over = anyio.Event()

    async def refusal(self) -> str:
        """Asks the lease: why nothing may be written now; empty if it may."""
        if self.why_over:
            return self.why_over
        asked_at, limit = anyio.current_time(), self._timing.expiry_seconds - self._timing.check_seconds
        try:
            with anyio.fail_after(limit):
                await self._lease.confirm(self.epoch)
        except LeaseLostError as error:
            return self._ended(str(error))
        except (LeaseError, TimeoutError) as error:
            return self._unconfirmed(str(error) or f"the lease was not confirmed within {limit:g} s")
        except Exception as error:  # noqa: BLE001 - a defect of an adapter costs the write, not the daemon
            return self._unconfirmed(f"the lease could not be confirmed: unexpected {type(error).__name__}")
        if anyio.current_time() - asked_at > limit:  # a process that was stopped meanwhile
            return self._unconfirmed(f"the lease was not confirmed within {limit:g} s")
        self._confirmed_at = max(self._confirmed_at, asked_at)
        return self.why_over  # ended by another call meanwhile

    async def ended(self) -> None:
        """Returns when somebody else may lead; until then keeps the lease."""
        async with anyio.create_task_group() as group:
            if self.epoch:
                group.start_soon(self._keep)
            await self._over.wait()
            group.cancel_scope.cancel()

    def fenced(self, ports: Ports) -> Ports:
        """The same world, written only under this term."""
        intake = None if ports.intake is None else FencedIntake(ports.intake, self.refusal)
        return replace(ports, fleet=FencedFleet(ports.fleet, self.refusal), intake=intake)

    async def _keep(self) -> None:
        while True:
            await anyio.sleep(self._timing.check_seconds)
            await self.refusal()

    def _unconfirmed(self, why: str) -> str:
        if anyio.current_time() - self._confirmed_at >= self._timing.expiry_seconds:
            return self._ended(why)
        return why

    def _ended(self, why: str) -> str:
        self.why_over = self.why_over or why
        self._over.set()
        return self.why_over


Begin = Callable[[Term], Iterable[TargetLoop]]
"""The loops of all targets, with the memory of this term's earlier loops or none, and fenced ports."""


class Candidate:
    """Leads whenever it may.  `run` may be cancelled and called again: a term outlives a reload."""

    def __init__(self, lease: Lease, timing: LeaseTiming, listener: LeaseListener) -> None:
        self.timing = timing
        """May be another at the next `run`."""
        self._lease = lease
        self._listener = listener
        self._term: Term | None = None
        self._acts_at = 0.0

    async def run(self, begin: Begin) -> None:
        """For ever: stands by, leads, and stands by again."""
        if self._term is not None:
            self._term = await self._continued(self._term)
        while True:
            term = self._term = self._term or await self._elected()
            async with anyio.create_task_group() as group:
                group.start_soon(self._lead, term, begin)
                await term.ended()
                group.cancel_scope.cancel()
            self._term = None
            self._listener.lease_lost(term.epoch, term.why_over)
            await self._lease.release()

    async def release(self) -> None:
        """Lets another daemon lead at once.  Not while `run` runs."""
        self._term = None
        await self._lease.release()

    async def _continued(self, term: Term) -> Term | None:
        going_on = Term(self._lease, term.epoch, self.timing)
        if why := await going_on.refusal():
            self._listener.lease_lost(term.epoch, why)
            await self._lease.release()
            return None
        return going_on

    async def _elected(self) -> Term:
        while True:
            standing = await self._asked()
            if isinstance(standing, Leads):
                self._acts_at = anyio.current_time() + self.timing.write_seconds - standing.quiet_seconds
                return Term(self._lease, standing.epoch, self.timing)
            if standing is not None:
                self._listener.stands_by(standing.leader)
            await anyio.sleep(self.timing.check_seconds)

    async def _asked(self) -> Leads | StandsBy | None:
        limit = self.timing.expiry_seconds
        try:
            with anyio.fail_after(limit):
                return await self._lease.acquire()
        except (LeaseError, TimeoutError) as error:
            self._listener.lease_unknown(str(error) or f"no answer of the lease within {limit:g} s")
        except Exception as error:  # noqa: BLE001 - a defect of an adapter costs the lease, not the daemon
            self._listener.lease_unknown(f"the lease could not be asked: unexpected {type(error).__name__}")
        return None

    async def _lead(self, term: Term, begin: Begin) -> None:
        if (seconds := self._acts_at - anyio.current_time()) > 0:
            self._listener.waits(term.epoch, seconds)
            await anyio.sleep(seconds)
        self._listener.leads(term.epoch)
        loops = list(begin(term))
        try:
            async with anyio.create_task_group() as group:
                for loop in loops:
                    group.start_soon(loop.run)
        finally:
            if not term.why_over:  # else the next leader finds whom this one told to stop
                await _rest(loops)


async def _rest(loops: Iterable[TargetLoop]) -> None:
    """Also before a reload: the next configuration may not know these workers any more."""
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            for loop in loops:
                group.start_soon(loop.rest)
