"""What a trace's description says, told on traces small enough to count by hand."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.describe import concurrency, describe
from simulations.trace import MONDAY, trace_of
from simulations.trace_file import read_trace

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "traces"
HOUR, DAY = 3600.0, 86_400.0


def test_the_figures():
    """Three tasks on a Tuesday at ten."""
    trace = trace_of(
        [0, 10, 60],
        [20, 20, 40],
        slots=[1, 2, 1],
        queue=[0, 1, 1],
        queues=("", "big"),
        starts_at=MONDAY + DAY + 10 * HOUR,
    )
    said = describe(trace)
    assert (said.tasks, said.edges, said.queues) == (3, 0, {"": 1, "big": 2})
    assert said.starts_at == "2024-01-02T10:00:00+00:00"
    assert said.slot_hours == pytest.approx(100 / HOUR)
    assert said.concurrency_mean == 1.0
    assert said.concurrency_peak == 3
    assert said.duration_seconds["p50"] == 20
    assert said.duration_seconds["p100"] == 40
    assert said.arrivals_by_hour == [3 if hour == 10 else 0 for hour in range(24)]
    assert said.arrivals_by_weekday == [0, 3, 0, 0, 0, 0, 0]
    assert said.burstiness == pytest.approx(0.25 / 1.5)


def test_a_slot_freed_is_taken_at_the_same_instant():
    """Back to back tasks need one slot, not two."""
    instants, busy = concurrency(trace_of([0, 10, 20], [10, 10, 10]))
    assert (instants.tolist(), busy.tolist()) == ([0, 10, 20, 30], [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (trace_of([0], [1]), "no parents"),
        (trace_of([0], [1]), "no dates"),
        (trace_of([0, 5], [10, 1], edges=([0], [1])), "1 tasks have queued_at before their parents"),
        (trace_of([0, 5], [0, 1]), "1 tasks take no time"),
        (trace_of([0], [90_000]), "are the durations seconds?"),
        (trace_of([0], [1], slots=[3]), "1 tasks take more than one slot"),
        (trace_of([0, 3 * DAY], [1, 1]), "nothing arrives for 3.0 days"),
    ],
)
def test_what_to_mind(trace, said):
    """A sentence each."""
    assert [problem for problem in describe(trace).problems if said in problem]


def test_a_good_trace_has_nothing_to_mind():
    """Dates, parents, plain tasks."""
    assert describe(trace_of([0, 10], [10, 1], edges=([0], [1]), starts_at=MONDAY + 5)).problems == []


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"t{row},{row * 400},{row % 50},q{row % 2}\n" for row in range(500))
    path.write_text("task_key,queued_at,duration_s,queue\n" + rows)
    return path


def test_the_command(trace):
    """A table for people, JSON for scripts."""
    shown = CliRunner().invoke(app, ["trace", "describe", str(trace)])
    assert shown.exit_code == 0, shown.output
    assert "500" in shown.stdout
    assert "mind: no parents" in shown.stdout
    told = json.loads(CliRunner().invoke(app, ["trace", "describe", str(trace), "--json"]).stdout)
    assert (told["tasks"], told["queues"]) == (500, {"q0": 250, "q1": 250})


def test_hours_and_days_without_arrivals_keep_their_place(tmp_path, monkeypatch):
    """A bar for each of 24 hours and 7 days, also at the end; queues beyond the largest are summed up."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"t{row},{row * 1200},60,q{row}\n" for row in range(10))
    Path("t.csv").write_text("task_key,queued_at,duration_s,queue\n" + rows)
    shown = CliRunner().invoke(app, ["trace", "describe", "t.csv"]).stdout
    assert "███▃" + "·" * 20 in shown
    assert "█" + "·" * 6 in shown
    assert shown.count("queue q") == 8
    assert re.search(r"2 other queues +│ +2 tasks", shown)
    assert re.search(r"duration longest +│ +60\.0 s", shown)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_picture(trace, kind, tmp_path):
    """Titles and units are on it, and its size does not grow with the trace."""
    out = tmp_path / f"t.{kind}"
    result = CliRunner().invoke(app, ["trace", "describe", str(trace), "--plot", str(out)])
    assert result.exit_code == 0, result.output
    content = out.read_bytes()
    assert 10_000 < len(content) < 1_000_000
    assert content.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.csv"], "none.csv: there is no such file"),
        (
            ["t.csv", "--plot", "no/t.png"],
            "no/t.png: the picture cannot be written: No such file or directory",
        ),
        (["t.csv", "--plot", "t.xyz"], "t.xyz: the picture cannot be written: Format 'xyz' is not supported"),
    ],
)
def test_what_cannot_be(trace, arguments, said, monkeypatch):
    """One line, exit code 2."""
    monkeypatch.chdir(trace.parent)
    result = CliRunner().invoke(app, ["trace", "describe", *arguments])
    assert (result.exit_code, result.stderr) == (2, f"autoscaler: {said}\n")


@pytest.mark.parametrize(
    ("name", "tasks", "mean", "peak"),
    [("wf_cron_dag_7d", 208_740, 10, 1_308), ("nasa_ipsc1993", 18_239, 1.8, 9)],
)
def test_known_traces(name, tasks, mean, peak):
    """The figures that others counted."""
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    said = describe(read_trace(path))
    assert (said.tasks, said.concurrency_peak) == (tasks, peak)
    assert said.concurrency_mean == pytest.approx(mean, rel=0.05)
