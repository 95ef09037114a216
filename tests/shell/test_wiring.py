"""From settings to running parts: each source and mode, and what cannot be put to work."""

import socket
from time import time

import anyio
import pytest

from autoscaler.configuration import load
from autoscaler.controllers import controller_of
from autoscaler.core.drain import Caution
from autoscaler.core.guards import Cooldown, Rate, RateRule, Stabilization, Tolerance
from autoscaler.fleets.dry_run import DryRun
from autoscaler.fleets.ecs import EcsFleet
from autoscaler.ports import SourceError
from autoscaler.wiring import WiringError, wired

TARGET = '[targets.default]\ncluster = "c"\nservice = "s"\n'
DATABASE = '[airflow]\ndatabase_url = "sqlite:////no/such/airflow.db"\n'


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def aws(monkeypatch, tmp_path):
    """Credentials of no worth, and nothing of the machine's own configuration."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALOOPBACK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def settings(tmp_path):
    """Reads a configuration; the region is set unless it is given."""

    def read(text):
        path = tmp_path / "autoscaler.toml"
        path.write_text(text if "[aws]" in text else f'{text}[aws]\nregion = "us-east-1"\n')
        return load(path, {})

    return read


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.anyio
async def test_observing_wraps_the_fleet_and_acting_does_not(settings):
    """The mode is in the parts, not in anybody's memory."""
    async with wired(settings(DATABASE + TARGET), time) as parts:
        assert isinstance(parts.ports["default"].fleet, DryRun)
        assert parts.ports["default"].witness is not None
        assert parts.gauges == {}
    async with wired(settings('mode = "act"\n' + DATABASE + TARGET), time) as parts:
        assert isinstance(parts.ports["default"].fleet, EcsFleet)


@pytest.mark.anyio
async def test_statsd_alone_feeds_a_target_and_its_counters_are_metrics(settings):
    """Airflow's packets over a real socket become demand; without a database there is no witness."""
    port = free_port()
    text = f'{TARGET}sources = ["statsd"]\n[statsd]\nport = {port}\nheartbeat_max_age_seconds = 1\n'
    async with wired(settings(text), time) as parts:
        ports = parts.ports["default"]
        assert ports.witness is None
        with pytest.raises(SourceError, match="statsd"):
            await ports.source.demand()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as airflow:
            for packet in (
                b"airflow.scheduler_heartbeat:1|c",
                b"airflow.executor.queued_tasks:3|g",
                b"airflow.executor.running_tasks:4|g",
            ):
                airflow.sendto(packet, ("127.0.0.1", port))
        with anyio.fail_after(60):
            while parts.gauges["statsd_packets"]() < 3:  # noqa: ASYNC110 - a socket tells nobody
                await anyio.sleep(0.01)
        demand = await ports.source.demand()
        assert (demand.load, demand.source) == (7, "statsd")
        assert {name: value() for name, value in parts.gauges.items()} == {
            "statsd_packets": 3,
            "statsd_malformed": 0,
            "statsd_senders": 1,
            "statsd_relayed": 0,
            "statsd_relay_errors": 0,
        }


@pytest.mark.anyio
async def test_the_next_source_is_asked_when_the_first_fails_and_each_reason_is_told(settings, tmp_path):
    """Database from a file that names none, then CloudWatch that does not answer."""
    url = tmp_path / "url"
    url.write_text("sqlite:////no/such/airflow.db")
    text = (
        f'[airflow]\ndatabase_url_file = "{url}"\n{TARGET}sources = ["airflow_db", "cloudwatch"]\n'
        'read_deadline_seconds = 2\n[cloudwatch]\nenvironment = "prod"\n'
        '[aws]\nregion = "us-east-1"\nendpoint_url = "http://127.0.0.1:1"\n'
    )
    async with wired(settings(text), time) as parts:
        with pytest.raises(SourceError) as caught:
            await parts.ports["default"].source.demand()
    assert "airflow_db: " in str(caught.value)
    assert "cloudwatch: " in str(caught.value)


@pytest.mark.parametrize(
    "cloudwatch",
    [
        'environment = "prod"\nnamespace = "AWS/MWAA"\n',
        'queued = {namespace = "N", name = "q"}\nrunning = {namespace = "N", name = "r"}\n',
    ],
)
@pytest.mark.anyio
async def test_both_of_mwaas_pairs_and_ones_own_metrics_can_be_had(settings, cloudwatch):
    """They are made without asking AWS for anything."""
    text = f'{TARGET}sources = ["cloudwatch"]\n[cloudwatch]\n{cloudwatch}'
    async with wired(settings(text), time) as parts:
        assert parts.ports["default"].witness is None


