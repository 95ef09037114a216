"""Numbers as a person reads them: spans of time, amounts, instants."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, isfinite

LENGTHS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0))


def span(seconds: float) -> str:
    """Seconds while they are few, then minutes, hours, days."""
    for unit, length in LENGTHS:
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def amount(value: float) -> str:
    """Three digits or so; whole numbers as such."""
    if not isfinite(value):
        return "unknown"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def usd(value: float) -> str:
    """Dollars and cents; whole dollars from a thousand on."""
    return f"${value:,.0f}" if value >= 1000 else f"${value:,.2f}"


def share(part: float, whole: float) -> str:
    """A part in percent; whatever is not nothing is not 0 %."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.0f} %" if percent in {0.0, 100.0} else f"{percent:.1f} %"


def sure(confidence: float) -> str:
    """A confidence in percent, rounded down: 94.99 % is not 95 %."""
    return f"{floor(confidence * 1000) / 10:.1f}%"


def count(number: int, one: str, more: str | None = None) -> str:
    """`1 task`, `2 tasks`; `more` where an s does not make the plural."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def instant(at: float) -> str:
    """A Unix time to the minute, or to the second if it is not a whole one, in UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%a %-d %b %Y %H:%M" + (":%S" if moment.second else ""))
