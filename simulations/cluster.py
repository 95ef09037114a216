"""Work on one trace by the workers of a Dask cluster; each gets the trace once.  Needs the extra `dask`."""

from __future__ import annotations

import logging
import pickle
import re
import socket
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from platform import python_version_tuple
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from distributed import Client, Future, Worker, WorkerPlugin
from distributed.scheduler import KilledWorker
from numpy.typing import NDArray

from simulations.cores import CoresError
from simulations.packed import Rest, packed, unpacked
from simulations.trace import Trace

Call = TypeVar("Call")
Answer = TypeVar("Answer")

PATIENCE_SECONDS = 20.0
"""So long a scheduler may take to answer, or a cluster be without workers: a nanny replaces one in less."""
CHUNK_SECONDS = 2.0
"""Work sent at a time: a scheduler's milliseconds for each task are little beside it, and little is lost
with a worker."""
CHUNKS_PER_THREAD = 2
"""One that is worked on and one that waits: nobody idles while an answer travels."""
LOOK_SECONDS = 1.0
DISTRIBUTIONS = ("airflow-worker-autoscaler", "distributed", "numba", "numpy")
"""Results are the same to the last bit where these and Python's minor version are."""
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(\d{1,5})")

# A part of Dask without types.
_Client: Any = Client

_HERE: dict[str, Trace] = {}
"""In a worker's process: the traces sent, by their name."""


class ClusterError(ValueError):
    """The cluster cannot be used; one line says why and what to do."""


def across_cluster(
    trace: Trace,
    work: Callable[[Trace, Call], Answer],
    calls: Sequence[Call],
    address: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Generator[Answer]:
    """`work(trace, call)` for each call, in the order in which they finish; as `across_cores`, elsewhere.

    What a worker was at when it died is done again, by another one.  Workers may join and leave meanwhile.
    Raises `ClusterError` for a cluster that cannot be reached or differs from here, `CoresError` for one
    that goes away, and what `work` raises.
    """
    if not calls:
        return
    with _connected(address, patience_seconds) as cluster:
        cluster.check()
        with cluster.holding(trace) as name:
            for answers in cluster.spread(name, work, calls):
                yield from answers


@contextmanager
def _connected(address: str, patience_seconds: float) -> Iterator[_Cluster]:
    _check_reachable(address, patience_seconds)
    # What Dask would log of a lost connection is said by our own errors.
    for name in ("client", "core", "comm", "batched", "utils"):
        logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are looked at later
            client = _Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"dask: no scheduler answers at {address}: {_first_line(error)}") from None
    try:
        yield _Cluster(client, address, patience_seconds)
    finally:
        client.close(timeout=LOOK_SECONDS if client.status != "running" else PATIENCE_SECONDS)


