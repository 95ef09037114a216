"""Searches on a Dask cluster: the same results as on this machine's cores, whatever happens to workers."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version

import pytest
from distributed import get_worker

from simulations.cluster import ClusterError, across_cluster
from simulations.cores import CoresError
from tests.simulations.dask_cluster import end, scheduler, until, workers
from tests.simulations.planning import bursts

TASKS = 48


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A scheduler with two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as (address, _), workers(folder, address, 2, nanny="--nanny"):
        yield address


def _told(trace, call):
    """What a worker knows: the call, its process, its Dask task, the trace."""
    columns = (trace.queued_at, trace.duration_seconds, trace.slots)
    usable = len(trace) == TASKS and all(column.flags.writeable for column in columns)
    return call, os.getpid(), get_worker().get_current_task(), usable


def test_every_call_is_answered_once_in_few_tasks_on_all_workers(address):
    """The trace arrives whole, and small calls travel many at a time."""
    answers = list(across_cluster(bursts(1), _told, range(400), address))
    assert sorted(call for call, *_ in answers) == list(range(400))
    assert all(usable for *_, usable in answers)
    assert len({process for _, process, *_ in answers}) == 2
    assert len({task for *_, task, _ in answers}) <= 40


def test_nothing_to_do_needs_no_cluster():
    assert list(across_cluster(bursts(1), _told, [], "127.0.0.1:1")) == []


def test_a_dead_workers_calls_are_made_again(address, tmp_path):
    """Killed in the middle of its work: others take over, and no answer is missing or twice."""
    calls = [(number, tmp_path / "killed") for number in range(40)]
    assert sorted(across_cluster(bursts(1), _killing, calls, address)) == sorted(calls)
    assert int((tmp_path / "killed").read_text()) > 0


def _killing(trace, call):
    """In the middle one ends its own process, as a machine that goes away would."""
    number, killed = call
    if number == 20 and not killed.exists():
        killed.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return call


def _failing(trace, call):
    raise ArithmeticError(f"{call} is too much")


def test_what_the_work_raises_comes_through(address):
    with pytest.raises(ArithmeticError, match="7 is too much"):
        list(across_cluster(bursts(1), _failing, [7], address))


def _waiting(trace, call):
    """For ever."""
    call.touch()
    until(lambda: False)


def test_a_cluster_from_its_first_worker_to_its_end(tmp_path):
    """No workers, workers of another version, the right ones, and a scheduler that dies: a line each."""

    def tried(*calls, patience_seconds=0.2):
        return list(across_cluster(bursts(1), _waiting, calls, at, patience_seconds=patience_seconds))

    with scheduler(tmp_path) as (at, process):
        with pytest.raises(
            ClusterError, match=rf"at {at} has no workers; start some with `dask worker {at}`"
        ):
            tried(tmp_path)
        other = tmp_path / "other" / "numba-9.9.dist-info"
        other.mkdir(parents=True)
        (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numba\nVersion: 9.9\n")
        differs = rf"has numba 9.9 \(here {version('numba')}\); install the same on both sides"
        with workers(tmp_path, at, path=[other.parent]), pytest.raises(ClusterError, match=differs):
            tried(tmp_path, patience_seconds=10.0)
        with workers(tmp_path, at) as only:
            begun = tmp_path / "begun"
            answers = across_cluster(bursts(1), _waiting, [begun], at, patience_seconds=0.2)
            with pytest.raises(CoresError, match=f"all workers of {at} went away"):
                _while(answers, begun, lambda: end(only, signal.SIGKILL))
        with workers(tmp_path, at):
            begun = tmp_path / "again"
            answers = across_cluster(bursts(1), _waiting, [begun], at)
            with pytest.raises(CoresError, match=f"the scheduler at {at} went away"):
                _while(answers, begun, lambda: end(process, signal.SIGKILL))


def _while(answers, begun, happens):
    """Takes the answers while something happens as soon as the work has begun."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: (until(begun.exists), happens()))
        with closing(answers):
            list(answers)
