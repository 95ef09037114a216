"""Configurations and worlds of any content: settings that hold no secret in sight, or one line a mistake."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.configuration import ConfigurationError, fingerprint, load, public
from autoscaler.guard.settings import GuardConfigurationError
from autoscaler.guard.settings import load as load_guard
from autoscaler.intake.broker import url_from_file
from autoscaler.ports import IntakeError
from autoscaler.small_file import MOST_CONFIGURATION_BYTES
from simulations.content import MOST_TOML_BYTES
from simulations.world_file import Wanted, WorldError, scene_of
from tests.hostile.laws import SECRET, changed, must_be_told_well, nested

URL = f"postgresql://reader:{SECRET}@db/airflow"
SETTINGS = {
    "mode": "act",
    "targets": {
        "etl": {
            "cluster": "c",
            "service": "s",
            "queues": ["a"],
            "slots_per_worker": 4,
            "max_workers": 5,
            "policy": {"name": "mwaa", "scale_in": "continuous"},
            "sources": ["airflow_db", {"use": "statsd", "max_age_seconds": 30}],
            "guards": {
                "warm_up_seconds": 3,
                "rate_out": {"rules": [{"value": 4, "unit": "count", "period_seconds": 60}]},
            },
        }
    },
    "airflow": {"database_url": URL, "celery_executors": ["CeleryExecutor"], "parallelism": 3},
    "celery": {
        "broker_url": f"redis://:{SECRET}@h/0",
        "transport_options": {"sentinel_kwargs": {"password": SECRET}},
    },
    "cloudwatch": {"queued": {"namespace": "n", "name": "x", "dimensions": {"a": "b"}}},
    "http": {"host": "::", "port": 0},
    "log": {"format": "json", "records_kept": 4},
}
WORLD = {
    "airflow": {"version": "3.3", "slot_tail": {"chance": 0.5, "seconds": 5}, "pools": {"a": 3}},
    "service": {"launch": {"median": 59, "spread": 0.2}, "launches_per_minute": 3, "account_workers": 9},
    "source": {"period_seconds": 5, "lag_seconds": [1, 2], "loss": 0.1},
}

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["", "a\nb\x1b[2J", "x" * 50_000, "\u202e", "../../etc/passwd", "/dev/zero", "a\x00b"]),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 2**63, 10**400, 1e308, True, False]))
values = st.recursive(
    st.one_of(texts, numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


def toml(value):
    """A value in TOML's own writing; tables are inline ones."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case float() if not math.isfinite(value):
            return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return repr(value)


def file_of(document):
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in document.items())


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(SETTINGS, values))
def test_settings_with_other_parts_are_loaded_or_refused(tmp_path, document):
    """What is shown of them, hashed or complained of never holds a password."""
    if not isinstance(document, dict):
        return
    path = tmp_path / "autoscaler.toml"
    path.write_text(file_of(document), encoding="utf-8")
    try:
        loaded = load(path, {})
    except ConfigurationError as error:
        for line in str(error).replace(str(tmp_path), "").split("\n"):
            must_be_told_well(line)
    else:
        assert fingerprint(loaded)
        assert SECRET not in json.dumps(public(loaded)).replace(json.dumps(SETTINGS["celery"]), "")
        assert SECRET not in repr(loaded)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(WORLD, values))
def test_worlds_with_other_parts_are_played_or_refused(tmp_path, document):
    """By file and key."""
    if not isinstance(document, dict):
        return
    path = tmp_path / "world.toml"
    path.write_text(file_of(document), encoding="utf-8")
    try:
        assert scene_of(Wanted(world=path)).fingerprint
    except WorldError as error:
        must_be_told_well(str(error).replace(str(tmp_path), ""))


FILES = [
    b"\xff\xfe",
    b"\x00" * 100,
    f"a = {nested(5000)}".encode(),
    f"a = {'{b = ' * 5000}".encode(),
    b"a = " + b"9" * 5000,
    b"[" + b"a." * 20_000 + b"a]",
    b"a = 1\na = 2",
    f'airflow = "{URL}',
    f"airflow = {URL}",
]


@pytest.mark.parametrize("content", FILES, ids=range(len(FILES)))
def test_files_that_are_no_toml(tmp_path, content):
    """One line, and nothing of the file in it."""
    path = tmp_path / "a.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError) as refused:
        load(path, {})
    for line in str(refused.value).replace(str(tmp_path), "").split("\n"):
        must_be_told_well(line)
    with pytest.raises(WorldError) as refused:
        scene_of(Wanted(world=path))
    must_be_told_well(str(refused.value).replace(str(tmp_path), ""))


@pytest.mark.parametrize("endless", [Path("/dev/zero"), None], ids=["device", "long"])
def test_files_that_do_not_end(tmp_path, endless):
    """Read no further than any of them is long."""
    path = endless or tmp_path / "a.toml"
    if endless is None:
        path.write_bytes(b"#" * (max(MOST_CONFIGURATION_BYTES, MOST_TOML_BYTES) + 1))
    with pytest.raises(ConfigurationError, match="cannot be read: longer than 1,048,576 bytes"):
        load(path, {})
    with pytest.raises(WorldError, match="cannot be read: more than 1,048,576 bytes"):
        scene_of(Wanted(world=path))
    with pytest.raises(IntakeError, match="cannot be read: longer than 65,536 bytes"):
        url_from_file(str(path))


variables = st.dictionaries(
    st.sampled_from(
        [
            "AUTOSCALER__MODE",
            "AUTOSCALER__TARGETS__ETL__MAX_WORKERS",
            "AUTOSCALER__TARGETS",
            "AUTOSCALER__AIRFLOW__DATABASE_URL",
            "AUTOSCALER__AIRFLOW",
            "AUTOSCALER__CELERY__TRANSPORT_OPTIONS",
            "AUTOSCALER__",
            "AUTOSCALER____",
            "AUTOSCALER__HTTP__PORT__X",
            "AUTOSCALER__\x1b[2J",
            "AUTOSCALER_GUARD__CELERY__BROKER_URL",
            "AUTOSCALER_GUARD__COMMAND",
            "AUTOSCALER_GUARD__PORT",
            "AUTOSCALER_GUARD__\x1b[2J",
        ]
    ),
    st.one_of(
        texts, st.sampled_from([nested(100_000), "{" * 1000, "9" * 5000, URL, f'{{"a": "{URL}"}}', '"x"'])
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(environ=variables)
def test_environments_of_any_content(environ):
    """Of the daemon and of the guard."""
    for reads, refusal in (
        (lambda: load(None, environ), ConfigurationError),
        (lambda: load_guard(environ), GuardConfigurationError),
    ):
        try:
            reads()
        except refusal as error:
            for line in str(error).split("\n"):
                must_be_told_well(line)
