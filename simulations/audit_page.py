"""The page of an audit: the answer, what was, what would have been, and the recommended setting's run."""

from __future__ import annotations

from collections.abc import Iterator

from simulations.audit import Audit, Kind
from simulations.audit_tell import FIGURES, Subject, advised, cells, configuration, notes, was
from simulations.recommend import Question
from simulations.report.front_chart import Setting, front_chart
from simulations.report.markup import Markup, joined, tag
from simulations.report.page import Page, Section
from simulations.report.run_page import run_sections
from simulations.report.search_page import played
from simulations.study import Study
from simulations.words import count, span, usd


def audit_page(found: Audit, study: Study, question: Question, subject: Subject) -> Page:
    """All of an audit; the recommended setting is played once more for its pictures."""
    best = found.recommended
    block: list[Section] = (
        [] if best is None else [("Configuration", tag("pre", configuration(best, subject)))]
    )
    run = [] if best is None else run_sections(played(study, best, question.slo))
    return Page(
        title=f"Audit: {subject.place}",
        headline=_headline(found, question),
        sentences=[advised(found, question)],
        sections=[
            *block,
            ("What was", _past(found, subject)),
            ("What would have been", _table(found)),
            *_tried(found, question),
            ("What to mind", tag("ul", *(tag("li", each) for each in (*notes(found), *subject.notes)))),
            *run,
        ],
        tiles=list(_tiles(found)),
    )


def _headline(found: Audit, question: Question) -> str:
    promise = f"“{question.slo.text}”"
    best = next((row for row in found.rows if row.kind is Kind.ADVICE), None)
    if best is None:
        return f"What {count(found.description.tasks, 'task')} needed"
    if not found.sure:
        return f"Nothing that was tried is sure to keep {promise}"
    return f"{promise} can be kept for {usd(best.cost_usd)} in {found.description.days:.1f} days"


def _tiles(found: Audit) -> Iterator[tuple[str, str]]:
    needed, waits = found.observed.needed, found.observed.waits
    yield "tasks", f"{found.description.tasks:,}"
    if waits is not None:
        yield "95 % waited at most", span(waits.p95_seconds)
    yield "workers needed at the peak", f"{needed.workers_peak:,}"
    yield "worker-hours needed", f"{needed.worker_hours:,.1f}"


def _past(found: Audit, subject: Subject) -> Markup:
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", what)) for name, what in was(found, subject)]
    return tag("table", tag("tbody", *rows), class_="assumed")


def _table(found: Audit) -> Markup:
    head = tag("tr", *(tag("th", title, scope="col") for title in ("workers sized by", *FIGURES)))
    rows: list[Markup] = []
    for kind in Kind:
        played_rows = [row for row in found.rows if row.kind is kind]
        if played_rows:
            name = tag("th", kind.value, scope="colgroup", colspan=len(FIGURES) + 1)
            rows.append(tag("tr", name, class_="group"))
        rows += [tag("tr", *(tag("td", cell) for cell in cells(row))) for row in played_rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide")


def _tried(found: Audit, question: Question) -> Iterator[Section]:
    """Every setting that was tried, on the part of the history that it was tuned on."""
    advice = found.advice
    seen = [each for each in advice.seen if not each.error] if advice is not None else []
    if advice is None or not seen:
        return
    settings = [
        Setting(
            each.candidate.label,
            each.cost_usd,
            each.wait_p95_seconds,
            each.worker_hours,
            kept=each.kept,
            chosen=found.recommended == each.candidate,
        )
        for each in seen
    ]
    how = f"{count(advice.tried, 'setting')} on the first {question.split:.0%} of the time."
    yield "Cost against wait", joined(tag("p", how), front_chart(settings, question.slo))
