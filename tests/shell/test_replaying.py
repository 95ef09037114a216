"""`autoscaler replay` on logs that the simulator and the real daemon wrote."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.demo.ecs import ServiceSpec, running_ecs
from tests.shell.daemon import running_daemon, until
from tests.simulations.planning import bursts, csv
from tests.sources.airflow_db.world import AirflowWorld

CONTINUOUS = '{name = "mwaa", scale_in = "continuous"}'
TARGET = """
[airflow]
database_url = "sqlite:///airflow.db"
parallelism = 3
[targets.default]
cluster = "c"
service = "s"
slots_per_worker = 4
max_workers = 5
policy = {name = "mwaa", scale_in = "continuous"}
guards = {stabilization_in_seconds = 300, rate_out = {rules = [{value = 2, period_seconds = 60}]}}
"""


def run(*arguments, **options):
    return CliRunner().invoke(app, [str(each) for each in arguments], **options)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def simulated(folder):
    """A simulation's log."""
    (folder / "trace.csv").write_text(csv(bursts(hours=3)))

    def simulate(*options):
        result = run("simulate", "trace.csv", "--seed", 1, "--slots", 4, "--log", "log.jsonl", *options)
        assert result.exit_code == 0, result.output
        return folder / "log.jsonl"

    return simulate


def replayed(log, *options):
    result = run("replay", log, "--json", *options)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize(
    "options", [("--max", "3"), ("--policy", CONTINUOUS, "--min", "0"), ("--config", "own.toml")]
)
def test_what_was_simulated_is_decided_again_alike(simulated, folder, options):
    """By a policy's name, a table, or a whole configuration with guards and the alarms' limits."""
    (folder / "own.toml").write_text(TARGET)
    code, told = replayed(simulated(*options))
    assert (code, told["different"], told["bad_lines"]) == (0, 0, 0)
    assert told["decisions"] == len((folder / "log.jsonl").read_text().splitlines()) - 1
    assert "decisions, all the same" in run("replay", "log.jsonl").stdout


def test_a_difference_is_exit_code_one_and_shown(simulated):
    """When, of which target, recorded, now, and the first stage that differs."""
    log = simulated("--max", "3")
    text = log.read_text()
    log.write_text(text.replace('"maximum":3', '"maximum":2', 1))
    result = run("replay", log, "--show", 1)
    assert result.exit_code == 1
    first, second, last, note = result.stdout.splitlines()
    assert first == "2024-01-01 00:00:30 UTC  simulation (line 3): recorded desired 3, now desired 2"
    assert second == (
        "  stage 2: recorded bounds 3 at_maximum (maximum 3); now bounds 2 at_maximum (maximum 2)"
    )
    assert "are different now" in last
    assert "shown are the first 1" in note
    assert replayed(log, "--show", 0)[1]["differences"] == []


def test_another_policy_is_a_question_and_no_fault(simulated):
    """What it would have asked for, that the loop is open, and exit code 0."""
    log = simulated("--max", "6")
    code, told = replayed(log, "--policy", CONTINUOUS)
    assert code == 0
    assert told["open_loop"] is True
    figures = told["targets"]["simulation"]
    assert figures["now_worker_hours"] < figures["recorded_worker_hours"]
    assert told["differences"][0]["recorded"]["asked"] == 6
    result = run("replay", log, "--policy", CONTINUOUS)
    assert "An open loop" in result.stdout
    assert "the recorded fleet answered to the recorded decisions" in " ".join(result.stdout.split())


def test_another_configuration_replaces_guards_and_bounds_too(simulated, folder):
    (folder / "own.toml").write_text(TARGET)
    _, told = replayed(simulated("--max", "6"), "--policy", "own.toml:default")
    assert told["targets"]["simulation"]["now_peak"] == 5


def test_packed_and_piped_logs(simulated):
    log = simulated("--max", "3")
    packed = log.with_name("log.jsonl.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert replayed(packed)[0] == 0
    piped = run("replay", "-", input=log.read_text())
    assert (piped.exit_code, piped.stdout.startswith("-: ")) == (0, True)


def test_bad_lines_are_told_one_by_one_and_no_terminal_obeys_them(simulated):
    """Exit code 2, although the rest is the same."""
    log = simulated("--max", "3")
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], '{"kind": "\x1b[31m', *lines, lines[-1][:99]]))
    result = run("replay", log)
    assert result.exit_code == 2
    assert "all the same" in result.stdout
    assert result.stderr.splitlines() == [
        f'autoscaler: {log}: line 2: not JSON: expected a record, got \'{{"kind": "\\x1b[31m\\n\'',
        f"autoscaler: {log}: line {len(lines) + 3}: the log ends within a record",
    ]


def test_parts_of_a_log(simulated):
    """Without a start, without a decision after it; two targets of which one differs."""
    lines = simulated("--max", "3").read_text().splitlines(keepends=True)
    part = Path("part.jsonl")
    for some, said in (
        (lines[1:], "no usable start record is before its decisions"),
        (lines[:1], "no decision follows the start record"),
    ):
        part.write_text("".join(some))
        result = run("replay", part)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert said in result.stderr
    other = (
        "".join(lines)
        .replace('"target":"simulation"', '"target":"other"')
        .replace('"maximum":3', '"maximum":2')
    )
    part.write_text("".join([*lines[-2:], *lines, other]))
    result = run("replay", part, "--show", 0)
    decisions = len(lines) - 1
    assert result.exit_code == 1
    assert f"{2 * decisions:,} decisions of 2 targets" in result.stdout
    assert f"  simulation: 0 of {decisions:,} different" in result.stdout
    assert "  2 decisions before a start record" in result.stdout


