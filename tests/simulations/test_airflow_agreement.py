"""The compiled Airflow agrees with the replay of its rules, to the last start, in worlds made at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from simulations.airflow import Airflow, QueueOrder, WorkerChoice
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.airflow_setup import luck_of
from simulations.quantiles import NONE, Quantiles
from simulations.trace import DEFAULT_POOL, QUANTA_PER_SECOND, trace_of
from tests.simulations.airflow_replay import AirflowReplay, Host, Job, Rules

POOLS = (DEFAULT_POOL, "db", "api")
DAGS = ("", "daily", "hourly")
QUEUES = ("", "big", "small")
AFTER_ALL_SECONDS = 100_000.0
delays = st.sampled_from([NONE, NONE, Quantiles((0.25,)), Quantiles((0.0, 2.0)), Quantiles((0.0, 0.0, 1.0))])


@st.composite
def job_lists(draw, widest, pools):
    """`widest`: slots of a worker by queue; `pools`: their sizes.

    Times are quarters of a second in a short span: most events share their instant with others.
    """
    span = draw(st.sampled_from([4, 60]))
    count = draw(st.integers(1, 16))
    place = {job: at for at, job in enumerate(draw(st.permutations(range(count))))}
    dags = draw(st.lists(st.sampled_from(DAGS), min_size=count, max_size=count))
    of = [(dag, f"{dag}-{draw(st.integers(1, 3))}" if dag else "") for dag in dags]
    jobs = []
    for number in range(count):
        # A parent stands earlier in a hidden order, so rows themselves are in any order.  It is of the same
        # run, as in Airflow: when a run that waits for another's task arrives is not defined.
        dag, run = of[number]
        earlier = [job for job in range(count) if place[job] < place[number] and of[job][1] == run]
        pool = draw(st.sampled_from(POOLS))
        queue = draw(st.integers(0, len(widest) - 1))
        jobs.append(
            Job(
                draw(st.integers(0, span)) / 4,
                draw(st.integers(0, 24)) / 4,
                draw(st.integers(0, widest[queue])),
                tuple(draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else ()),
                draw(st.sampled_from([0.0, 0.0, 1.5])),
                queue,
                dag,
                run,
                pool,
                draw(st.integers(1, pools.get(pool, 2))),
                draw(st.integers(-1, 2)),
            )
        )
    return jobs


@st.composite
def airflows(draw):
    period = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.25]))

    def maybe(values):
        return draw(st.none() | values)

    return Airflow(
        loop_period_seconds=period,
        schedule_delay=draw(delays),
        by_priority=draw(st.booleans()),
        queued_per_loop=maybe(st.integers(1, 3)) if period else None,
        parallelism=maybe(st.integers(1, 5)),
        pools=maybe(st.fixed_dictionaries({"db": st.integers(1, 3), "api": st.integers(1, 3)})),
        max_active_tasks=maybe(st.integers(1, 3)),
        max_active_tasks_per_run=draw(st.booleans()),
        max_active_runs=maybe(st.integers(1, 2)),
        queue_order=draw(st.sampled_from(QueueOrder)),
        worker_choice=draw(st.sampled_from(WorkerChoice)),
        start_delay=draw(delays),
        first_task_penalty=draw(delays),
        slot_tail=draw(delays),
        heartbeat_timeout_seconds=draw(st.sampled_from([0.0, 0.0, 3.0])),
        retry_delay_seconds=draw(st.sampled_from([0.0, 2.5])),
        retries=maybe(st.integers(0, 2)),
        queued_timeout_seconds=maybe(st.sampled_from([1.0, 3.0, 8.0])),
        requeues=draw(st.integers(0, 2)),
    )


def trace_from(jobs, queues):
    runs = tuple(dict.fromkeys(("", *(job.run for job in jobs))))
    return trace_of(
        [job.queued_at for job in jobs],
        [job.duration for job in jobs],
        slots=[job.slots for job in jobs],
        queue=[job.queue for job in jobs],
        queues=queues,
        edges=(
            [parent for job in jobs for parent in job.parents],
            [number for number, job in enumerate(jobs) for _ in job.parents],
        ),
        delay_seconds=[job.delay for job in jobs],
        dag=[DAGS.index(job.dag) for job in jobs],
        dags=DAGS,
        run=[runs.index(job.run) for job in jobs],
        runs=runs,
        pool=[POOLS.index(job.pool) for job in jobs],
        pools=POOLS,
        pool_slots=[job.pool_slots for job in jobs],
        priority=[job.priority for job in jobs],
        starts_at=0.0,
    )


def rules_of(airflow, lines, slots, phase):
    def number(limit):
        return float("inf") if limit is None else limit

    return Rules(
        lines=lines,
        slots_per_worker=slots,
        loop_period=airflow.loop_period_seconds,
        loop_phase=phase / QUANTA_PER_SECOND,
        by_priority=airflow.by_priority,
        per_loop=number(airflow.queued_per_loop),
        parallelism=number(airflow.parallelism),
        pools=airflow.pools or {},
        active_tasks=number(airflow.max_active_tasks),
        active_by_run=airflow.max_active_tasks_per_run,
        active_runs=number(airflow.max_active_runs),
        in_turn=airflow.queue_order is QueueOrder.ROUND_ROBIN,
        choice=str(airflow.worker_choice),
        heartbeat_timeout=airflow.heartbeat_timeout_seconds,
        retry_delay=airflow.retry_delay_seconds,
        retries=number(airflow.retries),
        queued_timeout=number(airflow.queued_timeout_seconds),
        requeues=airflow.requeues,
    )


@dataclass
class Fleets:
    """Grows, drains and kills workers of all lines by lot, and keeps the timetable."""

    kernel: AirflowKernel
    hosts: list
    numbers: list  # of each host, in its line

    def launch(self, line, created_at, ready_at):
        self.numbers.append(self.kernel.lines[line].launch(ready_at))
        self.hosts.append(Host(ready_at, line=line, created_at=created_at))

    def alive(self, at):
        return [number for number, host in enumerate(self.hosts) if host.stopped_at > at]

    def change(self, draw, at):
        lines = self.kernel.lines
        for number in (
            draw(st.frozensets(st.sampled_from(self.alive(at)), max_size=2)) if self.alive(at) else ()
        ):
            host = self.hosts[number]
            takes = bool(host.intake) and not host.intake[-1][1]
            lines[host.line].take_tasks(self.numbers[number], consuming=takes)
            self.hosts[number] = replace(host, intake=(*host.intake, (at, takes)))
        for number in sorted(
            draw(st.frozensets(st.sampled_from(self.alive(at)), max_size=2)) if self.alive(at) else ()
        ):
            host = self.hosts[number]
            lines[host.line].stop(self.numbers[number])
            self.hosts[number] = replace(host, stopped_at=at)
        for line in draw(st.lists(st.integers(0, len(lines) - 1), max_size=2)):
            self.launch(line, at, at + draw(st.sampled_from([0.0, 0.5, 2.0])))


def played(draw, jobs, airflow, queues, lines, slots, seed):
    """The kernel after a random fleet's life, and the replay of it."""
    trace = trace_from(jobs, queues)
    specs = [
        LineSpec(tuple(queues[queue] for queue in served), wide)
        for served, wide in zip(lines, slots, strict=True)
    ]
    kernel = AirflowKernel(trace, airflow, specs, seed)
    fleets = Fleets(kernel, [], [])
    for line in range(len(lines)):
        fleets.launch(line, -1.0, 0.0)
    at, tick = 0.0, draw(st.sampled_from([0.25, 1.0, 1.5]))
    kernel.advance(at)
    for _ in range(draw(st.integers(0, 16))):
        fleets.change(draw, at)
        at += tick
        kernel.advance(at)
    for line in range(len(lines)):
        fleets.launch(line, at, at + 1.0)
    kernel.advance(AFTER_ALL_SECONDS)
    luck = luck_of(airflow, len(jobs), seed)
    delays_of = luck.delays / QUANTA_PER_SECOND
    lucky = [
        replace(
            job,
            scheduler_delay=delays_of[0, row % delays_of.shape[1]],
            start_delay=delays_of[1, row % delays_of.shape[1]],
            first_task_penalty=delays_of[2, row % delays_of.shape[1]],
            tail=delays_of[3, row % delays_of.shape[1]],
            lot=luck.lots[row % len(luck.lots)],
        )
        for row, job in enumerate(jobs)
    ]
    replay = AirflowReplay(lucky, fleets.hosts, rules_of(airflow, lines, slots, luck.phase))
    return kernel, replay.played(), fleets


