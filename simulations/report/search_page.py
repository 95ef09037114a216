"""The pages of a search: what a sweep found, and what is recommended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from simulations.candidate import Candidate
from simulations.price import Price
from simulations.promise import promise_of
from simulations.recommend import Question, Recommendation, Verdict
from simulations.report import assumed
from simulations.report.front_chart import Setting, front_chart
from simulations.report.markup import Markup, joined, tag
from simulations.report.page import Page, Section
from simulations.report.recorder import Recorder
from simulations.report.run_page import run_sections
from simulations.report.run_story import RunStory
from simulations.run import simulate
from simulations.score import score
from simulations.slo import Slo
from simulations.study import Study
from simulations.words import count, share, span, sure, usd

if TYPE_CHECKING:
    from simulations.sweep import Swept

WHOLE = (
    "Amazon MWAA's cost is that of the whole environment, schedulers and web servers included; the others' "
    "is that of the workers alone."
)


def sweep_page(study: Study, swept: Swept) -> Page:
    """All settings of a sweep, and the front."""
    settings = [
        Setting(
            row.candidate.label,
            row.means["cost_usd"],
            row.means["wait_p95_seconds"],
            row.means["worker_hours"],
        )
        for row in swept.rows
    ]
    failed, prices = swept.failed, {row.candidate.price for row in swept.rows}
    cheapest = min(settings, key=lambda each: (each.cost_usd, each.wait_p95_seconds))
    quickest = min(settings, key=lambda each: (each.wait_p95_seconds, each.cost_usd))
    waits = [f"95 % of the tasks wait at most {span(each.wait_p95_seconds)}" for each in (cheapest, quickest)]
    sentences = [
        f"The cheapest setting, {cheapest.label}, costs {usd(cheapest.cost_usd)}; with it {waits[0]}.",
        f"The quickest, {quickest.label}, costs {usd(quickest.cost_usd)}; with it {waits[1]}.",
    ]
    if failed:
        label, why = next(iter(failed.items()))
        sentences.append(f"{count(len(failed), 'setting')} could not run, such as {label}: {why}")
    return Page(
        title=f"Sweep: {study.trace.source}",
        headline=f"{count(len(settings), 'setting')}, from {usd(cheapest.cost_usd)} to "
        f"{usd(max(each.cost_usd for each in settings))}",
        sentences=sentences,
        sections=[
            ("Cost against wait", front_chart(settings)),
            ("What was assumed", assumed.assumed(list(_about(study, prices)), study.trace)),
        ],
    )


def recommend_page(study: Study, question: Question, advice: Recommendation, toml: str) -> Page:
    """The advice, what it was chosen from, and the chosen setting on the whole history."""
    chosen = advice.chosen
    settings = [_setting(each, chosen) for each in advice.seen if not each.error]
    how = (
        f"{count(advice.tried, 'setting')} were tried on the first {share(question.split, 1)} of the time; "
        f"of those that kept the promise there, the {advice.judged} cheapest were judged on the rest."
    )
    tried = joined(tag("p", f"{how} The picture shows the first part."), front_chart(settings, question.slo))
    sections: list[Section] = [("Configuration", tag("pre", toml))] if chosen is not None else []
    if settings:
        sections.append(("Cost against wait", tried))
    sections.append(("Beside it", _beside(advice, question)))
    if chosen is not None:
        story = played(study, chosen.candidate, question.slo)
        sections += run_sections(story, "The recommended setting over the whole history")
    else:
        prices = {each.candidate.price for each in advice.seen}
        sections.append(("What was assumed", assumed.assumed(list(_about(study, prices)), study.trace)))
    return Page(
        title=f"Recommendation: {study.trace.source}",
        headline=_answer(advice, question),
        sentences=list(_sentences(advice, question)),
        sections=sections,
    )


def played(study: Study, candidate: Candidate, slo: Slo | None) -> RunStory:
    """The candidate on the whole history, with the luck of the study's first run."""
    service, seen = replace(study.service, slots_per_worker=candidate.slots), Recorder()
    result = simulate(
        study.trace,
        candidate.controller,
        service,
        study.seeds[0],
        tick_seconds=candidate.tick_seconds,
        airflow=study.scene.airflow,
        source=study.scene.source,
        on_step=seen,
    )
    promise = None if slo is None else promise_of(slo, [result])
    return RunStory(
        result,
        score(result, candidate.price),
        seen,
        candidate.controller,
        candidate.price,
        promise,
        scene=study.scene,
    )


