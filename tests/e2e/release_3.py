"""What is Airflow 3's own: its parts, its settings, and its API, which takes the runs."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.ports import free_tcp_port

PARTS = ("api-server", "scheduler", "dag-processor")


def settings(port: int) -> dict[str, dict[str, object]]:
    """By section; `port` is the API's."""
    return {
        "core": {
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "simple_auth_manager_all_admins": True,
            "internal_api_secret_key": secrets.token_hex(32),
        },
        "api": {"host": "127.0.0.1", "port": port, "workers": 1, "secret_key": secrets.token_hex(32)},
        "api_auth": {"jwt_secret": secrets.token_hex(64)},
        "workers": {"min_heartbeat_interval": 1},
        "dag_processor": {"parsing_processes": 1},
    }


@dataclass
class Desk:
    """Takes orders for runs."""

    client: httpx.AsyncClient

    async def ready(self) -> bool:
        """Whether the API answers and says that all parts run."""
        try:
            health = (await self.client.get("/api/v2/monitor/health")).json()
        except (httpx.TransportError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))

    async def prepare(self, pools: dict[str, int]) -> None:
        """Logs in and makes the pools."""
        token = (await self.client.get("/auth/token")).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"
        for pool, slots in pools.items():
            await self._post("/api/v2/pools", {"name": pool, "slots": slots})

    async def trigger(self, dag: str, run: str, conf: dict[str, object]) -> None:
        """A run of the DAG."""
        order = {"dag_run_id": run, "logical_date": None, "conf": conf}
        await self._post(f"/api/v2/dags/{dag}/dagRuns", order)

    async def _post(self, path: str, document: dict[str, Any]) -> None:
        (await self.client.post(path, json=document)).raise_for_status()


class Release:
    """Airflow 3."""

    version = "3.3"
    """As the simulator calls it."""
    parts = tuple((name, ("airflow", name)) for name in PARTS)
    """Its processes, but for the workers."""

    def __init__(self, folder: Path) -> None:
        self._port = free_tcp_port()
        self.settings = settings(self._port)

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        """Where runs are ordered."""
        url = f"http://127.0.0.1:{self._port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            yield Desk(client)