def _check_reachable(address: str, patience_seconds: float) -> None:
    """Dask would try for long, and tell little."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        expected = "expected a scheduler's address, HOST:PORT or tls://HOST:PORT"
        raise ClusterError(f"dask: {expected}, got {address!r}")
    try:
        host, port = parts[1].strip("[]"), int(parts[2])
        socket.create_connection((host, port), timeout=patience_seconds).close()
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or _first_line(error)
        start = "start one with `dask scheduler`"
        raise ClusterError(f"dask: no scheduler at {address}: {why}; {start}") from None


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A scheduler and its workers, seen from here."""

    client: Any
    address: str
    patience_seconds: float

    def check(self) -> None:
        """There are workers, and Python and Dask are the same everywhere."""
        try:
            self.client.wait_for_workers(1, timeout=self.patience_seconds)
        except TimeoutError:
            start = f"start some with `dask worker {self.address}`"
            raise ClusterError(f"dask: the scheduler at {self.address} has no workers; {start}") from None
        there = self.client.get_versions()
        peers = {f"the scheduler at {self.address}": there["scheduler"]}
        peers |= {f"the worker at {worker}": each for worker, each in there["workers"].items()}
        for peer, each in peers.items():
            packages: Mapping[str, Any] = (each or {}).get("packages", {})
            python = ".".join(str(packages.get("python")).split(".")[:2])
            found = {"python": python, "distributed": str(packages.get("distributed"))}
            if differences := _differences(found, _versions()):
                raise ClusterError(f"dask: {peer} has {differences}; install the same on both sides")

    @contextmanager
    def holding(self, trace: Trace) -> Iterator[str]:
        """Every worker has the trace under the name that this gives, those that join later, too."""
        name = f"autoscaler-{uuid4().hex}"
        try:
            self.client.register_plugin(_Shipment(name, *packed(trace), _versions()), name=name)
            yield name
        except _OtherVersionsError as error:
            raise ClusterError(f"dask: {error}; install the same on both sides") from None
        finally:
            if self.client.status == "running":
                with suppress(OSError, TimeoutError):
                    self.client.unregister_worker_plugin(name)

    def spread(
        self, name: str, work: Callable[[Trace, Call], Answer], calls: Sequence[Call]
    ) -> Generator[list[Answer]]:
        """Keeps every thread busy, with chunks of `CHUNK_SECONDS` once it is known what a call takes."""
        waiting, running = deque(calls), set[Future[Any]]()
        done = SimpleQueue[Future[Any]]()
        size = 1
        while waiting or running:
            places = CHUNKS_PER_THREAD * self._threads()
            while waiting and len(running) < places:
                chunk = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                future = self.client.submit(_played, name, pickle.dumps((work, chunk)), pure=False)
                running.add(future)
                future.add_done_callback(done.put)
            future = self._next(done)
            running.discard(future)
            seconds, answers = self._result(future)
            # Towards the end smaller ones, so that all workers end together.
            fair_share = ceil(len(waiting) / max(1, places))
            size = max(1, min(int(CHUNK_SECONDS / max(seconds, 1e-6)), fair_share))
            yield answers

    def _threads(self) -> int:
        try:
            return sum(self.client.nthreads().values())
        except (OSError, TimeoutError):
            raise self._gone() from None

    def _gone(self) -> CoresError:
        return CoresError(f"dask: the scheduler at {self.address} went away")

    def _next(self, done: SimpleQueue[Future[Any]]) -> Future[Any]:
        """The next future that is done, for better or worse."""
        seen_workers_at = monotonic()
        while True:
            try:
                return done.get(timeout=LOOK_SECONDS)
            except Empty:
                if self.client.status != "running":
                    raise self._gone() from None
                if self._threads():
                    seen_workers_at = monotonic()
                elif monotonic() > seen_workers_at + self.patience_seconds:
                    raise CoresError(f"dask: all workers of {self.address} went away") from None

    def _result(self, future: Future[Any]) -> Any:
        if future.status == "cancelled":
            raise self._gone()
        try:
            return future.result()
        except KilledWorker:
            remedy = "if it was for lack of memory, start fewer on a machine"
            raise CoresError(f"dask: workers of {self.address} died again and again; {remedy}") from None
        except ImportError as error:
            what = f"a worker of {self.address} cannot run this: {_first_line(error)}"
            raise ClusterError(f"dask: {what}; workers need what is here") from None


class _OtherVersionsError(Exception):
    """Raised on a worker."""


class _Shipment(WorkerPlugin):
    """Dask hands it to every worker, now or when it joins."""

    def __init__(
        self, name: str, columns: dict[str, NDArray[Any]], rest: Rest, versions: Mapping[str, str]
    ) -> None:
        self._trace_name, self._columns, self._rest, self._versions = name, columns, rest, versions

    def setup(self, worker: Worker) -> None:
        """Unpacks the trace."""
        if differences := _differences(_versions(), self._versions):
            raise _OtherVersionsError(f"the worker at {worker.address} has {differences}")
        columns = {name: np.require(column, requirements="W") for name, column in self._columns.items()}
        _HERE[self._trace_name] = unpacked(columns, self._rest)

    def teardown(self, worker: Worker) -> None:
        """Forgets it."""
        _HERE.pop(self._trace_name, None)


def _played(name: str, pickled: bytes) -> tuple[float, list[Any]]:
    """On a worker: (seconds a call, answers).  Pickled, so that the scheduler need not know the policies."""
    work, calls = pickle.loads(pickled)  # noqa: S301 - Dask itself sends nothing else
    begun = perf_counter()
    answers = [work(_HERE[name], call) for call in calls]
    return (perf_counter() - begun) / len(calls), answers


def _versions() -> dict[str, str]:
    return {"python": ".".join(python_version_tuple()[:2])} | {name: version(name) for name in DISTRIBUTIONS}


def _differences(found: Mapping[str, str], here: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name} {each} (here {here[name]})" for name, each in found.items() if each != here[name]
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
