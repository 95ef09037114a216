"""One suite for every database that Airflow runs on, and every generation of its schema."""

import pytest

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import Expectation, Limits, diagnose
from autoscaler.sources.airflow_db.snapshot import UNKNOWN_HOST
from policies.model import Busy, Demand
from tests.sources.airflow_db.world import OUR_CLOCK, TABLES, AirflowWorld

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session", params=["postgres", "mariadb", "sqlite"])
def kind(request):
    return request.param


@pytest.fixture(scope="session", params=list(TABLES))
def built(request, kind, new_database):
    return AirflowWorld(new_database(kind), request.param).build()


@pytest.fixture
async def airflow(built):
    await built.empty()
    return built


@pytest.fixture
async def source(airflow):
    database = airflow.source()
    yield database
    await database.aclose()


async def test_an_idle_airflow_wants_nothing(source):
    """A living scheduler and no task: this zero is credible."""
    assert await source.target().demand() == Demand(
        queued=0, running=0, measured_at=OUR_CLOCK, schedulers=1, source="airflow_db"
    )
    assert await source.target().busy() == Busy({}, OUR_CLOCK)


async def test_only_queued_and_running_tasks_are_load(airflow, source):
    """Restarting ones hold a slot for seconds, scheduled ones may come, all others want nothing."""
    await airflow.tasks(3, "queued", silent=None)
    await airflow.tasks(2, "running", host="w1")
    await airflow.tasks(1, "restarting", host="w2")
    await airflow.tasks(4, "scheduled", silent=None)
    for state in ("success", "failed", "deferred", "up_for_retry", "up_for_reschedule", "removed"):
        await airflow.tasks(1, state)
    demand = await source.target().demand()
    assert (demand.queued, demand.running, demand.scheduled) == (3, 2, 4)
    assert (await source.target().busy()).slots_by_host == {"w1": 2, "w2": 1}


async def test_each_target_sees_its_queues(airflow, source):
    """One reading serves them all; a target without queues serves all."""
    await airflow.tasks(3, "queued", queue="small", silent=None)
    await airflow.tasks(5, "queued", queue="large", silent=None)
    await airflow.tasks(1, "running", queue="large", host="w1")
    await airflow.tasks(1, "running", queue=None, host="w2")
    loads = [
        (await source.target(queues).demand()).load
        for queues in (frozenset({"small"}), frozenset({"large", "other"}), frozenset({"other"}), None)
    ]
    assert loads == [3, 6, 0, 10]
    assert (await source.target(frozenset({"large"})).busy()).slots_by_host == {"w1": 1}


async def test_tasks_that_celery_does_not_run_are_left_out(airflow, source):
    """By executor since 2.10, by the Kubernetes executor's queue before."""
    await airflow.tasks(1, "running", host="w1")
    if airflow.release != "2.5":
        celery = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
        for executor in ("CeleryExecutor", celery):
            await airflow.tasks(1, "running", executor=executor, host="w1")
        for executor in ("KubernetesExecutor", "LocalExecutor", "my.module.Executor"):
            await airflow.tasks(1, "running", executor=executor, host="pod")
    if airflow.release != "3":
        await airflow.tasks(1, "running", queue="kubernetes", host="pod")
    demand, busy = await source.target().demand(), await source.target().busy()
    expected = 1 if airflow.release == "2.5" else 3
    assert demand.running == expected
    assert busy.slots_by_host == {"w1": expected}


async def test_an_executor_may_have_an_alias(airflow):
    """Whatever the configuration calls Celery counts as Celery."""
    if airflow.release == "2.5":
        return
    await airflow.tasks(2, "queued", executor="my_celery", silent=None)
    await airflow.tasks(1, "queued", executor="CeleryExecutor", silent=None)
    source = airflow.source(celery_executors=("my_celery",))
    assert (await source.target().demand()).queued == 2
    await source.aclose()


async def test_phantoms_are_counted_apart_and_still_protect_their_host(airflow, source):
    """After 300 s of silence a task is no load; but only Airflow may declare it dead."""
    await airflow.tasks(2, "running", host="w1", silent=290)
    await airflow.tasks(3, "running", host="w2", silent=310)
    demand = await source.target().demand()
    assert (demand.running, demand.phantoms, demand.whole) == (2, 3, True)
    assert (await source.target().busy()).slots_by_host == {"w1": 2, "w2": 3}


async def test_without_any_heartbeat_a_task_counts(airflow, source):
    """No evidence of death is not evidence of death."""
    await airflow.tasks(1, "running", host="w1", silent=None)
    demand = await source.target().demand()
    assert (demand.running, demand.phantoms) == (1, 0)


