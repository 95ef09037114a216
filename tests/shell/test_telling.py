"""What the daemon tells: lines, records, metrics, pages."""

import io
import json
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.core import record
from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.explain import print_status
from autoscaler.metrics import TABLE
from autoscaler.pages import application, status
from autoscaler.ports import Tick
from autoscaler.records import RecentRecords, opened_records
from autoscaler.telemetry import Telemetry, configure_logging
from policies.model import Applied, Capacity, Demand, Observation, Refused, Unavailable, Unknown
from policies.mwaa import Mwaa

CONTROLLER = Controller(Mwaa(5), GuardChain(Bounds(1, 10)), Watch(5, 10, parallelism=1))
FLEET = Capacity(2, 0, 2)


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Daemon:
    """Telemetry with a clock moved by hand, one target, and what it printed."""

    def __init__(self, log_format="json", sink=None):
        self.now, self.printed = 1000.0, io.StringIO()
        configure_logging(log_format, self.printed)
        self.telemetry = Telemetry(lambda: self.now)
        self.telemetry.begin("act", "c0ffee", ["etl"], sink)
        self.state, memory_type = CONTROLLER.initial(), CONTROLLER.policy.memory_type
        config = {"max_workers": 10}
        self.telemetry.started("etl", config, self.state, memory_type, late_seconds=20, kept=3)

    def sees(self, demand, capacity=FLEET):
        observation = Observation(self.now, demand, capacity)
        self.state, decision = CONTROLLER.step(self.state, observation)
        self.telemetry.decided(Tick("etl", observation, decision, 0.02))
        return decision

    def lines(self):
        return [json.loads(line) for line in self.printed.getvalue().splitlines()]

    def metrics(self):
        text = generate_latest(self.telemetry.registry).decode()
        return {
            line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in text.splitlines() if line[0] != "#"
        }

    async def get(self, path):
        transport = httpx.ASGITransport(application(self.telemetry))
        async with httpx.AsyncClient(transport=transport, base_url="http://daemon") as client:
            return await client.get(path)


def test_one_decision_is_one_line_one_record_and_one_metrics_update():
    """The line carries the record, which decodes and replays; the metrics say the same."""
    sink = io.StringIO()
    daemon = Daemon(sink=sink)
    daemon.sees(Demand(30, 0, 1000.0, source="airflow_db", schedulers=1))
    start, line = daemon.lines()
    assert (start["event"], line["event"], line["mode"]) == ("target started", "decision", "act")
    assert (line["decision"], line["workers"], line["reason"]) == ("out", 6, "demand")
    assert "parallelism_too_low" in line["alarms"]
    records = [record.decode(text, CONTROLLER.policy.memory_type) for text in sink.getvalue().splitlines()]
    assert list(record.replay(CONTROLLER, records)) == []
    assert json.loads(sink.getvalue().splitlines()[1]) == line["record"]
    metrics = daemon.metrics()
    assert metrics['autoscaler_workers_decided{target="etl"}'] == "6.0"
    assert metrics['autoscaler_decisions_total{direction="out",target="etl"}'] == "1.0"
    assert metrics['autoscaler_alarm{kind="parallelism_too_low",target="etl"}'] == "1.0"
    assert metrics['autoscaler_alarm{kind="deaf_workers",target="etl"}'] == "0.0"


def test_what_is_unknown_is_told_as_unknown():
    """NaN in the metrics, never zero."""
    daemon = Daemon()
    daemon.sees(Unavailable("connection refused"), Unavailable("AccessDenied"))
    line = daemon.lines()[-1]
    assert (line["demand_unavailable"], line["capacity_unavailable"]) == (
        "connection refused",
        "AccessDenied",
    )
    metrics = daemon.metrics()
    assert metrics['autoscaler_demand_queued{target="etl"}'] == "NaN"
    assert metrics['autoscaler_workers_decided{target="etl"}'] == "NaN"
    assert metrics['autoscaler_demand_credible{target="etl"}'] == "0.0"


def test_a_load_that_was_read_and_not_believed_is_unknown():
    """Measured too long ago: the controller holds for want of data, and so the metrics say."""
    daemon = Daemon()
    daemon.sees(Demand(30, 0, 400.0, source="cloudwatch"))
    metrics = daemon.metrics()
    assert metrics['autoscaler_demand_credible{target="etl"}'] == "0.0"
    assert metrics['autoscaler_demand_queued{target="etl"}'] == "NaN"
    assert not [name for name in metrics if name.startswith("autoscaler_readings_total")]


@pytest.mark.parametrize(
    ("outcome", "level", "result"),
    [
        (Applied(6), "info", "applied"),
        (Refused(6, "throttled"), "warning", "refused"),
        (Unknown(6, "no answer"), "warning", "unknown"),
    ],
)
def test_a_write_is_told_with_its_result(outcome, level, result):
    """Counted from zero, so that the first one is an increase."""
    daemon = Daemon()
    name = f'autoscaler_writes_total{{result="{result}",target="etl"}}'
    assert daemon.metrics()[name] == "0.0"
    daemon.telemetry.wrote("etl", outcome, 0.1)
    assert daemon.metrics()[name] == "1.0"
    assert (daemon.lines()[-1]["level"], daemon.lines()[-1]["result"]) == (level, result)


