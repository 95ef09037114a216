"""The decisions worth a look, with every stage's reason, and how often each reason had the last word."""

from __future__ import annotations

from simulations.report.markup import Markup, joined, tag
from simulations.report.recorder import Entry, Recorder
from simulations.words import amount, count, instant, share

DIRECTIONS = {"out": "scale-out", "in": "scale-in", "hold": "held back", "stay": "no change wanted"}
UNSEEN = "-"


def decision_log(recorder: Recorder) -> Markup:
    """A table of reasons, and the log itself, folded."""
    entries = recorder.entries()
    moves = sum(entry.moves for entry in entries)
    holds = len(entries) - moves
    said = f"{count(recorder.ticks, 'decision')}, of which {count(recorder.moves, 'change')} of the size"
    chosen = []
    if moves < recorder.moves:
        chosen.append(f"the {moves} largest of {recorder.moves:,} changes")
    if holds < recorder.holds:
        chosen.append(f"the {holds} longest of {recorder.holds:,} holds")
    note = f" Shown: {' and '.join(chosen)}." if chosen else ""
    titles = ("when (UTC)", "size", "queued", "running", "how it came about")
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    log = tag("table", tag("thead", head), tag("tbody", *map(_row, entries)), class_="log")
    return joined(
        tag("p", f"{said}."),
        tag("div", _reasons(recorder), class_="wide"),
        tag(
            "details",
            tag("summary", f"The log: {count(moves, 'change')} and {count(holds, 'hold')}, with reasons"),
            tag("p", f"A hold is a wish of the policy that a limit did not grant.{note}"),
            tag("div", log, class_="wide"),
        ),
    )


def _reasons(recorder: Recorder) -> Markup:
    titles = ("direction", "reason of the last stage", "decisions", "share")
    rows = [
        tag(
            "tr",
            tag("td", DIRECTIONS[direction]),
            tag("td", _plain(reason.value)),
            tag("td", f"{ticks:,}"),
            tag("td", share(ticks, recorder.ticks)),
        )
        for (direction, reason), ticks in recorder.reasons.most_common()
    ]
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    return tag("table", tag("thead", head), tag("tbody", *rows))


def _row(entry: Entry) -> Markup:
    when = instant(entry.at)
    if entry.ticks > 1:
        when += f", {entry.ticks:,} times until {instant(entry.until)}"
    size = (
        f"{_whole(entry.before)} → {_whole(entry.after)}" if entry.moves else f"stays {_whole(entry.after)}"
    )
    stages = [
        f"{stage.stage.replace('_', ' ')}: {amount(stage.workers)}, {_plain(stage.reason.value)}"
        + (f" ({stage.note})" if stage.note else "")
        for stage in entry.trail
    ]
    told = [tag("li", text) for text in (*stages, *(f"alarm: {alarm}" for alarm in entry.alarms))]
    numbers = (_load(entry.queued), _load(entry.running))
    return tag(
        "tr",
        tag("td", when),
        tag("td", size),
        *(tag("td", number) for number in numbers),
        tag("td", tag("ol", *told)),
    )


def _plain(reason: str) -> str:
    return reason.replace("_", " ")


def _whole(workers: int | None) -> str:
    return UNSEEN if workers is None else f"{workers:,}"


def _load(slots: float | None) -> str:
    return UNSEEN if slots is None else amount(slots)
