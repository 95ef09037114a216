"""A server's process: started as an ordinary user, gone with the tests whatever happens to them."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.servers.programs import account, environment

PR_SET_PDEATHSIG = 1
DEADLINE_SECONDS = 30.0


class Folder:
    """A short path that the server's account owns: sockets allow about a hundred characters."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))
        self.give()

    def give(self) -> None:
        """To the server's account, with all that is in it."""
        if os.geteuid() == 0:
            for path in (self.path, *self.path.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")
        self.path.chmod(0o755)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """A process that is up once `ready` says so, and may be stopped and started again."""

    def __init__(self, command: Sequence[str | Path], stop_signal: signal.Signals, log: Path) -> None:
        self._command, self._stop_signal, self._log = command, stop_signal, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        program = Path(self._command[0])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(program),
                preexec_fn=self._die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
                **account(),
            )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{program} did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Such as SIGSTOP, which makes the server hang."""
        assert self._process is not None
        self._process.send_signal(number)

    def _die_with_parent(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, self._stop_signal)


def run(command: Sequence[str | Path], **options: object) -> None:
    """A one-off program of a server, under its account."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **account(), **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