def test_skipped_ticks_and_defects_are_counted_and_told():
    """Neither is silent."""
    daemon = Daemon()
    daemon.telemetry.skipped("etl", 2)
    daemon.telemetry.failed("etl", "the step failed")
    assert daemon.metrics()['autoscaler_ticks_skipped_total{target="etl"}'] == "2.0"
    assert [line["event"] for line in daemon.lines()[1:]] == ["ticks skipped", "defect"]


def test_the_series_of_a_target_that_is_gone_end():
    """It would look like one that no longer ticks."""
    daemon = Daemon()
    daemon.sees(Demand(0, 0, 1000.0))
    daemon.telemetry.begin("act", "decaf", ["other"], None)
    assert not [name for name in daemon.metrics() if 'target="etl"' in name]
    assert {row.kind.__name__ for row in TABLE} == {"Gauge", "Counter", "Histogram"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_costs_records_and_not_the_daemon():
    """Told once, not with every decision; neither a decision nor closing the file raises."""
    with opened_records("/dev/full") as sink:
        daemon = Daemon(sink=sink)
        daemon.sees(Demand(30, 0, 1000.0))
        daemon.sees(Demand(30, 0, 1000.0))
    lost = [line for line in daemon.lines() if line["event"] == "records are not written"]
    assert [line["why"] for line in lost] == ["No space left on device"]
    assert len(daemon.telemetry.targets["etl"].records) == 3


def test_a_person_reads_lines_without_records():
    """The console form is for eyes."""
    daemon = Daemon("console")
    daemon.sees(Demand(30, 0, 1000.0))
    assert "decision" in daemon.printed.getvalue()
    assert "config_hash=c0ffee" in daemon.printed.getvalue()
    assert '"observation"' not in daemon.printed.getvalue()


@pytest.mark.anyio
async def test_health_is_the_loop_having_ticked_lately():
    """Three intervals and deadlines without a tick: 503 with the target's name."""
    daemon = Daemon()
    assert (await daemon.get("/healthz")).status_code == 200
    assert (await daemon.get("/readyz")).text == "no decision yet: etl\n"
    daemon.sees(Demand(0, 0, 1000.0))
    assert (await daemon.get("/readyz")).status_code == 200
    daemon.now += 61
    late = await daemon.get("/healthz")
    assert (late.status_code, late.text) == (503, "etl last ticked 61 s ago\n")
    daemon.telemetry.begin("act", "", [], None)
    assert (await daemon.get("/healthz")).text == "no target runs\n"
    assert (await daemon.get("/readyz")).status_code == 503


@pytest.mark.anyio
async def test_decisions_are_bounded_and_asked_for_by_target():
    """Only the newest are kept; a wrong question gets a plain answer."""
    daemon = Daemon()
    for _ in range(5):
        daemon.now += 10
        daemon.sees(Demand(0, 0, daemon.now))
    lines = (await daemon.get("/decisions?target=etl&limit=100")).text.splitlines()
    assert [json.loads(line)["at"] for line in lines] == [1030, 1040, 1050]
    assert len((await daemon.get("/decisions?limit=2")).text.splitlines()) == 2
    assert (await daemon.get("/decisions?limit=0")).text == ""
    assert (await daemon.get("/decisions?limit=x")).status_code == 400
    assert (await daemon.get("/decisions?target=nobody")).status_code == 404
    assert b"autoscaler_acting 1.0" in (await daemon.get("/metrics")).content
    assert (await daemon.get("/status")).json()["targets"]["etl"]["healthy"] is True


def test_records_are_kept_by_number_and_by_size():
    """A thousand workers listed every tick must not fill the memory; the newest record always stays."""
    recent = RecentRecords(count=4, size=100)
    for size in (10, 10, 10, 10, 10):
        recent.append("x" * size)
    assert [len(line) for line in recent.newest(9)] == [10, 10, 10, 10]
    recent.append("y" * 75)
    assert [len(line) for line in recent.newest(9)] == [10, 10, 75]
    recent.append("z" * 500)
    assert [len(line) for line in recent.newest(9)] == [500]
    recent.append("x" * 10)
    assert [len(line) for line in recent.newest(9)] == [10]


def test_status_is_a_table_for_people(capsys):
    """Unknown is a word, an alarm a line of its own."""
    daemon = Daemon()
    print_status(status(daemon.telemetry), as_json=False)
    assert "starting" in capsys.readouterr().out
    daemon.sees(Unavailable("refused"))
    daemon.now += 1
    daemon.sees(Demand(30, 2, daemon.now, phantoms=3, schedulers=1))
    print_status(status(daemon.telemetry), as_json=False)
    shown = capsys.readouterr().out
    assert "mode act" in shown
    assert "alarm etl phantom_tasks" in shown
    print_status(status(daemon.telemetry), as_json=True)
    assert json.loads(capsys.readouterr().out)["mode"] == "act"


def test_the_logging_is_chosen_by_the_terminal():
    """A pipe gets JSON."""
    assert json.loads(CliRunner().invoke(app, ["config", "schema"]).stdout)["type"] == "object"
    daemon = Daemon("auto")
    daemon.sees(Demand(1, 0, 1000.0))
    assert daemon.lines()
