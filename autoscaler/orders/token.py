"""The token that whoever gives orders must know."""

from __future__ import annotations

import hmac

import anyio

from autoscaler.orders.book import OrdersError, Token

SHORTEST = 16
"""Characters; a shorter token could be guessed."""
MOST_BYTES = 4096


def fixed(token: str) -> Token:
    """Always the same, such as one from the environment."""

    async def known() -> str:
        return token

    return known


def from_file(path: str) -> Token:
    """The content of a file, such as a mounted secret; read each time, so it may change."""

    async def known() -> str:
        try:
            async with await anyio.open_file(path, "rb") as file:
                token = (await file.read(MOST_BYTES)).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise OrdersError(f"orders.token_file = {path}: cannot be read: {why}") from None
        if len(token) < SHORTEST:
            raise OrdersError(f"orders.token_file = {path}: expected at least {SHORTEST} characters")
        return token

    return known


def same(given: str, token: str) -> bool:
    """Whether they are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode(errors="replace"))
