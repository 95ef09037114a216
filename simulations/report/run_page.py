"""The page of a run, alone or below the search that chose it."""

from __future__ import annotations

from collections.abc import Sequence

from simulations.report import assumed
from simulations.report.answer import Answer
from simulations.report.decision_log import decision_log
from simulations.report.heat_map import heat_maps
from simulations.report.markup import Markup, joined, tag
from simulations.report.page import Page, Section
from simulations.report.run_story import RunStory
from simulations.report.spread import spread
from simulations.report.time_chart import time_chart
from simulations.report.timeline import Timeline, timeline
from simulations.trace import MONDAY
from simulations.waits_table import TITLES
from simulations.words import span, usd


def run_page(stories: Sequence[RunStory], answer: Answer) -> Page:
    """All there is to say about a run: of one target, or of several side by side."""
    trace = stories[0].result.trace
    several = len(stories) > 1
    sections = [("The targets", _targets(stories))] if several else []
    for story in stories:
        prefix = f"{story.name}: " if several else ""
        sections += [(f"{prefix}{heading}", inside) for heading, inside in run_sections(story)]
    return Page(
        title=f"Fleet report: {trace.source}",
        headline=answer.headline(),
        sentences=list(answer.sentences()),
        sections=sections,
        tiles=list(answer.tiles()),
    )


def run_sections(story: RunStory, heading: str = "Demand, workers and waits over time") -> list[Section]:
    """From the run over time, under that heading, down to what it rests on."""
    line = timeline_of(story)
    return [
        (heading, time_chart(line, story.slo)),
        ("By weekday and hour", _week(story, line)),
        ("Who waited", _who(story)),
        ("Decisions", decision_log(story.recorder)),
        ("What was assumed", _assumed(story)),
    ]


def timeline_of(story: RunStory) -> Timeline:
    """The run by equal spans of time."""
    return timeline(story.result, story.recorder.desired_at, story.recorder.desired)


def _week(story: RunStory, line: Timeline) -> Markup:
    undated = story.result.trace.starts_at == MONDAY
    note = "All times are UTC; the trace has no dates, so it is taken to begin on a Monday at 00:00."
    return joined(tag("p", note if undated else "All times are UTC."), heat_maps(story.result, line))


def _who(story: RunStory) -> Markup:
    """By queue, and by DAG where the trace knows any."""
    kinds = ["queue", *(["dag"] if len(story.result.trace.dags) > 1 else [])]
    return joined(
        *(joined(tag("h3", f"By {TITLES[kind]}"), spread(story.result, kind, story.slo)) for kind in kinds)
    )


def _assumed(story: RunStory) -> Markup:
    rows = [
        *assumed.of_trace(story.result.trace),
        *assumed.of_run(story),
        *(assumed.of_scene(story.scene) if story.scene is not None else ()),
        *assumed.of_service(story.result.service),
        *assumed.of_prices([story.price]),
        *assumed.of_programs(),
    ]
    return assumed.assumed(rows, story.result.trace)


def _targets(stories: Sequence[RunStory]) -> Markup:
    """The targets side by side; together they are the answer at the top."""
    titles = ("target", "tasks", "cost", "worker-hours", "95 % waited at most", "longest", "workers at most")
    promised = any(story.promise is not None for story in stories)
    head = tag(
        "tr", *(tag("th", each, scope="col") for each in (*titles, *(["promise"] if promised else [])))
    )
    rows = []
    for story in stories:
        figures = story.figures
        cells = [
            f"{figures.tasks:,}",
            usd(figures.cost_usd),
            f"{figures.worker_hours:,.1f}",
            span(figures.wait_p95_seconds),
            span(figures.wait_max_seconds),
            f"{figures.peak_workers:,}",
        ]
        if story.promise is not None:
            cells.append("kept" if story.promise.kept else "broken")
        rows.append(tag("tr", tag("th", story.name, scope="row"), *(tag("td", cell) for cell in cells)))
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide")
