"""What is held at one time: sweep lines over spans, exact, ends before starts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from policies.model import FloatArray, IntArray


class Moment(NamedTuple):
    """The most that was ever held beyond what there was."""

    excess: int
    """Above 0: too much."""
    at: float
    row: int
    """Of the span that began then."""


def worst(
    begins: FloatArray, ends: FloatArray, holds: IntArray, offers: tuple[FloatArray, FloatArray, int]
) -> Moment:
    """When the spans hold most beyond what is offered.

    `offers`: (from, to, how much) of whoever offers, the same for each.  At one instant whoever ends has
    ended, whoever comes is there, and whoever goes is gone before anybody begins.
    """
    come, go, each = offers
    at = np.concatenate([begins, ends, come, go])
    change = np.concatenate([holds, -holds, np.full(len(come), -each), np.full(len(go), each)])
    order = np.lexsort((change > 0, at))
    held = np.cumsum(change[order])
    # Only who begins can hold too much.
    candidates = np.flatnonzero(order < len(begins))
    if not len(candidates):
        return Moment(0, 0.0, -1)
    place = int(candidates[np.argmax(held[candidates])])
    row = int(order[place])
    return Moment(int(held[place]), float(at[row]), row)
