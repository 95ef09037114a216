"""Which faults were met in which states of the removal protocol, and which cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.soak.kinds import ALL
from tests.soak.states import STATES

Pairs = Counter[tuple[str, str]]
UNREACHABLE: Mapping[tuple[str, str], str] = {}
"""(state, fault) -> why the two never come together; `*` stands for all."""


def reachable() -> Iterator[tuple[str, str]]:
    """Every pair that can be met."""
    for kind in ALL:
        for state in STATES:
            if not any(key in UNREACHABLE for key in ((state, kind), ("*", kind), (state, "*"))):
                yield state, kind


def missing(pairs: Pairs) -> list[str]:
    """The reachable pairs that were not met."""
    return [f"{kind} while {state}" for state, kind in reachable() if not pairs[state, kind]]


def table(pairs: Pairs) -> str:
    """A line a fault, a column a state."""
    open_ = set(reachable())
    width = max(map(len, ALL))
    lines = [" " * width + "".join(f"{state[:8]:>9}" for state in STATES)]
    for kind in ALL:
        cells = (f"{pairs[state, kind] or ('-' if (state, kind) in open_ else '.'):>9}" for state in STATES)
        lines.append(f"{kind:<{width}}" + "".join(cells))
    return "\n".join(lines)
