"""Predicting measured runs: runs of our own making, a real Airflow's where they are at hand, timetables."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from benchmarks.fidelity import CHANGING, FIXED, MAKESPAN, MEAN_WAIT, ORDER, P95_WAIT, misses, study, table_of
from benchmarks.fidelity_play import play
from benchmarks.measured_fleet import Shift, fleet_of, timetable
from benchmarks.measured_run import RunError, names_in, read_run
from benchmarks.measured_workload import pool_sizes, slots_per_worker, tail_share, tails_seen, workload
from tests.simulations import measured_runs, replayed_runs
from tests.simulations.measured_runs import ZERO, text, works, write_run

MEASURED = Path(__file__).parents[2].parent / "shared/data/airflow/runs"
FOREVER = Shift(-inf)
EVENTS = [(500, "stop"), (200, "online")]
CHANGING_FLEET = [FOREVER, FOREVER, Shift(200.0, 500.0), Shift(200.0)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three workers, four, and two that become four and three."""
    directory = tmp_path_factory.mktemp("runs")
    write_run(directory, "3w", [FOREVER] * 3)
    write_run(directory, "4w", [FOREVER] * 4, seed=2)
    write_run(directory, "moving", CHANGING_FLEET, seed=3)
    rows = ["worker,ready_at,stopped_at"]
    for number, shift in enumerate(CHANGING_FLEET):
        began, stopped = (
            "" if abs(at) == inf else text(at) for at in (shift.began_at, shift.told_to_stop_at)
        )
        rows.append(f"w{number},{began},{stopped}")
    (directory / "workers-moving.csv").write_text("\n".join(rows))
    return directory


def test_a_run_tells_its_workload(runs):
    """Durations, dependencies, retries, the sensor's wait, empty tasks, slots and pools are read off it."""
    run = read_run(runs, "3w")
    found, made = workload(run), works()
    assert len(found) == len(made)
    by_key = {each.of.key: each for each in made}
    for each in found:
        true = by_key[each.of.key]
        assert each.duration_seconds == pytest.approx(true.duration_seconds, abs=1e-4)
        assert each.slots == true.slots
        assert {found[parent].of.key for parent in each.parents} == {
            made[parent].of.key for parent in true.parents
        }
        assert each.delay_seconds == pytest.approx(true.delay_seconds, abs=0.6)
    assert slots_per_worker(run) == 2
    assert pool_sizes(run) == {"db": 3}


def test_the_share_of_tails_is_read_off_full_workers(runs):
    """Seven in ten slots stayed taken; a run moves what is known in general a little, one task does not."""
    run = read_run(runs, "3w")
    stayed, seen = tails_seen(run)
    assert seen > 60
    assert stayed / seen == pytest.approx(0.7, abs=0.1)
    assert 0.6 < tail_share(run) < stayed / seen
    assert tail_share(replace(run, tries=run.tries[:1])) == 0.6


def test_each_run_predicts_the_others(runs):
    """Makespan, waits and order as promised, of a changing fleet too; without the tail far off."""
    predictions, problems = study(runs, play, seeds=5)
    assert not problems
    assert len(predictions) == 9
    assert [each.misses for each in predictions] == [()] * 9
    scarce = next(each for each in predictions if (each.source, each.target) == ("4w", "3w"))
    assert scarce.without_tail[MEAN_WAIT] < 0.75 * scarce.measured[MEAN_WAIT]
    assert misses(scarce.measured, {**scarce.without_tail, ORDER: 1.0}, FIXED)
    moving = next(each for each in predictions if each.target == "moving")
    assert moving.fleet_from == "workers-moving.csv"
    assert table_of(predictions).row_count == 9


def test_a_prediction_that_is_off_is_said_so():
    """By share or by seconds, whichever allows more; the order has a least."""
    measured = {MAKESPAN: 1000.0, MEAN_WAIT: 2.0, P95_WAIT: 30.0}
    good = {MAKESPAN: 1029.0, MEAN_WAIT: 2.9, P95_WAIT: 34.0, ORDER: 0.96}
    assert misses(measured, good, FIXED) == ()
    assert misses(measured, {**good, MAKESPAN: 1031.0}, FIXED) == (MAKESPAN,)
    assert misses(measured, {**good, MAKESPAN: 1031.0}, CHANGING) == ()
    assert misses(measured, {**good, MEAN_WAIT: 0.9, P95_WAIT: 20.0, ORDER: 0.95}, FIXED) == (
        MEAN_WAIT,
        P95_WAIT,
        ORDER,
    )


@pytest.mark.parametrize(
    ("suffix", "written"),
    [
        ("csv", "worker,ready_at,stopped_at\na,,\nb,200,500\n"),
        ("csv", f"hostname,online_at,sigterm_at\na,,\nb,{text(200)},{text(500)}\n"),
        ("csv", "node,launched,ready,ended\na,,,\nb,100,2024-01-01 10:03:20,2024-01-01T10:08:20Z\n"),
        ("json", json.dumps([{"up": None}, {"ready": 200, "drain_at": 500}])),
        ("json", json.dumps({"workers": [{"up": None}, {"up": ZERO + 200, "end": ZERO + 500}]})),
        ("json", json.dumps({"a": [[-1e9, None]], "b": [[200, 500]]})),
        ("csv", "time,event,worker\n-1e9,ready,a\n200,ready,b\n500,drain,b\n507,exit,b\n"),
        ("jsonl", "\n".join(json.dumps({"t": at, "action": what, "name": "b"}) for at, what in EVENTS)),
    ],
)
def test_a_timetable_may_have_many_forms(tmp_path, suffix, written):
    """A row a worker or a row an event; seconds, Unix seconds or ISO: one worker stays, one comes."""
    path = tmp_path / f"workers-x.{suffix}"
    path.write_text(written)
    *stays, comes = sorted(timetable(path, ZERO), key=lambda shift: shift.began_at)
    assert replace(comes, booted=True) == Shift(200.0, 500.0)
    assert all(shift.began_at < -1e6 and shift.told_to_stop_at == inf for shift in stays)
    assert len(stays) == (suffix != "jsonl")


