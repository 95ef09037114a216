"""From the tries of one DAG run to rows of a trace.  Pure.

The record shows when a task started with the workers there were.  What a simulation needs is when it
could have started with workers without end, so that lateness is not counted twice: this is rebuilt
here from the run's start, the DAG's edges and the durations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from autoscaler.sources.airflow_db.snapshot import KUBERNETES_QUEUE
from autoscaler.trace_export.names import Names
from autoscaler.trace_export.row import Run, Tally, TraceRow, Window
from autoscaler.trace_export.structure import Structure

SKEW_SECONDS = 1.0
"""Start and end of two tasks are told by the clocks of two workers."""
NEVER_RAN = frozenset({"upstream_failed", "removed"})


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at one task instance; instants are Unix seconds."""

    task: str
    map_index: int
    number: int
    state: str | None
    queued_at: float | None
    scheduled_at: float | None
    """When all its parents were done; kept since Airflow 3."""
    started_at: float
    ended_at: float | None
    queue: str | None = "default"
    executor: str | None = None
    pool: str | None = "default_pool"
    pool_slots: int = 1
    priority: int = 1

    @property
    def recorded_at(self) -> float:
        """When it wanted a worker, as it was."""
        known = [at for at in (self.scheduled_at, self.queued_at) if at is not None and at <= self.started_at]
        return known[0] if known else self.started_at


@dataclass(slots=True, eq=False)
class _Placed:
    """A try with what was rebuilt of it."""

    attempt: Try
    ended_at: float
    before: _Placed | None
    """The try before this one, if Airflow kept it (since 2.10)."""
    earliest_at: float = 0.0
    waited_for: list[_Placed] = field(default_factory=list)
    key: str | None = None
    """None: it is no row of the trace, and its children wait for its own parents."""

    @property
    def earliest_end(self) -> float:
        return self.earliest_at + self.ended_at - self.attempt.started_at


@dataclass(frozen=True, slots=True)
class Assembler:
    """Makes the rows of a run; what it leaves out it counts."""

    window: Window
    names: Names
    tally: Tally
    celery_executors: Collection[str] = ("CeleryExecutor",)
    airflow_2: bool = False
    """There the queue `kubernetes` may be another executor's."""

    def rows(self, run: Run, tries: Iterable[Try], structure: Structure | None) -> list[TraceRow]:
        """The rows of a run's tries, parents first; `structure` None: the DAG is not known."""
        structure = structure or Structure({}, ())
        by_task = self._finished(tries)
        strangers = sorted(set(by_task) - set(structure.parents))
        rows: list[TraceRow] = []
        for task in (*structure.order, *strangers):
            for placed in by_task.get(task, ()):
                known = task in structure.parents
                self._place(placed, run, by_task, structure if known else None)
                if self._is_row(placed.attempt):
                    placed.key = self._key(run, placed.attempt)
                    self.tally.without_parents += not known
                    self.tally.rescheduled += task in structure.rescheduled
                    rows.append(self._row(run, placed))
        self.tally.tasks += len(rows)
        self.tally.runs += bool(rows)
        return rows

    def _finished(self, tries: Iterable[Try]) -> dict[str, list[_Placed]]:
        by_task: dict[str, list[_Placed]] = defaultdict(list)
        for attempt in sorted(tries, key=lambda each: (each.map_index, each.number)):
            if attempt.ended_at is not None:
                same = by_task[attempt.task]
                before = same[-1] if same and same[-1].attempt.map_index == attempt.map_index else None
                same.append(_Placed(attempt, max(attempt.ended_at, attempt.started_at), before))
            elif attempt.started_at in self.window:
                self.tally.still_running += 1
        return dict(by_task)

    def _place(
        self, placed: _Placed, run: Run, by_task: dict[str, list[_Placed]], structure: Structure | None
    ) -> None:
        attempt = placed.attempt
        if structure is None:
            placed.earliest_at = attempt.recorded_at
            return
        placed.waited_for = _waited_for(attempt, by_task, structure)
        starts = [each.earliest_end for each in placed.waited_for]
        if (before := placed.before) is None:
            # Of a later try whose first is not kept the record alone can tell.
            lost = attempt.number > 1 or run.started_at is None
            starts.append(attempt.recorded_at if lost else run.started_at or 0.0)
        else:
            # A retry waits out its delay whatever the workers; what the first try waited for is its own.
            starts.append(before.earliest_end + _pause(before, attempt))
            known = {id(each) for each in before.waited_for}
            placed.waited_for = [each for each in placed.waited_for if id(each) not in known] + [before]
        if attempt.task in structure.rescheduled:
            starts.append(attempt.recorded_at)  # it waited for the world outside, not for a worker
        placed.earliest_at = min(max(starts), attempt.started_at)

    def _is_row(self, attempt: Try) -> bool:
        return attempt.started_at in self.window and attempt.state not in NEVER_RAN

    def _on_worker(self, attempt: Try) -> bool:
        if attempt.queued_at is None:
            return False
        if not attempt.executor:
            return not (self.airflow_2 and attempt.queue == KUBERNETES_QUEUE)
        return bool({attempt.executor, attempt.executor.rsplit(".", 1)[-1]} & set(self.celery_executors))

    def _row(self, run: Run, placed: _Placed) -> TraceRow:
        attempt, names, before = placed.attempt, self.names, placed.before
        on_worker = self._on_worker(attempt)
        self.tally.off_worker += not on_worker
        # Of another executor's queue nothing is to be learnt.
        waited = attempt.started_at - (attempt.queued_at or 0.0) if on_worker else None
        return TraceRow(
            task_key=placed.key or "",
            queued_at=placed.earliest_at,
            duration_s=placed.ended_at - attempt.started_at,
            slots=int(on_worker),
            queue=names("queue", attempt.queue) if attempt.queue else None,
            pool=names("pool", attempt.pool) if attempt.pool else None,
            pool_slots=attempt.pool_slots,
            priority=attempt.priority,
            group=f"{names('dag', run.dag)}/{names('run', run.run)}",
            dag=names("dag", run.dag),
            task=names("task", attempt.task),
            run_type=run.run_type,
            announced_at=_announced_at(run, placed.earliest_at),
            parents=";".join(_keys(placed.waited_for)),
            wait_s=waited if waited is not None and waited >= 0 else None,
            started_at=attempt.started_at,
            delay_s=0.0 if before is None or before.key is None else _pause(before, attempt),
        )

    def _key(self, run: Run, attempt: Try) -> str:
        names = self.names
        key = f"{names('dag', run.dag)}/{names('run', run.run)}/{names('task', attempt.task)}"
        key += f"[{attempt.map_index}]" if attempt.map_index >= 0 else ""
        return f"{key}#{attempt.number}" if attempt.number > 1 else key


