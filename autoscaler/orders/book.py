"""The orders in force, target by target."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import anyio

from policies.orders import Orders, Override, Pause, Way

Change = Callable[[Orders], Orders]
"""One target's orders -> with the new one.  `paused`, `resumed` and `overridden` make them."""
Token = Callable[[], Awaitable[str]]
"""Whoever knows it may give orders.  Raises `OrdersError` where it cannot be read."""


class OrdersError(Exception):
    """Orders cannot be read or kept; the message says where and what to do.  Never holds a secret."""


class Keeper(Protocol):
    """Keeps orders over a restart, for this daemon and whoever takes its place."""

    async def read(self) -> dict[str, Orders]:
        """All orders there are, by target.

        Raises `OrdersError` also for what holds no orders: a pause may have been in it, so nobody goes on
        as if there were none.
        """
        ...

    async def keep(self, orders: Mapping[str, Orders]) -> None:
        """All orders there are, by target; returns once they are safe.  Raises `OrdersError`."""
        ...


class OrderBook:
    """What is ordered for each target of one daemon."""

    def __init__(self, keeper: Keeper | None = None) -> None:
        """Until it was read once every target is paused.  Without a keeper nothing can be ordered."""
        self._keeper = keeper
        self._orders: dict[str, Orders] = {}
        self._unread = None if keeper is None else _unread("orders are read next")
        self._turn = anyio.Lock()

    async def read(self) -> None:
        """What an earlier life or another daemon was ordered counts from now on.  Raises `OrdersError`."""
        if self._keeper is not None:
            async with self._turn:
                await self._read(self._keeper)

    async def _read(self, keeper: Keeper) -> None:
        try:
            self._orders, self._unread = await keeper.read(), None
        except OrdersError as error:
            if self._unread is not None:
                self._unread = _unread(str(error))
            raise

    async def follow(self, seconds: float, unread: Callable[[str], None]) -> None:
        """Reads it every so many seconds, for ever; each time `unread` is told why it could not, or nothing.

        Unread, the orders stay as they are.
        """
        while self._keeper is not None:
            await anyio.sleep(seconds)
            why = ""
            try:
                await self.read()
            except OrdersError as error:
                why = str(error)
            except Exception as error:  # noqa: BLE001 - a defect of a keeper costs its news, not the daemon
                why = f"unexpected {type(error).__name__}"
            unread(why)

    def of(self, target: str, at: float) -> Orders | None:
        """The target's orders that have not expired; None: there are none."""
        if self._unread is not None:
            return self._unread
        orders = self._orders.get(target)
        return orders.standing(at) if orders is not None else None

    async def change(self, targets: Collection[str], change: Change, at: float) -> None:
        """Changes the orders of these targets, all or none, and keeps them before they count.

        Raises `OrdersError` if they cannot be kept: then nothing has changed.
        """
        if self._keeper is None:
            raise OrdersError("orders.path (or table) is not set: no order could be kept over a restart")
        async with self._turn:
            await self._read(self._keeper)
            standing = {name: self.of(name, at) for name in self._orders}
            standing |= {name: change(self.of(name, at) or Orders()).standing(at) for name in targets}
            orders = {name: each for name, each in standing.items() if each is not None}
            await self._keeper.keep(orders)
            self._orders = orders


def _unread(why: str) -> Orders:
    """A pause may have been ordered: nothing moves until it is known."""
    return Orders(Pause(Way.BOTH, float("inf"), 0.0, "the daemon itself", why[:300]))


def paused(pause: Pause) -> Change:
    """The size shall not move; takes the place of an earlier pause."""
    return lambda orders: Orders(pause, orders.override)


def resumed(orders: Orders) -> Orders:
    """No pause any more; other bounds stay."""
    return Orders(None, orders.override)


def overridden(override: Override | None) -> Change:
    """Other bounds; takes the place of earlier ones.  None: the configured ones again."""
    return lambda orders: Orders(orders.pause, override)
