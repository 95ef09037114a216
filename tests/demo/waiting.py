"""Waiting for what a real process does in its own time."""

from collections.abc import Callable

import anyio

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.02


async def until(condition: Callable[[], object]) -> None:
    """Raises `TimeoutError` if it never holds."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # processes and files set no event
            await anyio.sleep(POLL_SECONDS)