def _pause(before: _Placed, attempt: Try) -> float:
    """From the end of one try until the next was wanted: the retry's delay."""
    return max(0.0, attempt.recorded_at - before.ended_at)


def _waited_for(attempt: Try, by_task: dict[str, list[_Placed]], structure: Structure) -> list[_Placed]:
    """The tries of the parents that had ended when this one started.

    A parent that was run once more afterwards was not waited for, and neither was one that was still
    running (a trigger rule such as one_success): the record decides.
    """
    group = structure.mapped_group.get(attempt.task)
    waited: list[_Placed] = []
    above, seen = list(structure.parents[attempt.task]), set[str]()
    while above:
        parent = above.pop()
        if parent in seen:
            continue
        seen.add(parent)
        if not (tries := by_task.get(parent)):  # it never ran: whoever waits for it waits for its parents
            above += structure.parents[parent]
            continue
        alike = group is not None and group == structure.mapped_group.get(parent)
        last: dict[int, _Placed] = {}
        for each in tries:
            index = each.attempt.map_index
            same_index = not alike or index in {attempt.map_index, -1}
            if same_index and each.ended_at <= attempt.started_at + SKEW_SECONDS:
                last[index] = each
        waited += last.values()
    return waited


def _keys(waited_for: Iterable[_Placed]) -> list[str]:
    """Of those that are rows; in place of one that is none, of those it waited for."""
    keys: list[str] = []
    above, seen = list(waited_for), set[int]()
    while above:
        each = above.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if each.key is None:
            above += each.waited_for
        else:
            keys.append(each.key)
    return sorted(keys)


def _announced_at(run: Run, earliest_at: float) -> float:
    """When Airflow could know of the run: a scheduled one since its interval began."""
    known = run.interval_start if run.run_type == "scheduled" else None
    candidates = [at for at in (known, run.queued_at, run.started_at) if at is not None]
    return min(candidates[0] if candidates else earliest_at, earliest_at)
