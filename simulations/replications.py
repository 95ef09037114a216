"""The body of `autoscaler simulate --runs N`: the same with other luck, and how sure the means are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from autoscaler.core.controller import Controller
from simulations.candidate import Candidate, Outcome, seeds_of
from simulations.command import Options, controller_of, told_seed, trace_of_interest
from simulations.compare import FIGURES, number
from simulations.cores import CoresError, cores
from simulations.played import notes_of, played_document
from simulations.price import parse
from simulations.run import SimulationError, TooWideError, check_widest
from simulations.student import half_width
from simulations.study import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Study, complain, failures
from simulations.trace import TraceError
from simulations.world_file import scene_of


@dataclass(frozen=True, slots=True)
class Replicated:
    """One figure over the runs."""

    mean: float
    half_width: float
    """Of the mean's confidence interval, by Student's t."""
    least: float
    most: float


def replicated(runs: Sequence[Outcome], confidence: float) -> dict[str, Replicated]:
    """Each figure of two or more runs by its name."""
    found = {}
    for name, _ in FIGURES:
        values = [float(run.figures[name]) for run in runs]
        width = half_width(values, confidence)
        assert width is not None
        found[name] = Replicated(float(np.mean(values)), width, min(values), max(values))
    return found


def run_replications(
    options: Options, runs: int, confidence: float, controller: Controller | None = None
) -> int:
    """Simulates on all cores and prints.  The exit codes of `run_command`, and 130 if interrupted."""
    try:
        _run(options, runs, confidence, controller)
    except TooWideError as error:
        return complain(error, EXIT_USAGE)
    except (SimulationError, CoresError) as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return complain(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return EXIT_DONE


def _run(options: Options, runs: int, confidence: float, controller: Controller | None) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence:g}")
    for name in ("log", "report", "plot", "slo", "by", "check"):
        if getattr(options, name):
            raise ValueError(f"runs: --{name} is about one run; leave one of the two out")
    seed = told_seed(options)
    scene, trace = scene_of(options.wanted), trace_of_interest(options)
    check_widest(trace, options.slots)
    candidate = Candidate(
        "simulation",
        {},
        controller or controller_of(options),
        options.slots,
        options.tick,
        parse(options.price),
    )
    study = Study(trace, scene, seed, seeds_of(seed, runs), cores())
    outcomes = study.outcomes([candidate])
    for why in failures(outcomes).values():
        raise SimulationError(why)
    found = replicated(outcomes[candidate.key], confidence)
    if options.as_json:
        played = {"seed": seed, "seeds": study.seeds, "trace": trace.source, **played_document(scene, trace)}
        figures = {name: asdict(each) for name, each in found.items()}
        print(json.dumps({**played, "confidence": confidence, "figures": figures}, indent=2))  # noqa: T201
        return
    table = Table()
    table.add_column(f"{study.title}, {runs} runs", style="bold", overflow="fold")
    for title in ("mean", f"± ({confidence:.0%})", "least", "most"):
        table.add_column(title, justify="right")
    for name, title in FIGURES:
        each = found[name]
        table.add_row(title, *map(number, (each.mean, each.half_width, each.least, each.most)))
    console = Console(highlight=False)
    console.print(table)
    for note in notes_of(scene, trace):
        console.print(note, markup=False)
