"""The demonstration itself: database, ECS, workers and daemon are real processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from autoscaler.demo.command import demo
from tests.demo.stories import SHORT
from tests.demo.waiting import until

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="leftovers are found in /proc")
ROOT = Path(__file__).parents[2]
PLAY = """
import sys
from autoscaler.demo.command import demo
from tests.demo.stories import SHORT
sys.exit(demo(script=SHORT))
"""


def test_the_fleet_goes_out_and_comes_back_and_nothing_is_lost_or_left(monkeypatch, capfd, mark):
    """The main job, end to end; standard output is one JSON document."""
    for name, value in mark.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(mark.folder))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")  # of the user's, and none of our business
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert demo(script=SHORT, as_json=True, plot=mark.folder / "demo.png") == 0

    out, err = capfd.readouterr()
    told = json.loads(out)
    summary = told["summary"]
    assert told["ok"]
    assert summary["went_out"]
    assert summary["came_back"]
    assert (summary["tasks_run"], summary["tasks_lost"]) == (20, 0)
    assert (summary["workers_peak"], summary["workers_at_end"]) == (3, 1)
    assert summary["scale_outs"] >= 1
    assert summary["scale_ins"] == 1
    assert 0 < summary["wait_p50_seconds"] <= summary["wait_p95_seconds"] <= summary["wait_max_seconds"]
    moves = [each for each in told["decisions"] if each["desired"] not in {None, each["current"]}]
    assert moves[0]["reason"] in {"demand", "at_maximum"}
    assert moves[-1]["reason"] == "at_minimum"
    assert "workers are being launched" in err
    assert "\x1b" not in err
    assert mark.files() == ["demo.png"]
    # This process carries the mark in its environment only since it has started.
    assert mark.processes() == []


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["starting PostgreSQL", "starting the daemon", "queued, 4 running"])
async def test_ctrl_c_at_any_moment_leaves_nothing(mark, moment):
    """While something is being started or the play is on: exit code 130, and all is gone."""
    log = mark.folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  # it starts at once
            [sys.executable, "-u", "-c", PLAY],
            cwd=ROOT,
            env={**os.environ, **mark.environment, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await until(lambda: moment in log.read_text() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        os.killpg(process.pid, signal.SIGINT)
        await until(lambda: process.poll() is not None)
        assert process.returncode == 130, log.read_text()
        assert log.read_text().endswith("autoscaler: interrupted; everything is stopped\n")
        assert mark.processes() == []
        assert mark.files() == []
    finally:
        process.kill()
        process.wait()
        log.unlink()


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, capsys):
    """A usage error, before anything is started."""
    monkeypatch.setitem(sys.modules, "plotext", None)
    assert demo() == 2
    assert capsys.readouterr().err == (
        "autoscaler: the demo needs the extra 'demo' (plotext missing): "
        "pip install 'airflow-worker-autoscaler[demo]'\n"
    )


def test_a_picture_nowhere_is_refused_before_two_minutes_are_spent(tmp_path, capsys):
    """Told with the path."""
    path = tmp_path / "missing" / "demo.png"
    assert demo(plot=path) == 2
    assert f"{path}: cannot be written: choose a folder" in capsys.readouterr().err
