"""Policies made of policies: the highest of several, and a floor by the calendar."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from math import floor
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Ge, Gt
from croniter import CroniterBadDateError, croniter

from policies.history import History
from policies.lull import Lull, lull_of
from policies.model import Capacity, Observation, Reason, Recommendation
from policies.policy import Policy


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
        """The largest recommendation; of equal ones the first part's.

        A part whose answer is no size (negative or not finite) blocks only the way in: it is passed on,
        for the controller to hold, unless another part wants to go out.
        """
        answers = [
            policy.recommend(part, history) for policy, part in zip(self.policies, memory, strict=True)
        ]
        memories = tuple(part for part, _ in answers)
        sizes = [answer for _, answer in answers if 0 <= answer.workers < float("inf")]
        highest = max(sizes, key=lambda each: each.workers, default=answers[0][1])
        assert history.latest is not None
        if len(sizes) < len(answers) and highest.workers <= _current(history.latest):
            highest = next(answer for _, answer in answers if answer not in sizes)
        return memories, highest

    def lull(self, memory: tuple[Any, ...], observation: Observation) -> Lull | None:
        """What all parts promise together; nothing if one of them does not."""
        lulls = [
            lull_of(policy, part, observation) for policy, part in zip(self.policies, memory, strict=True)
        ]
        promised = [lull for lull in lulls if lull is not None]
        return reduce(Lull.both, promised) if len(promised) == len(lulls) else None


def _current(observation: Observation) -> float:
    capacity = observation.capacity
    return capacity.desired if isinstance(capacity, Capacity) else 0.0


@dataclass(frozen=True, slots=True)
class Hours:
    """The last start of a calendar, and the next: in between there is nothing to compute."""

    started_at: float
    next_at: float


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
    memory_type: ClassVar[Any] = Hours | None
    window_seconds: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        # A pattern with R draws its minutes by lot: two readings of one configuration would differ.
        plain = len(self.cron.split()) == 5 and "R" not in re.sub("FRI|MAR|APR", "", self.cron.upper())
        if not plain or not croniter.is_valid(self.cron):
            raise ValueError(f"cron must be five fields such as '0 2 * * 1-5', got {self.cron!r}")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"time_zone must be an IANA name such as 'Europe/Berlin', got {self.time_zone!r}"
            ) from None
        try:
            self.hours(0.0)
        except CroniterBadDateError:
            raise ValueError(f"cron never happens: {self.cron!r}") from None

    def initial(self) -> None:
        """No hours known yet."""

    def recommend(self, memory: Hours | None, history: History) -> tuple[Hours, Recommendation]:
        """The floor inside its hours, else nothing."""
        observation = history.latest
        assert observation is not None
        at = observation.at
        hours = memory if memory and memory.started_at <= at < memory.next_at else self.hours(at)
        if at - hours.started_at < self.duration_seconds:
            return hours, Recommendation(self.workers, Reason.SCHEDULE, self.cron)
        return hours, Recommendation(0.0, Reason.SCHEDULE)

    def lull(self, memory: Hours, observation: Observation) -> Lull:
        """Whatever the load, until the floor begins or ends."""
        ends_at = memory.started_at + self.duration_seconds
        changes_at = min(ends_at, memory.next_at) if observation.at < ends_at else memory.next_at
        # A second early, so that no rounding of the sum matters.
        return Lull(0, sys.maxsize, changes_at - 1.0)

    def hours(self, at: float) -> Hours:
        """The last start at or before `at`, and the first after it.

        A start that daylight saving skips happens when the clock has jumped; one that it repeats,
        twice.
        """
        # croniter looks strictly before its start: from the next whole second, the minute itself counts.
        now = datetime.fromtimestamp(floor(at) + 1, ZoneInfo(self.time_zone))
        started_at: float = croniter(self.cron, now).get_prev(float)
        next_at: float = croniter(self.cron, now - timedelta(seconds=1)).get_next(float)
        return Hours(started_at, next_at)
