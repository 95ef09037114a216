"""Several targets, one reading; and one failure."""

import anyio
import pytest

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import AirflowDatabase
from tests.sources.airflow_db.world import AirflowWorld

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def built(new_database):
    return AirflowWorld(new_database("sqlite"), "3").build()


@pytest.fixture
async def airflow(built):
    await built.empty()
    return built


class Gate:
    """Credentials that wait until they are let through, and count who asked."""

    def __init__(self, url):
        self.url, self.asked, self.asking, self.open = url, 0, anyio.Event(), anyio.Event()

    async def __call__(self):
        self.asked += 1
        self.asking.set()
        await self.open.wait()
        if not self.url:
            raise SourceError(f"refused, attempt {self.asked}")
        return self.url


def counted(airflow, **options):
    """A source and the list of the instants at which it really read."""
    readings = []

    def clock():
        readings.append(float(len(readings)))
        return readings[-1]

    credentials = options.pop("credentials", None)
    database = airflow.source(credentials=credentials)
    return AirflowDatabase(credentials or database._connector._credentials, clock, **options), readings


async def test_targets_that_ask_together_share_one_reading(airflow):
    """Demand and busy of three targets at one tick: one transaction."""
    source, readings = counted(airflow, max_age_seconds=60.0)
    targets = [source.target(queues) for queues in (None, frozenset({"a"}), frozenset({"b"}))]
    async with anyio.create_task_group() as group:
        for target in targets:
            group.start_soon(target.demand)
            group.start_soon(target.busy)
    assert {(await target.demand()).measured_at for target in targets} == {0.0}
    assert len(readings) == 1
    await source.aclose()


async def test_an_old_reading_is_not_shared(airflow):
    """Beyond its age everybody reads anew."""
    source, readings = counted(airflow, max_age_seconds=0.0)
    first, second = await source.snapshot(), await source.snapshot()
    assert (first.measured_at, second.measured_at, len(readings)) == (0.0, 1.0, 2)
    await source.aclose()


async def test_a_failing_reading_fails_all_who_wait_for_it(airflow):
    """Not one time-out after the other."""
    gate = Gate("")
    source, readings = counted(airflow, credentials=gate, max_age_seconds=60.0)
    said = []

    async def ask():
        with pytest.raises(SourceError) as raised:
            await source.snapshot()
        said.append(str(raised.value))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask)
        await gate.asking.wait()
        gate.open.set()
    assert said == ["refused, attempt 1"] * 4
    assert len(readings) == 1


async def test_when_the_reader_is_cancelled_another_takes_over(airflow):
    """One target's deadline is not the others' failure."""
    gate = Gate(airflow.url)
    source, readings = counted(airflow, credentials=gate, max_age_seconds=60.0)
    measured = []

    async def ask():
        measured.append((await source.snapshot()).measured_at)

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as impatient:
            async with anyio.create_task_group() as inner:
                inner.start_soon(ask)
                await gate.asking.wait()
                group.start_soon(ask)
                group.start_soon(ask)
                await anyio.lowlevel.checkpoint()
                impatient.cancel()
        gate.open.set()
    assert measured == [1.0, 1.0]
    assert (len(readings), gate.asked) == (2, 2)
    await source.aclose()


async def test_a_failure_makes_phantoms_doubtful_again(airflow):
    """After an outage the clock of trust starts anew."""
    await airflow.tasks(1, "running", host="w1", silent=400)
    source = airflow.source(settle_seconds=0.3)
    with anyio.fail_after(60):
        while not (await source.target().demand()).whole:  # noqa: ASYNC110 - that is the point
            await anyio.sleep(0.05)
    await airflow.no_schedulers()
    with pytest.raises(SourceError):
        await source.target().demand()
    await airflow.scheduler()
    assert (await source.target().demand()).whole is False
    await source.aclose()
