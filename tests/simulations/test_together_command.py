"""All targets of a configuration in one world, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.core.record import read, replay
from simulations.command import Options
from simulations.together_command import Configured, run_together
from tests.simulations.worlds import controller

CSV = "task_key,queued_at,duration_s,queue\n" + "".join(f"t{n},{n},90,{'ab'[n % 2]}\n" for n in range(200))
CONFIG = """
[airflow]
database_url = "postgresql://u@127.0.0.1:1/airflow"
[targets.fast]
cluster = "c"
service = "fast"
queues = ["a"]
slots_per_worker = 4
max_workers = 30
[targets.rest]
cluster = "c"
service = "rest"
slots_per_worker = 2
max_workers = 40
policy = {name = "mwaa", scale_in = "continuous"}
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "autoscaler.toml"
    path.write_text(CONFIG)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_all_targets_of_a_file_play_in_one_world(trace, config):
    """A column each, and one for all; the seed first, the Airflow and the late arrivals said."""
    done = run(trace, "--config", config, "--seed", 3, "--slo", "p95 wait < 10min")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("seed 3\n")
    for word in ("fast", "rest", "together", "Airflow 3.3", "wait p95", "vCPU", "has no parents"):
        assert word in done.output


def test_json_has_every_target_and_the_whole(trace, config):
    """The parts add up; the same seed gives the same bytes."""
    done = run(trace, "--config", config, "--seed", 3, "--json")
    found = json.loads(done.stdout)
    assert (found["seed"], found["airflow"], list(found["targets"])) == (3, "3.3", ["fast", "rest"])
    assert found["late_arrivals"]["known_waits"] == 0
    parts = found["targets"].values()
    assert found["together"]["tasks"] == sum(part["tasks"] for part in parts) == 200
    assert found["together"]["cost_usd"] == pytest.approx(sum(part["cost_usd"] for part in parts))
    assert run(trace, "--config", config, "--seed", 3, "--json").stdout == done.stdout


def test_one_target_can_be_chosen(trace, config):
    """Then it is played alone, with its own queues."""
    done = run(trace, "--config", config, "--target", "fast", "--seed", 3, "--json", "--airflow", "plain")
    found = json.loads(done.stdout)
    assert (found["tasks"], found["airflow"]) == (100, "plain")
    unknown = run(trace, "--config", config, "--target", "slow")
    assert unknown.exit_code == 2
    assert "there is no target 'slow'; it has fast, rest" in unknown.output


def test_a_target_without_tasks_is_left_out_and_named(trace, config):
    """It would cost its minimum, which needs no simulation."""
    config.write_text(CONFIG + '[targets.gpu]\ncluster = "c"\nservice = "gpu"\nqueues = ["gpu"]\n')
    found = json.loads(run(trace, "--config", config, "--seed", 3, "--json").stdout)
    assert found["without_tasks"] == ["gpu"]
    assert list(found["targets"]) == ["fast", "rest"]
    assert "left out: gpu" in run(trace, "--config", config, "--seed", 3).output


def test_the_log_of_all_targets_replays(trace, tmp_path):
    """One file, a start record each, and every decision again."""
    controllers = {name: controller(4, 1, 20) for name in ("x", "y")}
    targets = {
        "x": Configured(controllers["x"], 4, ("a",), 30.0, {}),
        "y": Configured(controllers["y"], 4, (), 20.0, {}),
    }
    log = tmp_path / "log.jsonl"
    assert run_together(Options(trace, 4, seed=1, log=log), targets) == 0
    lines = log.read_text().splitlines()
    assert {json.loads(line)["target"] for line in lines} == {"x", "y"}
    for name, one in controllers.items():
        own = [line for line in lines if json.loads(line)["target"] == name]
        records = list(read(own, one.policy.memory_type))
        assert len(records) > 10
        assert list(replay(one, records)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--report", "x.pdf"), "report: expected a file named .html, got x.pdf"),
        (("--by", "colour"), "by: expected queue, dag, pool, run, got 'colour'"),
        (("--check",), "check: the configuration has several targets; choose one with --target"),
        (("--queue", "a"), "queue: the configuration has several targets"),
        (("--price", "mw1.small"), "price: MWAA mw1.small is one environment with one queue"),
        (("--airflow", "1.10"), "--airflow: expected one of 3.3, 2.11, plain, got '1.10'"),
        (("--world", "none.toml"), "none.toml: cannot be read"),
        (("--seed", "-1"), "seed: expected a whole number"),
    ],
)
def test_what_cannot_be_is_one_line(trace, config, arguments, message):
    """Exit code 2."""
    done = run(trace, "--config", config, *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_a_queue_that_no_target_serves_is_one_line(trace, config):
    """With how many tasks are in it."""
    config.write_text(CONFIG.replace("slots_per_worker = 2", 'slots_per_worker = 2\nqueues = ["c"]'))
    done = run(trace, "--config", config, "--seed", 1)
    assert done.exit_code == 2
    assert "100 tasks are in the queue 'b', which no target serves" in done.output


def test_the_example_world_is_printed_and_can_be_used(trace, tmp_path):
    """It is the default's."""
    example = run("--example-world")
    assert example.exit_code == 0
    (tmp_path / "world.toml").write_text(example.output)
    given = run(trace, "--seed", 1, "--max", 50, "--json", "--world", tmp_path / "world.toml")
    assert given.stdout == run(trace, "--seed", 1, "--max", 50, "--json").stdout


def test_several_targets_have_a_page_a_picture_and_waits_together(trace, config, tmp_path):
    """Named one by one; the waits by queue are those of all targets, and the promise is one of all."""
    page, picture = tmp_path / "out.html", tmp_path / "out.png"
    asked = ("--config", config, "--seed", 3, "--slo", "p95 wait < 10min", "--by", "pool")
    done = run(trace, *asked, "--report", page, "--plot", picture)
    assert done.exit_code == 0, done.output
    assert "waits by pool" in done.output
    text = page.read_text()
    assert "fast: Decisions" in text
    assert "rest: Decisions" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(trace, *asked, "--json").stdout)
    assert {each["name"]: each["tasks"] for each in found["waits"]["queue"]} == {"a": 100, "b": 100}
    misses = [found["targets"][name]["slo"]["misses"] for name in ("fast", "rest")]
    assert found["together"]["slo"]["misses"] == sum(misses)
