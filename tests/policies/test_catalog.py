"""Finding and building policies; every mistake has its own words."""

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from policies.catalog import ENTRY_POINT_GROUP, PolicyError, build, find, names
from policies.combine import HighestOf, ScheduledFloor
from policies.mwaa import Mwaa

FLOOR = {"name": "scheduled-floor", "cron": "0 2 * * *", "workers": 3, "duration_seconds": 60}
CRON = "policy 'scheduled-floor': cron must be five fields such as '0 2 * * 1-5', got"
ZONE = "policy 'scheduled-floor': time_zone must be an IANA name such as 'Europe/Berlin', got"
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "a policy needs a name, such as {name = 'mwaa'}"),
    ({"name": 5}, "a policy needs a name"),
    ({"name": "nope"}, "there is no policy 'nope'; expected one of highest, mwaa, scheduled-floor"),
    ({"name": ":Class"}, "there is no policy ':Class'"),
    ({"name": "os:"}, "there is no policy 'os:'"),
    ({"name": "no.such:Thing"}, "policy 'no.such:Thing' cannot be imported: ModuleNotFoundError"),
    ({"name": ".relative:Thing"}, "policy '.relative:Thing' cannot be imported: TypeError"),
    ({"name": "os:nothing"}, "policy 'os:nothing' cannot be imported: AttributeError"),
    (
        {"name": "os:getcwd"},
        "policy 'os:getcwd' must be a frozen dataclass with a policy's methods; it lacks",
    ),
    ({"name": "policies.model:Demand"}, "it lacks initial, recommend, monotone, window_seconds, memory_type"),
    ({"name": f"{__name__}:Thawed"}, "must be a frozen dataclass with a policy's methods"),
    ({"name": "os:path:join"}, "policy 'os:path:join' cannot be imported: AttributeError"),
    ({"name": f"{__name__}:NO_CLASS"}, "NO_CLASS' must be a frozen dataclass with a policy's methods"),
    (
        {"name": f"{__name__}:Nested", "slots_per_worker": 5, "wanted": [1, "x"]},
        f"policy '{__name__}:Nested', wanted.1: Input should be a valid integer",
    ),
    ({"name": "mwaa"}, "policy 'mwaa' needs slots_per_worker"),
    ({"name": "mwaa", "slots_per_worker": 0}, "policy 'mwaa', slots_per_worker: Input should be greater"),
    ({"name": "mwaa", "slots_per_worker": "x"}, "policy 'mwaa', slots_per_worker: Input should be a valid"),
    (
        {"name": "mwaa", "slots_per_worker": 5, "idle_seconds": float("inf")},
        "Input should be a finite",
    ),
    (
        {"name": "mwaa", "slots_per_worker": 5, "idle_seconds": -1},
        "idle_seconds: Input should be",
    ),
    ({"name": "mwaa", "slots_per_worker": 5, "scale_in": "down"}, "scale_in: Input should be 'when-idle' or"),
    (
        {"name": "mwaa", "environment_class": "mw1.huge"},
        "environment_class must be one of mw1.micro, mw1.small, mw1.medium",
    ),
    ({"name": "mwaa", "environment_class": 3}, "environment_class must be one of"),
    (
        {"name": "mwaa", "slots": 3},
        "policy 'mwaa' has no field 'slots'; it has idle_seconds, scale_in",
    ),
    ({"name": "highest"}, "policy 'highest' needs policies: a list such as [{name = 'mwaa'}, ...]"),
    ({"name": "highest", "policies": []}, "policy 'highest' needs policies"),
    ({"name": "highest", "policies": ["mwaa"]}, "policy 'highest' needs policies"),
    ({"name": "highest", "policies": [FLOOR], "best": 1}, "policy 'highest' has no field 'best'; it has"),
    ({"name": "highest", "policies": [{"name": "x"}]}, "there is no policy 'x'"),
    ({"name": "scheduled-floor"}, "policy 'scheduled-floor' needs cron"),
    (FLOOR | {"cron": "@daily"}, f"{CRON} '@daily'"),
    (FLOOR | {"cron": "60 * * * *"}, f"{CRON} '60 * * * *'"),
    (FLOOR | {"cron": "* * * * * *"}, f"{CRON} '* * * * * *'"),
    (FLOOR | {"cron": "R 2 * * *"}, f"{CRON} 'R 2 * * *'"),
    (FLOOR | {"cron": "0 0 30 2 *"}, "policy 'scheduled-floor': cron never happens: '0 0 30 2 *'"),
    (FLOOR | {"workers": -3}, "policy 'scheduled-floor', workers: Input should be greater than"),
    (FLOOR | {"duration_seconds": 0}, "duration_seconds: Input should be greater than 0, got 0"),
    (FLOOR | {"time_zone": "Mars/Phobos"}, f"{ZONE} 'Mars/Phobos'"),
    (FLOOR | {"time_zone": "../etc/passwd"}, f"{ZONE} '../etc/passwd'"),
]


@dataclasses.dataclass
class Thawed:
    """Everything a policy needs, but changeable."""

    initial = recommend = monotone = window_seconds = memory_type = None


@dataclasses.dataclass(frozen=True)
class Nested(Mwaa):
    """A policy with more in one field than one value."""

    wanted: tuple[int, int] = (1, 2)


NO_CLASS = Mwaa(5)


@pytest.mark.parametrize(("specification", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_specification_says_what_is_wrong(specification: dict[str, Any], message: str):
    with pytest.raises(PolicyError) as caught:
        build(specification)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ({}, "a policy needs a name, such as {name = 'mwaa'}"),
        ({"name": "highest"}, "policy 'highest' needs policies: a list such as [{name = 'mwaa'}, ...]"),
        (
            {"name": f"{__name__}:Thawed"},
            f"policy '{__name__}:Thawed' must be a frozen dataclass with a policy's methods",
        ),
    ],
    ids=["no name", "no parts", "not frozen"],
)
def test_a_message_says_that_and_no_more(specification: dict[str, Any], message: str):
    with pytest.raises(PolicyError) as caught:
        build(specification)
    assert str(caught.value) == message


def test_every_built_in_builds():
    parts = [{"name": "mwaa", "slots_per_worker": 4}, FLOOR | {"cron": "0 2 * MAR FRI"}]
    floor = ScheduledFloor("0 2 * MAR FRI", 3, 60)
    assert build({"name": "highest", "policies": parts}, 9) == HighestOf((Mwaa(4), floor))
    assert {"mwaa", "highest", "scheduled-floor"} <= set(names())


def test_a_policy_of_ones_own_by_its_place():
    assert find("policies.mwaa:Mwaa") is Mwaa
    assert build({"name": "policies.mwaa:Mwaa", "idle_seconds": 60}, 3) == Mwaa(3, idle_seconds=60)


def test_a_policy_of_ones_own_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An installed distribution names it in the group; no import until it is asked for."""
    metadata = tmp_path / "own_policy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-policy\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\nown = policies.mwaa:Mwaa\nbroken = no_such_module_at_all:Policy\n"
        "[console_scripts]\nforeign = policies.mwaa:Mwaa\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    assert {"own", "broken"} <= set(names())
    assert find("own") is Mwaa
    with pytest.raises(PolicyError, match="policy 'broken' cannot be imported: ModuleNotFoundError"):
        find("broken")
    with pytest.raises(PolicyError, match="there is no policy 'foreign'"):
        find("foreign")
