"""A world from a file and a command line: defaults, every key, and one clear line for every mistake."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from math import inf

import pytest

from simulations.airflow import AIRFLOW_2, AIRFLOW_3, PLAIN
from simulations.quantiles import NONE, Quantiles, constant, measured
from simulations.service import AccountModel, LaunchDelay, Pace, ServiceModel, fargate
from simulations.source import DATABASE, SourceModel
from simulations.world_example import EXAMPLE
from simulations.world_file import (
    SERVICE_KEYS,
    SOURCE_KEYS,
    Wanted,
    WorldError,
    plain_service,
    scene_of,
)


@pytest.fixture
def world(tmp_path):
    """A file of that text."""

    def write(text):
        path = tmp_path / "world.toml"
        path.write_text(text)
        return path

    return write


def test_without_a_file_it_is_airflow_3_on_fargate():
    """As measured and as AWS says; `plain` is queueing theory's world, and 2.11 an older Airflow."""
    scene = scene_of(Wanted())
    without_limits = {"queued_timeout_seconds": None}
    assert scene.airflow == replace(AIRFLOW_3, **without_limits)
    assert (scene.version, scene.source) == ("3.3", DATABASE)
    assert scene.service_of(16) == fargate(16)
    assert scene_of(Wanted(airflow="2.11")).airflow == replace(AIRFLOW_2, **without_limits)
    plain = scene_of(Wanted(airflow="plain"))
    assert plain.service_of(4) == ServiceModel(4)
    assert plain.airflow.is_plain
    assert plain.airflow.retry_delay_seconds == ServiceModel(4).retry_delay_seconds


def test_the_example_is_the_default_and_names_every_key(world):
    """What it says in its lines are the defaults; in comments and lines stands every key there is."""
    assert scene_of(Wanted(world(EXAMPLE))) == scene_of(Wanted())
    for key in (*SERVICE_KEYS, *SOURCE_KEYS):
        assert key in EXAMPLE


def test_every_comment_of_the_example_that_is_a_setting_can_be_used(world):
    """Uncommented, all together."""
    text = "\n".join(
        line[2:] if line.startswith("# ") and " = " in line and line[2:3].islower() else line
        for line in EXAMPLE.splitlines()
        if not line.startswith(("# Every", "# Limits", "# Delays", "# Launches", "# A database", "# The"))
    )
    scene = scene_of(Wanted(world(text.replace('# "launches.csv"', "# "))))
    assert scene.airflow.parallelism == 32
    assert scene.airflow.pools == {"default_pool": 128, "warehouse": 8}
    assert scene.airflow.start_delay == Quantiles((0.05, 0.1))
    assert scene.service.account.most_workers == 100


def test_every_key_does_what_it_says(world):
    """A world with nothing left as it was."""
    path = world(
        """
        [airflow]
        version = "2.11"
        parallelism = 8
        queued_timeout_seconds = 900
        [service]
        launch = [30, 50.5, 41]
        stop_timeout_seconds = 120
        exit_seconds = 0
        before_pull_seconds = 20
        protection_seconds = 600
        pending_leave_first = false
        launches_per_minute = 60
        account_launches_per_second = 5
        account_workers = 7
        never_start_share = 0.01
        give_up_seconds = 300
        reclaims_per_hour = 0.1
        retirements_per_hour = 0.001
        [source]
        period_seconds = 60
        lag_seconds = [60, 180]
        loss = 0.02
        """
    )
    scene = scene_of(Wanted(path))
    assert scene.version == "2.11"
    assert scene.airflow.parallelism == 8
    assert scene.airflow.queued_timeout_seconds == 900
    assert scene.airflow.slot_tail == AIRFLOW_2.slot_tail
    assert scene.service_of(3) == ServiceModel(
        3,
        LaunchDelay(measured=measured([30, 50.5, 41])),
        protection_seconds=600,
        pending_leave_first=False,
        stop_timeout_seconds=120,
        exit_seconds=0,
        before_pull_seconds=20,
        launches=Pace(1.0, 500),
        account=AccountModel(7, Pace(5.0, 100)),
        never_start_share=0.01,
        give_up_seconds=300,
        reclaims_per_hour=0.1,
        retirements_per_hour=0.001,
    )
    assert scene.source == SourceModel(60.0, Quantiles((60.0, 180.0)), 0.02)


