"""Made-up workloads keep what was asked for, and the same seed is the same file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.generate import Recipe, Workload, generate
from simulations.trace_file import read_trace
from simulations.trace_write import write_trace

DAY = 86_400.0
recipes = st.builds(
    Recipe,
    st.sampled_from(Workload),
    st.integers(1, 400),
    st.floats(0.01, 30.0),
    st.floats(0.01, 500.0),
)


@settings(max_examples=60, deadline=None)
@given(recipes, st.integers(0, 2**40))
def test_every_recipe_is_kept(recipe, seed):
    """As many tasks, as much work, within the days; a child never before its parents' ends."""
    frame = generate(recipe, seed)
    assert frame.height == recipe.tasks
    assert frame["task_key"].n_unique() == recipe.tasks
    queued, duration = frame["queued_at"].to_numpy(), frame["duration_s"].to_numpy()
    work = recipe.mean_concurrency * recipe.days * DAY
    assert duration.sum() == pytest.approx(work, rel=1e-6, abs=0.001 * recipe.tasks)
    assert (queued >= 0).all()
    assert (np.diff(queued) >= 0).all()
    if recipe.workload is not Workload.DAGS:
        assert (queued <= recipe.days * DAY + 0.001).all()
        return
    ends = dict(zip(frame["task_key"], queued + duration, strict=True))
    for at, parents in zip(queued, frame["parents"], strict=True):
        for parent in filter(None, parents.split(";")):
            assert at >= ends[parent] - 0.002


@pytest.mark.parametrize("workload", list(Workload))
def test_the_same_seed_is_the_same_file(workload, tmp_path):
    """To the byte, in every kind of file; another seed is another file."""
    for suffix in ("parquet", "csv.gz"):
        files = []
        for number, seed in enumerate((7, 7, 8)):
            path = tmp_path / f"{number}.{suffix}"
            write_trace(generate(Recipe(workload, 300, 2.0, 5.0), seed), path)
            files.append(path.read_bytes())
            assert len(read_trace(path)) == 300
        assert files[0] == files[1] != files[2]


def arrivals(workload, days=7.0):
    return generate(Recipe(workload, 20_000, days, 5.0), 3)["queued_at"].to_numpy()


def variance_over_mean(queued):
    counts = np.bincount((queued // 60).astype(int))
    return counts.var() / counts.mean()


def test_each_kind_has_its_shape():
    """Independent, by the day, at full hours, in bursts, with few tasks that do most of the work."""
    assert variance_over_mean(arrivals(Workload.POISSON)) == pytest.approx(1, abs=0.1)
    assert variance_over_mean(arrivals(Workload.BURSTS)) > 10
    hours = np.bincount((arrivals(Workload.DIURNAL) % DAY // 3600).astype(int), minlength=24)
    assert hours[13:15].sum() > 3 * hours[1:3].sum()
    at_full_hours = arrivals(Workload.CRON) % 3600 < 60
    assert at_full_hours.mean() > 0.5
    tails = np.sort(generate(Recipe(Workload.HEAVY_TAILS, 20_000, 7.0, 5.0), 3)["duration_s"].to_numpy())
    assert tails[-200:].sum() > 0.15 * tails.sum()
    dags = generate(Recipe(Workload.DAGS, 2_000, 7.0, 5.0), 3)
    assert max(parents.count(";") for parents in dags["parents"]) > 20
    assert dags.filter(dags["group"].str.starts_with("fan-3/"))["dag"].unique().to_list() == ["fan-3"]


def test_the_seed_comes_first(tmp_path):
    """Drawn if none is given, and good for making the same again."""
    first, again = tmp_path / "a.csv", tmp_path / "b.csv"
    drawn = CliRunner().invoke(app, ["trace", "generate", "bursts", str(first), "--tasks", "50"])
    assert drawn.exit_code == 0, drawn.output
    seed = drawn.stdout.splitlines()[0].removeprefix("seed ")
    CliRunner().invoke(app, ["trace", "generate", "bursts", str(again), "--tasks", "50", "--seed", seed])
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["waves", "t.csv"],
         "workload: expected one of poisson, diurnal, cron, bursts, heavy-tails, dags, got waves"),
        (["cron", "t.xls"], "t.xls: expected a file named .parquet, .csv or .csv.gz"),
        (["cron", "t.csv", "--tasks", "0"], "tasks: expected at least 1, got 0"),
        (["cron", "t.csv", "--days", "0"], "days: expected more than 0 and at most 3650, got 0"),
        (["cron", "t.csv", "--concurrency", "nan"], "mean concurrency: expected more than 0, got nan"),
        (["cron", "nowhere/t.csv"], "nowhere/t.csv: the trace cannot be written: No such file or directory"),
    ],
)  # fmt: skip
def test_wrong_recipes(arguments, said, tmp_path, monkeypatch):
    """One line, exit code 2."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["trace", "generate", *arguments, "--seed", "1"])
    assert (result.exit_code, result.stderr) == (2, f"autoscaler: {said}\n")
    assert not list(tmp_path.iterdir())
