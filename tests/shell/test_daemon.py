"""The daemon, unmodified, between a real PostgreSQL with Airflow 3's schema and the loopback ECS."""

import json
import signal

import anyio
import pytest

from autoscaler.demo.ecs import ServiceSpec
from autoscaler.demo.ecs.faults import Fault
from tests.servers.postgres import PASSWORD
from tests.shell.daemon import running_daemon, until

CONFIG = """
mode = "{mode}"
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
interval_seconds = 1
read_deadline_seconds = 0.8
slots_per_worker = 5
policy = {{name = "mwaa", idle_seconds = 2}}
guards = {{warm_up_seconds = 2}}
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def config(tmp_path, airflow, ecs):
    """Writes the configuration; `mode` and extra lines may differ."""
    path = tmp_path / "autoscaler.toml"

    def write(mode="act", more=""):
        path.write_text(CONFIG.format(mode=mode, url=airflow.url, ecs=ecs.url) + more)
        return path

    return write


def sizes(ecs):
    return [call.request["desiredCount"] for call in ecs.writes if call.operation == "UpdateService"]


@pytest.mark.anyio
async def test_the_fleet_follows_the_load_out_and_back(config, airflow, ecs):
    """30 tasks at 5 a worker: six workers at the next tick; two idle seconds: the minimum, in one step."""
    async with running_daemon(config()) as daemon:
        await daemon.decided(queued=0.0, decision="hold")
        await airflow.tasks(30, "queued")
        line = await daemon.decided(decision="out")
        assert (line["workers"], line["reason"], line["queued"]) == (6, "demand", 30)
        await daemon.decided(running=6)
        await airflow.execute("UPDATE task_instance SET state = 'success'")
        line = await daemon.decided(decision="in")
        assert (line["workers"], line["trail"]) == (1, "policy 0 idle > bounds 1 at_minimum (minimum 1)")
        await daemon.decided(desired=1, decision="hold")
        assert await daemon.stop() == 0
    assert sizes(ecs) == [6, 1]
    assert daemon.errors == []
    assert PASSWORD not in json.dumps(daemon.lines)


@pytest.mark.anyio
async def test_observing_names_what_it_would_do_and_writes_nothing(config, airflow, ecs):
    """Mode observe is the default: every line says so, and gives the size and the reason."""
    await airflow.tasks(30, "queued")
    async with running_daemon(config(mode="observe")) as daemon:
        line = await daemon.decided(workers=6)
        assert (line["mode"], line["decision"], line["reason"]) == ("observe", "out", "demand")
        await until(lambda: len(daemon.decisions) > 3)
        _, metrics = await daemon.get("/metrics")
    assert ecs.writes == []
    assert "autoscaler_acting 0.0" in metrics
    assert 'autoscaler_workers_decided{target="default"} 6.0' in metrics
    assert {line["mode"] for line in daemon.lines} == {"observe"}


@pytest.mark.anyio
async def test_a_database_that_goes_and_comes_back_costs_held_ticks_and_no_restart(
    config, airflow, ecs, server
):
    """Stopped while three workers are wanted: nothing is written until it is back, then it goes on."""
    await airflow.tasks(15, "queued")
    async with running_daemon(config()) as daemon:
        await daemon.decided(running=3)
        server.stop()
        line = await daemon.decided(reason="no_data")
        assert line["decision"] == "hold"
        assert PASSWORD not in line["demand_unavailable"]
        await until(lambda: len(daemon.decisions) > 8)
        assert sizes(ecs) == [3]
        server.start()
        await daemon.decided(queued=15.0)
        await airflow.tasks(10, "queued")
        await daemon.decided(decision="out", workers=5)
        assert await daemon.stop() == 0
    assert sizes(ecs) == [3, 5]


@pytest.mark.anyio
async def test_an_ecs_that_goes_and_comes_back_costs_held_ticks_and_no_restart(config, airflow, ecs):
    """Its API answers 500 to everything for a while: no decision is taken on what is not known."""
    async with running_daemon(config()) as daemon:
        await daemon.decided(queued=0.0)
        ecs.faults.inject("DescribeServices", Fault.SERVER_ERROR, times=None)
        await daemon.decided(reason="capacity_unknown")
        await airflow.tasks(30, "queued")
        await until(lambda: len(daemon.decisions) > 6)
        assert sizes(ecs) == []
        ecs.faults.clear()
        await daemon.decided(decision="out", workers=6)
        await until(lambda: sizes(ecs) == [6])


@pytest.mark.anyio
async def test_sighup_reloads_a_valid_configuration_and_refuses_a_bad_one(config, airflow, ecs):
    """A bad file changes nothing; a good one binds at once, and the target remembers what it saw."""
    await airflow.tasks(30, "queued")
    async with running_daemon(config()) as daemon:
        await daemon.decided(running=6)
        path = config(more="max_worker = 4\n")
        daemon.process.send_signal(signal.SIGHUP)
        refused = await until(lambda: daemon.events("reload refused, running on as before"))
        assert "max_worker" in refused[0]["why"]
        await daemon.decided(workers=6)
        path.write_text(path.read_text().replace("max_worker = 4", "max_workers = 8"))
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: daemon.events("reloading"))
        await airflow.tasks(30, "queued")
        assert (await daemon.decided(decision="out"))["workers"] == 8
        start = daemon.events("target started")
        assert len(start) == 2
        _, metrics = await daemon.get("/metrics")
        assert 'autoscaler_reloads_total{result="refused"} 1.0' in metrics
        assert 'autoscaler_reloads_total{result="done"} 1.0' in metrics


@pytest.mark.anyio
async def test_a_reload_that_names_another_service_starts_anew(config, airflow, ecs):
    """Its size is no surprise, and what was known of the service before says nothing about it."""
    async with running_daemon(config()) as daemon:
        await daemon.decided(queued=0.0)
        await airflow.tasks(30, "queued")
        await daemon.decided(running=6)
        path = config()
        path.write_text(path.read_text().replace('"workers"', '"others"'))
        ecs.world.add_service(ServiceSpec(name="others", desired=3, launch_seconds=0.1))
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: daemon.events("reloading"))
        line = await daemon.decided(desired=3)
        assert (line["reason"], line["workers"]) == ("demand", 6)


@pytest.mark.anyio
async def test_a_stop_overtakes_a_storm_of_reloads(config, airflow, ecs):
    """Reloads asked for together are one, so that an end does not wait for sixty of them."""
    async with running_daemon(config()) as daemon:
        await daemon.decided(queued=0.0)
        for _ in range(60):
            daemon.process.send_signal(signal.SIGHUP)
            await anyio.sleep(0.01)  # or the kernel makes one signal of them
        assert await daemon.stop() == 0
    assert 0 < len(daemon.events("reloading")) < 60


@pytest.mark.anyio
async def test_a_reload_asked_for_during_the_start_waits_for_its_end(config, airflow, ecs):
    """Before the daemon listens, SIGHUP would end it."""
    async with running_daemon(config()) as daemon:
        await until(lambda: daemon.minds(signal.SIGHUP))
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: daemon.events("reloading"))


@pytest.mark.anyio
async def test_the_pages_tell_health_status_and_decisions(config, airflow, ecs):
    """Ready after the first decision; each page answers, and a wrong question gets a plain answer."""
    async with running_daemon(config()) as daemon:
        await daemon.decided(queued=0.0)
        assert await daemon.get("/healthz") == (200, "ok\n")
        assert await daemon.get("/readyz") == (200, "ok\n")
        _, status = await daemon.get("/status")
        assert json.loads(status)["targets"]["default"]["healthy"] is True
        _, records = await daemon.get("/decisions?limit=2")
        assert json.loads(records.splitlines()[-1])["kind"] == "decision"
        assert (await daemon.get("/decisions?target=nobody"))[0] == 404
        assert (await daemon.get("/decisions?limit=many"))[0] == 400


@pytest.mark.anyio
async def test_a_port_in_use_ends_with_one_line_and_code_2(config, airflow, ecs):
    """The message names the setting."""
    taken = ecs.url.rpartition(":")[2]
    path = config()
    path.write_text(path.read_text().replace("port = 0", f"port = {taken}"))
    async with running_daemon(path) as daemon:
        with anyio.fail_after(20):
            assert await daemon.process.wait() == 2
    assert daemon.errors == [
        f"autoscaler: http.host = 127.0.0.1, http.port = {taken}: cannot listen: Address already in use"
    ]


@pytest.mark.anyio
async def test_a_pause_holds_over_a_restart_until_it_is_resumed(config, airflow, ecs, tmp_path):
    """Work for six waits all the while; the daemon is killed on the way, and the token is in no line."""
    token = "a-token-of-the-test"
    more = f'[orders]\npath = "{tmp_path}/orders.json"\ntoken = "{token}"\n'
    async with running_daemon(config(more=more)) as daemon:
        await daemon.decided(queued=0.0)
        assert (await daemon.post("/pause", token, {"why": "a test"}))[0] == 200
        await daemon.decided(reason="paused")
        await airflow.tasks(30, "queued")
        assert (await daemon.decided(queued=30.0, reason="paused"))["decision"] == "hold"
        assert (await daemon.get("/healthz"))[0] == 200
    async with running_daemon(config(more=more)) as again:
        line = await again.decided(queued=30.0, reason="paused")
        assert (line["reason"], line["ordered"]) == (
            "paused",
            ["paused, out and in, until it is resumed: a test"],
        )
        assert ecs.writes == []
        assert (await again.post("/resume", token, {}))[0] == 200
        assert (await again.decided(decision="out"))["workers"] == 6
        assert await again.stop() == 0
    assert sizes(ecs) == [6]
    assert token not in json.dumps([daemon.lines, again.lines, daemon.errors, again.errors])


@pytest.mark.anyio
async def test_orders_that_cannot_be_read_hold_everything_until_they_can(config, airflow, ecs, tmp_path):
    """A pause may have been in there; nobody restarts anything."""
    file = tmp_path / "orders.json"
    file.write_text("{")
    await airflow.tasks(30, "queued")
    async with running_daemon(config(more=f'[orders]\npath = "{file}"\n')) as daemon:
        line = await daemon.decided(queued=30.0, reason="paused")
        assert line["decision"] == "hold"
        assert (
            "orders.json: not JSON; mend it, or, if nothing is ordered, remove it and restart"
            in line["trail"]
        )
        assert (await daemon.get("/healthz"))[0] == 200
        file.write_text('{"v": 1, "targets": {}}')
        await daemon.decided(running=6)
    assert sizes(ecs) == [6]