def test_a_file_of_something_else_does_not_flood_the_terminal(folder):
    (folder / "x.log").write_text("{\n" * 300)
    result = run("replay", "x.log")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 52
    assert "300 bad lines in all" in result.stderr


START = {"v": 1, "kind": "start", "at": 0, "target": "t", "state": {}, "config_hash": "h"}


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (None, (), "x.log: cannot be read: No such file or directory"),
        ("hello\n", (), "x.log: there is no decision record in it"),
        ("hello\n", ("--target", "ml"), "x.log: there is no decision record of target ml in it"),
        ("hello\n", ("--policy", "nosuch"), "policy: there is no policy 'nosuch'"),
        ("hello\n", ("--policy", "{name ="), "policy {name =: not a TOML table"),
        ("hello\n", ("--policy", "nosuch.toml"), "nosuch.toml: there is no such file"),
        ({**START, "config": []}, (), "line 1: its configuration cannot be used here: expected a table"),
        ({**START, "config": {"trace": "x"}}, (), "cannot be used here: slots is missing"),
        ({**START, "config": {"mode": "act"}}, (), "cannot be used here: cluster: Field required"),
        (
            {**START, "config": {"cluster": "c", "service": "s", "mode": "sometimes"}},
            (),
            "'sometimes' is not a valid Mode",
        ),
        ({**START, "config": {"cluster": "c", "service": "s"}}, (), "line 1: state.memory: expected a value"),
    ],
)
def test_what_cannot_be_replayed_is_exit_code_two(folder, content, arguments, said):
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content) + "\n"
        (folder / "x.log").write_text(text)
    result = run("replay", "x.log", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr


def test_a_packed_log_that_breaks_off(folder):
    (folder / "x.log.gz").write_bytes(gzip.compress(b"hello\n" * 9999)[:40])
    result = run("replay", "x.log.gz")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "x.log.gz: cannot be read" in result.stderr


@pytest.fixture
def anyio_backend():
    return "asyncio"


DAEMON = """
mode = "{mode}"
[airflow]
database_url = "{url}"
heartbeat_max_age_seconds = 600
parallelism = 9
[aws]
endpoint_url = "{ecs}"
[http]
port = 0
[log]
records_path = "{folder}/records.jsonl"
[targets.default]
cluster = "demo"
service = "workers"
interval_seconds = 1
slots_per_worker = 5
policy = {{name = "mwaa", idle_seconds = 1}}
guards = {{warm_up_seconds = 1}}
[targets.other]
cluster = "demo"
service = "others"
interval_seconds = 1
queues = ["big"]
"""


async def a_life(folder, mode):
    """A daemon's lines over load, a reload and a restart, and its records' file."""
    world = AirflowWorld(f"sqlite:///{folder}/airflow.db", "3")
    (folder / "airflow.db").touch()
    await world.create()
    await world.empty()
    specs = [ServiceSpec(name=name, desired=1, launch_seconds=0.1) for name in ("workers", "others")]
    lines = []
    async with running_ecs(*specs) as ecs:
        if mode == "observe":  # whoever observes may look on while others scale; whoever acts may not
            ecs.scalable_targets.register()
        config = folder / "autoscaler.toml"
        config.write_text(DAEMON.format(mode=mode, url=world.url, ecs=ecs.url, folder=folder))
        async with running_daemon(config) as daemon:
            await world.tasks(30, "queued")
            await daemon.decided(workers=6, target="default")
            config.write_text(
                config.read_text().replace("idle_seconds", "slots_per_worker = 5, idle_seconds")
            )
            daemon.process.send_signal(signal.SIGHUP)
            await until(lambda: daemon.events("reloading"))
            await world.execute("UPDATE task_instance SET state = 'success'")
            await daemon.decided(workers=1, target="default")
            assert await daemon.stop() == 0
        lines += daemon.lines
        async with running_daemon(config) as daemon:
            await daemon.decided(target="other")
            assert await daemon.stop() == 0
        lines += daemon.lines
    return lines


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["observe", "act"])
async def test_what_the_daemon_decided_is_decided_again_alike(folder, mode):
    """From its printed log as from its records: two targets, a reload, a restart, other events between."""
    lines = await a_life(folder, mode)
    printed = folder / "printed.log"
    printed.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    decisions = sum(line["event"] == "decision" for line in lines)
    for log in (printed, folder / "records.jsonl"):
        code, told = replayed(log)
        assert (code, told["different"], told["skipped"], told["bad_lines"]) == (0, 0, 0, 0), told
        assert told["decisions"] == decisions
        assert {name: each["starts"] for name, each in told["targets"].items()} == {"default": 3, "other": 3}
    _, told = replayed(printed, "--target", "default", "--policy", '{name = "mwaa", slots_per_worker = 3}')
    assert told["different"] > 0
    assert list(told["targets"]) == ["default"]
