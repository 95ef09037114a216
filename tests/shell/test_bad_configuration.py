"""Every way to get the configuration wrong, with the line that the user reads."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.configuration import ConfigurationError, fingerprint, load, public
from autoscaler.settings import Mode
from policies import catalog
from policies.mwaa import Mwaa

DATABASE = '[airflow]\ndatabase_url = "postgresql://reader:hunter2@db/airflow"\n'
TARGET = '[targets.default]\ncluster = "c"\nservice = "s"\n'

BAD = [
    ("", {}, "autoscaler.toml: targets is missing: it is required"),
    ("[[[", {}, "autoscaler.toml: not TOML: Invalid initial character for a key part (at line 1, column 3)"),
    (
        "[targets.default]\nmax_workers = " + "9" * 5000,
        {},
        "autoscaler.toml: not a configuration: a number of thousands of digits, or tables nested without end",
    ),
    (
        "a = " + "[" * 3000,
        {},
        "autoscaler.toml: not a configuration: a number of thousands of digits, or tables nested without end",
    ),
    (
        DATABASE + TARGET + '[targets."a\\u001b[2J"]\ncluster = "c"\nservice = "t"\n',
        {},
        "autoscaler.toml: targets.a\\x1b[2J = 'a\\x1b[2J': it should have no control or invisible characters",
    ),
    (
        DATABASE + TARGET + '[http]\nhost = "a\\u0000b"\n',
        {},
        "autoscaler.toml: http.host = 'a\\x00b': it should have no control or invisible characters",
    ),
    ("mode = 'act'", {}, "autoscaler.toml: targets is missing: it is required"),
    (
        TARGET,
        {},
        "autoscaler.toml: targets.default reads airflow_db, but airflow.database_url (or _file, or _secret) is not set",
    ),
    (DATABASE, {}, "autoscaler.toml: targets is missing: it is required"),
    (DATABASE + "[targets]\n", {}, "autoscaler.toml: targets = {}: it should have at least one entry"),
    (
        DATABASE + TARGET + "max_workers = -1\n",
        {},
        "autoscaler.toml: targets.default.max_workers = -1: input should be greater than or equal to 0",
    ),
    (
        DATABASE + TARGET + "max_workers = 2.5\n",
        {},
        "autoscaler.toml: targets.default.max_workers = 2.5: input should be a valid integer, got a number with a fractional part",
    ),
    (
        DATABASE + TARGET + "max_workers = 'ten'\n",
        {},
        "autoscaler.toml: targets.default.max_workers = 'ten': input should be a valid integer, unable to parse string as an integer",
    ),
    (
        DATABASE + TARGET + "min_workers = 20\n max_workers = 3\n",
        {},
        "autoscaler.toml: targets.default: min_workers 20 is above max_workers 3",
    ),
    (
        DATABASE + TARGET + "max_worker = 3\n",
        {},
        "autoscaler.toml: targets.default.max_worker is not a setting; did you mean max_workers?",
    ),
    (
        DATABASE + TARGET + "slots_per_worker = 0\n",
        {},
        "autoscaler.toml: targets.default.slots_per_worker = 0: input should be greater than 0",
    ),
    (
        DATABASE + TARGET + "interval_seconds = 0.1\n",
        {},
        "autoscaler.toml: targets.default.interval_seconds = 0.1: input should be greater than or equal to 1",
    ),
    (
        DATABASE + TARGET + "interval_seconds = nan\n",
        {},
        "autoscaler.toml: targets.default.interval_seconds = nan: input should be a finite number",
    ),
    (
        DATABASE + TARGET + "read_deadline_seconds = inf\n",
        {},
        "autoscaler.toml: targets.default.read_deadline_seconds = inf: input should be a finite number",
    ),
    (
        DATABASE + TARGET + "write_deadline_seconds = 0\n",
        {},
        "autoscaler.toml: targets.default.write_deadline_seconds = 0: input should be greater than 0",
    ),
    (
        DATABASE + TARGET + "protection_minutes = 5000\n",
        {},
        "autoscaler.toml: targets.default.protection_minutes = 5000: input should be less than or equal to 2880",
    ),
    (
        DATABASE + TARGET + "queues = ['']\n",
        {},
        "autoscaler.toml: targets.default.queues.0 = '': string should have at least 1 character",
    ),
    (
        DATABASE + TARGET + "queues = 'default'\n",
        {},
        "autoscaler.toml: targets.default.queues = 'default': input should be a list",
    ),
    (
        DATABASE + TARGET + "sources = []\n",
        {},
        "autoscaler.toml: targets.default: sources must name at least one of airflow_db, statsd, cloudwatch",
    ),
    (
        DATABASE + TARGET + "sources = ['airflow']\n",
        {},
        "autoscaler.toml: targets.default.sources.0.use = 'airflow': input should be 'airflow_db', 'statsd' or 'cloudwatch'",
    ),
    (
        DATABASE + TARGET + "sources = ['statsd', 'statsd']\n",
        {},
        "autoscaler.toml: targets.default: sources names a source twice",
    ),
    (
        DATABASE + TARGET + "sources = [{use = 'statsd', max_age_seconds = -3}]\n",
        {},
        "autoscaler.toml: targets.default.sources.0.max_age_seconds = -3: input should be greater than 0",
    ),
    (
        DATABASE + TARGET + "removal = {mode = 'idle'}\n",
        {},
        "autoscaler.toml: targets.default.removal.mode idle needs celery.broker_url (or _file)",
    ),
    (
        "celery.broker_url = 'redis://localhost'\nstatsd = {}\n"
        + TARGET
        + "sources = ['statsd']\nremoval = {mode = 'gather'}\n",
        {},
        "autoscaler.toml: targets.default.removal.mode gather needs airflow.database_url (or _file, or _secret) too",
    ),
    (
        "celery = {broker_url = 'redis://:secret@h', broker_url_file = 'f'}\n" + DATABASE + TARGET,
        {},
        "autoscaler.toml: celery: give one of broker_url and broker_url_file, not both",
    ),
    (
        DATABASE
        + TARGET
        + "[targets.default.guards.budget]\nworker_hours_per_day = 24\nburst_worker_hours = 5\n",
        {},
        "autoscaler.toml: targets.default: min_workers 1 use 24 worker-hours a day, all of guards.budget: nothing would ever come back",
    ),
    (
        "orders = {path = 'orders.json', token = 'short'}\n" + DATABASE + TARGET,
        {},
        "autoscaler.toml: orders.token = a secret: it should have at least 16 characters",
    ),
    (
        "orders = {path = 'p', token = 'a-long-enough-secret', token_file = 'f'}\n" + DATABASE + TARGET,
        {},
        "autoscaler.toml: orders: give one of token and token_file, not both",
    ),
    (
        "orders = {token_file = 'f'}\n" + DATABASE + TARGET,
        {},
        "autoscaler.toml: orders: a token needs path or table too: where orders survive a restart",
    ),
    (
        DATABASE + TARGET + "sources = ['cloudwatch']\n",
        {},
        "autoscaler.toml: targets.default reads cloudwatch, but cloudwatch is not configured",
    ),
    (
        TARGET + "sources = ['statsd']\nqueues = ['etl']\n",
        {},
        "autoscaler.toml: targets.default has queues, which only airflow_db can tell apart",
    ),
    (
        DATABASE + TARGET + "policy = 'mwaa'\n",
        {},
        "autoscaler.toml: targets.default.policy = 'mwaa': input should be a table",
    ),
    (
        DATABASE + TARGET + "policy = {}\n",
        {},
        "autoscaler.toml: targets.default: a policy needs a name, such as {name = 'mwaa'}",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'mwa'}\n",
        {},
        "autoscaler.toml: targets.default: there is no policy 'mwa'; expected one of highest, mwaa, scheduled-floor or 'pkg.mod:Class'",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'mwaa', idle = 3}\n",
        {},
        "autoscaler.toml: targets.default: policy 'mwaa' has no field 'idle'; it has idle_seconds, scale_in, slots_per_worker",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'mwaa', idle_seconds = -1}\n",
        {},
        "autoscaler.toml: targets.default: policy 'mwaa', idle_seconds: Input should be greater than or equal to 0, got -1",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'mwaa', scale_in = 'fast'}\n",
        {},
        "autoscaler.toml: targets.default: policy 'mwaa', scale_in: Input should be 'when-idle' or 'continuous', got 'fast'",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'mwaa', environment_class = 'mw1.huge'}\n",
        {},
        "autoscaler.toml: targets.default: environment_class must be one of mw1.micro, mw1.small, mw1.medium, mw1.large, mw1.xlarge, mw1.2xlarge, got 'mw1.huge'",
    ),
    (
        DATABASE + TARGET + "policy = {name = 'no.such:Thing'}\n",
        {},
        "autoscaler.toml: targets.default: policy 'no.such:Thing' cannot be imported: ModuleNotFoundError: No module named 'no'",
    ),
    (
        DATABASE
        + TARGET
        + "policy = {name = 'scheduled-floor', cron = 'daily', workers = 3, duration_seconds = 60}\n",
        {},
        "autoscaler.toml: targets.default: policy 'scheduled-floor': cron must be five fields such as '0 2 * * 1-5', got 'daily'",
    ),
    (
        DATABASE + TARGET + "[targets.default.guards]\nwarm_up_seconds = -1\n",
        {},
        "autoscaler.toml: targets.default.guards.warm_up_seconds = -1: input should be greater than or equal to 0",
    ),
    (
        DATABASE + TARGET + "[targets.default.guards]\ntolerance_in_share = 1.5\n",
        {},
        "autoscaler.toml: targets.default.guards.tolerance_in_share = 1.5: input should be less than or equal to 1",
    ),
    (
        DATABASE
        + TARGET
        + "[targets.default.guards]\nrate_out = {rules = [{value = 0, period_seconds = 60}]}\n",
        {},
        "autoscaler.toml: targets.default.guards.rate_out.rules.0.value = 0: input should be greater than 0",
    ),
    (
        DATABASE
        + TARGET
        + "[targets.default.guards]\nrate_out = {rules = [{value = 4, period_seconds = 60, unit = 'pods'}]}\n",
        {},
        "autoscaler.toml: targets.default.guards.rate_out.rules.0.unit = 'pods': input should be 'count' or 'percent'",
    ),
    (
        DATABASE + TARGET + "[targets.default.guards]\nrate_in = {select = 'avg'}\n",
        {},
        "autoscaler.toml: targets.default.guards.rate_in.select = 'avg': input should be 'max', 'min' or 'disabled'",
    ),
    (
        DATABASE + TARGET + "[targets.other]\ncluster = 'c'\nservice = 's'\n",
        {},
        "autoscaler.toml: targets.other and targets.default size the same service: one writer per service",
    ),
    (
        DATABASE + "[targets.default]\ncluster = 'c'\n",
        {},
        "autoscaler.toml: targets.default.service is missing: ECS service of the Celery workers.",
    ),
    (
        DATABASE + "[targets.default]\ncluster = ''\nservice = 's'\n",
        {},
        "autoscaler.toml: targets.default.cluster = '': string should have at least 1 character",
    ),
    (
        "airflow = 'postgresql://reader:hunter2@db/airflow'\n" + TARGET,
        {},
        "autoscaler.toml: airflow = 'postgresql://***@db/airflow': input should be a table",
    ),
    (
        "airflow = 'postgresql://reader:hunter@2 and more@db/airflow'\n" + TARGET,
        {},
        "autoscaler.toml: airflow = 'postgresql://***@db/airflow': input should be a table",
    ),
    (
        "[airflow]\ndatabase_url = 5\n" + TARGET,
        {},
        "autoscaler.toml: airflow.database_url = a secret: input should be a valid string",
    ),
    (
        DATABASE + "database_url_file = '/run/secrets/url'\n" + TARGET,
        {},
        "autoscaler.toml: airflow: give one of database_url and database_url_file, not both",
    ),
    (
        DATABASE + "parallelism = 0\n" + TARGET,
        {},
        "autoscaler.toml: airflow.parallelism = 0: input should be greater than 0",
    ),
    (
        DATABASE + TARGET + "[http]\nport = 70000\n",
        {},
        "autoscaler.toml: http.port = 70000: input should be less than or equal to 65535",
    ),
    (
        DATABASE + TARGET + "[http]\nhots = 'x'\n",
        {},
        "autoscaler.toml: http.hots is not a setting; did you mean host?",
    ),
    (
        DATABASE + TARGET + "[statsd]\nport = -1\n",
        {},
        "autoscaler.toml: statsd.port = -1: input should be greater than or equal to 0",
    ),
    (
        DATABASE + TARGET + "[cloudwatch]\nnamespace = 'AWS/MWAA'\n",
        {},
        "autoscaler.toml: cloudwatch: give either environment, or queued and running",
    ),
    (
        DATABASE + TARGET + "[log]\nformat = 'xml'\n",
        {},
        "autoscaler.toml: log.format = 'xml': input should be 'auto', 'json' or 'console'",
    ),
    (
        DATABASE + TARGET + "[log]\nrecords_kept = 0\n",
        {},
        "autoscaler.toml: log.records_kept = 0: input should be greater than or equal to 1",
    ),
    (DATABASE + TARGET + "[plugins]\n", {}, "autoscaler.toml: plugins is not a setting"),
    (
        DATABASE + TARGET,
        {"AUTOSCALER__MODE": "write"},
        "environment AUTOSCALER__MODE: mode = 'write': input should be 'observe' or 'act'",
    ),
    (
        DATABASE + TARGET,
        {"AUTOSCALER__TARGETS__DEFAULT__MAX_WORKERS": "many"},
        "environment AUTOSCALER__TARGETS__DEFAULT__MAX_WORKERS: targets.default.max_workers = 'many': input should be a valid integer, unable to parse string as an integer",
    ),
    (
        DATABASE + TARGET,
        {"AUTOSCALER__TARGETS": "{"},
        'environment: error parsing value for field "targets" from source "EnvSettingsSource": expected JSON',
    ),
    (
        DATABASE + TARGET,
        {"AUTOSCALER__TARGET__DEFAULT__CLUSTER": "c"},
        "environment: AUTOSCALER__TARGET__DEFAULT__CLUSTER is not a setting; did you mean targets?; expected AUTOSCALER__MODE, AUTOSCALER__TARGETS, AUTOSCALER__AIRFLOW, AUTOSCALER__CELERY, AUTOSCALER__STATSD, AUTOSCALER__CLOUDWATCH, AUTOSCALER__AWS, AUTOSCALER__LEASE, AUTOSCALER__HTTP, AUTOSCALER__LOG, AUTOSCALER__ORDERS",
    ),
    (
        DATABASE + TARGET,
        {"AUTOSCALER__HTTP__PROT": "9000"},
        "environment AUTOSCALER__HTTP__PROT: http.prot is not a setting; did you mean port?",
    ),
]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a configuration and gives its path, relative so that messages are the same everywhere."""
    monkeypatch.chdir(tmp_path)
    path = Path("autoscaler.toml")

    def write(text: str) -> Path:
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("text", "environ", "message"), BAD)
def test_each_mistake_has_its_line(file, text, environ, message):
    """File or variable, key, value, what was expected; never the password."""
    with pytest.raises(ConfigurationError) as caught:
        load(file(text), environ)
    assert str(caught.value) == message
    assert "hunter2" not in message


