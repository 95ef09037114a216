"""Queueing theory's answers, and long samples of the kernel to hold against them."""

from __future__ import annotations

import numpy as np

from simulations.kernel import Kernel
from simulations.trace import trace_of

MEAN_SECONDS = 10.0
BATCHES = 100


def erlang_c(servers, load):
    """P(wait) of M/M/c, through Erlang B's recursion, which does not overflow."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - (load / servers) * (1 - blocked))


def mean_wait(servers, load):
    """E[W] of M/M/c, service of `MEAN_SECONDS`."""
    return erlang_c(servers, load) * MEAN_SECONDS / (servers - load)


def pollaczek_khinchine(load, second_moment):
    """E[W] of M/G/1: lambda E[S^2] / (2 (1 - rho)), service of `MEAN_SECONDS`."""
    return load / MEAN_SECONDS * second_moment / (2 * (1 - load))


def exponential(generator, count):
    return generator.exponential(MEAN_SECONDS, count)


def constant(generator, count):
    return np.full(count, MEAN_SECONDS)


def mixed(generator, count):
    """Four in five of 5 s, one in five of 30 s, both exponential: twice the variation of the exponential."""
    return generator.exponential(np.where(generator.random(count) < 0.8, 5.0, 30.0))


SECOND_MOMENTS = {
    exponential: 2 * MEAN_SECONDS**2,
    constant: MEAN_SECONDS**2,
    mixed: 0.8 * 2 * 5.0**2 + 0.2 * 2 * 30.0**2,
}


def batch_means(values, count):
    return np.array([batch.mean() for batch in np.array_split(values, count)])


def without_luck(means, luck):
    """(mean, standard error) of batch means, what the luck explains regressed out.

    Batches are thousands of tasks, many times the time in which a queue forgets: they are nearly
    independent, so their scatter is the mean's error.
    """
    design = np.column_stack([np.ones(len(means)), luck])
    fitted = np.linalg.solve(design.T @ design, design.T @ means)
    variance = ((means - design @ fitted) ** 2).sum() / (len(means) - design.shape[1])
    return fitted[0], np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])


class Sample:
    """Waits on a fixed fleet under Poisson arrivals, in batches; the first one is warm-up and left out.

    `factor` is a planted mistake: the kernel is given longer or shorter work than theory is told of.
    """

    def __init__(self, servers, load, tasks, *, service=exponential, factor=1.0, slots_per_worker=1):
        generator = np.random.default_rng(12)
        duration, gap = service(generator, tasks), generator.exponential(MEAN_SECONDS / load, tasks)
        queued_at = np.cumsum(gap)
        trace = trace_of(queued_at, duration * factor, keys=range(tasks), starts_at=0.0)
        kernel = Kernel(trace, slots_per_worker=slots_per_worker)
        for _ in range(servers // slots_per_worker):
            kernel.launch(0.0)
        kernel.advance(float(queued_at[-1]) + 10_000_000.0)
        assert kernel.unfinished == 0
        self.waits = kernel.waited_seconds
        # What is known of the input explains much of the scatter: batches that by chance were longer or
        # closer together than they should be also waited more.
        mean_gap = MEAN_SECONDS / load
        known = [
            (duration, MEAN_SECONDS),
            (gap, mean_gap),
            (duration**2, SECOND_MOMENTS[service]),
            (gap**2, 2 * mean_gap**2),
        ]
        luck = [self.means(values) - true for values, true in known]
        self.luck = np.column_stack([each for each in luck if each.std() > 1e-9])

    @staticmethod
    def means(values):
        return batch_means(values, BATCHES)[1:]

    def mean(self, values):
        """(mean, standard error) with the input's luck regressed out."""
        return without_luck(self.means(values), self.luck)

    def wait(self):
        return self.mean(self.waits)

    def waiting(self):
        return self.mean((self.waits > 0).astype(float))


def agrees(measured, expected):
    """Within three and a half standard errors: an honest world is refused once in two thousand seeds."""
    mean, error = measured
    return abs(mean - expected) < 3.5 * error
