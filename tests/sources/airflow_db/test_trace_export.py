"""The past of an Airflow as a trace, from every database and every generation of its schema."""

import json
import sqlite3
from contextlib import closing

import anyio.to_thread
import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.cli.exporting import Database, naming
from autoscaler.sources.airflow_db import fixed
from autoscaler.trace_export import Exporter, Window, anonymous, of_queues
from simulations.trace_file import read_trace
from tests.sources.airflow_db import past
from tests.sources.airflow_db.world import AirflowWorld

pytestmark = pytest.mark.anyio
ZERO = past.T0.timestamp()
WEEK = Window(ZERO - 3600, ZERO + 7 * 86_400)


AIRFLOWS = [
    ("postgres", "2.5"),
    ("postgres", "2.11"),
    ("postgres", "3"),
    ("mariadb", "2.5"),
    ("mariadb", "3"),
    ("sqlite", "2.11"),
    ("sqlite", "3"),
]


@pytest.fixture(scope="session", params=AIRFLOWS, ids="-".join)
def airflow(request, new_database):
    kind, release = request.param
    return AirflowWorld(new_database(kind), release).build()


async def exported(airflow, window=WEEK, **options):
    """(rows by key, tally)."""
    exporter = Exporter(fixed(airflow.url), window, **options)
    try:
        rows = [row async for page in exporter.pages() for row in page]
    finally:
        await exporter.aclose()
    assert len({row.task_key for row in rows}) == len(rows)
    return {row.task_key: row for row in rows}, exporter.tally


@pytest.mark.parametrize("compressed", [False, True])
async def test_what_could_have_started_when(airflow, compressed):
    """Roots at the run's start, children at their parents' earliest ends, retries after their own delay."""
    await past.small_week(airflow, compressed=compressed)
    rows, tally = await exported(airflow)
    one = "diamond/r%3B1"
    earliest = {key: row.queued_at - ZERO for key, row in rows.items()}
    parents = {key: row.parents.split(";") for key, row in rows.items() if row.parents}
    if airflow.release == "2.5":  # the first try is not kept: the second is as late as it was
        assert earliest == {
            f"{one}/start": 0,
            f"{one}/left": 0,
            f"{one}/right#2": 45,
            f"{one}/join": 55,
            "gone/r2/only": 41,
        }
        assert parents.pop(f"{one}/right#2") == [f"{one}/start"]
        assert {row.delay_s for row in rows.values()} == {0.0}
    else:
        assert earliest == {
            f"{one}/start": 0,
            f"{one}/left": 0,
            f"{one}/right": 0,
            f"{one}/right#2": 15,  # five seconds of work, ten of delay
            f"{one}/join": 25,
            "gone/r2/only": 41,
        }
        assert parents.pop(f"{one}/right#2") == [f"{one}/right"]
        assert parents.pop(f"{one}/right") == [f"{one}/start"]
        assert {key: row.delay_s for key, row in rows.items() if row.delay_s} == {f"{one}/right#2": 10}
    assert parents == {f"{one}/left": [f"{one}/start"], f"{one}/join": [f"{one}/left", f"{one}/right#2"]}
    assert [key for key, row in rows.items() if row.slots == 0] == [f"{one}/start"]
    assert rows[f"{one}/start"].wait_s is None
    assert (tally.still_running, tally.off_worker, tally.without_parents) == (1, 1, 1)
    assert tally.pools == {"default_pool": 128}


async def test_what_the_real_system_showed(airflow):
    """Durations, waits for a slot, when the run was announced, and whose work it was."""
    await past.small_week(airflow)
    rows, _ = await exported(airflow)
    join = rows["diamond/r%3B1/join"]
    assert (join.duration_s, join.wait_s, join.priority, join.pool_slots) == (10, 29, 3, 1)
    assert join.started_at - ZERO == 90
    assert (join.dag, join.task, join.group) == ("diamond", "join", "diamond/r%3B1")
    assert (join.run_type, join.announced_at - ZERO) == ("scheduled", -3600)
    only = rows["gone/r2/only"]
    assert (only.queue, only.run_type, only.announced_at - ZERO) == ("big", "manual", 38)


