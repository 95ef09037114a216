"""`autoscaler audit` over a real PostgreSQL and the loopback ECS: the first look, and how it can fail."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.configuration import load
from autoscaler.demo.ecs import ServiceSpec, running_ecs
from simulations.trace_file import read_trace
from tests.servers.postgres import PASSWORD, postgres
from tests.shell.audited_week import SECONDS_A_TASK, TASKS_A_RUN, WAIT_SECONDS, busy_week
from tests.shell.daemon import AWS
from tests.sources.airflow_db.world import AirflowWorld

pytestmark = pytest.mark.anyio
RUNS = 30
FAST = ("--days", "2", "--seed", "1", "--jobs", "1")
SERVICE = ("--cluster", "demo", "--service", "workers")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def airflow(server):
    """A day and a half of an hourly DAG, and one run of another beside its last, on a queue of its own."""
    world = AirflowWorld(server.url(), "3")

    async def fill():
        await world.create()
        await busy_week(world, runs=RUNS)
        await busy_week(world, runs=1, queue="gpu")

    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(fill)
    return world


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """An empty working directory, an empty place for temporary files, and no AWS of the machine."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("AUTOSCALER_DB", "AUTOSCALER_CONFIG", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    yield
    assert not list((tmp_path / "temporary").iterdir())


@pytest.fixture
async def ecs(monkeypatch):
    async with running_ecs(ServiceSpec(desired=2, launch_seconds=0.1)) as ecs:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", ecs.url)
        yield ecs


async def audit(*arguments, **environment):
    """The command, in a thread, because it has an event loop of its own."""
    result = await anyio.to_thread.run_sync(
        lambda: CliRunner().invoke(app, ["audit", *map(str, arguments)], env=environment)
    )
    assert PASSWORD not in result.output
    return result


def loaded(text):
    """As the daemon reads it."""
    path = Path("autoscaler.toml")
    path.write_text(text)
    return load(path, {})


async def test_the_first_look(airflow, ecs):
    """What was, what is, what others would have done, and a configuration that the daemon takes."""
    ecs.faults.alter(
        "DescribeTaskDefinition",
        lambda answer: {"taskDefinition": answer["taskDefinition"] | {"cpu": "1024", "memory": "2048"}},
    )
    result = await audit(*SERVICE, *FAST, "--region", "us-east-1", "--json", AUTOSCALER_DB=airflow.url)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    tries = (RUNS + 1) * (TASKS_A_RUN + 1)
    assert (told["trace"]["tasks"], told["dag_runs"]) == (tries, RUNS + 1)
    assert told["observed"]["waits"]["tries"] == tries
    assert told["observed"]["waits"]["mean_seconds"] == pytest.approx(WAIT_SECONDS)
    needed = told["observed"]["needed"]
    assert (needed["slots_per_worker"], needed["busy_peak"], needed["workers_peak"]) == (
        16,
        2 * TASKS_A_RUN,
        2,
    )
    assert needed["worker_hours"] == pytest.approx((RUNS * 2 + 1) * SECONDS_A_TASK / 3600, rel=1e-4)
    of_a_run = 2 * SECONDS_A_TASK + WAIT_SECONDS + 2  # as it was, waits included
    assert needed["span_hours"] == pytest.approx(RUNS - 1 + of_a_run / 3600, rel=1e-4)
    assert told["service"]["desired"] == 2
    assert told["price"] == "Fargate x86, 1 vCPU, 2 GB"
    rows = {row["label"]: row for row in told["rows"]}
    assert rows["always 2 workers, as now"]["wait_max_seconds"] == 0
    assert {row["kind"] for row in told["rows"]} == {"as it is", "policies", "Amazon MWAA", "recommended"}
    settings = loaded(told["toml"])
    assert (settings.targets["default"].cluster, settings.aws.region) == ("demo", "us-east-1")
    assert settings.targets["default"].slots == 16
    assert ecs.writes == []
    assert {call.operation for call in ecs.calls} == {"DescribeServices", "DescribeTaskDefinition"}


