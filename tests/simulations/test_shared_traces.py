"""The traces kept beside the repository run from the first task to the last, where they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.run import simulate
from simulations.service import ServiceModel
from simulations.trace_file import read_trace
from tests.simulations.worlds import controller

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"


@pytest.mark.parametrize(
    ("name", "tasks", "tick_seconds"),
    [
        ("wf_cron_dag_7d", 208_740, 30.0),
        ("alibaba2017_tasks_17h", 31_756, 30.0),
        ("lcg2005_grid", 188_041, 120.0),
        ("nasa_ipsc1993", 18_239, 600.0),
        ("ricc2010_w1", 74_476, 120.0),
    ],
)
def test_a_kept_trace_runs_to_its_end(name, tasks, tick_seconds):
    """Every task ends, no parent overtakes, nobody is killed, and the fleet comes back."""
    path = TRACES / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    trace = read_trace(path)
    result = simulate(trace, controller(16, 1, 50), ServiceModel(16), 1, tick_seconds=tick_seconds)
    assert len(result.ended_at) == tasks
    assert (result.started_at >= trace.starts_at + trace.queued_at).all()
    assert (result.ended_at == result.started_at + trace.duration_seconds).all()
    assert (result.started_at[trace.edge_child] >= result.ended_at[trace.edge_parent]).all()
    assert result.killed_tasks == 0
    assert result.settled
