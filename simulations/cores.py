"""Work on one trace by all cores: separate processes that see its columns in the same memory."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_all_start_methods, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from simulations.packed import Rest, packed, unpacked
from simulations.trace import Trace

Call = TypeVar("Call")
Answer = TypeVar("Answer")

_HERE: dict[str, Trace] = {}
"""In a worker process: the trace."""


class CoresError(Exception):
    """A worker process died."""


def cores() -> int:
    """How many processes may run at a time here; containers and `taskset` count."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def across_cores(
    trace: Trace, work: Callable[[Trace, Call], Answer], calls: Sequence[Call], processes: int
) -> Generator[Answer]:
    """`work(trace, call)` for each call, in the order in which they finish; one process: here, in order.

    `work` must be a function of a module, and calls and answers must pickle.  Closing the iterator
    (an interrupt does) ends the processes at once.  Raises `CoresError`, and what `work` raises.
    """
    if min(processes, len(calls)) <= 1:
        yield from (work(trace, call) for call in calls)
        return
    with TemporaryDirectory(prefix="autoscaler-") as folder:
        _lay_out(trace, Path(folder))
        yield from _spread(Path(folder), work, calls, min(processes, len(calls)))


def _spread(
    folder: Path, work: Callable[[Trace, Call], Answer], calls: Sequence[Call], processes: int
) -> Generator[Answer]:
    others = set(active_children())
    pool = ProcessPoolExecutor(processes, _context(), initializer=_enter, initargs=(folder,))
    try:
        with _deaf_to_interrupts():
            started = [pool.submit(_do, work, call) for call in calls]
        yield from (each.result() for each in as_completed(started))
    except BrokenProcessPool:
        remedy = "if it was for lack of memory, allow fewer at a time with --jobs"
        raise CoresError(f"a worker process died; {remedy}") from None
    except BaseException:
        for child in set(active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    """Not forked from here: the reader of Parquet files has threads, and a fork would copy their locks.

    Forked instead, where that can be, from a clean process that has all modules: a child costs little.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", "simulations.candidate"])
    return context


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes born here ignore Ctrl-C, which a terminal sends to all: their parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _lay_out(trace: Trace, folder: Path) -> None:
    """The columns as files that every process maps into its memory, which then is the same memory."""
    columns, rest = packed(trace)
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    (folder / "rest.pickle").write_bytes(pickle.dumps(rest))


def _enter(folder: Path) -> None:
    """In a new worker process: takes the trace, and will leave with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # Copy on write rather than read-only: the compiled kernel takes plain arrays.
    columns: dict[str, Any] = {
        file.stem: np.load(file, mmap_mode="c").view(np.ndarray) for file in folder.glob("*.npy")
    }
    rest: Rest = pickle.loads((folder / "rest.pickle").read_bytes())  # noqa: S301 - our own file
    _HERE["trace"] = unpacked(columns, rest)


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(work: Callable[[Trace, Call], Answer], call: Call) -> Answer:
    return work(_HERE["trace"], call)
