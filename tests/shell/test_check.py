"""`autoscaler check` as a user runs it: each thing that would keep the daemon from its work is named."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import anyio
import pytest

from autoscaler.checks import cloudwatch_findings, lease_findings, orders_findings
from autoscaler.demo.ecs import ServiceSpec, running_ecs
from autoscaler.findings import Finding
from autoscaler.lease.file import FileLease
from autoscaler.settings import Settings
from tests.servers.postgres import PASSWORD
from tests.shell.daemon import AWS, environment

CONFIG = """
[airflow]
database_url = "{url}"
parallelism = {parallelism}
[aws]
endpoint_url = "{ecs}"
[targets.default]
cluster = "demo"
service = "workers"
slots_per_worker = 16
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def check(tmp_path):
    """Runs the command; gives its exit code and what it wants mended."""

    async def run(url, ecs, parallelism=200):
        path = tmp_path / "autoscaler.toml"
        path.write_text(CONFIG.format(url=url, ecs=ecs.url, parallelism=parallelism))
        command = [sys.executable, "-m", "autoscaler", "check", "--config", str(path), "--json"]
        done = await anyio.run_process(command, env=environment(), check=False, stderr=subprocess.STDOUT)
        text = done.stdout.decode()
        assert PASSWORD not in text
        wrong = [f"{each['what']} -> {each['remedy']}" for each in json.loads(text) if not each["ok"]]
        return done.returncode, wrong

    return run


@pytest.mark.anyio
async def test_a_sound_installation_has_nothing_to_mend(check, airflow):
    """Exit code 0."""
    async with running_ecs(ServiceSpec(desired=1)) as ecs:
        assert await check(airflow.url, ecs) == (0, [])
        assert ecs.writes == []


