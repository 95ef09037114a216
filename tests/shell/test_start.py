"""What a command loads before it does anything: a start is felt at every call."""

import subprocess
import sys

SAYS_WHAT_IT_LOADED = """
import sys
from autoscaler.cli import main
sys.argv = ["autoscaler", *sys.argv[1:]]
try:
    main()
finally:
    print("\\n", *sorted(sys.modules))
"""
SHELL = {"aiobotocore", "boto3", "sqlalchemy", "starlette", "structlog", "uvicorn"}
PLANNER = {"matplotlib", "numba", "numpy", "polars", "pydantic", "scipy"}


def loaded_by(*arguments, folder):
    command = [sys.executable, "-c", SAYS_WHAT_IT_LOADED, *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return set(told.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy(tmp_path):
    """A person who asks what there is gets the answer at once."""
    assert not loaded_by("--help", folder=tmp_path) & (SHELL | PLANNER)


def test_a_simulation_loads_neither_the_daemon_nor_the_planners_tools(tmp_path):
    """The kernel, the reader of traces, and no more."""
    rows = "".join(f"t{row},{row},20\n" for row in range(40))
    (tmp_path / "trace.csv").write_text(f"task_key,queued_at,duration_s\n{rows}")
    loaded = loaded_by("simulate", "trace.csv", "--seed", "1", folder=tmp_path)
    assert {"numba", "polars", "simulations.kernel"} <= loaded
    tools = {"autoscaler.wiring", "hypothesis", "matplotlib", "pandas", "scipy.optimize", "scipy.special"}
    assert not loaded & (SHELL | tools)
