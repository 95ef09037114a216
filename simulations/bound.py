"""What no fleet can undercut, and what one with foresight reaches: a policy's place lies between."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from simulations.excuses import excuses_of
from simulations.levels import cheapest_fleet
from simulations.program import Terms, bins_of, columns_of, least_cost, load_of
from simulations.schedule import Schedule, schedule_of
from simulations.service import ServiceModel
from simulations.trace import Trace, quantised
from simulations.windows import Windows, windows_of, workers_needed

HOUR = 3600.0
BIN_SECONDS = 60.0
MOST_BINS = 12_000
"""A week in minutes and what comes after.  HiGHS takes seconds for it, and minutes for ten times as many."""
MOST_COLUMNS = 15_000
"""The same of a program with excuses, whose columns are much harder."""
SOLVER_TOLERANCE = 1e-6
"""The program's optimum is taken down by this share: HiGHS may break each row by 1e-7."""
LITTLE = 0.01
IDLE_LAUNCHES = (0.0, 1.0, 2.0, 4.0)
"""Idle times tried for the schedule, in launches: one launch is where keeping a worker costs what a new
one does; longer ones pay where a worker has many slots."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Worker-hours as they are billed, from a worker's order to its stop, and how they were found."""

    worker_hours: float
    launches: float
    """Fractions are the linear program's."""
    max_wait_seconds: float
    excused_share: float
    """Share of the tasks that may wait longer."""
    method: str
    """`levels`, `linear program` or `schedule`."""
    bin_seconds: float = 0.0
    """Length of the linear program's bins; 0 for the other methods."""
    remarks: tuple[str, ...] = ()
    """What in this trace the figure does not see."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def lower_bound(
    trace: Trace,
    service: ServiceModel,
    max_wait_seconds: float,
    excused_share: float = 0.0,
    *,
    minimum_seconds: float = 0.0,
    ready_at_start: int = 0,
    bin_seconds: float | None = None,
) -> Bound:
    """Worker-hours below which no fleet, knowing all in advance, keeps the promise.

    The promise: no task waits longer in the queue than `max_wait_seconds`, but for `excused_share` of all
    tasks.  A worker costs its time from order to stop, at least `minimum_seconds`; `ready_at_start` workers
    are there at the trace's zero without a launch.

    With nothing to wait for and nobody excused every task's place in time is fixed: the bound is the sum
    of the levels of the demand (`cheapest_fleet`), the exact optimum if running tasks could move between
    workers, slots had no tail and billing no minimum.  Else it is the linear program of `program`, or the
    levels of what no schedule can move, whichever is higher.  Both leave out only what a real fleet must
    also obey, so both are bounds: whole workers, whole tasks, tasks that stay where they started.

    - Bins are `BIN_SECONDS` long unless told otherwise, and twice, four times, ... as long where the program
      would take minutes: means over longer bins ask for less, so it stays a bound.
    - Launches count the median delay.  With a spread the bound holds in the mean, not for each seed.
    - A worker may be stopped in the tail after its last task.  So with tails a launch counts that much
      less; tails longer than a launch count as a launch.
    - Tasks of several slots may be cut up, and queues may share workers: both only lower the bound, which
      stays one, far below the optimum where they matter.  So does a maximum of workers, which is not seen.
    - A run that lost tasks with their workers is not bound: a lost task is queued anew, later.

    Raises `ValueError` for a promise, share, or bin that cannot be, `BoundError` if the solver gives up.
    """
    shortest = BIN_SECONDS if bin_seconds is None else bin_seconds
    _check(max_wait_seconds, excused_share, shortest)
    launch = service.launch.median_seconds
    tail = min(service.slot_tail_seconds, launch)
    terms = Terms(
        service.slots_per_worker, launch - tail, max(0.0, minimum_seconds - launch + tail), ready_at_start
    )
    windows = windows_of(trace, quantised(max_wait_seconds), tail)
    seconds, launches, method, used_bins = 0.0, 0.0, "levels", 0.0
    if not excused_share:
        at, needed = workers_needed(*windows.compulsory(), service.slots_per_worker)
        seconds, launches = cheapest_fleet(at, needed, terms.launch_seconds)
        seconds -= terms.launch_seconds * min(ready_at_start, launches)
    if max_wait_seconds or excused_share or terms.least_ready_seconds >= 2 * shortest:
        if bin_seconds is None:
            shortest = _solvable_bins(trace, windows, terms, excused_share)
        load = load_of(windows, terms, shortest)
        excuses = excuses_of(trace, windows, shortest) if excused_share else None
        cost, launched = least_cost(load, terms, excuses, excused_share * len(trace))
        cost *= 1 - SOLVER_TOLERANCE
        if cost > seconds:
            seconds, launches, method, used_bins = cost, launched, "linear program", load.bin_seconds
    seconds = max(0.0, seconds - tail * ready_at_start)
    remarks = _remarks(trace, service, excused_share)
    full = float((trace.duration_seconds * trace.slots).sum()) / service.slots_per_worker
    if excused_share and seconds <= full * (1 + LITTLE):
        remarks = (
            *remarks,
            "with so many excused the lower bound is hardly more than the work on full workers",
        )
    if bin_seconds is None and used_bins > BIN_SECONDS:
        remarks = (*remarks, f"a long trace: the lower bound looks at means over {used_bins:g} s")
    return Bound(seconds / HOUR, launches, max_wait_seconds, excused_share, method, used_bins, remarks)


def _solvable_bins(trace: Trace, windows: Windows, terms: Terms, excused_share: float) -> float:
    """Bins so long that the program is solved in seconds."""
    bin_seconds = BIN_SECONDS
    while (bins := bins_of(windows, terms, bin_seconds)) > MOST_BINS or (
        excused_share
        and bins > 1
        and columns_of(bins, excuses_of(trace, windows, bin_seconds)) > MOST_COLUMNS
    ):
        bin_seconds *= 2
    return bin_seconds


def feasible(
    trace: Trace, service: ServiceModel, max_wait_seconds: float, *, minimum_seconds: float = 0.0
) -> Bound:
    """Worker-hours of the best schedule found in which no task waits longer: `best_schedule`'s.

    Enough, hence never below `lower_bound` for the same promise (nobody excused).  It is no theorem that
    policies need more: another schedule may do better still.

    Raises `ValueError` for a promise that cannot be, or a task wider than a worker.
    """
    schedule = best_schedule(trace, service, max_wait_seconds, minimum_seconds=minimum_seconds)
    hours = float(schedule.billed_seconds(minimum_seconds).sum()) / HOUR
    return Bound(
        hours,
        len(schedule.ready_at),
        max_wait_seconds,
        0.0,
        "schedule",
        remarks=_remarks(trace, service, 0.0),
    )


def best_schedule(
    trace: Trace, service: ServiceModel, max_wait_seconds: float, *, minimum_seconds: float = 0.0
) -> Schedule:
    """The cheapest of some schedules: workers idle for up to `IDLE_LAUNCHES`, launched ahead or not."""
    _check(max_wait_seconds, 0.0, BIN_SECONDS)
    unit = max(service.launch.median_seconds, minimum_seconds)
    tried = (
        schedule_of(trace, service, quantised(max_wait_seconds), unit * launches, ahead=ahead)
        for launches in (IDLE_LAUNCHES if unit else (0.0,))
        for ahead in ((False, True) if max_wait_seconds else (False,))
    )
    return min(tried, key=lambda schedule: float(schedule.billed_seconds(minimum_seconds).sum()))


def _check(max_wait_seconds: float, excused_share: float, bin_seconds: float) -> None:
    if not (isfinite(max_wait_seconds) and max_wait_seconds >= 0):
        raise ValueError(f"longest wait: expected seconds, 0 or more, got {max_wait_seconds:g}")
    if not 0 <= excused_share <= 1:
        raise ValueError(f"excused: expected a share from 0 to 1 (0.05 is 5 %), got {excused_share:g}")
    if not (isfinite(bin_seconds) and bin_seconds > 0):
        raise ValueError(f"bin: expected more than 0 seconds, got {bin_seconds:g}")


def _remarks(trace: Trace, service: ServiceModel, excused_share: float) -> tuple[str, ...]:
    remarks = []
    if bool((trace.slots > 1).any()):
        remarks.append("some tasks hold several slots: the lower bound lets them be cut up, so it is loose")
    if len(trace.queues) > 1:
        remarks.append(
            f"{len(trace.queues)} queues share workers here: a fleet for each needs more; "
            "bound them one by one"
        )
    if service.launch.spread:
        remarks.append("launches count their median: for one seed with lucky launches the bound may fail")
    if excused_share and len(trace.edge_parent):
        remarks.append("an excused task may hold up all tasks connected with it: the lower bound is loose")
    return tuple(remarks)
