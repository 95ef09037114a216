"""Two real daemons on one lease: one acts, the other stands by and takes over."""

import json
import signal
import time
from contextlib import asynccontextmanager

import pytest

from tests.lease.relay import relay
from tests.servers.postgres import PASSWORD
from tests.shell.daemon import running_daemon, until

pytestmark = pytest.mark.anyio

CONFIG = """
mode = "act"
[airflow]
database_url = "{url}"
heartbeat_max_age_seconds = 600
[aws]
endpoint_url = "{ecs}"
[http]
port = 0
[targets.default]
cluster = "demo"
service = "workers"
interval_seconds = 5
read_deadline_seconds = 4
write_deadline_seconds = 2
slots_per_worker = 1
policy = {{name = "mwaa", idle_seconds = 2}}
guards = {{warm_up_seconds = 0}}
[lease]
check_seconds = 0.5
expiry_seconds = 5
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def config(tmp_path, airflow, ecs):
    """Writes the configuration of all daemons."""
    path = tmp_path / "autoscaler.toml"

    def write(lease='kind = "database"', url=airflow.url):
        path.write_text(CONFIG.format(url=url, ecs=ecs.url) + lease)
        return path

    return write


@asynccontextmanager
async def two_daemons(path):
    """The one that leads, and the one that stands by."""
    async with running_daemon(path) as first:
        await until(lambda: first.events("leading"))
        async with running_daemon(path) as second:
            await until(lambda: second.events("standing by"))
            yield first, second


def sizes(ecs):
    return [call.request["desiredCount"] for call in ecs.writes if call.operation == "UpdateService"]


@pytest.mark.parametrize("kind", ["database", "file"])
async def test_a_killed_leader_is_followed(config, tmp_path, airflow, ecs, kind):
    """SIGKILL: the stand-by waits for a write's life, acts, and has another epoch; it never looked before."""
    lease = f'kind = "{kind}"' + (f'\npath = "{tmp_path / "lease"}"' if kind == "file" else "")
    async with two_daemons(config(lease)) as (first, second):
        assert second.decisions == []
        epoch = first.events("leading")[0]["epoch"]
        first.process.kill()
        died_at = time.time()
        await airflow.tasks(3, "queued")
        await until(lambda: second.decisions)
        assert second.decisions[0]["at"] - died_at >= 2 - 0.1
        assert second.events("leading")[0]["epoch"] > epoch
        await second.decided(desired=3)
        assert await second.stop() == 0
    assert sizes(ecs) == [3]


async def test_what_the_leader_was_ordered_holds_for_the_next(config, tmp_path, airflow, ecs):
    """Work for three waits; the stand-by takes no orders, takes over, and writes nothing until resumed."""
    token = "a-token-of-the-test"
    orders = f'[orders]\npath = "{tmp_path}/orders.json"\ntoken = "{token}"\n'
    async with two_daemons(config(f'kind = "database"\n{orders}')) as (first, second):
        code, text = await second.post("/pause", token, {})
        assert (code, "orders are for the daemon that leads" in text) == (409, True)
        assert (await first.post("/pause", token, {"why": "a test"}))[0] == 200
        first.process.kill()
        await airflow.tasks(3, "queued")
        assert (await second.decided(queued=3.0, reason="paused"))["decision"] == "hold"
        assert ecs.writes == []
        assert (await second.post("/resume", token, {}))[0] == 200
        await second.decided(desired=3)
        assert await second.stop() == 0
    assert sizes(ecs) == [3]


