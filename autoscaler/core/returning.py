"""Workers without intake that shall take tasks again: nobody's intake resumes before its protection is seen.

A worker that was to leave, or that somebody else has stopped, may be what a size is being lowered by at
this moment: by a write of ours that shows late, or by another daemon.  Protected it cannot be taken.
"""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.listing import Listing
from autoscaler.core.state import Returning


def returned(
    before: Iterable[Returning],
    seen: Listing,
    stopped_by_us: frozenset[str],
    victims: frozenset[str],
    at: float,
    patience_seconds: float,
    *,
    crowded: bool,
) -> tuple[Returning, ...]:
    """All that shall take tasks again and are not seen to.

    `stopped_by_us` were to leave until now, `victims` still are.  Who waited so long for a protection takes
    tasks without; but not where the service may stop somebody at any moment.
    """
    known = {each.worker: each for each in before}
    silent = (known.keys() | stopped_by_us) & (seen.staying - seen.consuming)
    found = []
    for worker in sorted((seen.stopped | silent) - victims):
        each = known.get(worker) or Returning(worker, at, at)
        bare_since = None
        if worker not in seen.safe:
            bare_since = at if each.bare_since is None else min(each.bare_since, at)
        waits = bare_since is not None and (crowded or at - bare_since < patience_seconds)
        found.append(Returning(worker, min(each.since, at), bare_since, waits))
    return tuple(found)


def unseen(
    before: tuple[Returning, ...], given_up: frozenset[str], at: float, patience_seconds: float
) -> tuple[Returning, ...]:
    """The same while nobody looks, `given_up` being no victims any more."""
    if not before and not given_up:
        return before
    kept = tuple(
        each._replace(waits=each.waits and at - each.bare_since < patience_seconds)
        if each.bare_since is not None
        else each
        for each in before
        if each.worker not in given_up
    )
    return (*kept, *(Returning(worker, at, at) for worker in sorted(given_up)))


def deaf(returning: Iterable[Returning], at: float, patience_seconds: float) -> frozenset[str]:
    """Those that take no tasks though they are told to, for so long that nobody waits for them any more."""
    return frozenset(
        each.worker for each in returning if not each.waits and at - each.since >= patience_seconds
    )
