"""A sweep: the front, the file that survives a kill, all cores, what is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.candidate import Outcome
from simulations.cores import CoresError, across_cores, cores
from simulations.front import pareto, save_plot
from simulations.ledger import Ledger, LedgerError, fingerprint
from simulations.space import Space
from simulations.study import Frame, study_of
from simulations.sweep import Search, run_sweep, sweep
from tests.simulations.planning import BASE, axis, bursts, candidate, candidate_of, csv, study
from tests.simulations.worlds import tasks

DEADLINE_SECONDS = 120.0
PLACE = ("policy", "idle_seconds")
SPACE = Space(
    BASE | {"policy": {"name": "mwaa"}},
    [axis("max_workers", 2, 4, 8), axis("idle_seconds", 60, 600, place=PLACE)],
    candidate_of,
)


@pytest.fixture
def trace(tmp_path, monkeypatch) -> Path:
    """A history in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trace.csv"
    path.write_text(csv(bursts()))
    return path


def frame(trace, **changes):
    return Frame(trace, **({"seed": 1, "jobs": 1} | changes))


values = st.floats(0, 5).map(lambda value: round(value, 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=30))
def test_on_the_front_are_exactly_those_that_nobody_beats(points):
    """By brute force: no point is as good in both and better in one."""

    def beaten(point):
        return any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)

    assert pareto(points) == [not beaten(point) for point in points]


def test_the_cheapest_comes_first_and_the_front_is_marked():
    found = SPACE.candidates(None, 0)
    swept = sweep(study(runs=1), found)
    costs = [row.means["cost_usd"] for row in swept.rows]
    assert len(costs) == 6
    assert costs == sorted(costs)
    assert swept.rows[0].on_front
    assert [row.on_front for row in swept.rows] == pareto(
        [(row.means["cost_usd"], row.means["wait_p95_seconds"]) for row in swept.rows]
    )


def test_two_processes_find_what_one_finds():
    """To the last bit; the trace is in files that both map, parents included."""
    trace = tasks((0, 50), (5, 60), (5, 70), edges=((0, 0), (1, 2)))
    found = SPACE.candidates(None, 0).candidates
    alone, together = (study(trace, runs=2, processes=each).outcomes(found) for each in (1, 2))
    assert together == alone


def _die(trace, call):
    os._exit(3)


def _fail(trace, call):
    raise ZeroDivisionError(f"call {call} of {trace.source}")


def test_a_process_that_dies_and_a_policy_that_fails_end_the_search():
    """The one with a word on memory, the other with its own error; nobody waits for ever."""
    with pytest.raises(CoresError, match="a worker process died; if it was for lack of memory"):
        list(across_cores(bursts(1), _die, [1, 2, 3], 2))
    with pytest.raises(ZeroDivisionError, match="of trace"):
        list(across_cores(bursts(1), _fail, [1, 2, 3], 2))
    assert cores() >= 1


def test_a_second_sweep_runs_only_what_is_new(trace, tmp_path, capsys):
    """The same command again finds everything done; more runs and more settings are added."""
    out = tmp_path / "found.jsonl"
    assert run_sweep(frame(trace, as_json=True), SPACE, Search(out=out)) == 0
    first, before = capsys.readouterr().out, out.read_text()
    assert before.count("\n") == 1 + 6
    assert run_sweep(frame(trace, as_json=True, seed=None), SPACE, Search(out=out)) == 0
    again = capsys.readouterr()
    assert (again.out, again.err, out.read_text()) == (first, "seed 1\n", before)
    assert run_sweep(frame(trace, runs=2), SPACE, Search(out=out)) == 0
    assert "6 were there already" in capsys.readouterr().out
    assert out.read_text().startswith(before)
    assert out.read_text().count("\n") == 1 + 12


def test_the_file_names_itself_after_what_it_holds(trace, tmp_path, capsys):
    """Without --out it lies in the working directory; another service gets another file."""
    run_sweep(frame(trace), SPACE, Search())
    run_sweep(frame(trace, seed=None), SPACE, Search())
    assert capsys.readouterr().out.count("seed 1\n") == 2
    assert len(list(tmp_path.glob("sweep-*.jsonl"))) == 1
    run_sweep(frame(trace, launch=10.0), SPACE, Search())
    assert len(list(tmp_path.glob("sweep-*.jsonl"))) == 2