async def test_only_the_window(airflow):
    """A try counts where it started; a parent outside drops out, and its child keeps its instant."""
    await past.small_week(airflow)
    rows, _ = await exported(airflow, Window(ZERO + 45, ZERO + 95))
    assert sorted(rows) == ["diamond/r%3B1/join", "diamond/r%3B1/right#2", "gone/r2/only"]
    assert rows["diamond/r%3B1/join"].parents == "diamond/r%3B1/right#2"
    assert rows["diamond/r%3B1/right#2"].parents == ""


async def test_only_some_queues(airflow):
    """A parent in another queue drops out; its child keeps the instant at which it could start."""
    await past.forget(airflow)
    await past.dag(airflow, "d", {"a": ["b"], "b": []})
    await past.run(airflow, "d", "r", 0, 100)
    await past.task(airflow, "d", "r", "a", (1, 2, 12), queue="big")
    await past.task(airflow, "d", "r", "b", (13, 60, 70))
    rows, _ = await exported(airflow)
    (row,) = of_queues(list(rows.values()), {"default"})
    assert (row.task, row.parents, row.queued_at - ZERO) == ("b", "", 10)
    assert of_queues(list(rows.values()), {"default", "big"}) == list(rows.values())


async def test_names_are_hashed(airflow):
    """With one key two exports agree; another key shows nothing of the first; nothing else changes."""
    await past.small_week(airflow)
    plain, _ = await exported(airflow)
    first, tally = await exported(airflow, names=anonymous(b"k" * 32))
    again, _ = await exported(airflow, names=anonymous(b"k" * 32))
    other, _ = await exported(airflow, names=anonymous(b"q" * 32))
    assert first == again
    assert not set(first) & set(other)
    text = json.dumps([*first.values(), tally.pools])
    for name in ("diamond", "gone", "left", "join", "r2", "default", "big"):
        assert name not in text
    assert sorted(row.queued_at for row in first.values()) == sorted(row.queued_at for row in plain.values())


async def test_executors_of_their_own_are_no_worker(airflow):
    """Tasks of the Kubernetes executor take time but no Celery slot; their children wait for them."""
    if airflow.release == "2.5":
        pytest.skip("a task cannot name its executor before 2.10")
    await past.forget(airflow)
    await past.dag(airflow, "d", {"pod": ["next"], "next": []})
    await past.run(airflow, "d", "r", 0, 100)
    await past.task(airflow, "d", "r", "pod", (1, 2, 50), executor="KubernetesExecutor")
    await past.task(airflow, "d", "r", "next", (51, 60, 70), executor="a.b.CeleryExecutor")
    rows, tally = await exported(airflow)
    pod, following = rows.values()
    assert (pod.slots, pod.duration_s, pod.wait_s, following.slots) == (0, 48, None, 1)
    assert [row.queued_at - ZERO for row in rows.values()] == [0, 48]
    assert following.parents == "d/r/pod"
    assert tally.off_worker == 1


async def test_many_runs_in_small_pages(airflow):
    """Page by page, each run whole, none twice; the progress ends at the total."""
    await past.forget(airflow)
    await past.dag(airflow, "d", {"a": ["b"], "b": []})
    for number in range(8):
        await past.run(airflow, "d", f"r{number}", number, number + 50)
        await past.task(airflow, "d", f"r{number}", "a", (number, number + 1, number + 9))
        await past.task(airflow, "d", f"r{number}", "b", (number + 9, number + 20, number + 30))
    exporter, seen = Exporter(fixed(airflow.url), WEEK, look_runs=3, page_tries=2), []
    pages = [page async for page in exporter.pages(lambda *progress: seen.append(progress))]
    await exporter.aclose()
    assert sum(map(len, pages)) == 16
    assert len(pages) > 2
    assert seen[-1][0] == seen[-1][1]


async def ran(*arguments, **environment):
    """The command, in a thread, because it has an event loop of its own."""
    return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(app, arguments, env=environment))


async def command(url, out, *options):
    return await ran("trace", "export", str(out), *options, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url)


