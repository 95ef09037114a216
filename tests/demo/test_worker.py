"""Workers and the played scheduler on a real PostgreSQL, their clock moved by hand."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from autoscaler.demo.children import DemoError, children
from autoscaler.demo.load import Airflow, playing_airflow
from autoscaler.demo.postgres import copied_programs, installed_programs, running_postgres
from autoscaler.demo.script import Arrival
from autoscaler.demo.worker import Worker
from autoscaler.sources.airflow_db.credentials import fixed
from autoscaler.sources.airflow_db.database import AirflowDatabase


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def _airflow(folder: Path) -> AsyncIterator[tuple[str, Airflow]]:
    with children() as starter:
        async with running_postgres(starter, folder / "pg") as url, playing_airflow(url) as airflow:
            yield url, airflow


@asynccontextmanager
async def _worker(url: str, host: str, clock: Clock, slots: int = 4) -> AsyncIterator[Worker]:
    connection = await asyncpg.connect(url)
    try:
        yield Worker(connection, host, slots, clock)
    finally:
        await connection.close()


@pytest.mark.anyio
async def test_workers_share_the_queue_and_stop_warmly(folder):
    """No task twice, never more than the slots; after the stop the running ones end and nothing is taken.

    The real source reads it all as it would read Airflow's.
    """
    clock = Clock()
    async with _airflow(folder) as (url, airflow), _worker(url, "one", clock) as one:
        await airflow.queue([Arrival(0, seconds) for seconds in (10, 10, 10, 30, 10, 10, 10, 10, 10)])
        await one.step()
        assert (await airflow.load()).busy_slots == {"one": 4}
        database = AirflowDatabase(fixed(url), clock)
        target = database.target()
        demand = await target.demand()
        assert (demand.queued, demand.running, demand.schedulers) == (5, 4, 1)
        assert (await target.busy()).slots_by_host == {"one": 4}
        await database.aclose()

        async with _worker(url, "two", clock, slots=3) as two:
            await two.step()
            await one.step()
            assert (await airflow.load()).busy_slots == {"one": 4, "two": 3}
            clock.now += 10
            one.stopping = True
            await one.step()
            load = await airflow.load()
            assert (load.queued, load.finished, load.busy_slots) == (2, 3, {"one": 1, "two": 3})
            await two.step()
            assert (await airflow.load()).busy_slots == {"one": 1, "two": 2}
            clock.now += 20
            await one.run()  # it has nothing left and returns
            await two.step()
        fates = await airflow.fates()
        assert len(fates) == 9
        assert all(fate.done and fate.wait_seconds >= 0 for fate in fates)


@pytest.mark.anyio
async def test_a_task_whose_worker_is_gone_is_not_done(folder):
    """It stays as running as Airflow would leave it: that is a lost task."""
    clock = Clock()
    async with _airflow(folder) as (url, airflow):
        await airflow.queue([Arrival(0, 10), Arrival(0, 10)])
        async with _worker(url, "killed", clock, slots=1) as killed:
            await killed.step()
        fates = await airflow.fates()
        assert [fate.done for fate in fates] == [False, False]
        assert [fate.wait_seconds is None for fate in fates] == [False, True]


@pytest.mark.anyio
async def test_a_folder_too_deep_for_a_socket_is_named(folder):
    """PostgreSQL's own message comes too late and says less."""
    deep = folder / ("d" * 90)
    with children() as starter, pytest.raises(DemoError, match="too long for a socket: set TMPDIR"):
        async with running_postgres(starter, deep):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
@pytest.mark.anyio
async def test_a_folder_that_only_root_can_enter_is_named(folder):
    """With both ways out."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with children() as starter, pytest.raises(DemoError, match=r"nobody cannot reach .* set TMPDIR"):
        async with running_postgres(starter, closed / "pg"):
            pass


def test_the_programs_run_from_a_copy(tmp_path):
    """Where root's own folders are closed to the user that PostgreSQL needs."""
    copy = copied_programs(installed_programs().parent, tmp_path / "programs", None)
    for program in ("initdb", "postgres"):
        done = subprocess.run([copy / program, "--version"], capture_output=True, check=True)
        assert b"PostgreSQL" in done.stdout
