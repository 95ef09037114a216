"""A worker as the loopback ECS runs it: takes queued tasks, runs them in its slots, marks them.

    python -m autoscaler.demo.worker

Configured by the environment as a container would be: `HOSTNAME`, the database and the number of
slots under Airflow's own names.  SIGTERM is Celery's warm shutdown: nothing new is taken, what runs
is finished, then it exits.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import anyio
import asyncpg

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 2.0
DATABASE_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
SLOTS_VARIABLE = "AIRFLOW__CELERY__WORKER_CONCURRENCY"

# Skipping locked rows, two workers never wait for each other and never take the same task.
TAKE = """
UPDATE task_instance
SET state = 'running', hostname = $1, start_date = clock_timestamp(), last_heartbeat_at = clock_timestamp()
WHERE id IN (
    SELECT id FROM task_instance WHERE state = 'queued'
    ORDER BY queued_dttm, priority_weight LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, executor_config
"""
FINISH = """
UPDATE task_instance
SET state = 'success', end_date = clock_timestamp(),
    duration = EXTRACT(EPOCH FROM clock_timestamp() - start_date)
WHERE id = ANY($1) AND state = 'running' AND hostname = $2
"""
BEAT = "UPDATE task_instance SET last_heartbeat_at = clock_timestamp() WHERE id = ANY($1)"


@dataclass(slots=True)
class Worker:
    """Runs up to `slots` tasks at a time; a task is so many seconds of holding a slot."""

    connection: asyncpg.Connection[asyncpg.Record]
    host: str
    slots: int
    clock: Callable[[], float] = time.monotonic
    stopping: bool = False
    """Takes nothing new."""
    _ends: dict[UUID, float] = field(default_factory=dict)
    """When each running task will be done."""
    _beat_at: float = 0.0

    async def run(self) -> None:
        """Until it was told to stop and nothing runs any more."""
        while True:
            await self.step()
            if self.stopping and not self._ends:
                return
            await anyio.sleep(POLL_SECONDS)

    async def step(self) -> None:
        """Finishes what is done, takes what there is room for, says that it is alive."""
        now = self.clock()
        if done := [task for task, ends in self._ends.items() if ends <= now]:
            await self.connection.execute(FINISH, done, self.host)
            for task in done:
                del self._ends[task]
        free = self.slots - len(self._ends)
        if free and not self.stopping:
            for task, config in await self.connection.fetch(TAKE, self.host, free):
                self._ends[task] = now + float(json.loads(config)["seconds"])
        if self._ends and now - self._beat_at >= HEARTBEAT_SECONDS:
            await self.connection.execute(BEAT, list(self._ends))
            self._beat_at = now


async def _work() -> None:
    connection = await asyncpg.connect(os.environ[DATABASE_VARIABLE])
    try:
        worker = Worker(connection, os.environ["HOSTNAME"], int(os.environ[SLOTS_VARIABLE]))

        def stop(*_: object) -> None:
            worker.stopping = True

        signal.signal(signal.SIGTERM, stop)
        await worker.run()
    finally:
        await connection.close()


def main() -> int:
    """The process's exit code."""
    try:
        anyio.run(_work)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        print(f"demo worker: the database is gone: {error}", file=sys.stderr)  # noqa: T201 - its log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
