"""Airflow's rules once more, in plain Python: written from the rules, never from the kernel.

Jobs become ready, are scheduled by the scheduler's loop, queue, and hold a worker's slots.  What the fleet
did is given as a timetable and all luck as numbers; what happened to whom and when is worked out here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import ceil, inf

# The order of what happens at one instant; what it makes due at the same instant begins again from the top.
# Those who look, look after all of it; what they change counts from there on, all of it together.
ENDS, WORKERS, ARRIVALS, SCHEDULER, STARTS, INTAKE_CHANGED, FLEET_CHANGED = range(7)


@dataclass(frozen=True)
class Job:
    queued_at: float
    duration: float
    slots: int = 1
    parents: tuple[int, ...] = ()
    delay: float = 0.0
    queue: int = 0
    dag: str = ""
    run: str = ""
    pool: str = ""
    pool_slots: int = 1
    priority: float = 0.0
    # Its luck.
    scheduler_delay: float = 0.0
    start_delay: float = 0.0
    first_task_penalty: float = 0.0
    tail: float = 0.0
    lot: float = 0.0


@dataclass(frozen=True)
class Host:
    ready_at: float
    stopped_at: float = inf
    intake: tuple[tuple[float, bool], ...] = ()  # (from when on, takes jobs)
    line: int = 0
    created_at: float = -inf


@dataclass(frozen=True)
class Rules:
    lines: tuple[tuple[int, ...], ...] = ((0,),)  # the queues that each line serves
    slots_per_worker: tuple[int, ...] = (1,)  # of each line
    loop_period: float = 0.0  # 0: the scheduler is there at every instant
    loop_phase: float = 0.0
    by_priority: bool = False  # else a loop takes jobs by row
    per_loop: float = inf  # most jobs queued by one loop
    parallelism: float = inf
    pools: dict[str, float] = field(default_factory=dict)  # others are unlimited
    active_tasks: float = inf  # of a run, or of a DAG
    active_by_run: bool = True
    active_runs: float = inf  # of a DAG
    in_turn: bool = False  # a line serves its queues in turn; else the one whose head was queued first
    choice: str = "rotation"  # the longest idle worker takes the next job; or "first-fit", or "random"
    heartbeat_timeout: float = 0.0
    retry_delay: float = 0.0
    retries: float = inf
    queued_timeout: float = inf
    requeues: int = 2


class AirflowReplay:
    """Plays the jobs out; `played` returns it with its dictionaries, by job number, filled."""

    def __init__(self, jobs, hosts, rules):
        self.jobs, self.hosts, self.rules = jobs, hosts, rules
        self.agenda, self.turn = [], count()
        self.children = defaultdict(list)
        self.missing = {number: len(job.parents) for number, job in enumerate(jobs)}
        self.scheduled_at, self.queued_at, self.start, self.end, self.host = {}, {}, {}, {}, {}
        self.waited, self.tries, self.requeued = defaultdict(float), Counter(), Counter()
        self.done, self.failed, self.skipped, self.killed = set(), set(), set(), 0
        self.scheduled, self.queue = [], []
        self.looked_at = None  # by the scheduler
        self.held = set()  # what limits and pools count: queued, running, lost and not yet missed
        self.running = {}  # job -> host
        self.busy = Counter()  # slots taken on each host, tails included
        self.here, self.gone, self.closed, self.used = set(), set(), set(), set()
        self.served = {}  # by line, the place of the queue that was served last
        self.rotation, self.joining = [], set()  # workers with room, the longest idle first
        self.unfinished = Counter(job.run for job in jobs)
        self.began = {}
        for job in jobs:
            self.began[job.run] = min(job.queued_at, self.began.get(job.run, inf))
        self.active_runs, self.waiting_runs = defaultdict(set), defaultdict(list)

    def plan(self, at, order, what, whom):
        row = whom if order == ARRIVALS else 0
        heappush(self.agenda, (at, order, row, next(self.turn), what, whom))

    def played(self):
        for number, job in enumerate(self.jobs):
            for parent in job.parents:
                self.children[parent].append(number)
            if not job.parents:
                self.plan(job.queued_at, ARRIVALS, self.ready, number)
        for number, host in enumerate(self.hosts):
            late = host.ready_at == host.created_at
            self.plan(host.ready_at, FLEET_CHANGED if late else WORKERS, self.comes, number)
            for at, takes in host.intake:
                self.plan(at, INTAKE_CHANGED, self.opens if takes else self.closes, number)
            if host.stopped_at < inf:
                self.plan(host.stopped_at, FLEET_CHANGED, self.stops, number)
        while len(self.done | self.failed | self.skipped) < len(self.jobs):
            assert self.agenda, "jobs are left, and nothing will ever happen"
            now, order = self.agenda[0][:2]
            due = [heappop(self.agenda)]
            while order >= INTAKE_CHANGED and self.agenda and self.agenda[0][0] == now:
                due.append(heappop(self.agenda))
            for *_, what, whom in due:
                what(now, whom)
        return self

    # Readiness.

    def ready(self, now, number):
        job = self.jobs[number]
        if job.run and job.run not in self.active_runs[job.dag]:
            if len(self.active_runs[job.dag]) >= self.rules.active_runs:
                self.waiting_runs[job.dag].append((job.run, number))
                return
            self.active_runs[job.dag].add(job.run)
        self.plan(now + job.scheduler_delay, ARRIVALS, self.eligible, number)

    def finished(self, now, number):
        """Done, failed or skipped: a run that has ended makes room for the next of its DAG."""
        job = self.jobs[number]
        self.unfinished[job.run] -= 1
        if not job.run or self.unfinished[job.run]:
            return
        self.active_runs[job.dag].discard(job.run)
        waiting = self.waiting_runs[job.dag]
        if waiting:
            following = waiting[0][0]  # the run that came first
            self.active_runs[job.dag].add(following)
            self.waiting_runs[job.dag] = [(run, other) for run, other in waiting if run != following]
            for other in (other for run, other in waiting if run == following):
                self.plan(now, ARRIVALS, self.ready, other)

    def eligible(self, now, number):
        self.scheduled.append(number)
        self.call_scheduler(now)

    def call_scheduler(self, now):
        period, phase = self.rules.loop_period, self.rules.loop_phase
        at = now if not period else phase + period * max(0, ceil((now - phase) / period))
        if period and at == self.looked_at:
            at += period
        self.plan(at, SCHEDULER, self.loops, None)

    # The scheduler's loop.

    def loops(self, now, _):
        if self.rules.loop_period and self.looked_at == now:
            return
        self.looked_at = now
        published = 0
        for number in sorted(self.scheduled, key=self.rank):
            self.scheduled_at.setdefault(number, now)
            job = self.jobs[number]
            if job.slots == 0:
                self.scheduled.remove(number)
                self.start[number] = now
                self.plan(now + job.duration, ENDS, self.ends, (number, self.tries[number]))
            elif published < self.rules.per_loop and self.fits(job):
                published += 1
                self.scheduled.remove(number)
                self.publish(now, number)
        if self.scheduled and self.rules.loop_period:
            self.call_scheduler(now)
        self.plan(now, STARTS, self.starts, None)

    def rank(self, number):
        """Priority first, then whose run began first, then rows."""
        if not self.rules.by_priority:
            return number
        job = self.jobs[number]
        return -job.priority, self.began[job.run] if job.run else job.queued_at, number

    def fits(self, job):
        others = [self.jobs[other] for other in self.held]
        in_pool = sum(other.pool_slots for other in others if other.pool == job.pool)
        named, of = (job.run, "run") if self.rules.active_by_run else (job.dag, "dag")
        active = sum(getattr(other, of) == named for other in others) if named else 0
        return (
            len(others) < self.rules.parallelism
            and in_pool + job.pool_slots <= self.rules.pools.get(job.pool, inf)
            and active < self.rules.active_tasks
        )

    def publish(self, now, number):
        self.held.add(number)
        self.queued_at[number] = now
        self.queue.append(number)
        timeout = now + self.rules.queued_timeout
        if timeout < inf:
            self.plan(timeout, ENDS, self.times_out, (number, now))

    def times_out(self, now, what):
        number, since = what
        if number not in self.queue or self.queued_at[number] != since:
            return
        self.queue.remove(number)
        self.held.discard(number)
        self.requeued[number] += 1
        if self.requeued[number] > self.rules.requeues:
            self.fails(now, number)
        else:
            self.scheduled.append(number)
        self.call_scheduler(now)

    def fails(self, now, number):
        self.failed.add(number)
        self.finished(now, number)
        lost = [*self.children[number]]
        while lost:
            child = lost.pop()
            if child not in self.skipped:
                self.skipped.add(child)
                self.finished(now, child)
                lost += self.children[child]

    # Workers.

    def comes(self, now, host):
        if host in self.gone:
            return  # stopped on its way
        self.here.add(host)
        self.joins(host)
        self.plan(now, STARTS, self.starts, None)

    def closes(self, now, host):
        self.closed.add(host)
        self.leaves(host)

    def opens(self, now, host):
        self.closed.discard(host)
        self.joins(host)
        self.plan(now, STARTS, self.starts, None)

    def joins(self, host):
        """A worker with room waits for work from now on."""
        room = self.busy[host] < self.rules.slots_per_worker[self.hosts[host].line]
        if room and host in self.here and host not in self.closed and host not in self.rotation:
            self.joining.add(host)

    def leaves(self, host):
        self.joining.discard(host)
        if host in self.rotation:
            self.rotation.remove(host)

    def stops(self, now, host):
        self.leaves(host)
        self.here.discard(host)
        self.gone.add(host)
        for number in sorted(job for job, there in self.running.items() if there == host):
            del self.running[number]
            self.killed += 1
            self.tries[number] += 1
            self.plan(now + self.rules.heartbeat_timeout, ENDS, self.missed, number)

    def missed(self, now, number):
        self.held.discard(number)
        del self.scheduled_at[number]
        if self.tries[number] > self.rules.retries:
            self.fails(now, number)
        else:
            self.plan(now + self.rules.retry_delay, ARRIVALS, self.ready, number)
        self.call_scheduler(now)

    # Slots.

    def starts(self, now, _):
        self.rotation += sorted(self.joining)
        self.joining.clear()
        for line, queues in enumerate(self.rules.lines):
            while (found := self.next_start(line, queues)) is not None:
                self.begins(now, *found)

    def begins(self, now, number, host):
        job = self.jobs[number]
        self.queue.remove(number)
        self.requeued[number] = 0
        self.leaves(host)
        self.busy[host] += job.slots
        self.running[number], self.host[number] = host, host
        began = now + job.start_delay + (0.0 if host in self.used else job.first_task_penalty)
        self.used.add(host)
        self.start[number] = began
        self.waited[number] += began - self.scheduled_at[number]
        self.plan(began + job.duration, ENDS, self.ends, (number, self.tries[number]))
        if self.busy[host] < self.rules.slots_per_worker[self.hosts[host].line]:
            self.rotation.append(host)

    def next_start(self, line, queues):
        """The first in its queue that finds a worker: (job, host)."""
        heads = {}
        for number in self.queue:
            heads.setdefault(self.jobs[number].queue, number)
        order = [queue for queue in heads if queue in queues]
        if self.rules.in_turn:
            after = self.served.get(line, -1) + 1
            order.sort(key=lambda queue: (queues.index(queue) - after) % len(queues))
        for queue in order:
            width = self.jobs[heads[queue]].slots
            able = [
                host
                for host in self.rotation
                if self.hosts[host].line == line
                and self.busy[host] + width <= self.rules.slots_per_worker[line]
            ]
            if able:
                self.served[line] = queues.index(queue)
                return heads[queue], self.chosen(able, self.jobs[heads[queue]].lot)
        return None

    def chosen(self, able, lot):
        if self.rules.choice == "rotation":
            return able[0]
        return sorted(able)[int(lot * len(able)) if self.rules.choice == "random" else 0]

    def ends(self, now, what):
        number, attempt = what
        if attempt != self.tries[number]:
            return  # it was lost with its worker
        job = self.jobs[number]
        self.end[number] = now
        self.done.add(number)
        self.held.discard(number)
        if job.slots:
            self.plan(now + job.tail, ENDS, self.frees, (self.running.pop(number), job.slots))
        for child in self.children[number]:
            self.missing[child] -= 1
            if not self.missing[child] and child not in self.skipped:
                after = max(self.jobs[child].queued_at, now + self.jobs[child].delay)
                self.plan(after, ARRIVALS, self.ready, child)
        self.finished(now, number)
        self.call_scheduler(now)

    def frees(self, now, what):
        host, slots = what
        self.busy[host] -= slots
        self.joins(host)
        self.plan(now, STARTS, self.starts, None)
