"""A lease kept in memory, on the clock of the test: like a database's lock, with the same ways to fail."""

from dataclasses import dataclass, field

import anyio

from autoscaler.ports import Leads, LeaseError, LeaseLostError, StandsBy


@dataclass
class LeaseKeeper:
    """Who holds the one lease.  A holder that is silent for `expiry_seconds` loses it."""

    expiry_seconds: float = 6
    holder: str = ""
    epoch: int = 0
    heard_at: float = 0
    unreachable: set[str] = field(default_factory=set)
    """Daemons whose calls hang."""
    failing: set[str] = field(default_factory=set)
    """Daemons whose calls fail at once."""
    taken: list[tuple[str, int, float]] = field(default_factory=list)

    def lease_of(self, daemon: str) -> "MemoryLease":
        return MemoryLease(self, daemon)

    def lose(self) -> None:
        """The holder's session ends."""
        self.holder = ""

    def expire(self) -> None:
        if anyio.current_time() - self.heard_at >= self.expiry_seconds:
            self.holder = ""


@dataclass
class MemoryLease:
    """One daemon's way to the keeper."""

    keeper: LeaseKeeper
    daemon: str

    async def acquire(self) -> Leads | StandsBy:
        await self._asked()
        keeper = self.keeper
        if keeper.holder:
            return StandsBy(keeper.holder)
        keeper.holder, keeper.epoch, keeper.heard_at = self.daemon, keeper.epoch + 1, anyio.current_time()
        keeper.taken.append((self.daemon, keeper.epoch, keeper.heard_at))
        return Leads(keeper.epoch)

    async def confirm(self, epoch: int) -> None:
        await self._asked()
        if (self.keeper.holder, self.keeper.epoch) != (self.daemon, epoch):
            raise LeaseLostError("the lease is lost")
        self.keeper.heard_at = anyio.current_time()

    async def look(self) -> str:
        await self._asked()
        return self.keeper.holder

    async def release(self) -> None:
        if self.keeper.holder == self.daemon and self.daemon not in self.keeper.unreachable:
            self.keeper.lose()

    async def _asked(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.keeper.expire()
        if self.daemon in self.keeper.unreachable:
            await anyio.sleep_forever()
        if self.daemon in self.keeper.failing:
            raise LeaseError("the lease does not answer")
