"""What must hold of every run, checked while it is played and when it has ended.

Nothing here asks how the kernels work: it looks at who holds which slots at every tick, and at all tasks,
workers and dollars in the end.  What is broken raises `CheckError`: one line with task, worker and instant.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from policies.model import FloatArray
from simulations.airflow import Airflow
from simulations.held import held_of
from simulations.price import Price
from simulations.run import Result
from simulations.score import HOUR, Score
from simulations.service import ServiceModel
from simulations.sweeps import worst
from simulations.trace import Trace
from simulations.world import World

CENTS = 1e-6
"""Dollars by which sums of floats may differ, as a share."""


class CheckError(Exception):
    """An invariant is broken: the simulator is wrong, or its input was changed on the way."""


class Checker:
    """Follows one target's run: `look` at every tick, then `finish` and `bill`."""

    def __init__(self, trace: Trace, service: ServiceModel, airflow: Airflow | None = None) -> None:
        self._trace, self._slots_per_worker = trace, service.slots_per_worker
        self._airflow = Airflow() if airflow is None else airflow
        self._world: World | None = None
        self._unfinished = len(trace)
        self.looks = 0

    def look(self, world: World) -> None:
        """Who holds what now.  Raises `CheckError`."""
        self._world = world
        self.looks += 1
        now, line = world.now, world.fleet.line
        tasks, workers = held_of(line)
        slots = self._trace.slots[tasks]
        held = np.bincount(workers, weights=slots, minlength=len(line.running)).astype(np.int64)
        for task, worker in zip(
            tasks[line.running[workers] == 0], workers[line.running[workers] == 0], strict=True
        ):
            self._fail(now, f"task {self._name(task)} is held by worker-{worker}, which does not run")
        if len(tasks) and held.max() > self._slots_per_worker:
            worker = int(np.argmax(held))
            mine = ", ".join(self._name(task) for task in tasks[workers == worker][:10])
            has = f"worker-{worker} has {self._slots_per_worker} slots"
            self._fail(now, f"{has}, but {held[worker]} are held: by {mine}")
        if len(np.unique(tasks)) < len(tasks):
            task = int(tasks[np.argmax(np.bincount(tasks)[tasks])])
            mine = ", ".join(f"worker-{worker}" for worker in workers[tasks == task])
            self._fail(now, f"task {self._name(task)} is held twice: by {mine}")
        self._conserve(now, world)

    def _conserve(self, now: float, world: World) -> None:
        """Tasks that are over stay over, and are as many as the tasks say."""
        kernel = world.kernel
        if kernel.unfinished > self._unfinished:
            self._fail(now, f"{kernel.unfinished} tasks are left, {self._unfinished} were: some came back")
        self._unfinished = kernel.unfinished
        if self.looks % (1 + len(self._trace) // 10_000):  # all tasks are looked at: the more, the less often
            return
        over = len(self._trace) - kernel.unfinished - kernel.failed_tasks - kernel.skipped_tasks
        seen = int(np.count_nonzero(kernel.ends_at <= now))
        # A lost task that waits for its next try is not over, though its end is past.
        if not over <= seen <= over + kernel.killed_tasks:
            self._fail(now, f"{over} tasks are over, but by their own times {seen} are")

    def finish(self, result: Result) -> None:
        """All tasks and workers of the run.  Raises `CheckError`."""
        ended = ~np.isnan(result.ended_at)
        lost = result.failed_tasks + result.skipped_tasks
        if np.count_nonzero(~ended) != lost:
            task = self._name(np.argmin(ended))
            missing = f"{np.count_nonzero(~ended)} tasks never ended, such as {task}"
            self._fail(result.finished_at, f"{missing}, but {lost} failed or were skipped")
        self._times(result, ended)
        self._parents(result, ended)
        self._fleet(result, ended)
        self._by_worker(result, ended)
        self._limits(result, ended)

    def _times(self, result: Result, ended: np.ndarray) -> None:
        trace = self._trace
        ready = trace.starts_at + trace.queued_at
        for wrong, what in (
            (result.started_at < ready, "started before it was there"),
            (result.started_at < result.queued_at, "started before it was queued"),
            (
                result.ended_at != result.started_at + trace.duration_seconds,
                "ran for another time than its own",
            ),
            (~(result.waited_seconds >= 0), "waited for less than no time"),
        ):
            if (wrong & ended).any():
                task = int(np.argmax(wrong & ended))
                self._fail(result.started_at[task], f"task {self._name(task)} {what}")

    def _parents(self, result: Result, ended: np.ndarray) -> None:
        trace = self._trace
        parent, child = trace.edge_parent, trace.edge_child
        delay = np.broadcast_to(trace.delay_seconds, len(trace))
        early = ended[child] & ~(result.started_at[child] >= result.ended_at[parent] + delay[child])
        if early.any():
            edge = int(np.argmax(early))
            task, before = self._name(child[edge]), self._name(parent[edge])
            ends = self._when(result.ended_at[parent[edge]])
            self._fail(
                result.started_at[child[edge]], f"task {task} started, but its parent {before} ends {ends}"
            )

    def _fleet(self, result: Result, ended: np.ndarray) -> None:
        """All workers together never hold more than they have; lost tries are left out."""
        rows = np.flatnonzero(ended & (self._trace.slots > 0))
        came = result.ready_at <= result.stopped_at
        offers = (result.ready_at[came], result.stopped_at[came], self._slots_per_worker)
        times = result.started_at[rows], result.ended_at[rows]
        moment = worst(*times, self._trace.slots[rows], offers)
        if moment.excess > 0:
            task = self._name(rows[moment.row])
            self._fail(moment.at, f"task {task} starts, {moment.excess} slots more than the workers have")
        late = (result.stopped_at < result.created_at) | (result.ready_at < result.created_at)
        if late.any():
            self._fail(result.stopped_at.min(), f"worker-{np.argmax(late)} was there before it was ordered")

    def _by_worker(self, result: Result, ended: np.ndarray) -> None:
        """Each worker by itself, where the kernel knows who ran where."""
        taken_by = getattr(self._world and self._world.kernel, "worker", None)
        if taken_by is None:
            return
        rows = np.flatnonzero(ended & (taken_by >= 0) & (self._trace.slots > 0))
        worker = taken_by[rows]
        begins, ends = result.started_at[rows], result.ended_at[rows]
        outside = (begins < result.ready_at[worker]) | (ends > result.stopped_at[worker])
        if outside.any():
            row = int(np.argmax(outside))
            self._fail(
                begins[row],
                f"task {self._name(rows[row])} ran on worker-{worker[row]}, "
                f"which stopped {self._when(result.stopped_at[worker[row]])}",
            )
        # One worker after the other on one line: a worker's times are moved behind all others'.
        shift = worker * (2 * (result.finished_at - self._trace.starts_at) + 1)
        nobody: FloatArray = np.empty(0)
        slots = self._trace.slots[rows]
        moment = worst(begins + shift, ends + shift, slots, (nobody, nobody, 0))
        if moment.excess > self._slots_per_worker:
            has = f"worker-{worker[moment.row]} has {self._slots_per_worker} slots"
            task = self._name(rows[moment.row])
            self._fail(begins[moment.row], f"{has}, but holds {moment.excess} when task {task} starts")

    def _limits(self, result: Result, ended: np.ndarray) -> None:
        """Pools and parallelism, from queued to ended; lost tries are left out."""
        trace, airflow = self._trace, self._airflow
        on_workers = ended & (trace.slots > 0)
        limits = [
            (f"pool {name}", limit, trace.pool_slots, np.broadcast_to(trace.pool, len(trace)) == number)
            for number, name in enumerate(trace.pools)
            if (limit := (airflow.pools or {}).get(name)) is not None
        ]
        everybody = np.ones(len(trace), dtype=bool)
        if airflow.parallelism is not None:
            limits.append(("parallelism", airflow.parallelism, np.ones(1, dtype=np.int64), everybody))
        nobody: FloatArray = np.empty(0)
        for name, limit, width, inside in limits:
            rows = np.flatnonzero(on_workers & inside)
            holds = np.broadcast_to(width, len(trace))[rows].astype(np.int64)
            moment = worst(result.queued_at[rows], result.ended_at[rows], holds, (nobody, nobody, 0))
            if moment.excess > limit:
                task = self._name(rows[moment.row])
                self._fail(moment.at, f"{name} holds {moment.excess} of {limit} when task {task} is queued")

    def bill(self, result: Result, figures: Score, price: Price) -> None:
        """The dollars of the run.  Raises `CheckError`."""
        parts = (
            figures.cost_vcpu_usd + figures.cost_memory_usd + figures.cost_workers_usd + figures.cost_base_usd
        )
        hours = float((result.stopped_at - result.created_at).sum()) / HOUR
        least = hours - len(result.created_at) * result.service.before_pull_seconds / HOUR
        most = hours + len(result.created_at) * price.minimum_seconds / HOUR
        run_hours = (result.finished_at - self._trace.starts_at) / HOUR
        extra = max(0.0, figures.billed_worker_hours - price.included_workers * run_hours)
        owed = price.base_usd_per_hour * run_hours + price.usd_per_worker_hour * extra
        for wrong, what in (
            (_differ(parts, figures.cost_usd), f"its parts make ${parts:.6f}"),
            (_differ(owed, figures.cost_usd), f"the hours at the price make ${owed:.6f}"),
        ):
            if wrong:
                self._fail(result.finished_at, f"the run costs ${figures.cost_usd:.6f}, but {what}")
        if not least - CENTS <= figures.billed_worker_hours <= most + CENTS:
            billed = f"{figures.billed_worker_hours:g} worker-hours are billed"
            self._fail(result.finished_at, f"{billed}, but workers existed for {hours:g}")

    def _name(self, task: int | np.integer) -> str:
        return repr(self._trace.keys[int(task)])

    def _when(self, at: float) -> str:
        return f"at {at - self._trace.starts_at:.6g} s"

    def _fail(self, at: float, what: str) -> NoReturn:
        raise CheckError(f"check: {self._when(float(at))} of the trace: {what}")


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > CENTS * max(1.0, abs(other))
