"""Processes that a demonstration starts beside itself, and that never outlive it.

Each leads a session of its own, so that Ctrl-C in the terminal reaches the demonstration alone, which
then ends them in order.  Should it be killed, a guardian kills what it left.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio

from autoscaler.demo.ecs.guardian import end_session
from autoscaler.demo.ecs.processes import GUARDIAN

POLL_SECONDS = 0.02
LOG_LINES_SHOWN = 5
_FOREIGN_PREFIXES = ("AWS_", "AUTOSCALER_", "PG", "AIRFLOW__")
_OWN = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",  # the loopback ECS asks for none
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


class DemoError(Exception):
    """Why the demonstration cannot be shown here: one line, with what to do."""


class Child:
    """One process; what it prints goes to its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process, its group and its session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def require_alive(self) -> None:
        """Raises `DemoError`, with its last words, if it has ended."""
        if self.exit_code is not None:
            lines = self.log.read_text(errors="replace").splitlines()
            words = [line for line in lines if not line.startswith("{")]  # events are no complaint
            said = " | ".join(words[-LOG_LINES_SHOWN:]) or "it did not say why"
            raise DemoError(f"{self.name} ended with exit code {self.exit_code}: {said}")

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110  # a process sets no event
            await anyio.sleep(POLL_SECONDS)
        return code

    async def stop(self, number: signal.Signals, seconds: float) -> None:
        """Asks it to end; after so many seconds it and all of its session are killed."""
        if self.exit_code is None:
            self._process.send_signal(number)
            with anyio.move_on_after(seconds):
                await self.wait()
        end_session(self.pid)
        await self.wait()


class Children:
    """Starts processes; made by `children`."""

    def __init__(self, guardian: subprocess.Popen[bytes]) -> None:
        self._guardian = guardian

    @asynccontextmanager
    async def running(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 5.0,
    ) -> AsyncIterator[Child]:
        """The process until the context ends; `environment` is added to ours, `user` needs root.

        Raises `DemoError` if it cannot start.
        """
        child = self._start(name, command, log, user, environment or {})
        self._tell(f"+{child.pid}")
        try:
            yield child
        finally:
            with anyio.CancelScope(shield=True):
                await child.stop(stop, stop_seconds)
            self._tell(f"-{child.pid}")

    @staticmethod
    def _start(
        name: str,
        command: Sequence[str | Path],
        log: Path,
        user: str | None,
        environment: Mapping[str, str],
    ) -> Child:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603  # the demonstration's own programs
                    command,
                    cwd=log.parent,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    **account(user),
                )
        except OSError as error:
            raise DemoError(f"{name} cannot be started: {error}") from None
        return Child(name, process, log)

    def _tell(self, line: str) -> None:
        assert self._guardian.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.write(f"{line}\n".encode())
            self._guardian.stdin.flush()


@contextmanager
def children() -> Iterator[Children]:
    """A starter of processes, with its guardian."""
    command = (sys.executable, "-I", "-S", str(GUARDIAN))
    guardian = subprocess.Popen(  # noqa: S603  # our own file
        command, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Children(guardian)
    finally:
        guardian.communicate()


def account(user: str | None) -> dict[str, Any]:
    """Arguments for `subprocess` that make a process this user's, and no other group's than theirs."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}


@contextmanager
def own_environment() -> Iterator[None]:
    """Takes out of the environment what configures AWS, PostgreSQL, Airflow or a real daemon, for a while.

    The demonstration and its children must neither reach nor be steered by the user's own.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith(_FOREIGN_PREFIXES):
            del os.environ[name]
    os.environ.update(_OWN)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