def test_all_mistakes_are_told_at_once(file):
    """Nobody mends a file one line a run."""
    with pytest.raises(ConfigurationError) as caught:
        load(file(DATABASE + TARGET + "max_workers = -1\nfoo = 1\n"), {})
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_and_an_unreadable_file_are_told_apart(file, tmp_path):
    """The remedy differs."""
    with pytest.raises(ConfigurationError, match="there is no such file; write one with"):
        load(tmp_path / "none.toml", {})
    Path("autoscaler.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(Path("autoscaler.toml"), {})


def test_the_smallest_configuration_is_a_database_a_cluster_and_a_service(file):
    """It observes, with Airflow's own default of 16 slots and MWAA's bounds."""
    settings = load(file(DATABASE + TARGET), {})
    target = settings.targets["default"]
    assert settings.mode is Mode.OBSERVE
    assert (target.slots, target.minimum, target.maximum) == (16, 1, 10)


def test_an_environment_class_is_a_whole_configuration(file):
    """Slots and bounds come with the class; what is given explicitly wins."""
    policy = "policy = {name = 'mwaa', environment_class = 'mw1.small'}\n"
    target = load(file(DATABASE + TARGET + policy), {}).targets["default"]
    assert (target.slots, target.minimum, target.maximum) == (5, 1, 10)
    target = load(file(DATABASE + TARGET + policy + "max_workers = 25\n"), {}).targets["default"]
    assert (target.slots, target.minimum, target.maximum) == (5, 1, 25)


def test_an_environment_class_counts_inside_a_policy_made_of_policies(file):
    """The class gives slots and bounds wherever the policy names it."""
    policy = """policy = {name = 'highest', policies = [
        {name = 'scheduled-floor', cron = '0 2 * * *', workers = 3, duration_seconds = 60},
        {name = 'mwaa', environment_class = 'mw1.micro'}]}"""
    target = load(file(DATABASE + TARGET + policy), {}).targets["default"]
    assert (target.slots, target.minimum, target.maximum) == (3, 1, 1)
    built = catalog.build(target.policy, target.slots)
    assert built.policies[1] == Mwaa(slots_per_worker=3)


def test_slots_given_to_the_policy_are_the_targets(file):
    """A worker has one number of slots: alarms and `check` go by the one that the policy goes by."""
    policy = "policy = {name = 'mwaa', slots_per_worker = 4}\n"
    assert load(file(DATABASE + TARGET + policy), {}).targets["default"].slots == 4
    assert load(file(DATABASE + TARGET + policy + "slots_per_worker = 4\n"), {}).targets["default"].slots == 4
    with pytest.raises(ConfigurationError) as raised:
        load(file(DATABASE + TARGET + policy + "slots_per_worker = 8\n"), {})
    assert str(raised.value) == (
        "autoscaler.toml: targets.default: slots_per_worker is 8 here and 4 in policy: give it once"
    )


def test_the_environment_alone_suffices_and_overrides_the_file(file):
    """Each key by AUTOSCALER__SECTION__KEY."""
    environ = {
        "AUTOSCALER__AIRFLOW__DATABASE_URL": "sqlite:///airflow.db",
        "AUTOSCALER__TARGETS__DEFAULT__CLUSTER": "c",
        "AUTOSCALER__TARGETS__DEFAULT__SERVICE": "s",
        "AUTOSCALER__TARGETS__DEFAULT__MAX_WORKERS": "30",
    }
    assert load(None, environ).targets["default"].maximum == 30
    assert load(file(DATABASE + TARGET + "max_workers = 20\n"), environ).targets["default"].maximum == 30


def test_secrets_are_masked_wherever_settings_are_shown(file):
    """The public form feeds logs, records and the hash."""
    settings = load(file(DATABASE + TARGET), {})
    assert "hunter2" not in json.dumps(public(settings)) + repr(settings)
    assert fingerprint(settings) == fingerprint(load(file(DATABASE + TARGET), {}))
    assert fingerprint(settings) != fingerprint(load(file(DATABASE + TARGET + "max_workers = 5\n"), {}))


def test_the_example_is_a_valid_configuration_that_names_every_setting(file):
    """What `config init` prints loads as it stands."""
    example = CliRunner().invoke(app, ["config", "init"]).stdout
    assert load(file(example), {}).mode is Mode.OBSERVE
    keys = {line.lstrip("# ").split(" = ")[0] for line in example.splitlines() if " = " in line}
    assert {"mode", "max_workers", "policy", "database_url_secret", "relay", "records_kept"} <= keys


def test_a_wrong_configuration_ends_a_command_with_code_2(file):
    """And the message goes to standard error."""
    file(DATABASE + TARGET + "max_worker = 3\n")
    result = CliRunner().invoke(app, ["run"])
    assert result.exit_code == 2
    assert "did you mean max_workers?" in result.stderr