def _setting(verdict: Verdict, chosen: Verdict | None) -> Setting:
    return Setting(
        verdict.candidate.label,
        verdict.cost_usd,
        verdict.wait_p95_seconds,
        verdict.worker_hours,
        kept=verdict.kept,
        chosen=chosen is not None and verdict.candidate.key == chosen.candidate.key,
    )


def _answer(advice: Recommendation, question: Question) -> str:
    promise = f"“{question.slo.text}”"
    if advice.chosen is None:
        return f"None of {count(advice.tried, 'setting')} keeps {promise}"
    return f"{promise} is kept for {usd(advice.chosen.cost_usd)} with {advice.chosen.candidate.label}"


def _sentences(advice: Recommendation, question: Question) -> Iterator[str]:
    last = f"the last {share(1 - question.split, 1)} of the time"
    if (best := advice.chosen or advice.closest) is not None and not best.error:
        part = last if advice.judged else f"the first {share(question.split, 1)} of the time"
        name = "It" if advice.chosen is not None else f"The closest, {best.candidate.label},"
        yield (
            f"{name} comes to {span(best.slo_seconds)} on {part}, and costs {usd(best.cost_usd)} there "
            f"({best.worker_hours:,.0f} worker-hours). That more history of this kind keeps the promise is "
            f"{sure(best.confidence)} sure; {sure(question.confidence)} were asked for."
        )
    if advice.next_best is not None:
        dearer = advice.next_best.cost_usd
        yield f"The next best, {advice.next_best.candidate.label}, costs {usd(dearer)}."
    kept = [each for each in advice.rivals if each.kept]
    if kept:
        least = min(kept, key=lambda each: each.cost_usd)
        yield f"Amazon MWAA would keep it from {usd(least.cost_usd)} on ({least.candidate.label}). {WHOLE}"


def _beside(advice: Recommendation, question: Question) -> Markup:
    """Every verdict of the last part."""
    statistic = question.slo.text.split()[0].lower()
    titles = ("setting", "cost", f"{statistic} wait", "worker-hours", "sure", "promise")
    groups = (
        ("recommended", [advice.chosen]),
        ("the same on the first part", [advice.tuned]),
        ("next best", [advice.next_best]),
        ("closest", [advice.closest]),
        ("with a little less", advice.less),
        ("Amazon MWAA", advice.rivals),
    )
    rows = [
        row
        for name, verdicts in groups
        if any(verdicts)
        for row in (
            tag("tr", tag("th", name, scope="colgroup", colspan=len(titles)), class_="group"),
            *(_verdict(each) for each in verdicts if each is not None),
        )
    ]
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return joined(tag("div", table, class_="wide"), tag("p", tag("small", WHOLE)))


def _verdict(verdict: Verdict) -> Markup:
    name = tag("td", verdict.candidate.label)
    if verdict.error:
        return tag("tr", name, tag("td", f"cannot run: {verdict.error}", colspan=5))
    cells = (
        usd(verdict.cost_usd),
        span(verdict.slo_seconds),
        f"{verdict.worker_hours:,.1f}",
        sure(verdict.confidence),
        "kept" if verdict.kept else "broken",
    )
    return tag("tr", name, *(tag("td", cell) for cell in cells))


def _about(study: Study, prices: Iterable[Price]) -> Iterator[assumed.Row]:
    yield from assumed.of_trace(study.trace)
    yield "seed", str(study.seed)
    yield "runs of each setting", str(len(study.seeds))
    yield from assumed.of_scene(study.scene)
    # Slots per worker are each setting's own.
    yield from (row for row in assumed.of_service(study.scene.service) if row[0] != assumed.SLOTS)
    yield from assumed.of_prices(sorted(prices, key=lambda each: each.label))
    yield from assumed.of_programs()
