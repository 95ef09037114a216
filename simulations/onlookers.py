"""Several who want to see the same thing, where one can be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

Seen = ParamSpec("Seen")


def all_of(*onlookers: Callable[Seen, object] | None) -> Callable[Seen, None] | None:
    """Tells each in turn; None: nobody wants to see it."""
    there = [each for each in onlookers if each is not None]
    if not there:
        return None

    def see(*args: Seen.args, **kwargs: Seen.kwargs) -> None:
        for each in there:
            each(*args, **kwargs)

    return see