def test_half_a_line_of_a_killed_sweep_is_made_anew(trace, tmp_path, capsys):
    out = tmp_path / "found.jsonl"
    run_sweep(frame(trace), SPACE, Search(out=out))
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:-1]) + b'{"key": "' + b"x" * len(whole))
    assert run_sweep(frame(trace), SPACE, Search(out=out)) == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"v": 1, "seed": 1, "trace": "other"}\n', "was begun with"),
        ("task_key,queued_at\n1,2\n", "line 1 is not a sweep's result; give another file with --out"),
        ("[1]\n", "line 1 is not a sweep's result"),
        (None, "cannot be read"),
    ],
)
def test_another_file_is_left_alone(trace, tmp_path, capsys, content, message):
    """Another search's results and no results at all are never written over."""
    out = tmp_path / "found.jsonl"
    out.mkdir() if content is None else out.write_text(content)
    assert run_sweep(frame(trace), SPACE, Search(out=out)) == 2
    assert message in capsys.readouterr().err
    assert content is None or out.read_text() == content


def test_another_seed_is_another_search(trace, tmp_path, capsys):
    out = tmp_path / "found.jsonl"
    run_sweep(frame(trace), SPACE, Search(out=out))
    assert run_sweep(frame(trace, seed=2), SPACE, Search(out=out)) == 2
    assert "was begun with seed 1, now it is 2" in capsys.readouterr().err
    with pytest.raises(LedgerError, match="cannot be written: No such file"):
        Ledger(tmp_path / "no" / "folder", {"seed": 1})


def test_a_file_may_be_empty_or_hold_a_failure(tmp_path):
    """What could not run is not tried again either."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    with Ledger(path, {"seed": 1}) as ledger:
        ledger.add(candidate(), Outcome("k", 4, {}, error="no"))
    with Ledger(path, {"seed": 1}) as ledger:
        assert ledger.done["k", 4].error == "no"


def test_equal_traces_have_equal_fingerprints():
    assert fingerprint(bursts()) == fingerprint(bursts())
    assert fingerprint(bursts()) != fingerprint(bursts(seconds=101.0))


def test_settings_that_cannot_run_are_told_and_the_others_go_on(trace, capsys):
    """Nobody can work on no worker; if nothing can run, the exit code is 1."""
    space = Space(BASE | {"min_workers": 0}, [axis("max_workers", 0, 5)], candidate_of)
    assert run_sweep(frame(trace), space, Search()) == 0
    assert "1 settings could not run, such as max_workers=0: the maximum is 0" in capsys.readouterr().out
    space = Space(BASE | {"min_workers": 0}, [axis("max_workers", 0)], candidate_of)
    assert run_sweep(frame(trace), space, Search()) == 1
    assert "no setting could run; max_workers=0: the maximum is 0" in capsys.readouterr().err


def test_the_table_has_the_front_and_its_notes(trace, tmp_path, capsys):
    """Cheapest first, what was varied, what was left out, a word where slots cost nothing; and a picture."""
    axes = [axis("slots_per_worker", 4, 8), axis("max_workers", 2, 6), axis("min_workers", 1, 3)]
    plot = tmp_path / "front.svg"
    assert run_sweep(frame(trace), Space(BASE, axes, candidate_of), Search(plot=plot)) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in ("seed 1", "*", "2 combinations left out", "--vary price=", "All runs are in sweep-"):
        assert words in out
    assert "<svg" in plot.read_text()


def test_a_long_table_is_cut_but_for_the_front(trace, capsys):
    """The file and --json have them all."""
    idle = axis("idle_seconds", *range(30, 80), place=PLACE)
    space = Space(BASE | {"policy": {"name": "mwaa"}}, [idle], candidate_of)
    assert run_sweep(frame(trace), space, Search()) == 0
    assert "dearer settings off the front are not shown" in capsys.readouterr().out


def test_draws_are_repeated_by_the_seed(trace, capsys):
    space = Space(BASE, [axis("max_workers", *range(1, 50))], candidate_of)
    assert run_sweep(frame(trace, as_json=True), space, Search(random=5)) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["settings"]) == 5
    again = Space(BASE, [axis("max_workers", *range(1, 50))], candidate_of).candidates(5, 1)
    assert {row["varied"]["max_workers"] for row in document["settings"]} == {
        point[0][2] for point in again.points
    }


@pytest.mark.parametrize(
    ("changes", "search", "message"),
    [
        ({"jobs": 0}, {}, "jobs: expected at least 1, got 0"),
        ({"runs": 0}, {}, "runs: expected at least 1, got 0"),
        ({"trace": Path("absent.csv")}, {}, "absent.csv: there is no such file"),
        ({"queue": "z"}, {}, "there is no queue 'z'"),
        ({"launch": -1.0}, {}, "launch delay: median_seconds must be 0 or more"),
        ({}, {"random": 0}, "random: expected at least 1, got 0"),
        ({}, {"plot": Path("front.jpeg")}, "plot: expected a file named .png, .svg, .pdf, got front.jpeg"),
        ({}, {"plot": Path("no/such/front.png")}, "there is no such folder"),
        ({}, {"out": Path("no/such/found.jsonl")}, "no/such/found.jsonl: cannot be written"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(trace, capsys, changes, search, message):
    assert run_sweep(frame(**({"trace": trace} | changes)), SPACE, Search(**search)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_picture_that_cannot_be_saved_is_named(tmp_path):
    (tmp_path / "front.png").mkdir()
    with pytest.raises(ValueError, match=r"front\.png cannot be written"):
        save_plot(tmp_path / "front.png", [(1.0, 2.0)], "one setting")


def test_a_person_sees_a_bar(trace, capsys, monkeypatch):
    """On standard error, and none of it in the JSON; a seed is drawn if none is given."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run_sweep(frame(trace, as_json=True, seed=None), SPACE, Search()) == 0
    out, err = capsys.readouterr()
    assert "sweeping" in err
    assert json.loads(out)["seed"] >= 0


