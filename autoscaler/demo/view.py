"""Shows a demonstration while it runs: a live page in a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from autoscaler.demo.real_daemon import Choice
from autoscaler.demo.story import Sample, Story, WorkerState, WorkerView

BAR_COLUMNS = 24
WORKERS_SHOWN = 6
CHOICES_SHOWN = 6
BLOCKS = " ▁▂▃▄▅▆▇█"
_STYLES = {WorkerState.RUNNING: "green", WorkerState.PENDING: "yellow", WorkerState.STOPPING: "magenta"}


class View(Protocol):
    """Tells a person what goes on."""

    def say(self, text: str) -> None:
        """Something is being set up or put away."""
        ...

    def show(self, story: Story) -> None:
        """The story has grown."""
        ...


@contextmanager
def viewing(console: Console) -> Iterator[View]:
    """A live page if the console is a terminal, else lines."""
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Page(live)


class Lines:
    """A line for every change of phase, size or reason."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[object, ...] = ()

    def say(self, text: str) -> None:
        """As it is."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def show(self, story: Story) -> None:
        """A line, if something has changed."""
        now = story.samples[-1]
        choice = story.choices[-1] if story.choices else None
        key = (story.phase, now.desired, *map(now.count, WorkerState), choice.reason if choice else "")
        if key == self._last:
            return
        self._last = key
        why = f" | {choice.reason}: {choice.trail}" if choice else ""
        self.say(f"{now.seconds:6.1f} s  {story.phase} | {_tasks(now)} | {_fleet(now)}{why}")


class Page:
    """A page drawn anew in place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def say(self, text: str) -> None:
        """The page until there is a story."""
        self._live.update(Text(f"{text} ...", style="dim"), refresh=True)

    def show(self, story: Story) -> None:
        """The story as it stands."""
        self._live.update(page(story, self._live.console.width), refresh=True)


def page(story: Story, width_columns: int) -> RenderableType:
    """What the terminal shows of a story; 23 rows, so that it fits the smallest usual terminal."""
    now = story.samples[-1]
    heading = Text.assemble((f"{now.seconds:5.1f} s  ", "bold"), (story.phase.value, "bold cyan"))
    sides = Table.grid(padding=(0, 4, 0, 0))
    sides.add_row(_load(story, now), _workers(story, now))
    history = _history(story, max(20, width_columns - 28))
    parts: list[RenderableType] = [heading, Text(), sides, history, Text(), _choices(story)]
    return Panel(Group(*parts), title="autoscaler demo", subtitle="Ctrl-C ends it", width=width_columns)


def _load(story: Story, now: Sample) -> Table:
    most = max(sample.load for sample in story.samples)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=8)
    rows.add_column(justify="right", width=4)
    rows.add_column(width=BAR_COLUMNS)
    rows.add_row(Text("tasks", style="bold"))
    rows.add_row("queued", str(now.queued), _bar(now.queued, most, "dark_orange"))
    rows.add_row("running", str(now.running), _bar(now.running, most, "blue"))
    rows.add_row("finished", str(now.finished), _bar(now.finished, story.tasks, "green"))
    return rows


def _workers(story: Story, now: Sample) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    for worker in now.workers[:WORKERS_SHOWN]:
        rows.add_row(*_worker(worker, story.script.slots_per_worker))
    for _ in range(min(story.script.max_workers, WORKERS_SHOWN) - len(now.workers)):
        rows.add_row("")  # the page keeps its height
    return Group(Text(_fleet(now), style="bold"), rows)


def _worker(worker: WorkerView, slots: int) -> tuple[RenderableType, ...]:
    style = _STYLES[worker.state]
    busy = "■" * worker.busy_slots + "□" * (slots - worker.busy_slots)
    shown = busy if worker.state is not WorkerState.PENDING else ""
    return (
        f"  {worker.host.partition('.')[0]}",
        Text(worker.state.value, style=style),
        Text(shown, style=style),
    )


def _history(story: Story, columns: int) -> Table:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=15)
    rows.add_column(justify="right", width=4)
    series = {
        "load": ([sample.load for sample in story.samples], "dark_orange"),
        "workers running": ([sample.count(WorkerState.RUNNING) for sample in story.samples], "green"),
    }
    for name, (values, style) in series.items():
        rows.add_row(name, str(values[-1]), Text(sparkline(values, columns), style=style))
    return rows


def _choices(story: Story) -> Table:
    rows = Table("at", "size", "reason", "how it came about", box=None, padding=(0, 2, 0, 0), expand=True)
    rows.columns[3].ratio, rows.columns[3].no_wrap, rows.columns[3].overflow = 1, True, "ellipsis"
    shown = turning_points(story.choices)[-CHOICES_SHOWN:]
    for choice in shown:
        seconds = f"{max(0.0, choice.at - story.started_at):.0f} s"
        style = "bold" if choice.moves else "dim"
        rows.add_row(seconds, _size(choice), choice.reason, choice.trail, style=style)
    for _ in range(CHOICES_SHOWN - len(shown)):
        rows.add_row("")
    return rows


def turning_points(choices: list[Choice]) -> list[Choice]:
    """The decisions that changed the size, or whose reason is another than the one before."""
    return [
        choice
        for number, choice in enumerate(choices)
        if number == 0 or choice.moves or choice.reason != choices[number - 1].reason
    ]


def sparkline(values: list[int], columns: int) -> str:
    """All values in at most so many characters: each the highest of its share of time."""
    top = max(*values, 1)
    share = max(1, -(-len(values) // columns))
    peaks = [max(values[start : start + share]) for start in range(0, len(values), share)]
    return "".join(BLOCKS[-(-value * (len(BLOCKS) - 1) // top)] for value in peaks)


def _bar(value: int, most: int, style: str) -> Text:
    return Text("█" * round(BAR_COLUMNS * value / max(most, 1)), style=style)


def _tasks(now: Sample) -> str:
    return f"{now.queued} queued, {now.running} running, {now.finished} finished"


def _fleet(now: Sample) -> str:
    text = f"workers {now.count(WorkerState.RUNNING)} of {now.desired} run"
    extra = [f"{now.count(state)} {state}" for state in (WorkerState.PENDING, WorkerState.STOPPING)]
    return ", ".join([text, *(each for each in extra if not each.startswith("0 "))])


def _size(choice: Choice) -> str:
    if choice.current is None:
        return "unknown"
    return f"{choice.current} -> {choice.desired}" if choice.moves else str(choice.current)
