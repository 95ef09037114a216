"""The laws of a policy on its own: pure, frozen, serialisable, monotone if it says so, settling.

Each takes the policy and what it is shown, and raises `LawBrokenError` with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import ceil, isfinite
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from policies.history import History
from policies.lull import lull_of
from policies.model import Capacity, Demand, Observation, Reason, Recommendation, Unavailable
from policies.policy import Policy
from simulations.invariants import LawBrokenError, holds
from simulations.play import EPOCH

SETTLING_TICKS = 3
"""Beyond its window a policy may need so many looks."""
STAYING_TICKS = 60
TICK_SECONDS = 10.0


def walk(
    policy: Policy, observations: Sequence[Observation]
) -> Iterator[tuple[Any, History, Any, Recommendation]]:
    """(memory before, history, memory after, recommendation) of every observation."""
    memory, history = policy.initial(), History(64)
    for observation in observations:
        history = history.append(observation)
        after, recommendation = policy.recommend(memory, history)
        yield memory, history, after, recommendation
        memory = after


def is_pure(policy: Policy, observations: Sequence[Observation]) -> None:
    """The same memory and history give the same answer, and neither is changed by asking."""
    for memory, history, after, recommendation in walk(policy, observations):
        rows, kept = history.rows.copy(), repr(memory)
        again = policy.recommend(memory, history)
        holds(repr(again) == repr((after, recommendation)), f"asked twice: {recommendation}, {again[1]}")
        holds(repr(memory) == kept, f"asking changed the memory {kept} to {memory!r}")
        holds(rows.tobytes() == history.rows.tobytes(), "asking changed the history")


def answers_frozen_values(policy: Policy, observations: Sequence[Observation]) -> None:
    """A recommendation with a reason, and a memory that nobody can change."""
    for _, _, after, recommendation in walk(policy, observations):
        holds(isinstance(recommendation, Recommendation), f"the answer is a {type(recommendation).__name__}")
        holds(isinstance(recommendation.because, Reason), f"{recommendation.because!r} is no Reason")
        _is_frozen(after)


def _is_frozen(memory: Any) -> None:
    if isinstance(memory, tuple):
        for part in memory:
            _is_frozen(part)
        return
    parameters = getattr(memory, "__dataclass_params__", None)
    plain = memory is None or isinstance(memory, str | int | float | frozenset)
    kind = type(memory).__name__
    holds(plain or (parameters is not None and parameters.frozen), f"a memory of {kind} can be changed")


def answers_sizes(policy: Policy, observations: Sequence[Observation]) -> None:
    """A finite size of at least zero for every credible load."""
    for _, history, _, recommendation in walk(policy, observations):
        if history.latest is not None and isinstance(history.latest.demand, Demand):
            workers = recommendation.workers
            holds(isfinite(workers) and workers >= 0, f"{workers} workers for {history.latest.demand}")


def memory_round_trips(policy: Policy, observations: Sequence[Observation]) -> None:
    """Its memory survives JSON, and a policy with the memory read back goes on alike."""
    adapter: TypeAdapter[Any] = TypeAdapter(policy.memory_type)
    for memory, history, after, recommendation in walk(policy, observations):
        try:
            restored = adapter.validate_json(adapter.dump_json(memory, warnings="error"))
        except (PydanticSerializationError, ValidationError) as error:
            raise LawBrokenError(f"the memory {memory!r} is no {policy.memory_type}: {error}") from None
        holds(repr(restored) == repr(memory), f"the memory {memory!r} comes back as {restored!r}")
        again = policy.recommend(restored, history)
        holds(repr(again) == repr((after, recommendation)), "the memory read back decides otherwise")


def is_monotone(policy: Policy, observations: Sequence[Observation], more: float) -> None:
    """With `more` queued in every reading no recommendation is lower, if the policy says so."""
    if not policy.monotone:
        return
    larger = [_with_more(each, more) for each in observations]
    steps = zip(walk(policy, observations), walk(policy, larger), strict=True)
    for (_, history, _, less), (_, _, _, greater) in steps:
        shown = history.latest.demand if history.latest is not None else None
        holds(
            greater.workers >= less.workers,
            f"{more:g} more queued than {shown} lowers {less.workers:g} to {greater.workers:g} workers",
        )


def _with_more(observation: Observation, more: float) -> Observation:
    demand = observation.demand
    if isinstance(demand, Unavailable):
        return observation
    return replace(observation, demand=replace(demand, queued=demand.queued + more))


def wishes(policy: Policy, load: float, workers: int, hours: float = 2.0) -> list[float]:
    """What it wishes, look by look, while `load` stays queued and nothing is done about it."""
    instants = (EPOCH + tick * TICK_SECONDS for tick in range(int(hours * 3600 / TICK_SECONDS)))
    shown = [Observation(at, Demand(load, 0.0, at), Capacity(workers, 0, workers)) for at in instants]
    return [recommendation.workers for *_, recommendation in walk(policy, shown)]


def settles(policy: Policy, load: float, workers: int) -> None:
    """Under a constant load, `workers` at the start, the wish comes to rest and stays.

    It may take `window_seconds` and three looks.  What a calendar asks for may change with the hour.
    """
    memory, history, desired, late = policy.initial(), History(1024), workers, []
    due = ceil(policy.window_seconds / TICK_SECONDS) + SETTLING_TICKS
    for tick in range(due + STAYING_TICKS):
        at = EPOCH + tick * TICK_SECONDS
        observation = Observation(at, Demand(0.0, load, at), Capacity(desired, 0, desired))
        history = history.append(observation)
        memory, recommendation = policy.recommend(memory, history)
        desired = ceil(round(recommendation.workers, 9))
        if tick >= due and recommendation.because is not Reason.SCHEDULE:
            late.append(desired)
    note = f"under a constant load of {load:g}, {due} looks after the start"
    holds(len(set(late)) <= 1, f"{note}, it still wishes {sorted(set(late))} workers")


def keeps_its_lulls(policy: Policy, observations: Sequence[Observation]) -> None:
    """Where it promises that nothing changes (see `policies.lull`), looks of that kind change nothing."""
    for _, history, memory, said in walk(policy, observations):
        last = history.latest
        if last is None or not isinstance(last.demand, Demand):
            continue
        lull = lull_of(policy, memory, last)
        if lull is None:
            continue
        most = min(lull.highest, lull.lowest + 10_000)
        for load, pause in product((lull.lowest, (lull.lowest + most) // 2, most), (TICK_SECONDS, 900.0)):
            at = last.at + pause
            if at < lull.until:
                look = replace(last, at=at, demand=Demand(0.0, float(load), at))
                after, again = policy.recommend(memory, history.append(look))
                promise = f"{lull} was promised at {last}"
                holds(after == memory, f"{promise}, and a load of {load} changes its memory")
                kept = ceil(round(again.workers, 9)) == ceil(round(said.workers, 9))
                holds(kept, f"{promise}, and a load of {load} changes the wish to {again.workers:g}")
