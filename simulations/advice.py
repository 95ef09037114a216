"""The body of `autoscaler recommend`: the advice as a person and a script read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from simulations.candidate import Candidate
from simulations.cores import CoresError
from simulations.history_split import split
from simulations.played import notes_of, played_document
from simulations.recommend import Question, Recommendation, Verdict, recommend
from simulations.report import page
from simulations.report.search_page import recommend_page
from simulations.run import SimulationError
from simulations.space import Space
from simulations.study import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Frame,
    Study,
    complain,
    study_of,
)
from simulations.toml_block import block, key_text
from simulations.trace import Trace, TraceError
from simulations.words import sure

PLACEHOLDERS = {"cluster": "CLUSTER", "service": "SERVICE"}
DATABASE = '[airflow]\ndatabase_url = "postgresql://USER:PASSWORD@HOST:5432/airflow"\n'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to search beside the question, and for whom the advice is."""

    space_of: Callable[[Trace], Space]
    """Where to look, given the part of the history to tune on."""
    less_of: Callable[[Candidate], list[Candidate]]
    rivals: list[Candidate]
    random: int | None = None
    target: str = "default"
    whole_file: bool = True
    """Whether the advice is a whole configuration, or the target's table of one that there is."""
    report: Path | None = None
    """Where the page goes."""
    goes_on: bool = False
    """Whether settings beside the space may be recommended."""


def run_recommend(frame: Frame, question: Question, plan: Plan) -> int:
    """Recommends and prints.  The exit code: 0 done, 1 nothing keeps the promise, 2 wrong usage."""
    try:
        if plan.report is not None:
            page.check(plan.report)
        study = study_of(frame)
        space = plan.space_of(split(study.trace, question.split)[0])
        found = space.candidates(plan.random, study.seed)
        advice = recommend(
            study,
            question,
            found.candidates,
            less_of=plan.less_of,
            rivals=plan.rivals,
            goes_on=plan.goes_on,
        )
        toml = configuration(advice.chosen.candidate, plan) if advice.chosen is not None else ""
        if plan.report is not None:
            page.write(plan.report, recommend_page(study, question, advice, toml))
    except (SimulationError, CoresError) as error:
        return complain(error, EXIT_FAILED)
    except (TraceError, ValueError) as error:
        return complain(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if frame.as_json:
        print(json.dumps(_document(advice, study, question, toml), indent=2))  # noqa: T201
    else:
        _print(advice, study, question, toml)
    if advice.chosen is None:
        assert advice.closest is not None, "a grid has at least one setting"
        return complain(ValueError(_nothing(advice, question, advice.closest)), EXIT_FAILED)
    return EXIT_DONE


def _nothing(advice: Recommendation, question: Question, closest: Verdict) -> str:
    promise = f"'{question.slo.text}' with {question.confidence:.0%} confidence"
    what = f"none of {advice.tried} settings keeps {promise}"
    if closest.error:
        return f"{what}; none could run: {closest.error}"
    part = "last" if advice.judged else "first"
    return (
        f"{what}; the closest, {closest.candidate.label}, comes to {closest.slo_seconds:.1f} s on the {part} "
        f"part ({sure(closest.confidence)} sure): allow more workers or a longer wait"
    )


def configuration(candidate: Candidate, plan: Plan) -> str:
    """The setting as the daemon reads it."""
    table = {name: value for name, value in candidate.setting.items() if name != "price"}
    named = table if "cluster" in table else {**PLACEHOLDERS, **table}
    lines = block(f"targets.{key_text(plan.target)}", named) + "\n"
    return f"{DATABASE}\n{lines}" if plan.whole_file else lines


def _document(advice: Recommendation, study: Study, question: Question, toml: str) -> dict[str, Any]:
    return {
        "seed": study.seed,
        "runs": len(study.seeds),
        "trace": study.trace.source,
        **played_document(study.scene, study.trace),
        "slo": question.slo.text,
        "confidence": question.confidence,
        "split": question.split,
        "tried": advice.tried,
        "judged": advice.judged,
        "chosen": _plain(advice.chosen),
        "chosen_on_first_part": _plain(advice.tuned),
        "next_best": _plain(advice.next_best),
        "closest": _plain(advice.closest),
        "a_little_less": [_plain(each) for each in advice.less],
        "mwaa": [_plain(each) for each in advice.rivals],
        "toml": toml,
    }


def _plain(verdict: Verdict | None) -> Mapping[str, Any] | None:
    if verdict is None:
        return None
    label, setting = verdict.candidate.label, verdict.candidate.setting
    if verdict.error:
        return {"label": label, "setting": setting, "error": verdict.error}
    return {
        "label": label,
        "setting": setting,
        "price": verdict.candidate.price.label,
        "cost_usd": verdict.cost_usd,
        "slo_seconds": verdict.slo_seconds,
        "wait_p95_seconds": verdict.wait_p95_seconds,
        "worker_hours": verdict.worker_hours,
        "confidence": verdict.confidence,
        "kept": verdict.kept,
    }


def _print(advice: Recommendation, study: Study, question: Question, toml: str) -> None:
    console = Console(highlight=False)
    title = f"{study.title}: '{question.slo.text}' on the last {1 - question.split:.0%} of the time"
    table = Table(title=title, title_justify="left")
    table.add_column("setting", overflow="fold")
    for name in ("cost $", question.slo.text.split()[0].lower() + " wait s", "worker-h", "sure", "kept"):
        table.add_column(name, justify="right")
    _section(table, "recommended", [advice.chosen])
    _section(table, "the same on the first part", [advice.tuned])
    _section(table, "next best", [advice.next_best])
    _section(table, "closest", [advice.closest])
    _section(table, "with a little less", advice.less)
    _section(table, "Amazon MWAA", advice.rivals)
    console.print(table)
    for note in notes_of(study.scene, study.trace):
        console.print(note, markup=False, soft_wrap=True)
    failed = [each for each in (*advice.less, *advice.rivals) if each.error]
    judged = (
        f"of those that kept the promise there, the {advice.judged} cheapest judged on the rest."
        if advice.judged
        else "none kept the promise there."
    )
    how = f"{advice.tried} settings tried on the first {question.split:.0%} of the time; {judged}"
    whole = (
        "Amazon MWAA's cost is that of the whole environment, schedulers and web servers included; "
        "the others are workers only."
    )
    for note in (how, whole, *(f"{each.candidate.label}: {each.error}" for each in failed)):
        console.print(note, markup=False, soft_wrap=True)
    if toml:
        console.print(f"\n{toml}", markup=False, soft_wrap=True, end="")


def _section(table: Table, name: str, verdicts: list[Verdict] | list[Verdict | None]) -> None:
    there = [each for each in verdicts if each is not None]
    if not there:
        return
    table.add_section()
    table.add_row(f"[bold]{name}[/bold]")
    for each in there:
        if each.error:
            table.add_row(each.candidate.label, "cannot run")
            continue
        table.add_row(
            each.candidate.label,
            f"{each.cost_usd:,.2f}",
            f"{each.slo_seconds:,.1f}",
            f"{each.worker_hours:,.1f}",
            sure(each.confidence),
            "yes" if each.kept else "no",
        )
