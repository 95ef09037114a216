import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from autoscaler.demo.children import DemoError, children, own_environment
from tests.demo.waiting import until

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True: time.sleep(1)
"""
pytestmark = pytest.mark.anyio


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path):
    """Nothing outlives its context."""
    log = tmp_path / "log"
    with children() as starter:
        command = [sys.executable, "-c", DEAF]
        async with starter.running("the deaf one", command, log, stop_seconds=0.1) as child:
            await until(lambda: log.read_text() == "deaf\n")
            assert child.exit_code is None
        assert child.exit_code == -signal.SIGKILL


async def test_a_child_is_a_session_of_its_own(tmp_path):
    """Ctrl-C in the terminal must not reach it."""
    with children() as starter:
        async with starter.running("it", [sys.executable, "-c", DEAF], tmp_path / "log") as child:
            assert os.getsid(child.pid) == child.pid != os.getsid(0)
            await child.stop(signal.SIGKILL, 5)


async def test_an_early_end_is_told_with_the_last_words(tmp_path):
    """One line: who, how, and what it printed."""
    with children() as starter:
        command = [sys.executable, "-c", "print('{}'); print('no such port'); raise SystemExit(3)"]
        async with starter.running("the daemon", command, tmp_path / "log") as child:
            assert await child.wait() == 3
            with pytest.raises(DemoError, match="the daemon ended with exit code 3: no such port"):
                child.require_alive()


async def test_a_program_that_is_not_there_is_an_error_in_words(tmp_path):
    """And not a traceback."""
    with children() as starter, pytest.raises(DemoError, match="the daemon cannot be started: "):
        async with starter.running("the daemon", [tmp_path / "nothing"], tmp_path / "log"):
            pass


async def test_if_the_starter_dies_the_guardian_kills_its_children(tmp_path):
    """Even SIGKILL leaves nothing behind."""
    program = f"""
import anyio, os, sys
from pathlib import Path
from autoscaler.demo.children import children
async def main():
    command, log = [sys.executable, "-c", {DEAF!r}], Path({str(tmp_path / "log")!r})
    with children() as starter:
        async with starter.running("it", command, log) as it:
            while "deaf" not in it.log.read_text():
                await anyio.sleep(0.02)
            print(it.pid, flush=True)
            os.kill(os.getpid(), 9)
anyio.run(main)
"""
    done = await anyio.run_process([sys.executable, "-c", program], check=False)
    pid = int(done.stdout)
    await until(lambda: not _runs(pid))


async def test_nothing_that_steers_aws_or_a_daemon_is_inherited(monkeypatch):
    """A demonstration on somebody's laptop must not know their account; afterwards all is as before."""
    foreign = {"AWS_PROFILE", "AUTOSCALER_CONFIG", "AUTOSCALER__MODE", "PGHOST"}
    for name in (*foreign, "HARMLESS"):
        monkeypatch.setenv(name, "x")
    before = dict(os.environ)
    with own_environment():
        assert not os.environ.keys() & foreign
        assert os.environ["HARMLESS"] == "x"
        assert os.environ["AWS_CONFIG_FILE"] == os.devnull
    assert dict(os.environ) == before


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # whoever adopted it may be slow to reap it