def test_the_command_line_comes_before_the_file(world):
    """Version, launches, slot tail and retries."""
    path = world('[airflow]\nversion = "2.11"\nparallelism = 8\n[service]\nlaunch = 10')
    scene = scene_of(Wanted(path, "3.3", launch=70.0, slot_tail=1.0, retry_delay=30.0))
    assert (scene.version, scene.airflow.parallelism) == ("3.3", 8)
    assert scene.service.launch == LaunchDelay(70.0, 0.2)
    assert scene.airflow.slot_tail == constant(1.0)
    assert scene.airflow.heartbeat_timeout_seconds + scene.airflow.retry_delay_seconds == 30.0
    assert scene_of(Wanted(path)).service.launch == LaunchDelay(10.0, 0.0)
    beside = plain_service(Wanted(launch=5.0, launch_spread=0.0, slot_tail=2.0, retry_delay=9.0), 4)
    assert beside == ServiceModel(4, LaunchDelay(5.0, 0.0), 2.0, 9.0)
    assert plain_service(Wanted(), 4) == ServiceModel(4)


def test_a_plain_queue_in_a_file_keeps_its_service(world):
    """No stop timeout, no pace, unless the file says so."""
    scene = scene_of(Wanted(world('[airflow]\nversion = "plain"\n[service]\nlaunches_per_minute = 30')))
    assert scene.service_of(1) == ServiceModel(1, launches=Pace(0.5, 30))
    assert scene.airflow.slot_tail == NONE
    assert scene.airflow.loop_period_seconds == PLAIN.loop_period_seconds
    assert scene.service.account.most_workers == inf


def test_equal_worlds_have_equal_fingerprints(world):
    """Whatever file they come from; another number is another world."""
    same = scene_of(Wanted(world(EXAMPLE))).fingerprint
    assert same == scene_of(Wanted()).fingerprint
    assert same != scene_of(Wanted(launch=60.0)).fingerprint
    assert same != scene_of(Wanted(airflow="2.11")).fingerprint


CREATED = "taskArn,createdAt,startedAt\n"


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ("seconds\n50\n40.5\n", (40.5, 50.0)),
        ("50\n40.5\n", (40.5, 50.0)),
        (CREATED + "a,100,150\nb,200,\nc,300,340.5\n", (40.5, 50.0)),
        (CREATED + "a,2026-03-01T06:00:00Z,2026-03-01T06:00:50\n", (50.0,)),
        (CREATED + "a,2026-03-01T06:00:00+01:00,2026-03-01T05:00:40.5Z\n\n", (40.5,)),
    ],
)
def test_launches_come_from_a_file_of_measurements(world, tmp_path, content, seconds):
    """Seconds, or when tasks were created and started; those that never started are left out."""
    (tmp_path / "launches.csv").write_text(content)
    scene = scene_of(Wanted(world('[service]\nlaunch = "launches.csv"')))
    assert scene.service.launch == LaunchDelay(measured=Quantiles(seconds))


