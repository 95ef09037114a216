"""Tasks as real processes: told to end, made to end, replaced, and never left behind."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from autoscaler.demo.ecs import ServiceSpec, running_ecs
from autoscaler.demo.ecs.model import Status

pytestmark = pytest.mark.anyio

POLITE = """
import os, pathlib, signal, sys, time
def end(*_):
    print("told", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(os.environ["OUT"], os.environ["HOSTNAME"]).write_text(os.environ["ECS_TASK_ID"])
while True:
    time.sleep(1)
"""
DEAF = POLITE.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")
WITH_CHILD = POLITE.replace(
    "while True:",
    """import subprocess
child = subprocess.Popen(["sleep", "600"], process_group=0)  # as Airflow starts a task
pathlib.Path(os.environ["OUT"], "child").write_text(str(child.pid))
while True:""",
)


def spec(program, tmp_path, **fields):
    return ServiceSpec(
        command=(sys.executable, "-I", "-S", "-c", program),
        environment={"OUT": str(tmp_path)},
        launch_seconds=0.01,
        **fields,
    )


async def until(condition, seconds=20.0):
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  # processes have no event to wait for
            await anyio.sleep(0.01)


def alive(pid):
    """Whether it runs; a dead one that nobody reaped yet does not."""
    if Path("/proc/self/stat").exists():
        stat = Path(f"/proc/{pid}/stat")
        try:
            return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ready(tmp_path, count):
    """Whether so many have written down who they are."""
    return lambda: sum(len(path.read_text()) == 32 for path in tmp_path.glob("ip-*")) == count


async def test_told_to_end_they_end(tmp_path):
    """SIGTERM to two real processes; both exit by themselves with 0; each knew its identity."""
    output = tmp_path / "output"
    async with running_ecs(spec(POLITE, tmp_path, desired=2, output=output)) as ecs:
        await until(ready(tmp_path, 2))
        service = ecs.world.service()
        tasks = service.wanted
        pids = [task.process.pid for task in tasks]
        assert all(map(alive, pids))
        for task in tasks:
            assert (tmp_path / task.host_name).read_text() == task.id
        ecs.world.set_desired(service, 0)
        await until(lambda: all(task.status is Status.STOPPED for task in tasks))
        assert [task.exit_code for task in tasks] == [0, 0]
        assert output.read_text() == "told\ntold\n"
        assert not any(map(alive, pids))


async def test_deaf_ones_are_killed_after_stop_timeout(tmp_path):
    """SIGTERM is ignored, SIGKILL is not: exit code 137."""
    async with running_ecs(spec(DEAF, tmp_path, desired=2, stop_timeout_seconds=0.3)) as ecs:
        await until(ready(tmp_path, 2))
        service = ecs.world.service()
        tasks = service.wanted
        ecs.world.set_desired(service, 0)
        assert all(task.status is Status.STOPPING for task in tasks)
        await until(lambda: all(task.status is Status.STOPPED for task in tasks))
        assert [task.exit_code for task in tasks] == [137, 137]
        assert all(task.stopped_at - task.stopping_at > 0.299 for task in tasks)


async def test_a_crashed_worker_is_replaced_and_its_children_end(tmp_path):
    """A container ends with its first process; the service starts another."""
    async with running_ecs(spec(WITH_CHILD, tmp_path, desired=1)) as ecs:
        await until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
        child = int((tmp_path / "child").read_text())
        task = ecs.world.service().wanted[0]
        os.kill(task.process.pid, 9)
        await until(ready(tmp_path, 2))
        assert (task.status, task.exit_code) == (Status.STOPPED, 137)
        await until(lambda: not alive(child))


async def test_a_program_that_does_not_exist_stops_the_task(tmp_path):
    """The task fails to start, says why, and is tried again."""
    spec = ServiceSpec(command=("/no/such/program",), desired=1, launch_seconds=0.01)
    async with running_ecs(spec) as ecs:
        service = ecs.world.service()
        await until(lambda: len(service.tasks) > 1)
        failed = next(iter(service.tasks.values()))
        assert failed.stop_code == "TaskFailedToStart"
        assert "/no/such/program" in failed.stopped_reason


@pytest.mark.parametrize("how", ["returns", "raises", "cancelled"])
async def test_nothing_is_left_when_the_server_ends(tmp_path, how):
    """Whichever way it ends, deaf processes included."""
    pids = []

    async def serve(scope):
        async with running_ecs(spec(DEAF, tmp_path, desired=2)) as ecs:
            await until(ready(tmp_path, 2))
            pids.extend(task.process.pid for task in ecs.world.service().wanted)
            if how == "raises":
                raise ValueError("as planned")
            if how == "cancelled":
                scope.cancel()
                await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        if how == "raises":
            with pytest.raises(ExceptionGroup) as caught:
                await serve(scope)
            assert caught.group_contains(ValueError, match="as planned")
        else:
            await serve(scope)
    assert len(pids) == 2
    assert not any(map(alive, pids))


async def test_nothing_is_left_when_the_server_is_killed(tmp_path):
    """SIGKILL leaves no time to clean up: the guardian does."""
    program = textwrap.dedent(
        f"""
        import anyio
        from autoscaler.demo.ecs import ServiceSpec, running_ecs
        from tests.fleets.test_loopback_processes import DEAF, spec
        import pathlib

        async def main():
            async with running_ecs(spec(DEAF, pathlib.Path({str(tmp_path)!r}), desired=2)) as ecs:
                while not all(task.process for task in ecs.world.service().wanted):
                    await anyio.sleep(0.01)
                print(*[task.process.pid for task in ecs.world.service().wanted], flush=True)
                await anyio.sleep_forever()

        anyio.run(main)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True
    ) as server:
        pids = [int(pid) for pid in (await anyio.to_thread.run_sync(server.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(map(alive, pids))
        server.kill()
        await until(lambda: not any(map(alive, pids)))
