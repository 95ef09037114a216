"""A lease that the daemons of a world share, and the law of writes under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from autoscaler.lease.alone import Alone
from autoscaler.ports import Leads, Lease, LeaseError, LeaseLostError, StandsBy
from tests.soak.kinds import Kind
from tests.soak.life import Life
from tests.soak.weather import WRITES

WRITE_SECONDS = 8.0
"""A write's deadline: the lease was asked no longer ago."""
EXPIRY_SECONDS = 45.0


@dataclass
class Shared:
    """Who holds the one lease of a world.  None is needed where daemons share none."""

    clock: Callable[[], float]
    meets: Callable[[Kind], bool]
    broken: Callable[[str], None]
    exists: bool
    holder: Life | None = None
    epoch: int = 0
    heard_at: float = 0.0
    written_under: int = 0

    def lease_of(self, life: Life) -> Lease:
        """One daemon's way to it."""
        if not self.exists:
            return Alone()
        life.about_to = lambda operation: self._writes(life) if operation in WRITES else None
        return SharedLease(self, life)

    def _writes(self, life: Life) -> None:
        """Asked right before, and never after a later leader has written."""
        if self.clock() - life.confirmed_at > WRITE_SECONDS:
            self.broken("a write without asking the lease")
        if life.epoch < self.written_under:
            self.broken(f"a write under epoch {life.epoch}, after one under {self.written_under}")
        self.written_under = max(self.written_under, life.epoch)

    async def asked(self, life: Life) -> None:
        """A question on its way; the lease of who has been silent for too long is over."""
        await life.breath()
        if self.meets(Kind.LEASE_LOST):
            self.holder = None
        if self.clock() - self.heard_at >= EXPIRY_SECONDS or (self.holder and self.holder.dead):
            self.holder = None
        if self.meets(Kind.LEASE_HANGS):
            await anyio.sleep_forever()
        if self.meets(Kind.LEASE_FAILS):
            raise LeaseError("the lease's database does not answer: connection refused")


@dataclass
class SharedLease:
    """The lease as one daemon has it."""

    shared: Shared
    life: Life

    async def acquire(self) -> Leads | StandsBy:
        """As the port says."""
        await self.shared.asked(self.life)
        shared = self.shared
        if shared.holder is not None:
            return StandsBy("another daemon")
        shared.holder, shared.epoch, shared.heard_at = self.life, shared.epoch + 1, shared.clock()
        self._held()
        return Leads(shared.epoch)

    async def confirm(self, epoch: int) -> None:
        """As the port says."""
        await self.shared.asked(self.life)
        if (self.shared.holder, self.shared.epoch) != (self.life, epoch):
            raise LeaseLostError("the lease is lost")
        self._held()

    async def release(self) -> None:
        """As the port says."""
        if self.shared.holder is self.life:
            self.shared.holder = None

    def _held(self) -> None:
        self.shared.heard_at = self.life.confirmed_at = self.shared.clock()
        self.life.epoch = self.shared.epoch