def test_started_is_not_ready_and_killed_is_not_stopped(tmp_path):
    """A process that started takes tasks some seconds later; a kill loses what runs."""
    path = tmp_path / "workers-x.csv"
    path.write_text("time,event,worker\n200,start,b\n500,kill,b\n")
    assert timetable(path, ZERO) == [Shift(200.0, 500.0, booted=False, killed=True)]
    path.write_text("time,event,worker\n200,start,b\n209,ready,b\n")
    assert timetable(path, ZERO) == [Shift(209.0)]


def test_a_timetable_of_sizes(tmp_path):
    """The first size was there before; the last that came goes first."""
    path = tmp_path / "workers-x.csv"
    path.write_text("t_s,workers\n0,2\n200,4\n500,3\n")
    two, last = [FOREVER] * 2, Shift(200.0, booted=False)
    before = [replace(each, booted=False) for each in two]
    assert timetable(path, ZERO) == [replace(last, told_to_stop_at=500.0), *before, last]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "names no worker"),
        ("colour,size_of\nred,big\n", "expected a worker's start and stop, got the columns colour, sizeof"),
        ("worker,ready_at\na,noon\n", "expected a time such as"),
        ("time,workers\n0,many\n", "invalid literal"),
    ],
)
def test_a_timetable_that_is_none_is_refused(tmp_path, written, said):
    """One line with the file and what is wrong."""
    path = tmp_path / "workers-x.csv"
    path.write_text(written)
    with pytest.raises(RunError, match=r"workers-x\.csv") as caught:
        timetable(path, ZERO)
    assert said in str(caught.value)


def test_files_that_are_not_there_are_named(runs, tmp_path):
    """No run, no timetable, no edges: one line says which file was expected."""
    with pytest.raises(RunError, match="no measured run; expected files named tasks-NAME"):
        names_in(tmp_path)
    run = replace(read_run(runs, "3w"), name="nightly")
    with pytest.raises(RunError, match=r"who worked in run 'nightly'\?.*workers-nightly.csv"):
        fleet_of(tmp_path, run)
    (tmp_path / "dagruns-x.csv").write_text("run_id,queued_at\n")
    with pytest.raises(RunError, match=r"dagruns-x\.csv: holds no DAG run"):
        read_run(tmp_path, "x")
    (tmp_path / "dagruns-x.csv").write_text((runs / "dagruns-3w.csv").read_text())
    (tmp_path / "tasks-x.csv").write_text("dag_id,task_id\na,b\n")
    with pytest.raises(RunError, match=r"tasks-x\.csv: column run_id is missing"):
        read_run(tmp_path, "x")
    (tmp_path / "tasks-x.csv").write_text((runs / "tasks-3w.csv").read_text())
    with pytest.raises(RunError, match=r"edges-x\.json: cannot be read"):
        read_run(tmp_path, "x")
    (tmp_path / "edges-x.json").write_text("[1]")
    with pytest.raises(RunError, match=r"edges-x\.json: expected JSON such as"):
        read_run(tmp_path, "x")
    (tmp_path / "tasks-x.csv").write_text((runs / "tasks-3w.csv").read_text().replace(",-1,", ",x,", 2))
    with pytest.raises(RunError, match=r"tasks-x\.csv: row 1: invalid literal"):
        read_run(tmp_path, "x")
    (tmp_path / "tasks-x.csv").write_text((runs / "tasks-3w.csv").read_text())
    (tmp_path / "edges-x.json").write_text(json.dumps(measured_runs.EDGES))
    assert len(read_run(tmp_path, "x").tries) == len(works())


def test_a_run_whose_workers_are_unknown_keeps_no_other_from_being_predicted(tmp_path):
    """It is named with what is missing, and still predicts others."""
    write_run(tmp_path, "3w", [FOREVER] * 3)
    write_run(tmp_path, "nightly", [FOREVER] * 3)
    predictions, problems = study(tmp_path, play, seeds=1)
    assert [(each.source, each.target) for each in predictions] == [("3w", "3w"), ("nightly", "3w")]
    assert len(problems) == 1
    assert "who worked in run 'nightly'?" in problems[0]
    (tmp_path / "edges-nightly.json").write_bytes(b"\xff\xfe")
    predictions, problems = study(tmp_path, play, seeds=1)
    assert [(each.source, each.target) for each in predictions] == [("3w", "3w")]
    assert problems == [f"{tmp_path / 'edges-nightly.json'}: is no UTF-8 text"]


@pytest.mark.skipif(not MEASURED.is_dir(), reason="the measured runs of ../shared are not here")
def test_a_real_airflow_is_predicted():
    """All pairs, with nothing fitted; slots are scarce with two workers, and there the tail matters."""
    predictions, problems = study(MEASURED, play, seeds=5)
    assert not problems
    assert {each.misses for each in predictions} == {()}
    scarce = [each for each in predictions if each.target == "2w"]
    for each in scarce:
        assert each.without_tail[MEAN_WAIT] < 0.75 * each.measured[MEAN_WAIT]
        assert each.without_tail[P95_WAIT] < 0.8 * each.measured[P95_WAIT]
    replayed, _ = study(MEASURED, replayed_runs.play, seeds=5)
    for ours, other in zip(predictions, replayed, strict=True):
        for name in (MAKESPAN, MEAN_WAIT, P95_WAIT):
            assert ours.predicted[name] == pytest.approx(other.predicted[name], rel=0.04)
