"""How long running tasks are expected to go on: of real servers, and what it may cost."""

import uuid
from itertools import count

import anyio
import pytest

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.snapshot import UNKNOWN_HOST
from autoscaler.sources.airflow_db.work_left import KEPT_SECONDS, MOST_TASKS_A_LOOK, RECENT, Pasts
from tests.sources.airflow_db.past import add, run
from tests.sources.airflow_db.world import AirflowWorld, ago

pytestmark = pytest.mark.anyio
HOURS = count()  # no two runs of a DAG are of the same date


@pytest.fixture(scope="session", params=["postgres-3", "mariadb-2.11", "sqlite-2.5"])
def built(request, new_database):
    kind, release = request.param.split("-")
    return AirflowWorld(new_database(kind), release).build()


@pytest.fixture
async def airflow(built):
    await built.empty()
    return built


@pytest.fixture
async def source(airflow):
    database = airflow.source()
    yield database
    await database.aclose()


async def past(airflow, took, *, dag="etl", task="load", state="success", kind="scheduled"):
    """Runs that took so long, the newest last."""
    for seconds in took:
        hour = next(HOURS)
        name = f"{kind}__{hour:06}"
        await run(airflow, dag, name, 3600 * hour, None)
        await instance(airflow, dag, name, task, state=state, duration=seconds)


async def instance(airflow, dag, run_id, task, **values):
    own = {"id": uuid.uuid4()} if airflow.release == "3" else {}
    plain = {"map_index": -1, "try_number": 1, "pool": "default_pool", "pool_slots": 1, "queue": "default"}
    await add(airflow, "task_instance", dag_id=dag, run_id=run_id, task_id=task, **own, **(plain | values))


async def running(airflow, host, age, *, dag="etl", task="load", **values):
    """A task that has run for `age` seconds."""
    name = f"a_manual__{uuid.uuid4()}"
    await run(airflow, dag, name, 3600 * next(HOURS), None)
    values = {
        "last_heartbeat_at": ago(1),
        "start_date": ago(age),
        "state": "running",
        "hostname": host,
    } | values
    await instance(airflow, dag, name, task, **values)


async def left(source, queues=None):
    busy = await source.target(queues, tells_work_left=True).busy()
    return busy.work_left_by_host


async def test_a_task_is_expected_to_take_as_long_as_before(airflow, source):
    """The mean is 150 s, of which 40 s have gone; a worker is busy until its last task ends."""
    await past(airflow, [100.0, 200.0])
    await past(airflow, [1000.0], task="report")
    await running(airflow, "w1", 40)
    await running(airflow, "w2", 40)
    await running(airflow, "w2", 100, task="report")
    assert await left(source) == {"w1": pytest.approx(110, abs=30), "w2": pytest.approx(900, abs=30)}


async def test_only_successes_count_and_only_recent_ones(airflow, source):
    """A failure may end after a second."""
    await past(airflow, [9000.0] + [100.0] * RECENT)
    await past(airflow, [1.0] * 3, state="failed", kind="scheduled_again")
    await running(airflow, "w1", 0)
    assert await left(source) == {"w1": pytest.approx(100, abs=30)}


async def test_what_nobody_knows_is_unknown(airflow, source):
    """A task without a past, one that has outlived it, one without a start; and who runs beside them."""
    await past(airflow, [100.0])
    await past(airflow, [1.0] * 3, task="broken", state="failed")
    await running(airflow, "new", 40, task="new")
    await running(airflow, "broken", 40, task="broken")
    await running(airflow, "long", 5000)
    await running(airflow, "starting", 0, start_date=None)
    await running(airflow, "beside", 1)
    await running(airflow, "beside", 5000)
    await running(airflow, "", 1)
    found = await left(source)
    assert found.pop(UNKNOWN_HOST) == pytest.approx(99, abs=30)
    assert found == pytest.approx(
        dict.fromkeys(["new", "broken", "long", "starting", "beside"], float("nan")), nan_ok=True
    )


async def test_a_target_sees_its_own_tasks(airflow, source):
    """And nobody is told who did not ask."""
    await past(airflow, [100.0])
    await running(airflow, "w1", 40)
    await running(airflow, "w2", 40, queue="other")
    assert (await left(source, frozenset({"other"}))).keys() == {"w2"}
    assert not (await source.target().busy()).work_left_by_host


async def test_a_past_is_read_once_for_minutes(airflow):
    """Each read takes a few tasks, the most frequent first."""
    clock, source = [0.0], airflow.source()
    pasts = Pasts(now=lambda: clock[0])
    await past(airflow, [100.0])
    await running(airflow, "w1", 0)

    async def known_of(host):
        rows = await pasts.work_left(source.transaction)
        return next(row.seconds for row in rows if row.host == host)

    assert await known_of("w1") == pytest.approx(100, abs=30)
    await past(airflow, [900.0], kind="scheduled_later")
    assert await known_of("w1") == pytest.approx(100, abs=30)
    clock[0] = KEPT_SECONDS
    assert await known_of("w1") == pytest.approx(500, abs=30)
    for number in range(MOST_TASKS_A_LOOK):
        for _ in range(2):
            await running(airflow, "w2", 0, task=f"other-{number}")
    await past(airflow, [50.0], task="seldom", kind="scheduled_seldom")
    await running(airflow, "w3", 0, task="seldom")
    assert await known_of("w3") == pytest.approx(float("nan"), nan_ok=True)
    assert await known_of("w3") == pytest.approx(50, abs=30)
    await source.aclose()


async def test_a_failure_costs_no_evidence_and_is_not_repeated():
    """Who is busy is known all the same; the next try is minutes later."""
    clock, asked = [0.0], []
    pasts = Pasts(now=lambda: clock[0])

    async def refused(work):
        asked.append(clock[0])
        raise SourceError("permission denied for table task_instance")

    assert await pasts.work_left(refused) == ()
    clock[0] = KEPT_SECONDS - 1
    assert await pasts.work_left(refused) == ()
    clock[0] = KEPT_SECONDS
    assert await pasts.work_left(refused) == ()
    assert asked == [0.0, KEPT_SECONDS]


async def test_a_slow_database_is_not_waited_for():
    pasts = Pasts(now=lambda: 0.0)

    async def endless(work):
        await anyio.sleep_forever()

    with anyio.fail_after(60):
        assert await pasts.work_left(endless) == ()