async def test_the_command_writes_what_the_simulator_reads(airflow, tmp_path):
    """From the database to a simulation, through every kind of file."""
    await past.small_week(airflow)
    for name in ("t.parquet", "t.csv", "t.csv.gz"):
        out = tmp_path / name
        options = ["--since", "2026-03-02T05:00", "--until", "2026-03-09T05:00Z", "--json"]
        result = await command(airflow.url, out, *options)
        assert result.exit_code == 0, result.output
        trace = read_trace(out)
        assert json.loads(result.stdout)["tasks"] == len(trace) == (5 if airflow.release == "2.5" else 6)
        assert trace.starts_at == ZERO
        assert len(trace.edge_parent) == (4 if airflow.release == "2.5" else 5)
        assert [each.name for each in tmp_path.iterdir()] == [name]
        out.unlink()


@pytest.mark.parametrize("airflow", [("postgres", "3")], indirect=True, ids="-".join)
async def test_missing_rights_are_named_together(airflow, tmp_path):
    """A user who may read half of the tables learns of the other half at once, and no file is left."""
    await past.small_week(airflow)
    await airflow.execute("CREATE ROLE half LOGIN PASSWORD 'secret'", "GRANT SELECT ON dag_run, job TO half")
    url = make_url(airflow.url).set(username="half", password="secret")
    result = await command(url.render_as_string(hide_password=False), tmp_path / "t.csv", "--since", "900d")
    assert result.exit_code == 1
    told = result.stderr.splitlines()
    for line, table in zip(
        told, ("task_instance", "task_instance_history", "serialized_dag", "slot_pool"), strict=True
    ):
        assert f"GRANT SELECT ON {table} TO half" in line
    assert "secret" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["t.txt"], "t.txt: expected a file named .parquet, .csv or .csv.gz"),
        (
            ["t.csv", "--since", "noon"],
            "--since: expected a time such as 2026-03-01T06:00Z, or 7d or 12h, got noon",
        ),
        (
            ["t.csv", "--since", "999999999d"],
            "--since: expected a time such as 2026-03-01T06:00Z, or 7d or 12h, got 999999999d",
        ),
        (["t.csv", "--since", "1d", "--until", "2d"], "--since 1d is not before --until 2d"),
        (["t.csv", "--key-file", "key"], "--key-file goes with --anonymize"),
        (["t.csv", "--anonymize", "--key-file", "key"], "key: expected a key of at least 16 bytes, got 5"),
        (
            ["t.csv", "--anonymize", "--key-file", "none"],
            "none: the key cannot be read: No such file or directory",
        ),
    ],
)
def test_wrong_usage(arguments, said, tmp_path, monkeypatch):
    """One line, exit code 2, and nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text("short")
    result = CliRunner().invoke(
        app, ["trace", "export", *arguments, "--database-url", "sqlite:///none.db"], env={}
    )
    assert (result.exit_code, result.stderr) == (2, f"autoscaler: {said}\n")
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_no_database_named(tmp_path):
    """It says which options there are."""
    result = CliRunner().invoke(app, ["trace", "export", str(tmp_path / "t.csv")])
    assert result.exit_code == 2
    assert "--database-url-file" in result.stderr


@pytest.mark.parametrize("airflow", [("sqlite", "3")], indirect=True, ids="-".join)
async def test_from_the_database_to_a_simulation(airflow, tmp_path):
    """What is left out is told; the file plays."""
    await past.small_week(airflow)
    (tmp_path / "url").write_text(airflow.url)
    out = str(tmp_path / "week.parquet")
    window = ("--since", "2026-03-02T05:00Z", "--until", "2026-03-09T05:00Z")
    told = await ran("trace", "export", out, "--database-url-file", str(tmp_path / "url"), *window)
    assert told.stdout.splitlines() == [
        f"{out}: 6 task tries of 2 DAG runs",
        "  1 still running: left out, since how long they take is not known yet",
        "  1 ran without a worker (empty tasks, other executors): rows of no slots",
        "  1 of DAGs that are no longer serialized: late arrivals are baked in",
        "  pools (slots): default_pool 128",
    ]
    played = await ran("simulate", out, "--max", "3", "--seed", "1", "--json")
    assert played.exit_code == 0, played.output
    assert json.loads(played.stdout)["tasks"] == 6


CONFIG = """
[airflow]
{key} = "{value}"
celery_executors = ["Mine"]
[targets.default]
cluster = "c"
service = "s"
"""


@pytest.mark.parametrize("airflow", [("sqlite", "3")], indirect=True, ids="-".join)
async def test_the_daemons_own_configuration(airflow, tmp_path, monkeypatch):
    """Its credentials and executors; it outdoes Airflow's variable, and an option outdoes it."""
    await past.small_week(airflow)
    await past.task(airflow, "diamond", "r;1", "mine", (2, 20, 30), executor="Mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "url").write_text(airflow.url)
    own, window = (
        tmp_path / "own.toml",
        ("--since", "2026-03-02T05:00Z", "--until", "2026-03-09T05:00Z", "--json"),
    )
    for key, value in (("database_url", airflow.url), ("database_url_file", "url")):
        own.write_text(CONFIG.format(key=key, value=value))
        result = await command("sqlite:///none.db", "t.csv", "--config", "own.toml", *window)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["off_worker"] == 1
    own.rename("autoscaler.toml")
    result = await ran("trace", "export", "t.csv", *window)
    assert json.loads(result.stdout)["off_worker"] == 1
    result = await ran(
        "trace", "export", "t.csv", "-c", "autoscaler.toml", "--database-url", "sqlite:///none.db"
    )
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "none.db" in result.stderr
    statsd = '[targets.default]\ncluster = "c"\nservice = "s"\nsources = ["statsd"]\n'
    (tmp_path / "autoscaler.toml").write_text(statsd)
    result = await ran("trace", "export", "t.csv")
    assert result.exit_code == 2
    assert "autoscaler.toml: airflow.database_url (or _file, or _secret) is not set" in result.stderr


@pytest.mark.parametrize("airflow", [("sqlite", "3")], indirect=True, ids="-".join)
async def test_a_dag_that_is_not_understood(airflow, tmp_path):
    """It is named with the reason, and its tasks keep their recorded instants."""
    await past.forget(airflow)
    await past.dag(airflow, "odd", {}, document={"dag": {"tasks": [{"task": 1}]}})
    await past.run(airflow, "odd", "r", 0, 50)
    await past.task(airflow, "odd", "r", "a", (5, 20, 30))
    rows, tally = await exported(airflow)
    assert tally.unreadable_dags == {"odd": "no serialized DAG: KeyError 'task_id'"}
    assert [row.queued_at - ZERO for row in rows.values()] == [5]
    told = await command(airflow.url, tmp_path / "t.csv", "--since", "2026-03-02", "--anonymize")
    assert "odd" not in told.stdout
    assert ": its serialized DAG was not understood: no serialized DAG: KeyError" in told.stdout


@pytest.mark.parametrize("airflow", [("sqlite", "3")], indirect=True, ids="-".join)
async def test_nothing_to_export(airflow, tmp_path):
    """An empty window is said, and makes no file; nor does a database that is no Airflow's."""
    await past.small_week(airflow)
    told = await command(airflow.url, tmp_path / "t.csv", "--since", "2020-01-01", "--until", "2020-01-02")
    assert (told.exit_code, told.stderr.count("\n")) == (1, 1)
    assert "not written, since there is no task" in told.stderr
    (tmp_path / "old.db").touch()
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        for table in ("dag_run", "task_instance", "task_instance_history", "serialized_dag", "slot_pool"):
            old.execute(f"CREATE TABLE {table} (id INTEGER)")
    told = await command(f"sqlite:///{tmp_path}/old.db", tmp_path / "t.csv")
    assert (told.exit_code, told.stderr.count("\n")) == (1, 1)
    assert "task_instance has no column hostname" in told.stderr
    told = await command(f"sqlite:///{tmp_path}/none.db", tmp_path / "t.csv")
    assert (told.exit_code, told.stderr.count("\n")) == (1, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["old.db"]


def test_the_url_may_come_from_a_secret():
    """Whichever option is given is meant, also beside Airflow's own variable."""
    database = Database("sqlite:///a.db", None, "arn:secret", None, "--database-url", url_is_typed=False)
    assert database.chosen()[0].__qualname__.startswith("from_secrets_manager")
    assert naming(anonymize=True, key_file=None)("dag", "x") != naming(anonymize=True, key_file=None)(
        "dag", "x"
    )
