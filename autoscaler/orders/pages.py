"""POST /pause, /resume and /override: orders for whoever knows the token."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from autoscaler.orders.book import OrderBook, OrdersError, Token
from autoscaler.orders.given import KINDS, Given, read
from autoscaler.orders.token import same
from autoscaler.orders.words import as_values, in_words

MOST_BYTES = 4096
"""Of a request's body: an order is a few hundred."""
UNCONFIGURED = "orders are not taken: set orders.path (or table) and orders.token (or token_file)"


class _RefusedError(Exception):
    """Why a request is answered with an error, and which."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Desk:
    """Where orders are taken."""

    book: OrderBook
    token: Token | None
    """None: nobody may give any."""
    targets: Collection[str]
    clock: Callable[[], float]
    told: Callable[[str, Collection[str], Given], None]
    """(kind, targets, order): an order was taken."""
    refused: Callable[[str], None]
    """(kind): one was not."""
    elsewhere: Callable[[], str] = lambda: ""
    """Why another daemon is to be asked; empty: this one is right."""

    def routes(self) -> list[Route]:
        """A page a kind of order."""
        return [Route(f"/{kind}", self._page(kind), methods=["POST"]) for kind in KINDS]

    def shown(self, target: str) -> dict[str, Any]:
        """What is ordered for it now, as values and in words."""
        orders = self.book.of(target, self.clock())
        return {"orders": as_values(orders), "ordered": in_words(orders)}

    def _page(self, kind: str) -> Callable[[Request], object]:
        async def page(request: Request) -> Response:
            try:
                return await self._taken(kind, request)
            except _RefusedError as error:
                self.refused(kind)
                challenge = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
                return PlainTextResponse(f"{error}\n", error.status, challenge)

        return page

    async def _taken(self, kind: str, request: Request) -> Response:
        """Who asks is looked at before what is asked."""
        await self._admit(request)
        if why := self.elsewhere():
            raise _RefusedError(409, f"orders are for the daemon that leads; this one is {why}")
        body = await _body(request)
        try:
            order = read(kind, body)
        except OrdersError as error:
            raise _RefusedError(400, str(error)) from None
        if order.target is not None and order.target not in self.targets:
            known = ", ".join(self.targets)
            raise _RefusedError(404, f"there is no target of that name; try {known}")
        targets = [order.target] if order.target is not None else list(self.targets)
        at = self.clock()
        try:
            await self.book.change(targets, order.change(at), at)
        except OrdersError as error:
            raise _RefusedError(503, f"the order was not taken: {error}") from None
        self.told(kind, targets, order)
        return JSONResponse({"targets": {name: self.shown(name) for name in targets}})

    async def _admit(self, request: Request) -> None:
        if self.token is None:
            raise _RefusedError(403, UNCONFIGURED)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise _RefusedError(401, "an order needs the header `Authorization: Bearer TOKEN`")
        try:
            known = await self.token()
        except OrdersError as error:
            raise _RefusedError(503, str(error)) from None
        if not same(given.strip(), known):
            raise _RefusedError(401, "the token is not the one of orders.token")


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise _RefusedError(413, f"the body is longer than {MOST_BYTES} bytes")
    except ClientDisconnect:
        raise _RefusedError(400, "the body broke off") from None  # nobody reads this
    return body
