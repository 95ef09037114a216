"""What an audit plays: the fleet as it is, a handful of policies, MWAA, and where to look for better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.cli.audit_asked import Setting
from autoscaler.cli.candidates import candidate_of, mwaa_classes
from policies import catalog
from simulations.audit import Choices, Kind
from simulations.candidate import Candidate
from simulations.recommend import peak_workers, usual_axes
from simulations.space import Space
from simulations.trace import Trace

IN_AFTER_SECONDS = 300.0
"""How long a scale-in that waits for the last peak waits."""
NEEDS_MORE_THAN_A_NAME = ("mwaa", "highest")
"""Policies that are played with fields of their own, or made of others."""


def choices_of(setting: Setting, trace: Trace, slots: int) -> Choices:
    """On workers of so many slots.  Raises `ValueError` for a setting that the daemon would refuse."""
    # Said once for all: a policy that is put in the place of the configured one may not know it.
    base, peak = {**setting.base, "slots_per_worker": slots}, peak_workers(trace, slots)
    bounded = {"min_workers": 1, "max_workers": peak, **base}
    candidates: list[tuple[Kind, Candidate]] = []
    if setting.configured:
        candidates.append((Kind.PRESENT, candidate_of(base, f"target {setting.target} as configured")))
    if setting.present is not None and setting.present.desired:
        now = setting.present.desired
        candidates.append((Kind.PRESENT, _steady(base, now, f"always {now} workers, as now")))
    candidates += [(Kind.POLICY, each) for each in _policies(bounded)]
    candidates.append((Kind.POLICY, _steady(base, peak, f"always {peak} workers, the peak")))
    candidates += [(Kind.MWAA, each) for each in mwaa_classes()]
    return Choices(candidates, lambda history: _searched(base, history, slots))


def _steady(base: Mapping[str, Any], workers: int, label: str) -> Candidate:
    mwaa = {"policy": {"name": "mwaa"}, "min_workers": workers, "max_workers": workers}
    return candidate_of({**base, **mwaa}, label)


def _policies(bounded: Mapping[str, Any]) -> list[Candidate]:
    """The formula in its modes, and whatever else the catalogue has that needs no more than a name."""
    waiting = {**bounded.get("guards", {}), "stabilization_in_seconds": IN_AFTER_SECONDS}
    continuous = {"name": "mwaa", "scale_in": "continuous"}
    tables: list[tuple[str, dict[str, Any]]] = [
        ("mwaa, in when idle", {"policy": {"name": "mwaa", "scale_in": "when-idle"}}),
        ("mwaa, continuous", {"policy": continuous}),
        (
            f"mwaa, continuous, in after {IN_AFTER_SECONDS / 60:g} min",
            {"policy": continuous, "guards": waiting},
        ),
    ]
    found = [candidate_of({**bounded, **table}, label) for label, table in tables]
    for name in catalog.names():
        if name in NEEDS_MORE_THAN_A_NAME:
            continue
        try:
            found.append(candidate_of({**bounded, "policy": {"name": name}}, name))
        except ValueError:
            continue  # it needs fields that only its user knows
    return found


def _searched(base: Mapping[str, Any], history: Trace, slots: int) -> Sequence[Candidate]:
    policy = base.get("policy", {"name": "mwaa"})
    mwaa = policy.get("name") == "mwaa" and "scale_in" not in policy
    axes = usual_axes(peak_workers(history, slots), mwaa=mwaa)
    return Space({**base, "policy": policy}, axes, candidate_of).candidates(None, 0).candidates
