"""A small history with bursts, and candidates for it, for the tests of compare, sweep and recommend."""

from __future__ import annotations

import numpy as np

from autoscaler.cli.candidates import candidate_of
from simulations.candidate import seeds_of
from simulations.study import Study
from simulations.trace import trace_of
from simulations.vary import Axis
from simulations.world_file import Wanted, scene_of

PLAIN = scene_of(Wanted(airflow="plain"))
BASE = {"price": "x86:1:2", "slots_per_worker": 4, "interval_seconds": 30.0, "min_workers": 1}


def bursts(hours=6, tasks=24, seconds=100.0):
    """A burst at the beginning of every half hour, in which a task a second is queued."""
    queued = np.concatenate([1800.0 * number + np.arange(tasks) for number in range(2 * hours)])
    return trace_of(queued, np.full(len(queued), seconds))


def candidate(label="it", **setting):
    return candidate_of(BASE | setting, label)


def study(trace=None, runs=3, seed=1, processes=1):
    return Study(bursts() if trace is None else trace, PLAIN, seed, seeds_of(seed, runs), processes)


def axis(name, *values, place=None):
    return Axis(name, place or (name,), values)


def csv(trace):
    """The trace as a file's content."""
    rows = zip(trace.keys, trace.queued_at, trace.duration_seconds, strict=True)
    return "task_key,queued_at,duration_s\n" + "".join(f"{key},{at},{for_}\n" for key, at, for_ in rows)
