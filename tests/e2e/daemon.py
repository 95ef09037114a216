"""The daemon under test: `autoscaler run` as a process of its own, and what its records say."""

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from autoscaler.core.record import DecisionRecord, StartRecord, decode
from autoscaler.demo.children import Child, Children, DemoError
from policies.model import Capacity

TARGET, CLUSTER, SERVICE = "workers", "e2e", "workers"
MIN_WORKERS, MAX_WORKERS, SLOTS = 1, 4, 2
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Places:
    """What the daemon is connected with."""

    database_url: str
    broker_url: str
    ecs_url: str
    statsd_port: int

    def configuration(self, source: str, removal: str, records: Path) -> str:
        """The daemon's file: defaults, but for times short enough to watch."""
        return f"""\
mode = "act"

[airflow]
database_url = {json.dumps(self.database_url)}

[celery]
broker_url = {json.dumps(self.broker_url)}

[statsd]
port = {self.statsd_port}

[aws]
region = "us-east-1"
endpoint_url = "{self.ecs_url}"

[http]
port = 0

[log]
format = "json"
records_path = {json.dumps(str(records))}

[targets.{TARGET}]
cluster = "{CLUSTER}"
service = "{SERVICE}"
slots_per_worker = {SLOTS}
min_workers = {MIN_WORKERS}
max_workers = {MAX_WORKERS}
interval_seconds = 1
sources = ["{source}"]
policy = {{ name = "mwaa", scale_in = "continuous" }}

[targets.{TARGET}.removal]
mode = "{removal}"

[targets.{TARGET}.guards]
warm_up_seconds = 3
stabilization_in_seconds = 4
"""


@dataclass
class Daemon:
    """At most one running process, and all records since its first start."""

    children: Children
    folder: Path
    places: Places
    decisions: list[DecisionRecord] = field(default_factory=list)
    _child: Child | None = None
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _read_bytes: int = 0

    @property
    def configuration(self) -> Path:
        return self.folder / "autoscaler.toml"

    async def start(self, source: str, removal: str) -> None:
        """With another configuration, or again with the same."""
        text = self.places.configuration(source, removal, self.folder / "records")
        await anyio.Path(self.configuration).write_text(text)
        command = [sys.executable, "-m", "autoscaler", "run", "--config", str(self.configuration)]
        running = self.children.running("the daemon", command, self.folder / "daemon.log", stop_seconds=30)
        self._child = await self._running.enter_async_context(running)

    async def stop(self) -> None:
        """As a rollout stops it."""
        await self._running.aclose()
        self._child = None

    async def kill(self) -> None:
        """As a failing machine stops it."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGKILL)
        await self.stop()

    def leaked(self, secrets: tuple[str, ...]) -> list[str]:
        """Those that its log or its records hold."""
        said = "".join((self.folder / name).read_text() for name in ("daemon.log", "records"))
        return [secret for secret in secrets if secret in said]

    def drained(self, since: float) -> set[str]:
        """Workers whose intake was stopped while they held work, from `since` (Unix seconds) on."""
        self._read()
        return {
            worker
            for record in self.decisions
            if record.at > since
            for worker in record.decision.intake_stopped
            if _column(record, worker, "consuming") == 0 and (_column(record, worker, "busy_slots") or 0) > 0
        }

    async def says(self, what: str, holds: Callable[[DecisionRecord], bool], since: float) -> DecisionRecord:
        """The first decision made after `since` (Unix seconds) that fits; `what` it is, for the error."""
        looked_at = 0
        with anyio.move_on_after(PATIENCE_SECONDS):
            while True:
                self._read()
                for record in self.decisions[looked_at:]:
                    if record.at > since and holds(record):
                        return record
                looked_at = len(self.decisions)
                if self._child is not None:
                    self._child.require_alive()
                await anyio.sleep(POLL_SECONDS)
        last = self.decisions[-1].decision.trail if self.decisions else "no decision at all"
        raise DemoError(f"within {PATIENCE_SECONDS:g} s the daemon did not say {what}; its last word: {last}")

    def _read(self) -> None:
        path = self.folder / "records"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read_bytes += len(line)
                record = decode(line.decode())
                if not isinstance(record, StartRecord):
                    self.decisions.append(record)


def consumes(record: DecisionRecord, worker: str) -> float | None:
    """1: it was seen to take tasks, 0: its intake was seen stopped; None: it was not listed or is silent."""
    return _column(record, worker, "consuming")


def _column(record: DecisionRecord, worker: str, name: str) -> float | None:
    capacity = record.observation.capacity
    workers = capacity.workers if isinstance(capacity, Capacity) else None
    if workers is None or worker not in workers.ids:
        return None
    value = float(getattr(workers, name)[workers.ids.index(worker)])
    return None if math.isnan(value) else value
