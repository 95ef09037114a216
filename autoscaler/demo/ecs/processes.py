"""Tasks as real operating-system processes that never outlive whoever started them.

Each process leads a session of its own, so that Ctrl-C in the terminal reaches the server and not
the workers, and so that SIGKILL reaches whatever a worker has started.  A guardian process holds the
other end of a pipe: however the server dies, the pipe closes and the guardian kills what is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

GUARDIAN = Path(__file__).with_name("guardian.py")
REAP_SECONDS = 5.0


class Process(Protocol):
    """What runs inside a task."""

    def exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def terminate(self) -> None:
        """Asks it to end (SIGTERM)."""
        ...

    def kill(self) -> None:
        """Ends it and all it started (SIGKILL)."""
        ...


class PretendProcess:
    """Runs until it is told to end, and then ends at once."""

    def __init__(self) -> None:
        self._code: int | None = None

    def exit_code(self) -> int | None:
        return self._code

    def terminate(self) -> None:
        self._code = 0

    def kill(self) -> None:
        self._code = 137


class RealProcess:
    """A process with a session and a process group of its own."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self._popen = popen

    def exit_code(self) -> int | None:
        code = self._popen.poll()
        if code is None:
            return None
        self._signal_group(signal.SIGKILL)  # a container ends with its first process
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Waits until it is gone."""
        self._popen.wait(seconds)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


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
        process = self._running[popen.pid] = RealProcess(popen)
        self._tell(guardian, f"+{popen.pid}")
        return process

    def reaped(self, process: Process) -> None:
        """The process has ended: nobody needs to watch it any more."""
        if (
            isinstance(process, RealProcess)
            and self._running.pop(process.pid, None) is not None
            and self._guardian is not None
        ):
            self._tell(self._guardian, f"-{process.pid}")

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
