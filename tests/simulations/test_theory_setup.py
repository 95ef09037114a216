"""Workers that take a while to come, against theory: M/M/k with setup times.

Gandhi, Doroudi, Harchol-Balter, Scheller-Wolf: Exact analysis of the M/M/k/setup class of Markov chains via
recursive renewal reward (SIGMETRICS 2013).  A server without work is switched off at once; an arrival that
finds none idle begins to set one up (exponential), and whoever gets a server that another job leaves calls a
setup off.  The paper solves the chain in closed form; here its balance equations are solved as they stand.
For one server there is the known formula: M/M/1's wait, plus the mean setup (exponential, so memoryless).
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from simulations.kernel import Kernel
from simulations.trace import quantised, trace_of
from tests.simulations.queueing import MEAN_SECONDS, agrees, batch_means, mean_wait, without_luck

BATCHES = 50


def mean_wait_with_setup(servers, load, setup_seconds, most_jobs=400):
    """E[W] from the chain's balance equations, cut at so many jobs.

    A state is (servers on, jobs); all that are on are busy.  The number in the queue gives the wait by
    Little's law.
    """
    states = [(on, jobs) for jobs in range(most_jobs + 1) for on in range(min(servers, jobs) + 1)]
    place = {state: number for number, state in enumerate(states)}
    arrival, service, setup = load / MEAN_SECONDS, 1 / MEAN_SECONDS, 1 / setup_seconds
    flows = []
    for (on, jobs), number in place.items():
        flows.append((number, place.get((on, jobs + 1)), arrival))
        left = (on, jobs - 1) if jobs > on else (on - 1, jobs - 1)
        flows.append((number, place.get(left), on * service))
        flows.append((number, place.get((on + 1, jobs)), min(servers, jobs) * setup - on * setup))
    kept = [(start, end, rate) for start, end, rate in flows if end is not None and rate > 0]
    start, end, rate = (np.array(column) for column in zip(*kept, strict=True))
    count = len(states)
    balance = coo_array((rate, (end, start)), (count, count)) - coo_array(
        (rate, (start, start)), (count, count)
    )
    balance = balance.tolil()
    balance[0, :] = 1.0  # one equation follows from the others; probabilities add up to 1
    share = spsolve(balance.tocsr(), np.eye(count)[0])
    assert share[place[min(servers, most_jobs), most_jobs]] < 1e-9, "cut too early"
    queued = sum(share[number] * (jobs - on) for (on, jobs), number in place.items())
    return queued / arrival


def waits_when_always_on(queued_at, duration, servers):
    kernel = Kernel(
        trace_of(queued_at, duration, keys=range(len(duration)), starts_at=0.0), slots_per_worker=1
    )
    for _ in range(servers):
        kernel.launch(0.0)
    kernel.advance(float(queued_at[-1]) + 1e7)
    return kernel.waited_seconds


class Fleet:
    """One-slot workers under the setup policy, from event to event.

    `factor` is a planted mistake: work that is longer than theory is told of.
    """

    def __init__(self, servers, load, setup_seconds, tasks, factor=1.0):
        generator = np.random.default_rng(21)
        gap = generator.exponential(MEAN_SECONDS / load, tasks)
        duration = generator.exponential(MEAN_SECONDS, tasks)
        self.setups = iter(generator.exponential(setup_seconds, 4 * tasks).tolist())
        trace = trace_of(np.cumsum(gap), duration * factor, keys=range(tasks), starts_at=0.0)
        self.servers, self.kernel = servers, Kernel(trace, slots_per_worker=1)
        self.queued_at, self.duration = trace.queued_at.tolist(), trace.duration_seconds.tolist()
        self.on, self.coming = [], []
        self.inputs = [
            (gap, MEAN_SECONDS / load),
            (duration, MEAN_SECONDS),
            (gap**2, 2 * (MEAN_SECONDS / load) ** 2),
            (duration**2, 2 * MEAN_SECONDS**2),
            # The same work on servers that are always on: its wait is known, and scatters with ours.
            (waits_when_always_on(np.cumsum(gap), duration, servers), mean_wait(servers, load)),
        ]

    def wait(self):
        """(mean, standard error) of the waits, the input's luck regressed out."""
        luck = np.column_stack([batch_means(each, BATCHES) - true for each, true in self.inputs])
        return without_luck(batch_means(self.waits(), BATCHES), luck)

    def waits(self):
        kernel, ends, begun = self.kernel, [], 0
        arrivals = iter([*self.queued_at, np.inf])
        arrival, started_at = next(arrivals), kernel.started_at
        while kernel.unfinished:
            now = min(np.inf, arrival, *ends[:1], *(ready_at for ready_at, _ in self.coming))
            kernel.advance(now)
            if now == arrival:
                arrival = next(arrivals)
            while ends and ends[0] <= now:
                heappop(ends)
            # First in, first out: tasks start by row.
            while begun < len(started_at) and started_at[begun] <= now:
                heappush(ends, started_at[begun] + self.duration[begun])
                begun += 1
            self.switch(now)
        return kernel.waited_seconds

    def switch(self, now):
        kernel = self.kernel
        self.on += [worker for ready_at, worker in self.coming if ready_at <= now]
        self.coming = [(ready_at, worker) for ready_at, worker in self.coming if ready_at > now]
        if kernel.running_slots < len(self.on):
            busy = kernel.busy_slots
            for worker in [worker for worker in self.on if not busy[worker]]:
                self.on.remove(worker)
                kernel.stop(worker)
        wanted = min(kernel.queued_slots, self.servers - len(self.on))
        while len(self.coming) > wanted:
            kernel.stop(self.coming.pop()[1])
        while len(self.coming) < wanted:
            ready_at = quantised(now + next(self.setups))
            self.coming.append((ready_at, kernel.launch(ready_at)))


def test_the_chain_solved_here_is_the_known_one():
    """One server: M/M/1's wait and a mean setup.  Instant setups: M/M/k.  So the balance is the paper's."""
    for load in (0.3, 0.8):
        expected = mean_wait(1, load) + 20.0
        assert mean_wait_with_setup(1, load, 20.0) == pytest.approx(expected, rel=1e-6)
    assert mean_wait_with_setup(4, 2.4, 1e-6) == pytest.approx(mean_wait(4, 2.4), rel=1e-3)


@pytest.mark.parametrize(
    ("servers", "load", "setup_seconds", "tasks"), [(1, 0.8, 10.0, 60_000), (6, 4.8, 10.0, 60_000)]
)
def test_waits_for_workers_that_must_be_set_up_are_theirs(servers, load, setup_seconds, tasks):
    """The kernel with launches, cancelled launches and stops; work 2 % longer would be noticed."""
    expected = mean_wait_with_setup(servers, load, setup_seconds)
    assert agrees(Fleet(servers, load, setup_seconds, tasks).wait(), expected)
    assert not agrees(Fleet(servers, load, setup_seconds, tasks, factor=1.02).wait(), expected)
