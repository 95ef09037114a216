"""What the worker holds, seen from beside it; doubt is never idleness."""

import sys

import anyio
import pytest

from autoscaler.guard.command import Command
from autoscaler.guard.keeper import Work
from autoscaler.guard.processes import Processes
from policies.model import Unavailable
from tests.intake.brokers import redis
from tests.intake.celery_workers import DEADLINE_SECONDS, Tasks, celery_workers

pytestmark = pytest.mark.anyio

POOL = "[celeryd: celery@ip-10-0-0-1.ec2.internal:ForkPoolWorker-{}]"


class Proc:
    """A folder like /proc."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def has(self, pid: int, parent: int, title: str = "", name: str = "python", faults: int = 0) -> None:
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        fields = [pid, f"({name})", "S", parent, 1, 1, 0, -1, 0, 100, faults, 5, 0, 7, 7, 0, 0]
        (place / "stat").write_text(" ".join(map(str, fields)))
        (place / "cmdline").write_bytes(title.encode().replace(b" ", b"\0"))

    def lost(self, pid: int) -> None:
        for file in (self.folder / str(pid)).iterdir():
            file.unlink()


@pytest.fixture
def proc(tmp_path) -> Proc:
    """A worker with two pool processes, its log server, and a neighbour."""
    (tmp_path / "uptime").write_text("1 1")
    proc = Proc(tmp_path)
    proc.has(1, 0, "/sbin/init")
    proc.has(10, 1, "[celeryd: celery@ip-10-0-0-1.ec2.internal:MainProcess] -active- (worker)")
    proc.has(11, 10, POOL.format(1))
    proc.has(12, 10, POOL.format(2))
    proc.has(20, 10, "gunicorn: master [airflow serve-logs]")
    proc.has(21, 20, "gunicorn: worker [airflow serve-logs]")
    return proc


async def test_a_pool_without_children_is_idle(proc):
    """Whatever else the worker has for children."""
    assert await Processes(folder=proc.folder).look() == Work(0)


@pytest.mark.parametrize(
    "title",
    ["airflow task supervisor: ['airflow', 'tasks', 'run']", "airflow worker -- 0197", "bash x.sh", ""],
)
async def test_each_child_of_a_pool_process_is_a_task(proc, title):
    """Airflow 2.x, 3.x, a new interpreter, and one that has ended but was not waited for yet."""
    proc.has(30, 11, title)
    proc.has(31, 30, "the task's own child")
    proc.has(40, 12, title, name="task ) S 1 (")
    assert await Processes(folder=proc.folder).look() == Work(2)


async def test_a_pool_process_is_known_by_what_airflow_calls_it_after_its_first_task(proc):
    """Airflow 3.3 leaves the name of the last task on it."""
    proc.has(11, 10, "airflow supervisor: 01a1f9de-659c-7f09-8df2-beb93d53da99")
    proc.has(12, 10, "airflow supervisor: 01a1f9de-659b-77d6-8694-9039ab0b4739")
    assert await Processes(folder=proc.folder).look() == Work(0)
    proc.has(30, 12, "airflow worker -- 01a1f9de-659b-77d6-8694-9039ab0b4740")
    assert await Processes(folder=proc.folder).look() == Work(1)


async def test_a_task_that_came_and_went_between_two_looks_was_work(proc):
    probe = Processes(folder=proc.folder)
    await probe.look()
    proc.has(12, 10, POOL.format(2), faults=812)
    assert await probe.look() == Work(0, ended=True)
    assert await probe.look() == Work(0)


async def test_pool_processes_come_and_go(proc):
    """A new one has done nothing yet; one that vanishes while we look is none."""
    probe = Processes(folder=proc.folder)
    await probe.look()
    proc.has(13, 10, POOL.format(3), faults=3)
    proc.lost(12)
    assert await probe.look() == Work(0)


@pytest.mark.parametrize("hidden", [(11, 12), (10, 11, 12, 20, 21)], ids=["starting", "gone"])
async def test_without_a_pool_in_sight_nothing_is_known(proc, hidden):
    for pid in hidden:
        proc.lost(pid)
    seen = await Processes(folder=proc.folder).look()
    assert isinstance(seen, Unavailable)
    assert 'expected "pidMode": "task"' in seen.why


@pytest.fixture
def tasks(tmp_path):
    """Of a real worker on a real Redis."""
    with redis() as broker, celery_workers(broker.url, ("one",), tmp_path):
        tasks = Tasks(broker.url, tmp_path)
        yield tasks
        tasks.close()


async def named(probe):
    """A pool process takes its name some time after its worker is ready."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while await probe.look() != Work(0):  # noqa: ASYNC110 - a process of another program
            await anyio.sleep(0.02)


async def test_a_real_worker_is_seen_at_work(tasks):
    """Its pool is found by its title, as Airflow's workers have it (setproctitle)."""
    probe = Processes(r"celery@one:ForkPoolWorker-\d+")
    await named(probe)
    task = tasks.send()
    task.wait_begun()
    assert (await probe.look()).tasks == 1
    assert await probe.look() == Work(1)
    task.end()
    looks = [await probe.look()]
    with anyio.fail_after(DEADLINE_SECONDS):
        while looks[-1] != Work(0):
            looks.append(await probe.look())
    assert any(look.ended for look in looks)


@pytest.mark.parametrize(
    ("program", "seen"),
    [
        ("print(3)", Work(3)),
        ("print(' 0 ')", Work(0)),
        ("1/0", "exit code 1"),
        ("print(0); raise SystemExit(7)", "exit code 7"),
        ("print('none')", "the number of tasks held"),
        ("print(-1)", "the number of tasks held"),
        ("print('9' * 1000)", "the number of tasks held"),
        ("", "the number of tasks held"),
        ("input()", "exit code 1"),
    ],
)
async def test_a_command_tells_how_many_tasks_are_held(program, seen):
    """A crash, a wrong word or none is no idleness."""
    said = await Command((sys.executable, "-I", "-c", program)).look()
    assert said == seen if isinstance(seen, Work) else seen in said.why


async def test_a_command_that_hangs_is_ended_and_one_that_is_missing_is_named():
    slow = await Command((sys.executable, "-c", "import time; time.sleep(600)"), seconds=0.3).look()
    assert "took longer than 0.3 s" in slow.why
    missing = await Command(("/no/such/probe",)).look()
    assert missing.why == "/no/such/probe cannot be run: No such file or directory"
