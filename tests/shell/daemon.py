"""The real daemon as a process of its own, over a real PostgreSQL and the loopback ECS."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
from anyio import to_thread

AWS = {
    "AWS_ACCESS_KEY_ID": "AKIALOOPBACK",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-no-worth",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def environment() -> dict[str, str]:
    """The test's own, without the machine's AWS configuration, its proxies, or ours."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AUTOSCALER_"))}
    return {**kept, **AWS}


async def until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer.  Waits for real processes, not for a time."""
    with anyio.fail_after(seconds):
        while not (answer := holds()):  # noqa: ASYNC110 - a process tells nobody
            await anyio.sleep(0.05)
        return answer


@dataclass
class Running:
    """A daemon, and what it printed."""

    process: anyio.abc.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == "decision"]

    @property
    def url(self) -> str:
        return next(line["pages"] for line in reversed(self.lines) if line["event"] == "running")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    async def get(self, path: str) -> tuple[int, str]:
        return await to_thread.run_sync(_asked, Request(self.url + path))

    async def post(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        return await to_thread.run_sync(_asked, Request(self.url + path, json.dumps(body).encode(), headers))

    async def decided(self, **wanted: Any) -> dict[str, Any]:
        """The next decision with these values."""
        seen = len(self.decisions)

        def found() -> dict[str, Any] | None:
            for line in self.decisions[seen:]:
                if all(line.get(key) == value for key, value in wanted.items()):
                    return line
            return None

        try:
            return await until(found)
        except TimeoutError:
            raise AssertionError(f"no {wanted} in {self.decisions[-3:]}, {self.errors}") from None

    def minds(self, number: signal.Signals) -> bool:
        """Whether the signal no longer ends the process: it is blocked or caught."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        masks = (line.split()[1] for line in status.splitlines() if line.startswith(("SigBlk:", "SigCgt:")))
        return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(60):
            return await self.process.wait()


def _asked(request: Request) -> tuple[int, str]:
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@asynccontextmanager
async def running_daemon(config: Path) -> AsyncIterator[Running]:
    """`autoscaler run` on a configuration, ended with the context."""
    command = [sys.executable, "-m", "autoscaler", "run", "--config", str(config)]
    async with await anyio.open_process(command, env=environment()) as process:
        daemon = Running(process)
        async with anyio.create_task_group() as group:
            group.start_soon(_collect, process.stdout, lambda line: daemon.lines.append(json.loads(line)))
            group.start_soon(_collect, process.stderr, daemon.errors.append)
            try:
                yield daemon
            finally:
                if process.returncode is None:
                    process.kill()


async def _collect(stream: anyio.abc.ByteReceiveStream | None, keep: Callable[[str], None]) -> None:
    assert stream is not None
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            keep(line.decode())
