"""How long one `Controller.step` takes: a day of 10 s ticks, at 10, 100 and 1,000 workers.

The load moves both ways; workers arrive a minute after they were ordered; they are listed only when
the previous decision asked for it, as the fleet does it.  Exits 1 over budget (median microseconds).

    python benchmarks/step.py
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import (
    Bounds,
    Cooldown,
    GuardChain,
    Rate,
    RateLimit,
    RateRule,
    RateUnit,
    Stabilization,
    Tolerance,
    WarmUp,
)
from policies.model import Applied, Capacity, Decision, Demand, Evidence, Observation, Workers
from policies.mwaa import Mwaa, ScaleIn

SLOTS, TICK_SECONDS, LAUNCH_SECONDS, DAY = 16, 10.0, 60.0, 86_400
STAYS = math.exp(-TICK_SECONDS / 300)
BUDGET_MICROSECONDS = {"mwaa, default guards": 10.0, "mwaa, full guard chain": 20.0}


def default_guards(maximum: int) -> GuardChain:
    return GuardChain(Bounds(1, maximum), WarmUp(120.0))


def full_guards(maximum: int) -> GuardChain:
    out = Rate((RateRule(max(4, maximum // 10), 60.0), RateRule(50.0, 60.0, RateUnit.PERCENT)))
    into = Rate((RateRule(20.0, 60.0, RateUnit.PERCENT),))
    return GuardChain(
        Bounds(1, maximum),
        WarmUp(120.0),
        Tolerance(0.1, 0.1),
        Stabilization(60.0, 300.0),
        Cooldown(30.0, 60.0),
        RateLimit(out, into),
    )


@dataclass
class Fleet:
    """As much of a service as a step can see."""

    workers: int
    arriving: list[tuple[float, int]] = field(default_factory=list)
    protected_until: dict[int, float] = field(default_factory=dict)
    ordered: int = 1
    listed: bool = False
    last: Applied | None = None

    def apply(self, at: float, decision: Decision) -> None:
        self.listed, self.last = decision.wants_workers, None
        for name in decision.protected:
            self.protected_until[int(name)] = at + 3600
        for name in decision.released:
            self.protected_until.pop(int(name), None)
        if decision.desired is not None or decision.protected or decision.released:
            self.last = Applied(decision.desired)
        if decision.desired is not None:
            if decision.desired > self.ordered:
                self.arriving.append((at + LAUNCH_SECONDS, decision.desired - self.ordered))
            self.ordered = decision.desired
            self.workers = min(self.workers, self.ordered)

    def observed(self, at: float, load: int) -> Observation:
        while self.arriving and self.arriving[0][0] <= at:
            self.workers = min(self.ordered, self.workers + self.arriving.pop(0)[1])
        running = min(load, self.workers * SLOTS)
        demand = Demand(load - running, running, at, schedulers=1, source="airflow_db")
        listing = self._listing(at, running) if self.listed else None
        capacity = Capacity(self.ordered, self.ordered - self.workers, self.workers, workers=listing)
        return Observation(at, demand, capacity, Evidence(at) if self.listed else Evidence(), self.last)

    def _listing(self, at: float, running: int) -> Workers:
        rows = range(self.workers)
        busy = np.clip(running - SLOTS * np.arange(self.workers), 0, SLOTS).astype(float)
        until = np.array([self.protected_until.get(row, 0.0) for row in rows])
        age = np.full(self.workers, at - 600)
        ids = tuple(map(str, rows))
        hosts = tuple((name,) for name in ids)
        return Workers(ids, hosts, np.ones(self.workers, np.int64), age, age, busy, np.ones_like(busy), until)


def day(controller: Controller, workers: int, seed: int) -> np.ndarray:
    """Microseconds of every step of a day."""
    rng, fleet, state = np.random.default_rng(seed), Fleet(1), controller.initial()
    swing, took = 0.0, []
    for tick in range(int(DAY / TICK_SECONDS)):
        at = 1.8e9 + tick * TICK_SECONDS
        # Nights are idle, noon is full, every hour starts a tenth of the day's work.  Around that the
        # load swings as independent tasks of five minutes do: by the root of their number.
        swing = swing * STAYS + rng.normal(0, math.sqrt(1 - STAYS**2))
        daily = 0.4 - 0.5 * math.cos(at / DAY * 2 * math.pi)
        mean = workers * SLOTS * max(0.0, daily + 0.1 * (at % 3600 < 600))
        load = max(0, int(mean + swing * math.sqrt(mean)))
        observation = fleet.observed(at, load)
        before = perf_counter_ns()
        state, decision = controller.step(state, observation)
        took.append(perf_counter_ns() - before)
        fleet.apply(at, decision)
    return np.array(took) / 1000


def main() -> int:
    seed, over = 2026, False
    print(f"seed {seed}; microseconds a step, {DAY / TICK_SECONDS:.0f} steps each")
    print(f"{'':38}{'workers':>8}{'median':>8}{'p95':>8}{'p99':>8}{'budget':>8}")
    for name, budget in BUDGET_MICROSECONDS.items():
        guards = full_guards if "full" in name else default_guards
        for scale_in in ScaleIn:
            for workers in (10, 100, 1000):
                chain = guards(workers)
                controller = Controller(Mwaa(SLOTS, scale_in), chain, Watch(SLOTS, workers))
                took = day(controller, workers, seed)
                median, p95, p99 = np.percentile(took, (50, 95, 99))
                over |= bool(median > budget)
                label = f"{name}, {scale_in}"
                print(f"{label:38}{workers:>8}{median:>8.1f}{p95:>8.1f}{p99:>8.1f}{budget:>8.0f}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
