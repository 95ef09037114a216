"""A real Dask scheduler and real workers, as processes of their own on free ports."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
DEADLINE_SECONDS = 60.0


@contextmanager
def scheduler(folder):
    """(address, process)."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    with _process(folder / "scheduler.log", "scheduler", *options) as process:
        until(lambda: file.exists() and file.read_text().endswith("}"), process)
        yield json.loads(file.read_text())["address"].removeprefix("tcp://"), process


@contextmanager
def workers(folder, address, count=1, *, nanny="--no-nanny", path=()):
    """Worker processes of one thread; a nanny replaces those that die; `path`: first on their path."""
    log = folder / f"workers-{time.monotonic_ns()}.log"
    options = ["--nworkers", count, "--nthreads", "1", "--no-dashboard", nanny, "--local-directory", folder]
    with _process(log, "worker", address, *options, path=path) as process:
        until(lambda: log.read_text().count("Registered to:") >= count, process)
        yield process


@contextmanager
def _process(log, *words, path=()):
    paths = os.pathsep.join(map(str, (*path, REPOSITORY)))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": paths},
            cwd=log.parent,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    try:
        yield process
    finally:
        end(process)


def end(process):
    """At once, with all its children: a worker that is asked would end its work first."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(true, process=None):
    """Waits until something is so, for as long as the process lives."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
