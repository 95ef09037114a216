"""What compare, sweep and recommend share: one trace, one service, one seed, all cores, a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulations.candidate import Candidate, Outcome, Trial, seeds_of, tried
from simulations.cores import across_cores, cores
from simulations.ledger import Ledger
from simulations.service import ServiceModel
from simulations.slo import Slo
from simulations.trace import Trace
from simulations.trace_file import read_trace
from simulations.trace_place import TracePlace
from simulations.world_file import Scene, Wanted, scene_of

EXIT_DONE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same for all that is compared; durations in seconds."""

    trace: TracePlace
    queue: str | None = None
    """None: all queues together."""
    seed: int | None = None
    """None: drawn."""
    runs: int = 1
    """Replications of each candidate; the n-th has the same luck for all."""
    launch: float | None = None
    launch_spread: float | None = None
    slot_tail: float | None = None
    retry_delay: float | None = None
    jobs: int | None = None
    """Processes at a time; None: one a core."""
    as_json: bool = False
    world: Path | None = None
    """A file that says what Airflow, service and source are like ..."""
    airflow: str | None = None
    """... and which version is played: `3.3`, `2.11`, `plain`; None of it: see `world_file`."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers do it, in place of this machine's cores."""

    @property
    def wanted(self) -> Wanted:
        """What is said of the world."""
        return Wanted(
            self.world, self.airflow, self.launch, self.launch_spread, self.slot_tail, self.retry_delay
        )


@dataclass(frozen=True, slots=True)
class Study:
    """A frame made real."""

    trace: Trace
    scene: Scene
    """Its service's slots per worker give way to each candidate's."""
    seed: int
    seeds: tuple[int, ...]
    processes: int
    dask: str | None = None
    """See `Frame`."""

    @property
    def service(self) -> ServiceModel:
        """The scene's."""
        return self.scene.service

    @property
    def title(self) -> str:
        """What is played, for the head of a table."""
        return f"{self.trace.source}, Airflow {self.scene.version}"

    def outcomes(
        self,
        candidates: Sequence[Candidate],
        *,
        trace: Trace | None = None,
        slo: Slo | None = None,
        ledger: Ledger | None = None,
        title: str = "simulating",
    ) -> dict[str, list[Outcome]]:
        """What each candidate showed, by key, in the order of the seeds.

        `trace`: another than the study's.  What a ledger has is not run again, what it has not goes
        there at once.
        """
        found = dict(ledger.done) if ledger is not None else {}
        by_key = {candidate.key: candidate for candidate in candidates}
        trials = [
            Trial(candidate, seed, self.scene, slo)
            for candidate in by_key.values()
            for seed in self.seeds
            if (candidate.key, seed) not in found
        ]
        runs = self._made(self.trace if trace is None else trace, trials)
        with progress(title, len(trials)) as bar, closing(runs) as answers:
            for outcome in answers:
                found[outcome.key, outcome.seed] = outcome
                if ledger is not None:
                    ledger.add(by_key[outcome.key], outcome)
                bar()
        return {key: [found[key, seed] for seed in self.seeds] for key in by_key}

    def _made(self, trace: Trace, trials: Sequence[Trial]) -> Generator[Outcome]:
        if self.dask is None:
            return across_cores(trace, tried, trials, self.processes)
        from simulations.cluster import across_cluster  # noqa: PLC0415 - an extra of its own

        return across_cluster(trace, tried, trials, self.dask)


def study_of(frame: Frame, begun_with: Callable[[Trace, Scene], int | None] | None = None) -> Study:
    """Reads the trace and says the seed: the frame's, or that of earlier runs, or one by lot.

    `begun_with` knows the seed of earlier runs.  Raises `TraceError` and `ValueError`.
    """
    processes = cores() if frame.jobs is None else frame.jobs
    if processes < 1:
        raise ValueError(f"jobs: expected at least 1, got {processes}")
    scene = scene_of(frame.wanted)
    trace = read_trace(frame.trace)
    if frame.queue is not None:
        trace = trace.of_queue(frame.queue)
    seed = frame.seed
    if seed is None and begun_with is not None:
        seed = begun_with(trace, scene)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    seeds = seeds_of(seed, frame.runs)
    print(f"seed {seed}", file=sys.stderr if frame.as_json else sys.stdout, flush=True)
    return Study(trace, scene, seed, seeds, processes, frame.dask)


class _Bar:
    def __init__(self, shown: Progress | None, total: int) -> None:
        self._shown = shown
        self._task = shown.add_task("runs", total=total) if shown is not None else None

    def __call__(self) -> None:
        """One more is done."""
        if self._shown is not None and self._task is not None:
            self._shown.advance(self._task)


@contextmanager
def progress(title: str, total: int) -> Iterator[_Bar]:
    """A bar with the time left, on standard error, where a person watches."""
    console = Console(stderr=True)
    if total < 2 or not console.is_terminal:
        yield _Bar(None, total)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        yield _Bar(shown, total)


def complain(error: Exception | str, code: int) -> int:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(f"autoscaler: {error}")
    return code


def failures(outcomes: Mapping[str, list[Outcome]]) -> dict[str, str]:
    """Why candidates could not run, by key."""
    return {
        key: next(run.error for run in runs if run.error)
        for key, runs in outcomes.items()
        if any(run.error for run in runs)
    }
