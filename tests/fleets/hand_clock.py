"""A clock that only moves by hand, and what the tests of fleets share."""

from collections.abc import Iterable

from policies.model import Decision, Reason, Stage

START = 1_750_000_000.0


class HandClock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def after(self, *, minutes: float = 0, seconds: float = 0) -> None:
        self.now += 60 * minutes + seconds


def decision(
    desired: int | None = None, protected: Iterable[str] = (), released: Iterable[str] = ()
) -> Decision:
    trail = (Stage("policy", 0 if desired is None else desired, Reason.DEMAND),)
    return Decision(desired, trail, protected=frozenset(protected), released=frozenset(released))
