"""The laws that every policy must keep, for our tests and for `autoscaler policies check pkg.mod:Class`.

Inputs are found by Hypothesis, without a database and from a fixed seed: the same policy gets the
same verdict twice.  A broken law shows the smallest example that was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from policies.catalog import build
from policies.policy import Policy
from simulations import policy_laws
from simulations.fluid import TICK_SECONDS, Loop, converges_in, converges_out
from simulations.invariants import LawBrokenError
from simulations.play import Look, Play
from simulations.puppet import Puppet

DEFAULT_SLOTS_PER_WORKER = 16
EXAMPLES = 60
"""Inputs tried for a law."""
LAGS_SECONDS = (0.0, 60.0, 180.0)
LAUNCHES_SECONDS = (0.0, 60.0, 180.0)
Event = Look | Bounds | int | None
"""A look, a reload, a foreign write, a restart."""


@dataclass(frozen=True, slots=True)
class LawResult:
    """One law's verdict."""

    name: str
    ok: bool
    detail: str
    """What broke it, or on what it was tried."""


def check_policy(specification: Mapping[str, Any], examples: int = EXAMPLES) -> list[LawResult]:
    """Every law for the policy that `{name = ..., field = value}` describes; some seconds.

    Raises `policies.catalog.PolicyError` where there is no such policy.
    """
    slots = None if "environment_class" in specification else DEFAULT_SLOTS_PER_WORKER
    policy = build(specification, slots)
    return [_judged(name, law, policy, examples) for name, law in LAWS.items()]


def _judged(name: str, law: Callable[[Policy, int], str], policy: Policy, examples: int) -> LawResult:
    try:
        return LawResult(name, ok=True, detail=law(policy, examples))
    except LawBrokenError as error:
        return LawResult(name, ok=False, detail=str(error))
    except ExceptionGroup as group:  # Hypothesis found several ways to break it
        return LawResult(name, ok=False, detail="; ".join(map(_said, group.exceptions)))
    except Exception as error:  # noqa: BLE001 - a policy under test may raise anything
        return LawResult(name, ok=False, detail=_said(error))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, LawBrokenError) else f"{type(error).__name__}: {error}"


def plays(policy: Policy, guards: GuardChain, events: Iterable[Event]) -> Play:
    """The controller with these guards through everything that happens; all invariants hold.

    Returns the play as it ended.  Raises `LawBrokenError`.
    """
    slots = slots_of(policy)
    controller = Controller(policy, guards, Watch(slots, guards.bounds.maximum))
    play = Play(controller, Puppet(slots))
    play.puppet.resize(guards.bounds.minimum + 3, play.at - 600, 0.0)
    for event in events:
        match event:
            case Look():
                play.look(event)
            case Bounds():
                play.reload(event)
            case int():
                play.foreign_write(event)
            case None:
                play.restart()
    play.replays()
    return play


def slots_of(policy: Policy) -> int:
    """Its own slots per worker, or a usual number."""
    return int(getattr(policy, "slots_per_worker", DEFAULT_SLOTS_PER_WORKER))


def _on_episodes(check: Callable[[Policy, Any], None]) -> Callable[[Policy, int], str]:
    def law(policy: Policy, examples: int) -> str:
        from simulations.inputs import episodes  # noqa: PLC0415 - Hypothesis is of the `simulate` extra

        return _for_all(episodes(), lambda shown: check(policy, shown), examples)

    return law


def _monotone(policy: Policy, examples: int) -> str:
    if not policy.monotone:
        return "the policy does not claim it"
    from hypothesis import strategies as st  # noqa: PLC0415

    from simulations.inputs import episodes  # noqa: PLC0415

    cases = st.tuples(episodes(), st.sampled_from([1.0, 10.0, 500.0]))
    return _for_all(cases, lambda case: policy_laws.is_monotone(policy, *case), examples)


def _settles(policy: Policy, _: int) -> str:
    cases = [(load, workers) for load in (0.0, 1.0, 100.0, 1000.0) for workers in (0, 1, 50)]
    for load, workers in cases:
        policy_laws.settles(policy, load, workers)
    return f"{len(cases)} constant loads, {policy.window_seconds:g} s and {policy_laws.SETTLING_TICKS} looks"


def _keeps_invariants(policy: Policy, examples: int) -> str:
    from hypothesis import strategies as st  # noqa: PLC0415

    from simulations.inputs import guard_chains, scripts  # noqa: PLC0415

    cases = st.tuples(guard_chains, scripts)
    return _for_all(cases, lambda case: plays(policy, *case), examples)


def _converges(law: Callable[[Policy, Loop, float, int], None], share: float) -> Callable[[Policy, int], str]:
    def check(policy: Policy, _: int) -> str:
        idle = policy_laws.wishes(policy, 0.0, 0)
        floor, turns = max(idle), 2 * sum(one != two for one, two in pairwise(idle))
        slots = slots_of(policy)
        busy = 8.0 * slots
        if max(policy_laws.wishes(policy, busy * 100, 0)) <= floor:
            return "it does not answer to the load; join it with one that does by `highest`"
        loops = [
            Loop(busy, slots, lag, launch, int(share * 8))
            for lag in LAGS_SECONDS
            for launch in LAUNCHES_SECONDS
        ]
        for loop in loops:
            law(policy, loop, floor, turns)
        return f"{len(loops)} closed loops, source lag and launch 0-180 s, ticks of {TICK_SECONDS:g} s"

    return check


def _for_all(strategy: Any, check: Callable[[Any], object], examples: int) -> str:
    """Tries `check` on many drawn inputs; the smallest failing one raises."""
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def tried(case: Any) -> None:
        check(case)

    tried()
    return f"{examples} examples"


LAWS: Mapping[str, Callable[[Policy, int], str]] = {
    "asked twice, the same answer": _on_episodes(policy_laws.is_pure),
    "answers are frozen values": _on_episodes(policy_laws.answers_frozen_values),
    "every load has a finite size": _on_episodes(policy_laws.answers_sizes),
    "memory survives JSON": _on_episodes(policy_laws.memory_round_trips),
    "more demand never lowers the wish": _monotone,
    "a constant load settles": _settles,
    "nothing changes in a lull that it promises": _on_episodes(policy_laws.keeps_its_lulls),
    "every invariant of the controller, under any guards, failures, reloads and restarts": _keeps_invariants,
    "the closed loop converges from too few workers": _converges(converges_out, 0.25),
    "the closed loop converges from too many workers": _converges(converges_in, 4.0),
}
"""By name: what is tried on a policy."""
