"""compare, sweep and recommend from the command line."""

from __future__ import annotations

import json
import tomllib

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from tests.simulations.planning import bursts, csv

CONFIG = """
[airflow]
database_url = "sqlite:///airflow.db"
[targets.small]
cluster = "c"
service = "s"
slots_per_worker = 4
max_workers = 2
[targets.large]
cluster = "c"
service = "t"
slots_per_worker = 4
max_workers = 9
guards = {stabilization_in_seconds = 300}
"""
ALWAYS = ("--slots", "4", "--seed", "1", "--jobs", "1", "--json")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with a trace and a configuration of two targets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text(csv(bursts()))
    (tmp_path / "own.toml").write_text(CONFIG)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_compare_takes_names_tables_targets_and_files():
    """Each in its own words; differences are to the first."""
    each = (
        "mwaa",
        '{name = "mwaa", scale_in = "continuous"}',
        "{max_workers = 3}",
        "own.toml:small",
        "own.toml:large",
    )
    result = run("compare", "trace.csv", *each, "--max", 9, "--runs", 2, *ALWAYS)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["candidates"]
    assert [row["label"] for row in rows] == list(each)
    assert [row["means"]["peak_workers"] for row in rows] == [6, 6, 3, 2, 6]
    assert rows[0]["differences"] == {}
    assert rows[3]["differences"]["peak_workers"] == {"mean": -4.0, "half_width": 0.0}


def test_compare_prints_a_table_for_a_person():
    result = run("compare", "trace.csv", "mwaa", "{max_workers = 2}", "--runs", 2, "--slots", 4, "--jobs", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("seed ")
    assert "95% confidence" in " ".join(result.stdout.split())
    single = run("compare", "trace.csv", "mwaa", "mwaa", "--runs", 1, "--slots", 4, "--jobs", 1)
    assert "--runs 2 or more" in " ".join(single.stdout.split())


def test_sweep_varies_a_target_of_a_file(folder):
    """Whatever the file says and nobody varies stays."""
    vary = ("--vary", "max=3,6", "--vary", "cooldown_in_seconds=0,600")
    result = run(
        "sweep", "trace.csv", "--policy", "own.toml:large", *vary, "--seed", 1, "--jobs", 1, "--json"
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert len(document["settings"]) == 4
    guards = [row["setting"]["guards"] for row in document["settings"]]
    assert {each["stabilization_in_seconds"] for each in guards} == {300}
    assert {each["cooldown_in_seconds"] for each in guards} == {0, 600}
    assert (folder / document["results"]).exists()


def test_recommend_prints_a_table_that_replaces_the_files_own():
    result = run("recommend", "trace.csv", "--slo", "p95 wait < 200s", "--policy", "own.toml:large",
                 "--runs", 1, "--vary", "max=3,6", "--split", 0.5, *ALWAYS[2:])  # fmt: skip
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert len(answer["mwaa"]) == 6
    table = tomllib.loads(answer["toml"])
    assert table["targets"]["large"]["service"] == "t"
    assert "airflow" not in table


def test_recommend_knows_where_to_look_if_nobody_says():
    result = run("recommend", "trace.csv", "--slo", "p50 wait < 300s", "--runs", 1, "--split", 0.5, *ALWAYS)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["tried"] > 20
    assert tomllib.loads(answer["toml"])["targets"]["default"]["slots_per_worker"] == 4


def test_sweep_and_recommend_write_a_page(folder):
    """For a browser, beside what they print."""
    vary = ("--vary", "max=3,6")
    swept = run("sweep", "trace.csv", *vary, "--report", "sweep.html", *ALWAYS)
    assert swept.exit_code == 0, swept.output
    assert (folder / "sweep.html").read_text().startswith("<!doctype html>")
    promise = ("--slo", "p95 wait < 300s", "--split", 0.5, "--runs", 1)
    advised = run("recommend", "trace.csv", *promise, *vary, "--report", "advice.html", *ALWAYS)
    assert advised.exit_code == 0, advised.output
    assert "max_workers = " in (folder / "advice.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "trace.csv", "mwaa"), "compare: expected two or more candidates, got 1"),
        (("compare", "trace.csv", "mwaa", "nosuch"), "nosuch: there is no policy 'nosuch'"),
        (("compare", "trace.csv", "mwaa", "{name = "), "{name = : not a TOML table"),
        (("compare", "trace.csv", "mwaa", "{max_workers = -1}"), "max_workers = -1: input should be greater"),
        (("compare", "trace.csv", "mwaa", "{colour = 1}"), "colour = 1: extra inputs are not permitted"),
        (
            ("compare", "trace.csv", "mwaa", "mwaa", "--min", "5", "--max", "2"),
            "min_workers 5 is above max_workers 2",
        ),
        (("compare", "trace.csv", "mwaa", "mwaa", "--price", "cheap"), "price: expected x86:VCPU:GB"),
        (("compare", "trace.csv", "mwaa", "mwaa", "--tick", "0"), "interval_seconds = 0.0: input should be"),
        (("compare", "trace.csv", "mwaa", "absent.toml"), "absent.toml: there is no such file"),
        (
            ("compare", "trace.csv", "mwaa", "own.toml:medium"),
            "there is no target 'medium'; it has small, large",
        ),
        (("compare", "trace.csv", "mwaa", "own.toml"), "there is no target 'default'; it has small, large"),
        (("compare", "trace.csv", "mwaa", "mwaa", "--confidence", "95"), "confidence: expected a number"),
        (("compare", "absent.csv", "mwaa", "mwaa"), "absent.csv: there is no such file"),
        (("sweep", "trace.csv"), "sweep: expected at least one --vary NAME=VALUE,VALUE"),
        (("sweep", "trace.csv", "--vary", "slotz=1"), "slotz is not a setting; did you mean slots?"),
        (("sweep", "trace.csv", "--vary", "slots=0"), "slots=0: slots_per_worker = 0: input should be"),
        (("sweep", "trace.csv", "--vary", "scale_in=sideways"), "policy 'mwaa', scale_in"),
        (("sweep", "trace.csv", "--vary", "max=2..5"), "max=2..5 is a range: list its values"),
        (("sweep", "trace.csv", "--policy", "nosuch", "--vary", "max=2"), "there is no policy 'nosuch'"),
        (
            ("sweep", "trace.csv", "--vary", "max=2", "--report", "a.pdf"),
            "report: expected a file named .html",
        ),
        (
            ("recommend", "trace.csv", "--slo", "max wait < 1h", "--report", "none/a.html"),
            "none/a.html cannot be written: there is no such folder",
        ),
        (("recommend", "trace.csv", "--slo", "fast"), "slo: expected 'p95 wait < 60s'"),
        (("recommend", "trace.csv", "--slo", "p95 wait < 60s", "--confidence", "1"), "confidence: expected"),
        (("recommend", "trace.csv", "--slo", "p95 wait < 60s", "--split", "1"), "split: expected"),
        (("recommend", "trace.csv", "--slo", "p95 wait < 60s", "--vary", "max"), "vary: expected name=value"),
    ],
)
def test_wrong_usage_is_exit_code_two_and_its_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_a_candidate_that_cannot_run_is_exit_code_one():
    result = run("compare", "trace.csv", "mwaa", "{min_workers = 0, max_workers = 0}", *ALWAYS)
    assert result.exit_code == 1
    assert "the maximum is 0 workers" in result.stderr
