"""An order as it is sent: checked, cleaned, and turned into a change of the book."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from autoscaler.orders.book import Change, OrdersError, overridden, paused, resumed
from policies.orders import Override, Pause, Way

LONGEST_SECONDS = 366 * 86_400.0
MOST_WORKERS = 10_000
"""Twice what a service of ECS may have: more is a slip of the hand."""


def _clean(text: str) -> str:
    # It ends up in logs and terminals, where an escape sequence could pretend anything.
    return "".join(character if character.isprintable() else " " for character in text).strip()


_Who = Annotated[str, StringConstraints(max_length=100), AfterValidator(_clean)]
_Why = Annotated[str, StringConstraints(max_length=300), AfterValidator(_clean)]
_Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
_Workers = Annotated[int, Field(ge=0, le=MOST_WORKERS)]


class Given(BaseModel):
    """What every order says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    target: str | None = None
    """None: all."""
    by: _Who = ""
    why: _Why = ""


class PauseGiven(Given):
    """The size shall not move."""

    way: Annotated[Way, Field(strict=False)] = Way.BOTH
    seconds: _Seconds | None = None
    """None: until it is resumed."""

    def change(self, at: float) -> Change:
        """The pause, from now on."""
        until = float("inf") if self.seconds is None else at + self.seconds
        return paused(Pause(self.way, until, at, self.by, self.why))


class ResumeGiven(Given):
    """A pause ends."""

    def change(self, at: float) -> Change:
        """No pause any more."""
        return resumed


class OverrideGiven(Given):
    """Other bounds for a while; without any bound: the configured ones again."""

    min_workers: _Workers | None = None
    max_workers: _Workers | None = None
    seconds: _Seconds | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        low, high = self.min_workers, self.max_workers
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_workers {low} is above max_workers {high}")
        if (low is None and high is None) is not (self.seconds is None):
            raise ValueError("other bounds need `seconds` after which they end; to end them now give neither")
        return self

    def change(self, at: float) -> Change:
        """The bounds, from now on."""
        if self.seconds is None:
            return overridden(None)
        return overridden(
            Override(self.min_workers, self.max_workers, at + self.seconds, at, self.by, self.why)
        )


KINDS: Mapping[str, type[PauseGiven | ResumeGiven | OverrideGiven]] = {
    "pause": PauseGiven,
    "resume": ResumeGiven,
    "override": OverrideGiven,
}


def read(kind: str, body: bytes) -> PauseGiven | ResumeGiven | OverrideGiven:
    """The order that a request's body holds.  Raises `OrdersError`, a line a mistake."""
    try:
        document: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise OrdersError("the body is not JSON") from None
    if not isinstance(document, dict):
        raise OrdersError("the body is no JSON object")
    try:
        return KINDS[kind].model_validate(document)
    except ValidationError as error:
        lines = [_complaint(each) for each in error.errors(include_url=False)[:10]]
        raise OrdersError("\n".join(lines)) from None


def _complaint(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))[:60]
    message = error["msg"].removeprefix("Value error, ")
    return f"{place!r}: {message}" if place else message