def test_many_launches_are_kept_as_a_thousand_quantiles(world, tmp_path):
    """The extremes and the middle stay."""
    (tmp_path / "many.csv").write_text("seconds\n" + "\n".join(str(n / 100) for n in range(20_001)))
    kept = scene_of(Wanted(world('[service]\nlaunch = "many.csv"'))).service.launch.measured.seconds
    assert (len(kept), kept[0], kept[500], kept[-1]) == (1001, 0.0, 100.0, 200.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "launches.csv: holds no launch; expected a CSV with a column seconds, or with"),
        ("seconds\n", "launches.csv: holds no launch that started"),
        (CREATED + "a,100,\n", "launches.csv: holds no launch that started"),
        ("delay\n5\n", "launches.csv: expected a CSV with a column seconds, or with .*, got delay"),
        ("seconds\n5\nfast\n", "launches.csv: row 3: expected a launch's seconds, got 'fast'"),
        ("5\n-6\n", "launches.csv: row 2: expected a launch's seconds, got '-6'"),
        ("5\nnan\n", "launches.csv: row 2: expected a launch's seconds, got 'nan'"),
        (CREATED + "a,200,100\n", "launches.csv: row 2: expected a launch's seconds, got '200, 100'"),
        (CREATED + "a,soon,100\n", "launches.csv: row 2: expected a launch's seconds"),
        ("9e9\n", "launches.csv: a delay must be 0 to 1e[+]06 seconds"),
    ],
)
def test_a_file_of_launches_that_is_none_says_where(world, tmp_path, content, message):
    """File, row, and what was expected; the world file and the key come first."""
    (tmp_path / "launches.csv").write_text(content)
    with pytest.raises(WorldError, match=f"world.toml: service.launch: .*{message}"):
        scene_of(Wanted(world('[service]\nlaunch = "launches.csv"')))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[airflow", "world.toml: not a TOML file: "),
        ("[sevice]\n", "world.toml: sevice: there is no such section; did you mean 'service'"),
        ("[zzz]\n", "world.toml: zzz: there is no such section; known are airflow, service, source"),
        ("service = 5", r"world.toml: service: expected a section, \[service\], got 5"),
        ("[service]\nlaunhc = 5", "world.toml: service.launhc: there is no such key; did you mean 'launch'"),
        (
            "[source]\nlag_secs = 5",
            "world.toml: source.lag_secs: there is no such key; did you mean 'lag_seconds'",
        ),
        ("[airflow]\nparalelism = 5", "world.toml: airflow.paralelism: .*did you mean 'parallelism'"),
        ("[airflow]\nversion = 9", "world.toml: airflow.version: expected one of 3.3, 2.11, plain, got '9'"),
        ("[service]\nlaunch = true", "world.toml: service.launch: expected seconds, .*, got True"),
        ("[service]\nlaunch = {median = 5}", "world.toml: service.launch: expected seconds"),
        ('[service]\nlaunch = ["a"]', "world.toml: service.launch: expected a list of seconds"),
        ("[service]\nlaunch = []", "world.toml: service.launch: a distribution needs at least one value"),
        ("[service]\nlaunch = -5", "world.toml: service.launch: launch delay: median_seconds must be 0 or"),
        ('[service]\nlaunch = "no.csv"', "world.toml: service.launch: .*no.csv: cannot be read: No such"),
        ('[service]\nexit_seconds = "x"', "world.toml: service.exit_seconds: expected a number, got 'x'"),
        ("[service]\nexit_seconds = -1", "world.toml: service: exit seconds must be 0 or more, got -1"),
        ("[service]\npending_leave_first = 1", "pending_leave_first: expected true or false, got 1"),
        ("[service]\nlaunches_per_minute = 0", "launches_per_minute: launches per second must be more than"),
        ("[service]\naccount_workers = 0", "account_workers: account: most workers must be at least 1"),
        ("[service]\nnever_start_share = 1", "never start share must be at least 0 and less than 1, got 1"),
        ("[service]\nreclaims_per_hour = nan", "reclaims per hour must be 0 or more, got nan"),
        ("[source]\nlag_seconds = 60", "world.toml: source: a lag needs a period"),
        ("[source]\nloss = 2", "loss must be between 0 and 1, got 2"),
        ("[source]\nlag_seconds = [180, -1]", "source.lag_seconds: a delay must be 0 to"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_what_was_expected(world, text, message):
    """Nothing is guessed."""
    with pytest.raises(WorldError, match=message) as caught:
        scene_of(Wanted(world(text)))
    assert "\n" not in str(caught.value)


def test_a_version_or_a_file_that_is_not_there_is_said(tmp_path):
    """With the option that named it."""
    with pytest.raises(WorldError, match=r"--airflow: expected one of 3.3, 2.11, plain, got '4'"):
        scene_of(Wanted(airflow="4"))
    with pytest.raises(WorldError, match=r"none.toml: cannot be read: No such file"):
        scene_of(Wanted(tmp_path / "none.toml"))
    with pytest.raises(WorldError, match=r"launch delay: median_seconds must be 0 or more, got -5"):
        scene_of(Wanted(launch=-5.0))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(WorldError, match=r"binary.toml: not a TOML file"):
        scene_of(Wanted(tmp_path / "binary.toml"))


def test_the_example_is_toml():
    """With three sections."""
    assert list(tomllib.loads(EXAMPLE)) == ["airflow", "service", "source"]
