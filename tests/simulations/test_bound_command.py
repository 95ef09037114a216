"""`autoscaler bound`: what it prints, and what it says of policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.bound import lower_bound
from simulations.bound_command import Promise, run_bound
from simulations.command import Options
from tests.simulations.worlds import service, tasks

ROWS = sorted([*((60 * n, 90) for n in range(30)), *[(600, 300)] * 24])
CSV = "task_key,queued_at,duration_s,queue\n" + "".join(
    f"t{n},{at},{length},{'ab'[n % 2]}\n" for n, (at, length) in enumerate(ROWS)
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def wide(monkeypatch):
    """A terminal on which no line of a table breaks."""
    monkeypatch.setenv("COLUMNS", "200")


def run(*words):
    return CliRunner().invoke(app, ["bound", *map(str, words)], catch_exceptions=False)


def test_without_a_policy_nothing_is_drawn_and_both_sides_are_shown(trace, wide):
    """A title with the promise, the bound, the schedule; no seed, for there is no chance."""
    result = run(trace, "--slots", 4, "--max-wait", 30)
    assert result.exit_code == 0
    assert "54 tasks, none waits longer than 30 s" in result.output
    assert "lower bound" in result.output
    assert "schedule with foresight" in result.output
    assert "2 queues share workers" in result.output
    assert not result.output.startswith("seed")


def test_a_policy_is_put_beside_both(trace, capsys):
    """Its worker-hours over the bound's and the schedule's; the bound is the one the function gives."""
    options = Options(trace, 4, minimum=0, maximum=50, seed=3, launch_spread=0.0, price="1", as_json=True)
    assert run_bound(options, Promise(120.0), ["mwaa", {"name": "mwaa", "scale_in": "continuous"}]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "seed 3\n"
    assert found["seed"] == 3
    least = lower_bound(tasks(*ROWS), service(4, launch_seconds=59.0), 120.0)
    assert found["lower_bound"]["worker_hours"] == pytest.approx(least.worker_hours)
    idle, continuous = found["policies"]
    assert idle["worker_hours"] > continuous["worker_hours"] > found["schedule"]["worker_hours"]
    assert idle["times_lower_bound"] == pytest.approx(idle["worker_hours"] / least.worker_hours)
    assert idle["times_schedule"] == pytest.approx(idle["worker_hours"] / found["schedule"]["worker_hours"])
    assert [idle["verdict"], continuous["verdict"]] == ["kept", "kept"]


def test_who_breaks_the_promise_has_no_bound(trace, wide):
    """One worker at most: tasks wait for long, it costs less, and the table says why that does not count."""
    result = run(trace, "--slots", 4, "--max-wait", 0, "--policy", "mwaa", "--max", 1, "--seed", 1)
    assert result.exit_code == 0
    assert result.output.startswith("seed 1\n")
    assert "no bound for it: promise broken" in result.output
    assert "may use less than the bound" in result.output


def test_an_excused_share_that_covers_the_late_is_a_promise_kept(trace, wide):
    """The same run under a promise that nine in ten may break."""
    words = ("--slots", 4, "--max-wait", 0, "--policy", "{name = 'mwaa', idle_seconds = 60}", "--max", 1)
    result = run(trace, *words, "--seed", 1, "--excused", 0.9)
    assert "but for 90.0% of them" in result.output
    assert "mwaa (idle_seconds = 60)" in result.output
    assert "no bound for it" not in result.output
    assert "the schedule excuses nobody" in result.output


def test_one_queue_can_be_chosen(trace):
    """Half of the tasks are in it."""
    assert json.loads(run(trace, "--queue", "b", "--json").output)["tasks"] == 27


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-wait", "-1"), "longest wait: expected seconds, 0 or more, got -1"),
        (("--excused", "5"), "excused: expected a share from 0 to 1"),
        (("--bin", "0"), "bin: expected more than 0 seconds"),
        (("--policy", "nosuch"), "there is no policy 'nosuch'"),
        (("--seed", "-3"), "seed: expected a whole number"),
        (("--price", "cheap"), "price: expected"),
        (("--queue", "z"), "there is no queue 'z'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(trace, words, message):
    """On standard error, with what was expected."""
    result = run(trace, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("autoscaler: ")


def test_a_run_that_cannot_end_is_exit_code_one(tmp_path):
    """A policy's fleet of nobody never ends the run."""
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    options = Options(path, 4, minimum=0, maximum=0, seed=1)
    assert run_bound(options, Promise(60.0), ["mwaa"]) == 1
