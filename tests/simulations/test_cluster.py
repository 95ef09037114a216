"""Searches on a Dask cluster: the same results as on this machine's cores, whatever happens to workers."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
from distributed import get_worker
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.cluster import ClusterError, across_cluster
from simulations.cores import CoresError
from simulations.space import Space
from simulations.study import Frame
from simulations.sweep import Search, run_sweep
from tests.simulations.dask_cluster import end, scheduler, until, workers
from tests.simulations.planning import BASE, axis, bursts, candidate_of, csv

PLACE = ("policy", "idle_seconds")
SPACE = Space(
    BASE | {"policy": {"name": "mwaa"}},
    [axis("max_workers", 2, 8), axis("idle_seconds", 60, 600, place=PLACE)],
    candidate_of,
)
TASKS = 48


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A scheduler with two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as (address, _), workers(folder, address, 2, nanny="--nanny"):
        yield address


@pytest.fixture
def trace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trace.csv"
    path.write_text(csv(bursts(1)))
    return path


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


def _frame(trace, **changes):
    return Frame(trace, **({"seed": 1, "jobs": 1, "runs": 2} | changes))


def _runs(path):
    head, *rows = path.read_text().splitlines()
    return head, sorted(rows)


def test_a_sweep_on_a_cluster_finds_what_the_cores_find_and_goes_on_where_it_was(address, trace, capsys):
    """To the last digit of the file of results; of an interrupted one only the rest is made."""
    here, there = trace.with_name("here.jsonl"), trace.with_name("there.jsonl")
    assert run_sweep(_frame(trace), SPACE, Search(out=here)) == 0
    on_cores = capsys.readouterr().out
    assert run_sweep(_frame(trace, dask=address), SPACE, Search(out=there)) == 0
    assert capsys.readouterr().out == on_cores.replace("here.jsonl", "there.jsonl")
    assert _runs(there) == _runs(here)
    lines = there.read_text().splitlines(keepends=True)
    there.write_text("".join(lines[:4]))
    assert run_sweep(_frame(trace, dask=address), SPACE, Search(out=there)) == 0
    assert "3 were there already" in capsys.readouterr().out
    assert _runs(there) == _runs(here)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            "dask: no scheduler at 127.0.0.1:1: Connection refused; start one with `dask scheduler`",
        ),
        ("nonsense", "dask: expected a scheduler's address, HOST:PORT or tls://HOST:PORT, got 'nonsense'"),
        ("http://127.0.0.1:1", "dask: expected a scheduler's address"),
        ("127.0.0.1:99999", "dask: no scheduler at 127.0.0.1:99999"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_one_line_and_exit_code_two(trace, capsys, address, message):
    assert run_sweep(_frame(trace, dask=address), SPACE, Search(out=Path("found.jsonl"))) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"autoscaler: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["sweep", "--vary", "max=1,2"], ["compare", "mwaa", "mwaa"]])
def test_the_commands_take_a_cluster(trace, words):
    command, *others = words
    done = CliRunner().invoke(app, [command, str(trace), *others, "--seed", "1", "--dask", "127.0.0.1:1"])
    assert done.exit_code == 2
    assert "dask: no scheduler at 127.0.0.1:1: Connection refused" in done.stderr


POLICY = """
from policies.mwaa import Mwaa
class Here(Mwaa):
    pass
"""


def test_a_policy_that_the_workers_do_not_have_is_named(address, trace, monkeypatch, capsys):
    """It lies in this folder, not in theirs."""
    Path("only_here.py").write_text(POLICY)
    monkeypatch.syspath_prepend(str(trace.parent))
    space = Space(BASE | {"policy": {"name": "only_here:Here"}}, [axis("max_workers", 2, 4)], candidate_of)
    assert run_sweep(_frame(trace, dask=address), space, Search()) == 2
    assert "cannot run this: No module named 'only_here'" in capsys.readouterr().err
    sys.modules.pop("only_here")


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
                _while(answers, begun, lambda: end(only))
        with workers(tmp_path, at):
            begun = tmp_path / "again"
            answers = across_cluster(bursts(1), _waiting, [begun], at)
            with pytest.raises(CoresError, match=f"the scheduler at {at} went away"):
                _while(answers, begun, lambda: end(process))


def _while(answers, begun, happens):
    """Takes the answers while something happens as soon as the work has begun."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: (until(begun.exists), happens()))
        with closing(answers):
            list(answers)
