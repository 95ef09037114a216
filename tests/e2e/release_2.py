"""What is Airflow 2.11's own: no API is needed, a process of Airflow's takes the runs from a folder."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.e2e.waiting import until

ORDER_SECONDS = 60.0
DESK = Path(__file__).parent / "inside" / "desk.py"


@dataclass
class Desk:
    """Takes orders for runs: files that `inside/desk.py` carries out and removes."""

    folder: anyio.Path
    orders: int = 0

    async def ready(self) -> bool:
        """Whether orders are taken."""
        return await (self.folder / "open").exists()

    async def prepare(self, pools: dict[str, int]) -> None:
        """Makes the pools."""
        await self._order({"pools": pools})

    async def trigger(self, dag: str, run: str, conf: dict[str, object]) -> None:
        """A run of the DAG."""
        await self._order({"dag": dag, "run": run, "conf": conf})

    async def _order(self, order: dict[str, object]) -> None:
        self.orders += 1
        name = f"{self.orders:04d}"
        await (self.folder / name).write_text(json.dumps(order))
        path = await (self.folder / name).rename(self.folder / f"{name}.json")

        async def done() -> bool:
            return not await path.exists()

        if not await until(done, ORDER_SECONDS):
            raise TimeoutError(f"Airflow did not carry out {order} within {ORDER_SECONDS:g} s")


class Release:
    """Airflow 2.11."""

    version = "2.11"
    """As the simulator calls it."""

    def __init__(self, folder: Path) -> None:
        self._orders = folder / "orders"
        self._orders.mkdir()
        self.settings: dict[str, dict[str, object]] = {}
        self.parts = (
            ("scheduler", ("airflow", "scheduler")),
            ("desk", ("python", str(DESK), str(self._orders))),
        )
        """Its processes, but for the workers."""

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        """Where runs are ordered."""
        yield Desk(anyio.Path(self._orders))
