"""Policies made of policies: the highest of several, and a floor by the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Ge, Gt
from croniter import croniter

from policies.history import History
from policies.model import Policy, Reason, Recommendation


@dataclass(frozen=True, slots=True)
class HighestOf:
    """Asks every part and takes the largest wish, with that part's reason."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        if not self.policies:
            raise ValueError("policies must name at least one policy")

    @property
    def monotone(self) -> bool:
        """If all parts are."""
        return all(policy.monotone for policy in self.policies)

    @property
    def window_seconds(self) -> float:
        """The longest of the parts'."""
        return max(policy.window_seconds for policy in self.policies)

    @property
    def memory_type(self) -> Any:
        """One memory a part."""
        return tuple[tuple(policy.memory_type for policy in self.policies)]  # type: ignore[misc]

    def initial(self) -> tuple[Any, ...]:
        """The parts' first memories."""
        return tuple(policy.initial() for policy in self.policies)

    def recommend(self, memory: tuple[Any, ...], history: History) -> tuple[tuple[Any, ...], Recommendation]:
        """The largest recommendation; of equal ones the first part's."""
        answers = [
            policy.recommend(part, history) for policy, part in zip(self.policies, memory, strict=True)
        ]
        highest = max((recommendation for _, recommendation in answers), key=lambda each: each.workers)
        return tuple(part for part, _ in answers), highest


@dataclass(frozen=True, slots=True)
class ScheduledFloor:
    """At least `workers` for `duration_seconds` from every moment the cron expression names.

    Joined with a policy that reads load by `highest`; on its own it never asks for more than the floor.
    """

    cron: str
    """Five fields: minute, hour, day of month, month, day of week."""
    workers: Annotated[float, Ge(0)]
    """The floor while it holds."""
    duration_seconds: Annotated[float, Gt(0)]
    """How long the floor holds from each start."""
    time_zone: str = "UTC"
    """IANA name; the expression is read in this zone, daylight saving included."""

    monotone: ClassVar[bool] = True
    memory_type: ClassVar[Any] = None
    window_seconds: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not croniter.is_valid(self.cron) or len(self.cron.split()) != 5:
            raise ValueError(f"cron must be five fields such as '0 2 * * 1-5', got {self.cron!r}")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"time_zone must be an IANA name such as 'Europe/Berlin', got {self.time_zone!r}"
            ) from None

    def initial(self) -> None:
        """It remembers nothing."""

    def recommend(self, memory: None, history: History) -> tuple[None, Recommendation]:
        """The floor inside its hours, else nothing."""
        observation = history.latest
        assert observation is not None, "a policy is asked after an observation"
        if self.holds(observation.at):
            return None, Recommendation(self.workers, Reason.SCHEDULE, self.cron)
        return None, Recommendation(0.0, Reason.SCHEDULE)

    def holds(self, at: float) -> bool:
        """Whether a start lies in (at - duration, at]."""
        # croniter's get_prev is strictly before its start, so a tick on the minute looks one second ahead.
        local = datetime.fromtimestamp(at + 1.0, UTC).astimezone(ZoneInfo(self.time_zone))
        started_at: float = croniter(self.cron, local).get_prev(float)
        return at - started_at < self.duration_seconds
