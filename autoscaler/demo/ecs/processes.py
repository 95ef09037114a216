"""Tasks as real operating-system processes that never outlive whoever started them.

Each process leads a session of its own, so that Ctrl-C in the terminal reaches the server and not
the workers, and so that SIGKILL reaches whatever a worker has started.  A guardian process holds the
other end of a pipe: however the server dies, the pipe closes and the guardian kills what is left.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from autoscaler.demo.ecs.guardian import end_session
from autoscaler.demo.ecs.model import Task
from autoscaler.demo.ecs.workload import PretendProcess, Process

GUARDIAN = Path(__file__).with_name("guardian.py")
REAP_SECONDS = 5.0


class RealProcess:
    """A process with a session of its own."""

    def __init__(self, popen: subprocess.Popen[bytes], reaped: Callable[[int], None]) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._reaped = reaped

    def exit_code(self) -> int | None:
        code = self._popen.poll()
        if code is None:
            return None
        end_session(self.pid)  # a container ends with its first process
        self._reaped(self.pid)
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        end_session(self.pid)

    def wait(self, seconds: float) -> None:
        """Waits until it is gone."""
        self._popen.wait(seconds)


class Processes:
    """Starts processes and answers for their end."""

    def __init__(self) -> None:
        self._running: dict[int, RealProcess] = {}
        self._guardian: subprocess.Popen[bytes] | None = None

    def start(
        self, command: tuple[str, ...], environment: Mapping[str, str], output: Path | None = None
    ) -> RealProcess:
        """The started process; what it prints is appended to `output`, or lost.

        Raises `OSError` if there is no such program.
        """
        guardian = self._guardian or self._start_guardian()
        with Path(output or os.devnull).open("ab") as printed:
            popen = subprocess.Popen(  # noqa: S603  # the command is the demonstration's own
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = self._running[popen.pid] = RealProcess(popen, self._reaped)
        self._tell(guardian, f"+{popen.pid}")
        return process

    def _reaped(self, pid: int) -> None:
        """The process has ended: nobody needs to watch it any more."""
        if self._running.pop(pid, None) is not None and self._guardian is not None:
            self._tell(self._guardian, f"-{pid}")

    def close(self) -> None:
        """Kills what still runs, and waits until it is gone."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait(REAP_SECONDS)
        self._running.clear()
        if self._guardian is not None:
            with contextlib.suppress(OSError):
                self._guardian.communicate(timeout=REAP_SECONDS)
            self._guardian = None

    def _start_guardian(self) -> subprocess.Popen[bytes]:
        self._guardian = subprocess.Popen(  # noqa: S603  # our own file
            (sys.executable, "-I", "-S", str(GUARDIAN)), stdin=subprocess.PIPE, start_new_session=True
        )
        return self._guardian

    @staticmethod
    def _tell(guardian: subprocess.Popen[bytes], line: str) -> None:
        assert guardian.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            guardian.stdin.write(f"{line}\n".encode())
            guardian.stdin.flush()


class TaskProcesses:
    """Starts what a task's service says: a process, or nothing real.

    `agent_url`: where a task finds the ECS agent's endpoint, followed by its id.
    """

    def __init__(self) -> None:
        self.agent_url = ""
        self._processes = Processes()

    def start(self, task: Task) -> Process:
        """The task's process.  Raises `OSError` if there is no such program."""
        spec = task.spec
        if spec.command is None:
            return PretendProcess()
        identity = {
            "HOSTNAME": task.host_name,
            "ECS_TASK_ID": task.id,
            "ECS_TASK_ARN": task.arn,
            "ECS_TASK_ADDRESS": task.address,
            "ECS_AGENT_URI": f"{self.agent_url}/{task.id}",
        }
        return self._processes.start(spec.command, {**spec.environment, **identity}, spec.output)

    def close(self) -> None:
        """Kills what still runs, and waits until it is gone."""
        self._processes.close()
