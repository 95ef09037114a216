"""`autoscaler simulate` from plain arguments: what it prints, logs and returns."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from autoscaler.core.record import read, replay
from simulations.command import Options, controller_of, run_command

CSV = "task_key,queued_at,duration_s,queue\n" + "".join(f"t{n},{n},90,{'ab'[n % 2]}\n" for n in range(200))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


def test_the_seed_comes_first_then_the_table(trace, capsys):
    """All figures on standard output, nothing on standard error."""
    assert run_command(Options(trace, 4, maximum=50, seed=7)) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "seed 7"
    for word in ("tasks", "makespan", "wait p95", "worker-hours", "cost", "utilisation", "scale-ins"):
        assert word in out
    assert "200" in out
    assert err == ""


def test_json_is_all_there_is_on_standard_output(trace, capsys):
    """The seed is inside, and first on standard error; the same seed gives the same bytes."""
    options = Options(trace, 4, maximum=50, seed=7, as_json=True)
    assert run_command(options) == 0
    out, err = capsys.readouterr()
    assert err == "seed 7\n"
    assert json.loads(out)["seed"] == 7
    assert json.loads(out)["tasks"] == 200
    run_command(options)
    assert capsys.readouterr().out == out


def test_without_a_seed_one_is_drawn_and_printed(trace, capsys):
    """The printed seed repeats the run."""
    run_command(Options(trace, 4, as_json=True))
    first = capsys.readouterr().out
    run_command(Options(trace, 4, as_json=True, seed=json.loads(first)["seed"]))
    assert capsys.readouterr().out == first


def test_one_queue_can_be_chosen(trace, capsys):
    """Half of the tasks are in it."""
    run_command(Options(trace, 4, seed=1, queue="b", as_json=True))
    assert json.loads(capsys.readouterr().out)["tasks"] == 100


def test_the_log_replays_to_the_same_decisions(trace, tmp_path):
    """It holds every tick, and the same controller decides the same again; another one does not."""
    options = Options(trace, 4, seed=1, maximum=20, scale_in="continuous", log=tmp_path / "log.jsonl")
    assert run_command(options) == 0
    controller = controller_of(options)
    with options.log.open() as lines:
        records = list(read(lines, controller.policy.memory_type))
    assert len(records) > 10
    assert list(replay(controller, records)) == []
    other = controller_of(Options(trace, 4, maximum=3, scale_in="continuous"))
    assert list(replay(other, records))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "nosuch"}, "there is no policy 'nosuch'"),
        ({"policy": {"name": "mwaa", "scale_in": "sideways"}}, "policy 'mwaa', scale_in"),
        ({"minimum": 5, "maximum": 2}, "minimum 5 is above maximum 2"),
        ({"minimum": -1}, "minimum: expected 0 or more, got -1"),
        ({"slots": 0}, "slots: expected at least 1, got 0"),
        ({"tick": 0.0}, "a tick must be longer than 0 s"),
        ({"tick": float("nan")}, "a tick must be longer than 0 s"),
        ({"seed": -3}, "seed: expected a whole number, 0 or more, got -3"),
        ({"price": "cheap"}, "price: expected"),
        ({"queue": "z"}, "there is no queue 'z'"),
        ({"launch": -5.0}, "launch delay: median_seconds must be 0 or more"),
        ({"slot_tail": float("inf")}, "--slot-tail: a delay must be 0 to 1e+06 seconds, got inf"),
        ({"trace": Path("absent.csv")}, "absent.csv: there is no such file"),
        ({"by": "colour"}, "by: expected queue, dag, pool, run, got 'colour'"),
        ({"slo": "fast"}, "slo: expected 'p95 wait < 60s'"),
        ({"report": Path("out.pdf")}, "report: expected a file named .html, got out.pdf"),
        ({"report": Path("/nowhere/out.html")}, "/nowhere/out.html cannot be written"),
        ({"plot": Path("out.gif")}, "plot: expected a file named .png, .svg, .pdf, got out.gif"),
        ({"log": Path("/nowhere/at/all.jsonl")}, "log: /nowhere/at/all.jsonl cannot be written"),
        ({"log": Path("/dev/full")}, "log: /dev/full cannot be written: No space left on device"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(trace, capsys, changes, message):
    """On standard error, with what was expected."""
    arguments = {"trace": trace, "slots": 4, "seed": 1} | changes
    assert run_command(Options(**arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("autoscaler: ")
    assert err.count("\n") == 1


def test_a_run_that_cannot_end_is_exit_code_one(trace, capsys):
    """No task fits a fleet of nobody."""
    assert run_command(Options(trace, 4, seed=1, minimum=0, maximum=0)) == 1
    assert "the maximum is 0 workers" in capsys.readouterr().err


def test_a_policy_of_ones_own_and_a_fleet_that_does_not_come_back(trace, capsys):
    """A policy by its place in a module; the table says that the fleet stayed out."""
    policy = {"name": "tests.simulations.test_run:Always", "workers": 3.0}
    assert run_command(Options(trace, 40, policy=policy, minimum=0, tick=600.0, seed=1)) == 0
    assert "did not come back to its minimum" in " ".join(capsys.readouterr().out.split())


def test_a_long_run_shows_its_progress_to_a_person(tmp_path, capsys, monkeypatch):
    """A bar on standard error when that is a terminal, nothing of it in the JSON."""
    count = 100_000
    frame = pl.DataFrame({"task_key": range(count), "queued_at": range(count), "duration_s": [20] * count})
    frame.write_parquet(tmp_path / "long.parquet")
    options = Options(tmp_path / "long.parquet", 100, seed=1, as_json=True)
    assert run_command(options) == 0
    quiet, nothing = capsys.readouterr()
    assert nothing == "seed 1\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run_command(options) == 0
    watched, bar = capsys.readouterr()
    assert watched == quiet
    assert "simulating" in bar


def test_a_promise_and_the_waits_by_queue_are_in_the_table(trace, capsys):
    """Two queues: a table of their waits, and what became of the promise."""
    assert run_command(Options(trace, 4, maximum=50, seed=7, slo="p95 wait < 1s")) == 0
    out = capsys.readouterr().out
    assert "p95 wait < 1s" in out
    assert "broken" in out
    assert "waits by queue" in out
    assert "misses" in out


def test_json_has_the_waits_of_every_queue_and_the_promise(trace, capsys):
    """The parts add up to the whole."""
    assert (
        run_command(Options(trace, 4, maximum=50, seed=7, slo="max wait <= 1h", by="pool", as_json=True)) == 0
    )
    told = json.loads(capsys.readouterr().out)
    queues = told["waits"]["queue"]
    assert {each["name"] for each in queues} == {"a", "b"}
    assert sum(each["tasks"] for each in queues) == told["tasks"]
    mean = sum(each["mean_seconds"] * each["tasks"] for each in queues) / told["tasks"]
    assert mean == pytest.approx(told["wait_mean_seconds"])
    assert [each["name"] for each in told["waits"]["pool"]] == ["default_pool"]
    assert told["slo"] == {
        "text": "max wait <= 1h",
        "limit_seconds": 3600.0,
        "value_seconds": told["wait_max_seconds"],
        "misses": 0,
        "kept": True,
    }


def test_waits_by_dag_and_names_that_look_like_markup(tmp_path, capsys):
    """A name in brackets is a name; the many are cut short, not so in JSON."""
    path = tmp_path / "dags.csv"
    rows = (f"t{n},{n},90,[/{n % 40}]\n" for n in range(200))
    path.write_text("task_key,queued_at,duration_s,dag\n" + "".join(rows))
    assert run_command(Options(path, 4, seed=1, by="dag")) == 0
    out = capsys.readouterr().out
    assert "waits by DAG" in out
    assert "[/3" in out
    assert "15 more that waited less" in out
    assert run_command(Options(path, 4, seed=1, as_json=True)) == 0
    assert len(json.loads(capsys.readouterr().out)["waits"]["dag"]) == 40


def test_a_page_and_a_picture_change_nothing_else(trace, tmp_path, capsys):
    """They are written; the figures and the log stay what they are without them."""
    plain = Options(trace, 4, maximum=50, seed=7, as_json=True)
    run_command(plain)
    alone = capsys.readouterr().out
    page, picture, log = tmp_path / "out.html", tmp_path / "out.png", tmp_path / "out.jsonl"
    asked = Options(trace, 4, maximum=50, seed=7, as_json=True, report=page, plot=picture, log=log)
    assert run_command(asked) == 0
    assert capsys.readouterr().out == alone
    assert page.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(log.read_text().splitlines()) == json.loads(alone)["ticks"] + 1


def test_a_task_that_fits_on_no_worker_is_wrong_input(tmp_path, capsys):
    """Exit code 2, as for any other row that cannot be used."""
    path = tmp_path / "wide.csv"
    path.write_text("task_key,queued_at,duration_s,slots\na,0,5,40\n")
    assert run_command(Options(trace=path, slots=16, seed=1)) == 2
    assert "column slots: task 'a' wants 40, a worker has 16" in capsys.readouterr().err
