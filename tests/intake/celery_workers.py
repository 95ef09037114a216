"""Real Celery workers, and tasks that hold a slot for as long as a test wants."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from celery import Celery

from policies.model import Workers, WorkerState

HERE = Path(__file__).parent
TOKEN = "eyJhbGciOi-token-of-a-task"
DEADLINE_SECONDS = 60.0


class CeleryWorker:
    """A process; its node is `celery@HOST`."""

    def __init__(self, url: str, host: str, folder: Path, *options: str, **environment: str) -> None:
        self.host, self.log = host, folder / f"{host}.log"
        command = [sys.executable, "-m", "celery", "-A", "worker_app", "worker"]
        command += [
            "-n",
            f"celery@{host}",
            "-O",
            "fair",
            "-l",
            "info",
            "--without-gossip",
            "--without-mingle",
        ]
        command += options or ("-c", "1")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=HERE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "BROKER_URL": url, "C_FORCE_ROOT": "1", **environment},
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        until(lambda: f"celery@{self.host} ready" in self.log.read_text(), f"{self.host} to be ready")

    def kill(self) -> None:
        """All of it, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()


class Tasks:
    """Sends tasks and lets them end."""

    def __init__(self, url: str, folder: Path) -> None:
        self._app = Celery("sender", broker=url, set_as_current=False)
        self._app.conf.update(task_default_queue="default", task_publish_retry=False, task_ignore_result=True)
        self._folder = folder
        self.sent: list[Path] = []

    def send(self, queue: str = "default") -> "Task":
        folder = self._folder / f"task-{len(self.sent)}"
        folder.mkdir()
        self.sent.append(folder)
        self._app.send_task("hold", args=(str(folder), TOKEN), queue=queue)
        return Task(folder)

    def close(self) -> None:
        for folder in self.sent:
            Task(folder).may_end()
        self._app.close()


class Task:
    """One that was sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def begun(self) -> int:
        """How often."""
        path = self._folder / "begun"
        return len(path.read_text().split()) if path.exists() else 0

    @property
    def ended(self) -> bool:
        return (self._folder / "ended").exists()

    def wait_begun(self) -> None:
        until(lambda: self.begun, "a task to begin")

    def may_end(self) -> None:
        (self._folder / "may end").touch()

    def end(self) -> None:
        self.may_end()
        until(lambda: self.ended, "a task to end")


@contextmanager
def celery_workers(url: str, hosts: tuple[str, ...], folder: Path, **environment: str) -> Iterator[list]:
    """Workers that are ready, gone at the end."""
    workers = [CeleryWorker(url, host, folder, **environment) for host in hosts]
    try:
        for worker in workers:
            worker.wait_ready()
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def listed(*hosts: tuple[str, ...], pending: frozenset[str] = frozenset()) -> Workers:
    """As ECS would list workers with these names; the first of them is the id's end."""
    count = len(hosts)
    ids = tuple(f"arn:aws:ecs:task/{names[0]}" for names in hosts)
    state = [WorkerState.PENDING if names[0] in pending else WorkerState.RUNNING for names in hosts]
    unknown = np.full(count, np.nan)
    zero = np.zeros(count)
    return Workers(ids, hosts, np.array(state, np.int64), zero, zero, unknown, unknown, zero)


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for something that a real process does."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS:g} s for {what}"
        time.sleep(0.02)
