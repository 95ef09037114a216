"""From a datagram to metrics, in all the forms Airflow sends.  Pure.

    airflow.executor.queued_tasks:7|g                                    plain
    airflow.executor.queued_tasks.CeleryExecutor:7|g                     the executor's class as a suffix
    airflow.executor.queued_tasks,status=queued,name=CeleryExecutor:7|g  InfluxDB's tags
    airflow.executor.queued_tasks:7|g|#status:queued                     Datadog's tags

Several metrics may share a datagram, one a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

MAX_PARSED_BYTES = 8192
"""A longer datagram is malformed: Airflow sends one metric of 20-70 bytes, batching clients up to 8 KiB."""
MAX_NAME_LENGTH = 512
"""Airflow cuts its names at 250 characters (`[metrics] stat_name_max_length`); the prefix comes on top."""
MAX_NUMBER_LENGTH = 64
"""A float written out in full has 24; in thousands of digits a pattern may look for its end for seconds."""

# The value is what follows the last colon, since a tag of InfluxDB's may hold one.
_LINE = re.compile(rb"(?P<head>[^|]+):(?P<value>[^|:]+)\|(?P<kind>ms|[cghds])(?P<rest>(?:\|.*)?)")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of a datagram."""

    name: str
    value: float
    """The number as sent; NaN for a set's member, which need not be a number."""
    kind: str
    """`c`ounter, `g`auge, `ms`, `h`istogram, `d`istribution or `s`et."""
    relative: bool = False
    """A gauge's change instead of its value: it was sent with a sign."""
    tags: Mapping[str, str] = field(default_factory=dict)


def parsed(packet: bytes) -> tuple[list[Metric], int]:
    """The metrics of a datagram, and how many of its lines were malformed.  Never raises."""
    if len(packet) > MAX_PARSED_BYTES:
        return [], 1
    lines = [line for line in packet.split(b"\n") if line.strip()]
    metrics = [metric for metric in map(_metric, lines) if metric is not None]
    return metrics, max(len(lines), 1) - len(metrics)


def _metric(line: bytes) -> Metric | None:
    match = _LINE.fullmatch(line.rstrip(b"\r"))
    if match is None:
        return None
    kind = match["kind"].decode()
    value = _number(match["value"]) if kind != "s" else float("nan")
    try:
        name, *pairs = match["head"].decode().split(",")
        sections = match["rest"].decode().split("|")
    except UnicodeDecodeError:
        return None
    tags = _tags(pairs, "=")
    if value is None or tags is None or not 0 < len(name) <= MAX_NAME_LENGTH:
        return None
    for section in sections:
        if section.startswith("@") and not _is_rate(section[1:]):
            return None
        if section.startswith("#"):
            tags |= _tags(section[1:].split(","), ":") or {}
    relative = kind == "g" and match["value"][:1] in {b"+", b"-"}
    return Metric(name, value, kind, relative, tags)


def _number(text: bytes) -> float | None:
    if len(text) > MAX_NUMBER_LENGTH or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if isfinite(value) else None


def _is_rate(text: str) -> bool:
    rate = _number(text.encode())
    return rate is not None and 0 < rate <= 1


def _tags(pairs: list[str], separator: str) -> dict[str, str] | None:
    """Tags by name; None if one has no separator, which Datadog allows and InfluxDB does not."""
    split = [pair.partition(separator) for pair in pairs]
    if separator == "=" and not all(equals for _, equals, _ in split):
        return None
    return {name: value for name, _, value in split}
