"""Small worlds for the tests: traces from lists, controllers with defaults, decisions by hand."""

from __future__ import annotations

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from policies.model import NOBODY, Decision, Reason, Stage
from policies.mwaa import Mwaa, ScaleIn
from simulations.service import LaunchDelay, ServiceModel
from simulations.trace import trace_of

BY_HAND = (Stage("test", 0, Reason.DEMAND),)


def tasks(*rows, **optional):
    """A trace that begins at 0, from (queued at, duration) rows."""
    return trace_of([row[0] for row in rows], [row[1] for row in rows], starts_at=0.0, **optional)


def service(slots=1, *, launch_seconds=60.0, **optional):
    """Constant launches."""
    return ServiceModel(slots, LaunchDelay(launch_seconds, 0.0), **optional)


def controller(slots, minimum, maximum, scale_in=ScaleIn.CONTINUOUS):
    """MWAA's formula with the default guards."""
    bounds = GuardChain(Bounds(minimum, maximum))
    return Controller(Mwaa(slots, scale_in), bounds, Watch(slots, maximum))


def decide(
    desired=None,
    *,
    protected=NOBODY,
    released=NOBODY,
    intake_stopped=NOBODY,
    wants_workers=False,
):
    """A decision by hand."""
    return Decision(
        desired,
        BY_HAND,
        frozenset(intake_stopped),
        frozenset(protected),
        frozenset(released),
        wants_workers,
    )