@pytest.mark.anyio
async def test_everything_wrong_with_the_service_is_found_at_once(check, airflow):
    """A missing action, a scaling conflict, zone rebalancing, and slots that contradict the workers."""
    spec = ServiceSpec(
        desired=1, zone_rebalancing=True, worker_environment={"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}
    )
    async with running_ecs(spec) as ecs:
        ecs.scalable_targets.register()
        ecs.faults.denied.add("ecs:UpdateTaskProtection")
        code, wrong = await check(airflow.url, ecs)
    text = "\n".join(wrong)
    assert code == 1
    for part in ("ecs:UpdateTaskProtection", "Application Auto Scaling", "rebalancing", "runs 4 tasks"):
        assert part in text, text
    assert len(wrong) == 4


@pytest.mark.anyio
async def test_slots_and_parallelism_are_held_against_what_airflow_does(check, airflow):
    """20 tasks on one host contradict 16 slots; parallelism 32 cannot fill ten workers."""
    await airflow.tasks(20, "running", host="worker-1")
    async with running_ecs(ServiceSpec(desired=1)) as ecs:
        code, wrong = await check(airflow.url, ecs, parallelism=32)
    assert code == 1
    assert "worker-1" in wrong[0]
    assert "parallelism" in wrong[1]
    assert len(wrong) == 2


@pytest.mark.anyio
async def test_the_leases_leader_is_told_and_nothing_taken(tmp_path):
    """Whatever the mode: before one acts one wants to know."""
    target = '[targets.default]\ncluster = "c"\nservice = "s"\nsources = ["statsd"]\n'
    path = tmp_path / "lease"

    async def findings(at):
        text = f'{target}[lease]\nkind = "file"\npath = "{at}"\n'
        return await lease_findings(Settings.model_validate(tomllib.loads(text)))

    assert await findings(path) == [Finding(True, "file: nobody leads now")]
    assert not path.exists()
    lease = FileLease(str(path), "host-a")
    await lease.acquire()
    assert await findings(path) == [Finding(True, "file: host-a leads now")]
    await lease.release()
    wrong = await findings(tmp_path / "none" / "lease")
    assert [(each.ok, each.remedy) for each in wrong] == [
        (False, "check that the folder exists and may be written to")
    ]
    assert await lease_findings(Settings.model_validate(tomllib.loads(target))) == []


@pytest.mark.anyio
async def test_a_place_for_orders_is_looked_at_and_not_made(tmp_path):
    """A missing folder, a missing token file; without a token there is advice."""
    target = '[airflow]\ndatabase_url = "sqlite:////db"\n[targets.etl]\ncluster = "c"\nservice = "s"\n'

    async def findings(orders):
        return await orders_findings(Settings.model_validate(tomllib.loads(orders + target)))

    place = f'[orders]\npath = "{tmp_path}/orders.json"\n'
    assert await findings("") == []
    advice = "set orders.token (or token_file): without one nobody can give any (advice)"
    assert await findings(place) == [Finding(True, "orders can be kept", advice)]
    assert await findings(f'{place}token = "a-token-of-the-test"\n') == [Finding(True, "orders can be kept")]
    (unread,) = await findings(f'{place}token_file = "{tmp_path}/token"\n')
    assert (unread.ok, "token: cannot be read: No such file" in unread.what) == (False, True)
    (missing,) = await findings(f'[orders]\npath = "{tmp_path}/none/orders.json"\n')
    assert (missing.ok, "its folder is missing" in missing.what) == (False, True)
    (broken,) = await findings(
        '[orders]\ntable = "t"\n[aws]\nregion = "x"\nendpoint_url = "http://127.0.0.1:1"\n'
    )
    assert (broken.ok, broken.what.startswith("orders.table = t: ")) == (False, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.anyio
async def test_each_trouble_of_the_database_is_named(check, airflow, server):
    """A closed port, a wrong password, a missing grant, a silent scheduler, a replica."""
    user = "CREATE ROLE half LOGIN PASSWORD 'half'"
    await airflow.execute(user, "GRANT SELECT ON job TO half")
    async with running_ecs(ServiceSpec(desired=1)) as ecs:
        for url, expected in (
            ("postgresql://airflow:x@127.0.0.1:1/airflow", "127.0.0.1"),
            (server.url(user="half", password="wrong"), "password"),
            (server.url(user="half", password="half"), "GRANT SELECT ON task_instance"),
        ):
            code, wrong = await check(url, ecs)
            assert code == 1
            assert expected in wrong[0], wrong
        await airflow.no_schedulers()
        await airflow.scheduler(heartbeat_ago=600)
        _, wrong = await check(airflow.url, ecs)
        assert "scheduler" in wrong[0], wrong
        with server.standby() as replica:
            _, wrong = await check(replica.url(), ecs)
        assert "replica" in wrong[0] or "recovery" in wrong[0], wrong


def test_check_without_any_configuration_says_what_is_missing(tmp_path):
    """Exit code 2, and the way to an example."""
    command = [sys.executable, "-m", "autoscaler", "check"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AUTOSCALER_")}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "targets is missing" in done.stderr


def test_a_policy_of_the_working_directory_is_found_and_stands_in_for_nothing(tmp_path):
    """As `simulate` finds it; a file there by the name of another module shadows none."""
    (tmp_path / "calm.py").write_text("from policies.mwaa import Mwaa as Calm\n")
    (tmp_path / "sqlite3.py").write_text("raise RuntimeError('shadowed')\n")
    settings = CONFIG.format(url="sqlite:////nowhere/airflow.db", ecs="http://127.0.0.1:9", parallelism=1)
    (tmp_path / "autoscaler.toml").write_text(settings + 'policy = {name = "calm:Calm"}\n')
    command = [str(Path(sys.executable).with_name("autoscaler")), "check"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert "valid, mode observe" in done.stdout, done.stderr
    assert "the file cannot be opened" in done.stdout


@pytest.mark.anyio
async def test_cloudwatch_is_asked_where_a_target_reads_it(monkeypatch):
    """A missing grant or a wrong environment shows here, and not first in the daemon's log."""
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    target = {"cluster": "c", "service": "s"}
    cloudwatch = {"environment": "prod"}
    aws = {"endpoint_url": "http://127.0.0.1:9"}
    reads = Settings(targets={"t": target | {"sources": ["cloudwatch"]}}, cloudwatch=cloudwatch, aws=aws)
    (finding,) = await cloudwatch_findings(reads)
    assert not finding.ok
    assert "GetMetricData brought no usable answer" in finding.what
    assert finding.remedy == "check the network, the region and the credentials"
    airflow = {"database_url": "sqlite:////nowhere/airflow.db"}
    assert await cloudwatch_findings(Settings(targets={"t": target}, airflow=airflow, aws=aws)) == []