async def test_a_person_reads_it_from_top_to_bottom(airflow):
    """Without a service: slots are assumed, and it says so."""
    result = await audit("--db", airflow.url, *FAST, "--report", "page.html")
    assert result.exit_code == 0, result.output
    page = await anyio.Path("page.html").read_text()
    assert PASSWORD not in page
    assert "Demand, workers and waits over time" in page
    text = result.stdout
    order = [
        "seed 1",
        "403 task tries of 31 DAG runs",
        "default 390, gpu 13: played as one fleet",
        "waited",
        "busy",
        "what would have been",
        "kept",
        "mwaa, continuous",
        "mw1.small",
        "the recommended setting",
        "Recommended: ",
        "[airflow]",
        "[targets.default]",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert "Airflow's default; --slots says another" in text
    assert 'cluster = "CLUSTER"' in text


CONFIG = """
[airflow]
database_url_file = "{file}"
[aws]
endpoint_url = "{ecs}"
[targets.etl]
cluster = "demo"
service = "workers"
queues = ["default", "small"]
slots_per_worker = 6
max_workers = 3
"""


async def test_the_daemons_configuration_says_all(airflow, ecs, tmp_path):
    """Database, service, slots and queues; the advice is a table for the file that there is."""
    (tmp_path / "url").write_text(airflow.url)
    config = tmp_path / "own.toml"
    config.write_text(CONFIG.format(file=tmp_path / "url", ecs=ecs.url))
    keep = tmp_path / "kept.parquet"
    result = await audit("--config", config, *FAST, "--keep", keep, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    rows = {row["label"]: row for row in told["rows"]}
    assert rows["target etl as configured"]["peak_workers"] == 2
    assert told["service"]["name"] == "demo/workers"
    assert told["trace"]["queues"] == {"default": RUNS * (TASKS_A_RUN + 1)}
    table = tomllib.loads(told["toml"])
    assert list(table) == ["targets"]
    assert table["targets"]["etl"]["queues"] == ["default", "small"]
    assert table["targets"]["etl"]["slots_per_worker"] == 6
    assert len(read_trace(keep)) == told["trace"]["tasks"]
    ecs.faults.denied.add("ecs:DescribeServices")
    result = await audit("--config", config, "--db", airflow.url, *FAST, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["service"] is None
    assert any("not looked at" in note and "grant ecs:DescribeServices" in note for note in told["notes"])


async def test_trouble_with_the_database_is_one_line_and_code_two(airflow, server):
    """Nobody there, wrong password, no Airflow, a missing right, nothing in the window."""
    user = "CREATE ROLE half LOGIN PASSWORD 'half'"
    tables = "dag_run, task_instance, serialized_dag, slot_pool"
    await airflow.execute(user, f"GRANT SELECT ON {tables} TO half")
    url = make_url(airflow.url)
    await airflow.engine.dispose()
    for given, options, said in (
        ("postgresql://reader:s3cret@127.0.0.1:1/airflow", (), "nobody answers"),
        (server.url(password="s3cret"), (), "the user or the password is refused"),
        (server.url("template1"), (), "check that the URL names Airflow's own database"),
        (server.url(user="half", password="half"), (), "GRANT SELECT ON task_instance_history TO half"),
        (airflow.url, ("--queue", "nosuch"), "no task of the queue nosuch started in that time"),
        (airflow.url, ("--days", "0.0001"), "no task started on a worker in the last 0.0001 days"),
        ("postgresql:/reader:s3cret@x", (), "the Airflow database URL cannot be parsed"),
        (url.set(drivername="oracle").render_as_string(hide_password=False), (), "unknown kind of database"),
    ):
        result = await audit("--db", given, *FAST, *options)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert result.stderr.count("\n") == 1, result.stderr
        assert said in result.stderr
        assert "s3cret" not in result.stderr


async def test_a_service_that_is_not_there(airflow, ecs):
    result = await audit("--db", airflow.url, "--cluster", "demo", "--service", "nosuch", *FAST)
    assert result.exit_code == 2
    assert "ECS service demo/nosuch does not exist" in result.stderr


async def test_a_short_past_gets_no_recommendation_and_no_failure(airflow):
    result = await audit("--db", airflow.url, *FAST, "--queue", "gpu")
    assert result.exit_code == 0, result.output
    assert "No recommendation: " in result.stdout
    assert "[targets" not in result.stdout


TARGET = '[airflow]\ndatabase_url = "sqlite:///none.db"\n[targets.etl]\ncluster = "c"\nservice = "s"\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which database? give --db-file, --db-secret, --db or --config"),
        (("--db", "sqlite:///none.db", "--cluster", "c"), "--cluster and --service go together"),
        (
            ("--db", "sqlite:///none.db", "--days", "0"),
            "--days: expected more than 0 and at most 3650, got 0",
        ),
        (
            ("--db", "sqlite:///none.db", "--days", "nan"),
            "--days: expected more than 0 and at most 3650, got nan",
        ),
        (
            ("--db", "sqlite:///none.db", "--keep", "t.csv"),
            "--keep: expected a file named .parquet, got t.csv",
        ),
        (("--db", "sqlite:///none.db", "--keep", "no/t.parquet"), "--keep: no/t.parquet cannot be written"),
        (("--db", "sqlite:///none.db", "--report", "page.txt"), "report: expected a file named .html"),
        (("--db", "sqlite:///none.db", "--slo", "fast"), "slo: expected"),
        (("--db", "sqlite:///none.db", "--price", "cheap"), "price: expected"),
        (("--db", "sqlite:///none.db", "--runs", "0"), "runs: expected at least 1, got 0"),
        (("--db", "sqlite:///none.db"), "none.db"),
        (("--config", "own.toml", "--target", "ml"), "own.toml: there is no target 'ml'; it has etl"),
        (("--config", "nosuch.toml"), "nosuch.toml: there is no such file"),
    ],
)
async def test_wrong_usage_is_one_line_and_code_two(arguments, said, tmp_path):
    (tmp_path / "here" / "own.toml").write_text(TARGET)
    result = await audit(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
