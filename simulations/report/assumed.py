"""What a report rests on: everything somebody needs to repeat it, or to doubt it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import version
from typing import Any

import numpy as np

from simulations.describe import problems
from simulations.price import LISTED, Price
from simulations.quantiles import Quantiles
from simulations.report.markup import Markup, joined, tag
from simulations.report.run_story import RunStory
from simulations.service import ServiceModel
from simulations.trace import Trace
from simulations.words import count, instant, span
from simulations.world_file import Scene

DISTRIBUTION = "airflow-worker-autoscaler"
SLOTS = "workers, slots per worker"
Row = tuple[str, str]


def assumed(rows: Sequence[Row], trace: Trace) -> Markup:
    """A table of what was assumed, and what to mind of the trace."""
    minds = [tag("li", text) for text in problems(trace)]
    return joined(
        tag("table", tag("tbody", *(_row(*row) for row in rows)), class_="assumed"),
        tag("p", "To mind of the trace:") if minds else None,
        tag("ul", *minds) if minds else None,
    )


def _row(name: str, value: str) -> Markup:
    return tag("tr", tag("th", name, scope="row"), tag("td", value))


def of_trace(trace: Trace) -> Iterator[Row]:
    """What was played."""
    first, last = float(trace.queued_at.min()), float(trace.queued_at.max())
    edges = count(len(trace.edge_parent), "dependency", "dependencies")
    yield "trace", f"{trace.source}: {count(len(trace), 'task')}, {edges}"
    yield "arrivals", f"{instant(trace.starts_at + first)} to {instant(trace.starts_at + last)} UTC"


def of_service(service: ServiceModel) -> Iterator[Row]:
    """How the modelled workers behave."""
    yield from flattened("workers", service)


def of_scene(scene: Scene) -> Iterator[Row]:
    """Which Airflow was played, and how the load was read."""
    yield "Airflow", scene.version
    yield from flattened("Airflow", scene.airflow)
    yield from flattened("source", scene.source)


def of_run(story: RunStory) -> Iterator[Row]:
    """What decided, and when."""
    result, controller = story.result, story.controller
    yield "seed", str(result.seed)
    yield "time between two decisions", span(result.tick_seconds)
    yield from flattened(f"policy {type(controller.policy).__name__}", controller.policy)
    yield from flattened("guards", controller.guards)


def of_prices(prices: Iterable[Price]) -> Iterator[Row]:
    """What a worker costs, and when that was so."""
    for price in prices:
        hourly = f"{price.usd_per_worker_hour:.5g} US$ per worker-hour"
        least = f", at least {span(price.minimum_seconds)} a worker" if price.minimum_seconds else ""
        base = f", and {price.base_usd_per_hour:.5g} US$ per hour of the environment"
        yield "price", f"{price.label}: {hourly}{least}{base if price.base_usd_per_hour else ''}"
    yield "prices of", f"{LISTED}: list prices in us-east-1, Linux, without taxes and discounts"


def of_programs() -> Iterator[Row]:
    """Versions; with the same ones and the same seed the same comes out, to the byte."""
    yield "program", f"{DISTRIBUTION} {version(DISTRIBUTION)}"
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "NumPy, Numba", f"{np.__version__}, {version('numba')}"
    yield "platform", f"{platform.system()} {platform.machine()}"


def flattened(name: str, value: Any) -> Iterator[Row]:
    """A configuration's fields, one row each; what is not set is left out."""
    if isinstance(value, Quantiles):
        yield name, value.words
    elif is_dataclass(value):
        for each in (field for field in fields(value) if field.init):  # others follow from those
            yield from flattened(f"{name}, {each.name.replace('_', ' ')}", getattr(value, each.name))
    elif isinstance(value, tuple):
        for number, each in enumerate(value, 1):
            yield from flattened(f"{name} {number}", each)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from flattened(f"{name}, {key}", each)
    elif value is not None:
        yield name, _plain(value)


def _plain(value: Any) -> str:
    """As a person writes it: times of the world are multiples of 2^-16 s, which nobody means."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)
