"""With every rule off the modelled Airflow is the plain queue, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.airflow import PLAIN
from simulations.airflow_kernel import AirflowKernel, LineSpec
from simulations.generate import Recipe, Workload, generate
from simulations.kernel import Kernel
from simulations.quantiles import constant
from simulations.trace_file import read_trace
from simulations.trace_write import write_trace
from tests.simulations.test_replay import as_trace, job_lists


class Pair:
    """Both, with the same things done to them."""

    def __init__(self, trace, slots, tail=0.0, retry=0.0):
        self.plain = Kernel(trace, slots_per_worker=slots, slot_tail_seconds=tail, retry_delay_seconds=retry)
        airflow = replace(PLAIN, slot_tail=constant(tail), retry_delay_seconds=retry)
        self.full = AirflowKernel(trace, airflow, [LineSpec((), slots)], 1)
        self.line = self.full.lines[0]
        self.workers = []

    def launch(self, ready_at):
        self.workers.append(self.plain.launch(ready_at))
        assert self.line.launch(ready_at) == self.workers[-1]

    def stop(self, worker):
        self.workers.remove(worker)
        self.plain.stop(worker)
        self.line.stop(worker)
        self.compare()

    def take_tasks(self, worker, *, consuming):
        self.plain.take_tasks(worker, consuming=consuming)
        self.line.take_tasks(worker, consuming=consuming)

    def advance(self, until):
        self.plain.advance(until)
        self.full.advance(until)
        self.compare()

    def compare(self):
        plain, full, line = self.plain, self.full, self.line
        for name in ("now", "queued_slots", "running_slots", "running_workers", "oldest_wait_seconds"):
            assert getattr(line, name) == getattr(plain, name), name
        for name in ("unfinished", "killed_tasks", "lost_slot_seconds"):
            assert getattr(full, name) == getattr(plain, name), name
        count = len(plain.busy_slots[:64])
        for name in ("busy_slots", "running", "consuming"):
            assert getattr(line, name)[:count].tolist() == getattr(plain, name)[:count].tolist(), name
        for worker in self.workers:
            assert line.busy_until(worker) == plain.busy_until(worker)

    def outcomes(self):
        for name in ("queued_at", "started_at", "ends_at", "waited_seconds"):
            ours, theirs = getattr(self.full, name), getattr(self.plain, name)
            assert np.array_equal(ours, theirs, equal_nan=True), name


@settings(max_examples=100, deadline=None)
@given(data=st.data(), tail=st.sampled_from([0.0, 0.75]), retry=st.sampled_from([0.0, 2.5]))
def test_any_fleet_over_any_small_trace(data, tail, retry):
    """Launches, stops that kill, closed intakes, ties everywhere: nobody can tell the two apart."""
    slots = data.draw(st.integers(1, 3))
    pair = Pair(as_trace(data.draw(job_lists(widest=slots))), slots, tail, retry)
    at = 0.0
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(["launch", "advance", "advance", "stop", "close", "open"])):
            case "launch":
                pair.launch(at + data.draw(st.sampled_from([0.0, 0.0, 1.25])))
            case "advance":
                at += data.draw(st.sampled_from([0.0, 0.25, 1.0, 1.5, 8.0]))
                pair.advance(at)
            case "stop" if pair.workers:
                pair.stop(data.draw(st.sampled_from(pair.workers)))
            case ("close" | "open") as what if pair.workers:
                pair.take_tasks(data.draw(st.sampled_from(pair.workers)), consuming=what == "open")
            case _:
                pass
    pair.launch(at)
    for _ in range(20):
        at += 100.0
        pair.advance(at)
    assert pair.plain.unfinished == 0
    pair.outcomes()


def test_a_generated_trace_of_dag_runs(tmp_path):
    """Twenty thousand tasks in runs that fan out, looked at every minute, with workers that come and go."""
    write_trace(generate(Recipe(Workload.DAGS, 20_000, 0.5, 30.0), 3), tmp_path / "dags.parquet")
    trace = read_trace(tmp_path / "dags.parquet")
    pair, lots = Pair(trace, 4, tail=1.5, retry=600.0), np.random.default_rng(7)
    at = trace.starts_at
    while pair.plain.unfinished:
        while len(pair.workers) < 12:
            pair.launch(at + float(lots.integers(0, 90)))
        if lots.random() < 0.05:
            pair.stop(int(lots.choice(pair.workers)))
        at += 60.0
        pair.advance(at)
    assert pair.plain.killed_tasks > 50
    pair.outcomes()
