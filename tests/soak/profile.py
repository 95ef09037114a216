"""What a seed stands for: a service, a configuration, a load and the kinds of luck that a world has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from autoscaler.demo.ecs import ServiceSpec, Silence
from autoscaler.settings import Settings
from tests.soak.kinds import ALL
from tests.soak.ports import SECRET

TICK_SECONDS = 30.0
NAME = "etl"
KEPT_SHARE = 0.35
"""Of all kinds, a world has so many: what is rare among all others is common among few."""


@dataclass(frozen=True)
class Profile:
    """One random world, before anything happens."""

    seed: int
    spec: ServiceSpec
    target: Mapping[str, Any]
    mode: str
    kinds: frozenset[str]
    storm_seconds: float
    strikes_every_seconds: float
    leased: bool
    """Whether daemons share a lease."""
    guarded: bool
    """Whether a guard ends a stopped intake that is not renewed."""
    bursts: tuple[int, ...]
    task_seconds: tuple[float, float]

    @property
    def careful(self) -> bool:
        """Whether nobody's intake is ever stopped."""
        return bool(self.target["removal"]["mode"] == "careful")

    @property
    def slots(self) -> int:
        """Of a worker."""
        return int(self.target["slots_per_worker"])


def profile_of(seed: int) -> Profile:
    """The world of a seed."""
    chance = Random(f"profile {seed}")
    slots = chance.choice((2, 4, 8))
    target = _target(chance, slots, careful=chance.random() < 0.1)
    return Profile(
        seed=seed,
        spec=_spec(chance, target["max_workers"]),
        target=target,
        mode="observe" if chance.random() < 0.04 else "act",
        kinds=frozenset(kind for kind in ALL if chance.random() < KEPT_SHARE),
        storm_seconds=chance.uniform(6, 18) * 3600,
        strikes_every_seconds=chance.choice((60.0, 150.0, 400.0)),
        leased=chance.random() < 0.4,
        guarded=chance.random() < 0.3,
        bursts=tuple(chance.choice((0, 0, 0, 0, 0, 1, 2 * slots, 6 * slots)) for _ in range(16)),
        task_seconds=chance.choice(((5.0, 60.0), (20.0, 400.0), (60.0, 2400.0))),
    )


def _spec(chance: Random, most: int) -> ServiceSpec:
    yes = lambda: chance.random() < 0.5  # noqa: E731 - six of them in a row
    return ServiceSpec(
        desired=chance.randint(1, most),
        launch_seconds=85.0,  # slower than a write that got no answer: see ARCHITECTURE, "A removal"
        launch_sigma=0.1,
        reaction_seconds=chance.choice((0.0, 3.0)),
        deactivating_seconds=chance.choice((0.0, 10.0)),
        visible_after_seconds=chance.choice((0.0, 1.0)),
        circuit_breaker=yes(),
        rolls_back=yes(),
        zone_rebalancing=chance.random() < 0.15,
        silence=Silence(
            pending_leave_first=yes(),
            renewals_blocked=yes(),
            protection_reads_lag=yes(),
            rebalancing_spares_protected=yes(),
            spot_notice_is_sigterm=yes(),
            rollback_reuses_deployment=yes(),
        ),
    )


def _target(chance: Random, slots: int, *, careful: bool) -> dict[str, Any]:
    return {
        "cluster": "demo",
        "service": "workers",
        "queues": ["default"],
        "slots_per_worker": slots,
        "min_workers": chance.choice((0, 1, 1, 2)),
        "max_workers": chance.choice((3, 6, 10)),
        "policy": {"name": "mwaa", "scale_in": chance.choice(("when-idle", "continuous", "continuous"))},
        "interval_seconds": TICK_SECONDS,
        "protection_minutes": chance.choice((15, 60)),
        "list_every_seconds": chance.choice((60.0, 300.0)),
        "removal": {
            "mode": "careful" if careful else chance.choice(("idle", "gather")),
            "deadline_seconds": chance.choice((600.0, 3600.0)),
        },
        "guards": _guards(chance),
    }


def _guards(chance: Random) -> dict[str, Any]:
    rules = [{"value": chance.choice((1, 3)), "unit": "count", "period_seconds": 120.0}]
    guards: dict[str, Any] = {"warm_up_seconds": chance.choice((0.0, 120.0))}
    if chance.random() < 0.4:
        guards["stabilization_in_seconds"] = chance.choice((120.0, 600.0))
    if chance.random() < 0.3:
        guards["cooldown_in_seconds"] = 180.0
    if chance.random() < 0.3:
        guards["rate_in"] = {"rules": rules}
    if chance.random() < 0.2:
        guards["rate_out"] = {"rules": rules}
    return guards


def settings_of(profile: Profile, changes: Mapping[str, Any] | None = None) -> Settings:
    """The configuration, validated like any other, with secrets in it."""
    return Settings.model_validate(
        {
            "mode": profile.mode,
            "airflow": {"database_url": f"postgresql://airflow:{SECRET}@db/airflow"},
            "celery": {"broker_url": f"redis://:{SECRET}@broker:6379/0"},
            # Asked seldom: the clock jumps from one question to the next.
            "lease": {"check_seconds": 15.0, "expiry_seconds": 45.0},
            "log": {"format": "json", "records_kept": 10},
            "targets": {NAME: {**profile.target, **(changes or {})}},
        }
    )


def changed(profile: Profile, chance: Random) -> Settings:
    """Another configuration of the same service, for a reload."""
    slots, target = profile.slots, profile.target
    fresh = _target(chance, slots, careful=profile.careful)
    names = chance.sample(
        ("min_workers", "max_workers", "policy", "removal", "guards", "protection_minutes"), 2
    )
    changes = {name: fresh[name] for name in names}
    least = changes.get("min_workers", target["min_workers"])
    changes["max_workers"] = max(least, changes.get("max_workers", target["max_workers"]))
    return settings_of(profile, changes)