async def test_the_pages_and_status_say_who_leads(config, airflow, ecs):
    """Healthy and ready both; the stand-by names the leader, and has no series of any target."""
    async with two_daemons(config()) as (first, second):
        await until(lambda: first.decisions)
        _, text = await second.get("/status")
        leader = first.events("taking over")[0]
        status = json.loads(text)
        assert status["targets"] == {}
        assert (status["lease"]["acts"], status["lease"]["epoch"]) == (False, 0)
        assert status["lease"]["leader"] == second.events("standing by")[0]["leader"] != ""
        for page in ("/healthz", "/readyz"):
            code, text = await second.get(page)
            assert (code, "leads" in text) == (200, True)
            assert await first.get(page) == (200, "ok\n")
        _, metrics = await second.get("/metrics")
        assert "autoscaler_leader 0.0" in metrics
        assert "autoscaler_last_tick_timestamp_seconds{" not in metrics
        _, metrics = await first.get("/metrics")
        assert "autoscaler_leader 1.0" in metrics
        assert f"autoscaler_lease_epoch {float(leader['epoch'])}" in metrics
        assert json.loads((await first.get("/status"))[1])["lease"]["acts"] is True
        assert await first.stop() == 0
        await until(lambda: second.events("leading"))
        assert await second.stop() == 0
    assert PASSWORD not in json.dumps(first.lines + second.lines)


async def test_a_stopped_leader_that_wakes_does_not_write(config, airflow, ecs):
    """SIGSTOP for longer than the lease lasts, then SIGCONT: the other acts, and the first stands by."""
    async with two_daemons(config()) as (first, second):
        await until(lambda: first.decisions)
        first.process.send_signal(signal.SIGSTOP)
        await until(lambda: second.events("leading"))
        await airflow.tasks(2, "queued")
        await second.decided(desired=2)
        second.process.send_signal(signal.SIGSTOP)  # so that nobody but the first could follow the load now
        await airflow.tasks(3, "queued")
        seen = len(first.events("write"))
        first.process.send_signal(signal.SIGCONT)
        await until(lambda: first.events("lease lost"))
        assert sizes(ecs) == [2]
        assert all(line["result"] == "refused" for line in first.events("write")[seen:])
        assert second.process.returncode is None
        second.process.send_signal(signal.SIGCONT)


async def test_a_leader_cut_off_from_the_lease_does_not_write(config, airflow, ecs, server, tmp_path):
    """It still sees load and ECS, and wants to write: the other daemon does, once it leads."""
    folder = str(server.folder.path)
    async with relay(f"{tmp_path}/.s.PGSQL.5432", f"{folder}/.s.PGSQL.5432") as way:
        cut_off = server.url().replace(folder, str(tmp_path))
        async with running_daemon(
            config(f'kind = "database"\nname = "n"\ndatabase_url = "{cut_off}"')
        ) as first:
            await until(lambda: first.decisions)
            async with running_daemon(config('kind = "database"\nname = "n"')) as second:
                await until(lambda: second.events("standing by"))
                way.cut = True
                await airflow.tasks(3, "queued")
                await until(lambda: first.events("lease lost"))
                await until(lambda: second.events("write"))
    assert sizes(ecs) == [3]
    assert all(line["result"] == "refused" for line in first.events("write"))
    assert [line["result"] for line in second.events("write")] == ["applied"]


async def test_a_reload_keeps_the_lease(config, airflow, ecs):
    """SIGHUP to the leader: the same epoch, and the other goes on standing by."""
    path = config()
    async with two_daemons(path) as (first, second):
        await until(lambda: first.decisions)
        path.write_text(path.read_text().replace("idle_seconds = 2", "idle_seconds = 3"))
        first.process.send_signal(signal.SIGHUP)
        await until(lambda: len(first.events("running")) == 2)
        await first.decided(decision="hold")
        assert len(first.events("leading")) == 1
        assert first.events("lease lost") == second.events("leading") == []


async def test_a_database_that_restarts_is_led_again_by_one(config, airflow, ecs, server):
    """All sessions end at once: both stand by while it is away, then one leads."""
    async with two_daemons(config()) as (first, second):
        server.stop()
        await until(lambda: first.events("lease lost") and second.events("no lease"))
        assert (await first.get("/readyz"))[0] == 503
        assert (await first.get("/healthz"))[0] == 200
        server.start()
        await until(lambda: len(first.events("leading")) + len(second.events("leading")) == 2)
        leader = first if len(first.events("leading")) == 2 else second
        await leader.decided(desired=1)
    assert PASSWORD not in json.dumps(first.lines + second.lines)