def test_one_queue_of_a_trace_can_be_studied(tmp_path):
    path = tmp_path / "queues.csv"
    path.write_text("task_key,queued_at,duration_s,queue\na,0,5,x\nb,1,5,y\n")
    assert len(study_of(Frame(path, queue="x", seed=1)).trace) == 1


# The program as a whole, killed and interrupted.

SETTINGS = ",".join(str(idle) for idle in range(60, 100))


def _begun(trace, out) -> subprocess.Popen[str]:
    """A sweep on two processes that has written its first runs."""
    arguments = ["sweep", str(trace), "--seed", "1", "--jobs", "2", "--slots", "4", "--out", str(out)]
    varied = ["--vary", f"idle_seconds={SETTINGS}", "--max", "20"]
    child = subprocess.Popen(
        [sys.executable, "-m", "autoscaler", *arguments, *varied],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _until(lambda: out.exists() and out.read_bytes().count(b"\n") > 3, child)
    return child


def _until(true, child=None) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert child is None or child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _rows(path):
    """Runs in the file, the head left out."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def _gone(group) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def long_trace(tmp_path) -> Path:
    path = tmp_path / "long.csv"
    path.write_text(csv(bursts(hours=100)))
    return path


def test_a_killed_sweep_leaves_no_process_and_goes_on_where_it_was(long_trace, tmp_path, capsys):
    """What is written stays as it is; in the end it is the same as without the kill."""
    out, whole = tmp_path / "killed.jsonl", tmp_path / "whole.jsonl"
    child = _begun(long_trace, out)
    child.kill()
    child.communicate()
    _until(lambda: _gone(child.pid))
    kept = [line for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert 3 < len(kept) < 41
    few = axis("idle_seconds", *range(60, 68), place=PLACE)
    space = Space({"price": "x86:2:4", "interval_seconds": 30.0, "max_workers": 20, "slots_per_worker": 4,
                   "policy": {"name": "mwaa"}},
                  [few], candidate_of)  # fmt: skip
    assert run_sweep(frame(long_trace), space, Search(out=out)) == 0
    assert out.read_bytes().startswith(b"".join(kept))
    assert run_sweep(frame(long_trace), space, Search(out=whole)) == 0
    found, expected = ({row["key"]: row for row in _rows(path)} for path in (out, whole))
    assert len(expected) == 8
    assert {key: found[key] for key in expected} == expected


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(long_trace, tmp_path):
    """As a terminal sends it, to parent and children alike: one line, exit code 130, no process left."""
    out = tmp_path / "interrupted.jsonl"
    child = _begun(long_trace, out)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=DEADLINE_SECONDS)
    assert child.returncode == 130
    done = out.read_bytes().count(b"\n") - 1
    assert err.splitlines()[-1] == (
        f"autoscaler: interrupted; {done} runs are in {out}: the same command goes on from there"
    )
    assert "Traceback" not in err
    _until(lambda: _gone(child.pid))


def test_columns_arrive_as_plain_writable_arrays():
    """The compiled kernel is made for those; what one process writes there, no other sees."""
    trace = bursts(1)
    before = trace.queued_at.copy()
    answers = list(across_cores(trace, _scribbled, [1, 2, 3, 4], 2))
    assert [flags for flags, _ in answers] == [(True, True)] * 4
    assert min(total for _, total in answers) == float(before.sum()) + 1
    assert np.array_equal(trace.queued_at, before)


def _scribbled(trace, call):
    plain = type(trace.queued_at) is np.ndarray, trace.queued_at.flags.writeable
    trace.queued_at[0] += 1
    return plain, float(trace.queued_at.sum())
