"""Waiting for what real processes do: they tell nobody, so they are asked again and again."""

from collections.abc import Awaitable, Callable

import anyio

POLL_SECONDS = 0.2


async def until(holds: Callable[[], Awaitable[object]], seconds: float) -> bool:
    """Whether it came to hold within so many seconds."""
    with anyio.move_on_after(seconds):
        while not await holds():  # noqa: ASYNC110 - see above
            await anyio.sleep(POLL_SECONDS)
        return True
    return False