NO_LIMITS = {"pools": None, "max_active_tasks": None, "max_active_runs": None, "queued_timeout_seconds": None}
THEMES = {
    "all of it": {},
    "order": {**NO_LIMITS, "by_priority": True, "parallelism": 1},
    "turns": {**NO_LIMITS, "queue_order": QueueOrder.ROUND_ROBIN, "parallelism": None},
    "losses": {**NO_LIMITS, "retries": 1, "retry_delay_seconds": 0.0, "parallelism": None},
    "timeouts": {**NO_LIMITS, "queued_timeout_seconds": 1.0, "requeues": 1, "retries": None},
}


@pytest.mark.parametrize("theme", THEMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), airflow=airflows(), seed=st.integers(0, 99))
def test_every_start_is_as_the_rules_say(theme, data, airflow, seed):
    """Scheduler loops, limits, pools, queues, luck, drains, kills, retries, timeouts: all of it at once.

    The themes clear the way for what is rare in a wholly random world.
    """
    airflow = replace(airflow, **THEMES[theme])
    queues = QUEUES if theme == "turns" else QUEUES[: data.draw(st.integers(1, 3))]
    split = theme != "turns" and len(queues) > 1 and data.draw(st.booleans())
    lines = ((0,), tuple(range(1, len(queues)))) if split else (tuple(range(len(queues))),)
    slots = tuple(data.draw(st.integers(1, 3)) for _ in lines)
    widest = [
        next(slots[line] for line, served in enumerate(lines) if queue in served)
        for queue in range(len(queues))
    ]
    jobs = data.draw(job_lists(widest, airflow.pools or {}))
    kernel, replay, fleets = played(data.draw, jobs, airflow, queues, lines, slots, seed)
    assert kernel.unfinished == 0
    assert (kernel.killed_tasks, kernel.failed_tasks, kernel.skipped_tasks) == (
        replay.killed,
        len(replay.failed),
        len(replay.skipped),
    )
    done = sorted(replay.done)
    for name, expected in (
        ("scheduled_at", replay.scheduled_at),
        ("started_at", replay.start),
        ("ends_at", replay.end),
        ("waited_seconds", replay.waited),
    ):
        assert [float(getattr(kernel, name)[row]) for row in done] == [
            expected.get(row, 0.0) for row in done
        ], name
    on_workers = [row for row in done if jobs[row].slots]
    assert [float(kernel.queued_at[row]) for row in on_workers] == [
        replay.queued_at[row] for row in on_workers
    ]
    where = [(int(kernel.line[row]), int(kernel.worker[row])) for row in on_workers]
    hosts = [replay.host[row] for row in on_workers]
    assert where == [(fleets.hosts[host].line, fleets.numbers[host]) for host in hosts]
    for name, count in (("kills", replay.killed), ("failures", len(replay.failed))):
        event(f"{name}: {'some' if count else 'none'}")