@pytest.mark.anyio
async def test_a_database_url_in_secrets_manager_is_read_when_it_is_needed(settings):
    """Not at the start: a secret that cannot be read costs a hold."""
    text = f'[airflow]\ndatabase_url_secret = "airflow/url"\n{TARGET}'
    endpoint = '[aws]\nregion = "us-east-1"\nendpoint_url = "http://127.0.0.1:1"\n'
    async with wired(settings(text + endpoint), time) as parts:
        with pytest.raises(SourceError, match="airflow/url"):
            await parts.ports["default"].source.demand()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DATABASE + TARGET + "[aws]\n", "aws.region"),
        (TARGET + 'sources = ["statsd"]\n[statsd]\nport = {taken}\n', "statsd.port = {taken}"),
        (TARGET + 'sources = ["statsd"]\n[statsd]\nport = 0\nrelay = "nowhere"\n', "nowhere"),
    ],
)
@pytest.mark.anyio
async def test_what_cannot_be_put_to_work_names_its_setting(settings, text, message):
    """One line, before anything runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with pytest.raises(WiringError, match=message.format(taken=taken)):
            async with wired(settings(text.format(taken=taken)), time):
                pass


def test_only_guards_that_limit_something_are_in_the_chain(settings):
    """The default is MWAA's behaviour: bounds and warm-up."""
    plain = controller_of(settings(DATABASE + TARGET).targets["default"], settings(DATABASE + TARGET))
    assert plain.guards.tolerance is plain.guards.stabilization is plain.guards.rate is None
    assert plain.observing
    guards = (
        "[targets.default.guards]\ntolerance_in_share = 0.1\nstabilization_in_seconds = 300\n"
        "cooldown_out_seconds = 30\nrate_out = {rules = [{value = 4, period_seconds = 60}]}\n"
    )
    full = settings('mode = "act"\n' + DATABASE + TARGET + guards)
    chain = controller_of(full.targets["default"], full).guards
    assert chain.tolerance == Tolerance(0.0, 0.1)
    assert chain.stabilization == Stabilization(0.0, 300.0)
    assert chain.cooldown == Cooldown(30.0, 0.0)
    assert chain.rate is not None
    assert chain.rate.outward == Rate((RateRule(4, 60),))


REMOVAL = TARGET + 'removal = {mode = "idle"}\nqueues = ["etl"]\n'
BROKER = '[celery]\nbroker_url = "redis://:hunter2@broker.internal:6379/0"\n'


@pytest.mark.anyio
async def test_workers_are_told_only_where_the_daemon_acts_and_a_removal_wants_it(settings):
    """Observing tells nobody anything, and neither does the careful way in."""
    text = REMOVAL + DATABASE + BROKER
    async with wired(settings('mode = "act"\n' + text), time) as parts:
        assert parts.ports["default"].intake.queues == {"etl"}
    careful = TARGET + 'removal = {mode = "careful"}\n'
    for quiet in (text, 'mode = "act"\n' + careful + DATABASE + BROKER):
        async with wired(settings(quiet), time) as parts:
            assert parts.ports["default"].intake is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("broker", "why"),
    [
        ('broker_url = "sqs://key:hunter2@"', "celery: an SQS broker has no remote control"),
        ('broker_url_file = "/no/such/file"', "celery: the broker URL file /no/such/file cannot be read"),
    ],
)
async def test_a_broker_that_cannot_be_used_is_named_without_its_secrets(settings, broker, why):
    with pytest.raises(WiringError, match=why) as caught:
        async with wired(settings(f'mode = "act"\n{REMOVAL}{DATABASE}[celery]\n{broker}\n'), time):
            pytest.fail("wired")
    assert "hunter2" not in str(caught.value)


def test_a_broker_is_used_unless_somebody_says_otherwise(settings):
    """Nobody names one for nothing; without it, or without a database, ECS picks."""

    def way_in(text):
        loaded = settings(text)
        return controller_of(loaded.targets["default"], loaded).way_in

    statsd = TARGET + 'sources = ["statsd"]\n'
    assert way_in(DATABASE + BROKER + TARGET) == way_in(
        DATABASE + BROKER + TARGET + 'removal = {mode = "idle"}\n'
    )
    for text in (DATABASE + TARGET, "statsd = {}\n" + BROKER + statsd):
        assert isinstance(way_in(text), Caution)


def test_the_way_in_is_as_configured(settings):
    text = DATABASE + BROKER + TARGET + 'protection_minutes = 30\nremoval = {mode = "gather", kills = true}\n'
    loaded = settings(text)
    way_in = controller_of(loaded.targets["default"], loaded).way_in
    assert (way_in.consolidates, way_in.patience.kills, way_in.protection_seconds) == (True, True, 1800)