async def test_a_task_whose_job_has_ended_is_a_phantom(airflow, source):
    """Airflow 2: the job failed, the task was left behind."""
    if airflow.release == "3":
        return
    await airflow.tasks(1, "running", host="w1", job_state="failed")
    demand = await source.target().demand()
    assert (demand.running, demand.phantoms) == (0, 1)


async def test_soon_after_a_start_phantoms_make_a_reading_doubtful(airflow):
    """After an outage every task looks silent for a moment: nothing may shrink on that."""
    await airflow.tasks(1, "running", host="w1", silent=400)
    source = airflow.source(settle_seconds=60)
    assert (await source.target().demand()).whole is False
    await airflow.execute("DELETE FROM task_instance")
    assert (await source.target().demand()).whole is True
    await source.aclose()


async def test_the_oldest_wait_is_that_of_the_oldest_queued_task(airflow, source):
    """By the database's clock; running tasks have waited too, but no longer do."""
    await airflow.tasks(1, "queued", waited=125, silent=None)
    await airflow.tasks(1, "queued", waited=5, silent=None)
    await airflow.tasks(1, "queued", waited=None, silent=None)
    await airflow.tasks(1, "running", waited=900)
    wait = (await source.target().demand()).oldest_wait_seconds
    assert 125 <= wait < 140


async def test_busy_tasks_without_a_host_are_not_lost(airflow, source):
    """They hold a slot somewhere, so somebody unknown is busy."""
    await airflow.tasks(1, "running", host="")
    assert (await source.target().busy()).slots_by_host == {UNKNOWN_HOST: 1}


async def test_living_schedulers_are_counted(airflow, source):
    """Dead and stopped ones are not."""
    await airflow.scheduler(heartbeat_ago=3)
    await airflow.scheduler(heartbeat_ago=45)
    await airflow.scheduler(state="success")
    assert (await source.target().demand()).schedulers == 2


@pytest.mark.parametrize(
    ("heartbeat_ago", "said"),
    [
        (45, r"heartbeat is 4\d s old, expected at most 30 s"),
        (-90, r"8\d s ahead of the database's clock|9\d s"),
    ],
)
async def test_a_stale_scheduler_is_an_error_never_zero(airflow, source, heartbeat_ago, said):
    """Without a living scheduler queued tasks say nothing; a heartbeat from the future is none."""
    await airflow.no_schedulers()
    await airflow.scheduler(heartbeat_ago)
    with pytest.raises(SourceError, match=said):
        await source.target().demand()
    with pytest.raises(SourceError, match=said):
        await source.target().busy()


async def test_an_airflow_without_schedulers_is_an_error(airflow, source):
    """It also is what a wrong database looks like."""
    await airflow.no_schedulers()
    with pytest.raises(
        SourceError, match="no Airflow scheduler is running; start one, or check that the URL"
    ):
        await source.target().demand()


async def test_the_limits_are_configurable(airflow):
    """Both of them."""
    await airflow.tasks(1, "running", host="w1", silent=40)
    await airflow.no_schedulers()
    await airflow.scheduler(heartbeat_ago=45)
    source = airflow.source(limits=Limits(heartbeat_max_age_seconds=60, phantom_seconds=30))
    assert (await source.target().demand()).phantoms == 1
    await source.aclose()


async def test_a_healthy_database_is_diagnosed_as_such(airflow, source):
    """Everything is said, nothing is wrong."""
    await airflow.tasks(2, "running", host="w1")
    findings = await diagnose(source, [Expectation("main", 4, 5)], parallelism=32)
    assert [finding.what for finding in findings if not finding.ok] == []
    said = "\n".join(finding.what for finding in findings)
    for part in (
        "reachable",
        "job may be read",
        "task_instance may be read",
        "primary",
        "Airflow",
        "alive: 1",
    ):
        assert part in said


async def test_contradictions_with_the_configuration_are_found(airflow, source):
    """More tasks on a host than slots; parallelism below what the workers could run."""
    await airflow.tasks(5, "running", host="w1")
    await airflow.tasks(9, "running", host="w2", silent=900)
    expectations = [Expectation("main", 4, 10), Expectation("other", 4, 10, frozenset({"other"}))]
    wrong = [finding for finding in await diagnose(source, expectations, parallelism=32) if not finding.ok]
    assert [(finding.what, bool(finding.remedy)) for finding in wrong] == [
        ("targets.main: 5 tasks run on w1, slots_per_worker is 4", True),
        ("1 schedulers x parallelism 32 let Airflow run 32 tasks, the workers 80", True),
    ]


async def test_a_stale_scheduler_is_diagnosed(airflow, source):
    """With what to look at."""
    await airflow.no_schedulers()
    last = (await diagnose(source, [Expectation("main", 4, 5)], 32))[-1]
    assert (last.ok, last.remedy.startswith("start one")) == (False, True)
