"""Which faults were met in which states of the removal protocol."""

from __future__ import annotations

from collections import Counter

from tests.soak.kinds import ALL
from tests.soak.states import STATES

Pairs = Counter[tuple[str, str]]


def unmet(pairs: Pairs) -> list[str]:
    """The pairs that were not met.  All can be, but the rarest come once in weeks."""
    return [f"{kind} while {state}" for kind in ALL for state in STATES if not pairs[state, kind]]


def lacking(pairs: Pairs, least: int) -> list[str]:
    """What is too little: faults and states that were never met at all, or fewer than `least` pairs.

    Not every pair of a run of 100 days: the rarest are others after each change.
    """
    met = {each for pair in pairs for each in pair}
    missing = [f"never met: {each}" for each in (*ALL, *STATES) if each not in met]
    return missing + ([f"{len(pairs)} pairs were met, expected {least}"] if len(pairs) < least else [])


def table(pairs: Pairs) -> str:
    """A line a fault, a column a state."""
    width = max(map(len, ALL))
    lines = [" " * width + "".join(f"{state[:8]:>9}" for state in STATES)]
    for kind in ALL:
        cells = (f"{pairs[state, kind] or '-':>9}" for state in STATES)
        lines.append(f"{kind:<{width}}" + "".join(cells))
    return "\n".join(lines)
