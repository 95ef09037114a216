"""The rules of the world once more, as plainly as possible: at every instant everything is looked at anew.

Nothing here is shared with the simulator.  What the fleet did is given as a timetable; who started where
and when is worked out from the rules alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    queued_at: float
    duration: float
    slots: int = 1
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Host:
    created_at: float
    ready_at: float
    stopped_at: float  # infinity: never
    intake: tuple[tuple[float, bool], ...] = ()  # (from when on, takes tasks)


@dataclass
class Outcome:
    start: dict[int, float] = field(default_factory=dict)
    end: dict[int, float] = field(default_factory=dict)
    host: dict[int, int] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)
    killed: int = 0


class Replay:
    def __init__(self, jobs, hosts, slots_per_worker, tail, retry_delay):
        self.jobs, self.hosts = jobs, hosts
        self.slots_per_worker, self.tail, self.retry_delay = slots_per_worker, tail, retry_delay
        self.due = {n: job.queued_at for n, job in enumerate(jobs) if not job.parents}
        self.queue = []  # (job, since)
        self.running = {}  # job -> host
        self.tails = []  # (until, host, slots)
        self.out = Outcome()
        self.done = {}

    def outcome(self):
        now = float("-inf")
        while len(self.done) < len(self.jobs):
            now = self.next_instant(now)
            self.rounds(now, looked=False)
            self.fleet_changes(now)
            self.rounds(now, looked=True)
        self.out.end = self.done
        return self.out

    def next_instant(self, now):
        instants = [*self.due.values(), *(self.out.end[job] for job in self.running)]
        instants += [until for until, _, _ in self.tails]
        for host in self.hosts:
            instants += [host.ready_at, host.stopped_at, *(at for at, _ in host.intake)]
        return min(at for at in instants if at > now)

    def rounds(self, now, *, looked):
        while True:
            self.ends(now)
            arrived = sorted(job for job, at in self.due.items() if at == now)
            for job in arrived:
                del self.due[job]
                self.queue.append((job, now))
            while self.queue and (host := self.place(self.queue[0][0], now, looked)) is not None:
                job, since = self.queue.pop(0)
                self.running[job] = host
                self.out.start[job], self.out.host[job] = now, host
                self.out.end[job] = now + self.jobs[job].duration
                self.out.waited[job] = self.out.waited.get(job, 0.0) + now - since
            if not any(self.out.end[job] == now for job in self.running):
                return

    def ends(self, now):
        for job in [job for job in self.running if self.out.end[job] == now]:
            host = self.running.pop(job)
            self.done[job] = now
            self.tails.append((now + self.tail, host, self.jobs[job].slots))
        for number, job in enumerate(self.jobs):
            ended = [self.done.get(parent) for parent in job.parents]
            fresh = number not in self.done and number not in self.running and number not in self.due
            waits = any(number == queued for queued, _ in self.queue)
            if job.parents and None not in ended and fresh and not waits and number not in self.out.start:
                self.due[number] = max(job.queued_at, *ended)

    def place(self, job, now, looked):
        for number, host in enumerate(self.hosts):
            began = host.created_at < now or looked or host.created_at == self.hosts[0].created_at
            stopped = host.stopped_at < now or (host.stopped_at == now and looked)
            changes = [takes for at, takes in host.intake if at < now or (at == now and looked)]
            if host.ready_at > now or not began or stopped or (changes and not changes[-1]):
                continue
            taken = sum(self.jobs[other].slots for other, there in self.running.items() if there == number)
            taken += sum(slots for until, there, slots in self.tails if there == number and until > now)
            if self.slots_per_worker - taken >= self.jobs[job].slots:
                return number
        return None

    def fleet_changes(self, now):
        for number, host in enumerate(self.hosts):
            if host.stopped_at != now:
                continue
            for job in [job for job, there in self.running.items() if there == number]:
                del self.running[job]
                self.out.killed += 1
                self.due[job] = now + self.retry_delay
