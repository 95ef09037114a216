"""What one measured run tells of its workload: work to be done anew under any fleet.

Nothing of it is fitted to another run: tries, dependencies, run starts, pools, durations, how often a
retry waits, when a sensor's condition came true, and how often a slot stayed taken after its task.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.measured_run import MeasuredRun, Try

LOOP_SECONDS = 1.05
"""Airflow's scheduler sleeps a second between two loops and works some hundredths."""
RESCHEDULED_SECONDS = 5.0
"""A sensor whose last look was scheduled later than that after it was ready had looked before."""
TAIL_SEEN_SECONDS = 0.15
"""A slot that is free at once was taken again within 0.02 to 0.12 s, one that is not after 5.0 to 5.2 s."""
GENERAL_SHARE, GENERAL_WEIGHT = 0.6, 300
"""How often a slot stays taken, as far as is known of any run: 35 % were measured on a nearly idle machine,
52 % on a half-loaded, 74 % on a busy one; between the last two, because it matters where slots are scarce.
It differs more between runs than a run of some hundred tasks can tell of another one, so the general share
counts like so many sightings."""


@dataclass(frozen=True)
class Work:
    """One try as a row of a trace.  Seconds from the run's zero."""

    of: Try
    queued_at: float
    duration_seconds: float
    parents: tuple[int, ...]
    delay_seconds: float

    @property
    def slots(self) -> int:
        """An empty operator never reaches a worker."""
        return 1 if self.of.host else 0


@dataclass(frozen=True)
class Deployment:
    """What is configured, not measured."""

    slots_per_worker: int
    pools: dict[str, int]
    parallelism: int = 64
    active_runs: int = 16


@dataclass(frozen=True)
class Played:
    """Seconds from the run's zero, by row of the work."""

    scheduled_at: np.ndarray
    queued_at: np.ndarray
    started_at: np.ndarray
    ended_at: np.ndarray
    worker: np.ndarray
    """Its number; -1: none."""


def workload(run: MeasuredRun) -> list[Work]:
    """The run's tries, the earlier run's first: what they are, without when they happened."""
    tries = sorted(run.tries, key=lambda it: (run.created_at[it.run], it.task, it.map_index, it.number))
    row = {each.key: number for number, each in enumerate(tries)}
    last: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for number, each in enumerate(tries):
        last[each.run, each.task][each.map_index] = number  # tries ascend
    retry, sensor = _retry_delays(tries, row), _sensor_delays(run, tries, last)
    work = []
    for each in tries:
        before = row.get((each.run, each.task, each.map_index, each.number - 1))
        if before is not None:
            parents: tuple[int, ...] = (before,)
            delay = retry[each.dag, each.task]
        else:
            parents = _upstream(run, each, last)
            delay = sensor.get((each.dag, each.task), 0.0)
        created = run.created_at[each.run]
        work.append(
            Work(
                each, created if parents else created + delay, each.ended_at - each.started_at, parents, delay
            )
        )
    return work


def _upstream(run: MeasuredRun, each: Try, last: dict[tuple[str, str], dict[int, int]]) -> tuple[int, ...]:
    tasks = run.parents.get((each.dag, each.task), ())
    return tuple(number for task in tasks for number in last.get((each.run, task), {}).values())


def _retry_delays(
    tries: list[Try], row: dict[tuple[str, str, int, int], int]
) -> dict[tuple[str, str], float]:
    """The shortest time between two tries is the delay and hardly any scheduler's loop."""
    found: dict[tuple[str, str], float] = {}
    for each in tries:
        before = row.get((each.run, each.task, each.map_index, each.number - 1))
        if before is not None:
            gap = each.scheduled_at - tries[before].ended_at
            found[each.dag, each.task] = max(0.0, min(gap, found.get((each.dag, each.task), gap)))
    return found


def _sensor_delays(
    run: MeasuredRun, tries: list[Try], last: dict[tuple[str, str], dict[int, int]]
) -> dict[tuple[str, str], float]:
    """From a rescheduled sensor's readiness to the look that succeeded; Airflow keeps no other."""
    seen = defaultdict(list)
    for each in tries:
        if "Sensor" not in each.operator:
            continue
        parents = [tries[number].ended_at for number in _upstream(run, each, last)]
        late = each.scheduled_at - max(parents, default=run.created_at[each.run])
        if late > RESCHEDULED_SECONDS:
            seen[each.dag, each.task].append(late - LOOP_SECONDS / 2)
    return {key: median(values) for key, values in seen.items()}


def slots_per_worker(run: MeasuredRun) -> int:
    """The most tasks that ran on one worker at a time."""
    return max(
        _most([(it.started_at, it.ended_at, 1) for it in run.worked() if it.host == host])
        for host in {it.host for it in run.worked()}
    )


def pool_sizes(run: MeasuredRun) -> dict[str, int]:
    """Pools that made tasks wait, with the most slots of them ever held."""
    limiting = {it.pool for it in run.worked() if it.queued_at - it.scheduled_at > 2 * LOOP_SECONDS}
    return {
        pool: _most([(it.queued_at, it.ended_at, it.pool_slots) for it in run.worked() if it.pool == pool])
        for pool in limiting
    }


def _most(spans: list[tuple[float, float, int]]) -> int:
    moves = sorted([(start, slots) for start, _, slots in spans] + [(end, -slots) for _, end, slots in spans])
    held = most = 0
    for _, slots in moves:
        held += slots
        most = max(most, held)
    return most


def tail_share(run: MeasuredRun) -> float:
    """How often slots are to stay taken after their task's end in another run of the same work."""
    stayed, seen = tails_seen(run)
    return (stayed + GENERAL_SHARE * GENERAL_WEIGHT) / (seen + GENERAL_WEIGHT)


def tails_seen(run: MeasuredRun) -> tuple[int, int]:
    """Slots that stayed taken, of those whose end tells it.

    An end tells it if somebody waits in the queue: a slot that is free is taken at once.
    """
    worked = run.worked()
    starts = sorted(it.started_at for it in worked)
    queued = sorted(it.queued_at for it in worked)
    by_host = defaultdict(list)
    for it in worked:
        by_host[it.host].append(it.started_at)
    stayed = seen = 0
    for it in worked:
        at, until = it.ended_at, it.ended_at + TAIL_SEEN_SECONDS
        began = bisect_right(starts, at)
        waiting = bisect_left(queued, at - 0.1) - began
        if waiting <= 0:
            continue
        taken_here = any(at < start < until for start in by_host[it.host])
        if not taken_here and bisect_left(starts, until) - began >= waiting:
            continue  # others took all that waited
        seen += 1
        stayed += not taken_here
    return stayed, seen
