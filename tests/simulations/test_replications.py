"""`simulate --runs N`: means, how far they carry, and what is refused."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.candidate import Outcome
from simulations.compare import FIGURES
from simulations.replications import replicated
from tests.simulations.planning import bursts, csv

SELDOM = '{name = "scheduled-floor", cron = "0 0 1 7 *", workers = 1, duration_seconds = 60}'


@pytest.fixture
def trace(tmp_path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(csv(bursts(3)))
    return path


def simulated(trace, *words):
    return CliRunner().invoke(app, ["simulate", str(trace), "--slots", "4", "--seed", "1", *words])


def test_the_interval_is_students():
    """Of 1, 2, 3: t(2) = 4.303 times 1 / sqrt(3)."""
    runs = [Outcome("k", seed, dict.fromkeys(dict(FIGURES), float(seed))) for seed in (1, 2, 3)]
    found = replicated(runs, 0.95)["cost_usd"]
    assert (found.mean, found.least, found.most) == (2.0, 1.0, 3.0)
    assert found.half_width == pytest.approx(4.3027 / sqrt(3), rel=1e-4)
    assert replicated(runs, 0.5)["cost_usd"].half_width < found.half_width


def test_runs_are_those_of_compare_and_every_figure_has_an_interval(trace):
    """The same seeds give the same luck in both; with launches of one length nothing differs."""
    done = simulated(trace, "--runs", "4", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    figures = document["figures"]
    assert set(figures) == {name for name, _ in FIGURES}
    assert len(set(document["seeds"])) == 4
    assert figures["wait_mean_seconds"]["half_width"] > 0
    words = ["compare", str(trace), "mwaa", "mwaa", "--slots", "4", "--seed", "1", "--runs", "4", "--json"]
    compared = json.loads(CliRunner().invoke(app, words).stdout)
    assert compared["seeds"] == document["seeds"]
    assert compared["candidates"][0]["means"] == {name: each["mean"] for name, each in figures.items()}
    calm = simulated(trace, "--runs", "2", "--launch-spread", "0", "--airflow", "plain", "--json")
    assert {each["half_width"] for each in json.loads(calm.stdout)["figures"].values()} == {0.0}


def test_a_person_gets_a_table(trace):
    done = simulated(trace, "--runs", "2", "--confidence", "0.9")
    assert done.exit_code == 0
    for words in ("seed 1", "trace.csv, Airflow 3.3", "± (90%)", "wait p95 (s)", "least", "most"):
        assert words in done.stdout


def test_a_configured_target_is_replicated(trace, tmp_path):
    """With its own slots and bounds; of several one must be chosen."""
    config = tmp_path / "autoscaler.toml"
    target = '[targets.{name}]\ncluster = "c"\nservice = "{name}"\nslots_per_worker = 2\nmax_workers = 3\n'
    airflow = '[airflow]\ndatabase_url = "postgresql://reader@db/airflow"\n'
    config.write_text(airflow + target.format(name="one"))
    done = simulated(trace, "--runs", "2", "--config", str(config), "--json")
    assert json.loads(done.stdout)["figures"]["peak_workers"]["most"] == 3
    config.write_text(airflow + target.format(name="one") + target.format(name="two") + 'queues = ["x"]\n')
    done = simulated(trace, "--runs", "2", "--config", str(config))
    assert (done.exit_code, done.stderr) == (
        2,
        "autoscaler: runs: the configuration has several targets; choose one with --target\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--confidence", "1"], 2, "confidence: expected a number between 0 and 1, got 1"),
        (["--log", "log.jsonl"], 2, "runs: --log is about one run; leave one of the two out"),
        (["--check"], 2, "runs: --check is about one run"),
        (["--queue", "z"], 2, "there is no queue 'z'"),
        (["--policy", "nosuch"], 2, "there is no policy 'nosuch'"),
        (["--min", "0", "--policy", SELDOM], 1, "no task has ended for"),
    ],
)
def test_what_cannot_be_is_one_line(trace, words, code, message):
    done = simulated(trace, "--runs", "2", *words)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["simulate", "--runs", "2"], ["compare", "mwaa", "mwaa"]], ids=lambda each: each[0]
)
def test_a_task_that_fits_on_no_worker_is_wrong_input_in_many_runs_too(tmp_path, command):
    """Exit code 2, before anything is played."""
    path = tmp_path / "wide.csv"
    path.write_text("task_key,queued_at,duration_s,slots\na,0,5,40\n")
    done = CliRunner().invoke(app, [command[0], str(path), *command[1:], "--slots", "16", "--seed", "1"])
    assert (done.exit_code, "task 'a' wants 40, a worker has 16" in done.stderr) == (2, True)
