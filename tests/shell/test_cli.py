"""The command line as a person and a script use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app

TRACE = "task_key,queued_at,duration_s\n" + "".join(f"t{row},{row // 6},{20 + row}\n" for row in range(40))
CONFIG = """
[airflow]
database_url = "sqlite:///airflow.db"
[targets.default]
cluster = "c"
service = "s"
slots_per_worker = 2
max_workers = 5
policy = {name = "mwaa", scale_in = "continuous"}
"""
OWN_POLICY = '''
from dataclasses import dataclass
from typing import Any, ClassVar

from policies.history import History
from policies.model import Reason, Recommendation


@dataclass(frozen=True)
class Steady:
    """Always the same."""

    workers: int = 3
    monotone: ClassVar[bool] = True
    window_seconds: ClassVar[float] = 0.0
    memory_type: ClassVar[Any] = None

    def initial(self) -> None:
        """Nothing."""

    def recommend(self, memory: None, history: History) -> tuple[None, Recommendation]:
        """The same."""
        return None, Recommendation(self.workers, Reason.SCHEDULE)


@dataclass(frozen=True)
class Contrary(Steady):
    """Says monotone and is not."""

    def recommend(self, memory: None, history: History) -> tuple[None, Recommendation]:
        load = getattr(history.latest.demand, "load", 0.0)
        return None, Recommendation(max(0.0, 100.0 - load), Reason.DEMAND)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with a trace, a configuration and a policy of one's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text(TRACE)
    (tmp_path / "autoscaler.toml").write_text(CONFIG)
    (tmp_path / "own_policies.py").write_text(OWN_POLICY)
    return tmp_path


def command(*words):
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_simulate_log_and_explain_fit_together():
    """The simulator's decision log is what `explain` reads: same records, same words."""
    done = command("simulate", "trace.csv", "--slots", "2", "--seed", "1", "--log", "log.jsonl", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["tasks"] == 40
    shown = command("explain", "--log", "log.jsonl", "-n", "3")
    assert shown.exit_code == 0
    assert shown.stdout.count("simulation:") == 3
    assert "waiting_for_idle" in shown.stdout or "at_minimum" in shown.stdout
    lines = command("explain", "--log", "log.jsonl", "-n", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["decision"] * 2


def test_simulate_takes_a_daemons_configuration():
    """Policy, guards, bounds, slots and interval are the daemon's."""
    done = command("simulate", "trace.csv", "-c", "autoscaler.toml", "--seed", "1", "--json")
    assert json.loads(done.stdout)["peak_workers"] == 5
    Path("autoscaler.toml").write_text(CONFIG.replace("max_workers", 'queues = ["etl", "ml"]\nmax_workers'))
    several = command("simulate", "trace.csv", "-c", "autoscaler.toml", "--json")
    assert (several.exit_code, "no task is in the queues etl, ml" in several.stderr) == (2, True)
    wrong = command("simulate", "trace.csv", "-c", "autoscaler.toml", "--target", "other")
    assert (wrong.exit_code, "it has default" in wrong.stderr) == (2, True)


def test_a_policy_of_ones_own_is_simulated_checked_and_refused():
    """By its dotted name from the working directory; the law it breaks is named."""
    table = '{name = "own_policies:Steady", workers = 2}'
    done = command("simulate", "trace.csv", "--slots", "4", "--seed", "1", "--policy", table, "--json")
    assert json.loads(done.stdout)["peak_workers"] == 2
    assert command("policies", "check", "own_policies:Steady", "--examples", "5").exit_code == 0
    broken = command("policies", "check", "own_policies:Contrary", "--examples", "20")
    assert broken.exit_code == 1
    assert "BREAKS  more demand never lowers the wish" in broken.stdout
    verdicts = json.loads(
        command("policies", "check", "own_policies:Contrary", "--examples", "5", "--json").stdout
    )
    assert {each["ok"] for each in verdicts} == {True, False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("policies", "check", "nobody"), "there is no policy 'nobody'"),
        (("simulate", "trace.csv", "--policy", "{name = "), "not a TOML table"),
        (("simulate", "trace.csv", "--policy", "own_policies:Missing"), "cannot be imported"),
        (("simulate", "none.csv"), "none.csv"),
        (("explain", "--log", "none.jsonl"), "none.jsonl: cannot be read"),
        (("explain", "--log", "trace.csv"), "trace.csv: there is no decision record in it"),
        (("run", "-c", "none.toml"), "none.toml: there is no such file"),
    ],
)
def test_wrong_usage_has_one_line_and_code_2(words, message):
    """And no traceback."""
    done = command(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("status",), ("explain",)])
def test_without_a_daemon_the_asking_commands_say_so(words):
    """Exit code 1, the address, and what to do."""
    done = command(*words, "--url", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "no daemon answers at http://127.0.0.1:1" in done.stderr


def test_help_lists_every_command_and_the_schema_is_json():
    """What a newcomer types first."""
    text = command("--help").stdout
    for name in ("run", "check", "status", "explain", "simulate", "demo", "config", "policies"):
        assert name in text
    assert json.loads(command("config", "schema").stdout)["title"] == "Settings"
    assert "| `mode` |" in command("config", "table").stdout
    assert "autoscaler_acting" in command("config", "table", "metrics").stdout
    assert "mwaa" in command("policies", "list").stdout


def test_a_closed_pipe_is_no_error():
    """`autoscaler config table | head -1` prints no traceback."""
    piped = f"{sys.executable} -m autoscaler config table | head -1"
    done = subprocess.run(piped, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_explain_passes_over_what_is_no_record_and_names_a_broken_one(folder):
    """A daemon's log has other lines, and its last one may be torn."""
    command("simulate", "trace.csv", "--slots", "2", "--seed", "1", "--log", "log.jsonl")
    *_, newest = (folder / "log.jsonl").read_text().splitlines()
    wrapped = json.dumps({"event": "decision", "record": json.loads(newest)})
    (folder / "daemon.log").write_text(f"Traceback\n[1]\n{wrapped}\n{newest[:100]}\n")
    assert command("explain", "--log", "daemon.log").stdout.count("simulation:") == 1
    broken = json.loads(newest)
    broken["decision"]["trail"][0]["reason"] = "whim"
    (folder / "daemon.log").write_text(f"{wrapped}\n{json.dumps(broken)}\n")
    done = command("explain", "--log", "daemon.log")
    assert (done.exit_code, "daemon.log, line 2" in done.stderr, "reason" in done.stderr) == (2, True, True)


def test_explain_shows_failures_and_alarms_and_no_terminal_escape(folder):
    """What came from outside is shown without control characters."""
    plain = ("--airflow", "plain")
    command("simulate", "trace.csv", "--slots", "2", "--seed", "1", "--log", "log.jsonl", *plain)
    document = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    document["observation"]["demand"] = {"why": "refused\x1b[2J"}
    document["observation"]["capacity"] = {"why": "AccessDenied"}
    document["decision"]["alarms"] = [{"kind": "phantom_tasks", "note": "3 tasks"}]
    (folder / "log.jsonl").write_text(json.dumps(document))
    shown = command("explain", "--log", "log.jsonl").stdout
    assert "load unknown: refused?[2J; fleet unknown: AccessDenied; desired count 1" in shown
    assert "alarm phantom_tasks: 3 tasks" in shown


def test_help_says_what_a_trace_is():
    """A file, and no type of Python's."""
    shown = command("simulate", "--help").stdout
    assert "TRACE" in shown
    assert "<File>" in shown
    assert "<Any>" not in shown
