"""A way to a server's socket that can be cut: nothing arrives any more, and neither side is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream


@dataclass
class Relay:
    """Between the clients and the server."""

    cut: bool = False


@asynccontextmanager
async def relay(path: str, server: str) -> AsyncIterator[Relay]:
    """Listens at `path` for as long as the context is open."""
    way = Relay()

    async def serve(client: ByteStream) -> None:
        async with client, await anyio.connect_unix(server) as upstream, anyio.create_task_group() as group:
            group.start_soon(carry, client, upstream)
            await carry(upstream, client)
            group.cancel_scope.cancel()

    async def carry(source: ByteStream, sink: ByteStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            while True:
                piece = await source.receive()
                if not way.cut:
                    await sink.send(piece)
        if way.cut:
            await anyio.sleep_forever()
        await sink.aclose()

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield way
        group.cancel_scope.cancel()
