"""An ordered list of sources: the first credible reading counts, and says where it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from time import time

import anyio
import structlog

from autoscaler.ports import Source, SourceError
from policies.model import Demand

log = structlog.get_logger()

SETTLE_SECONDS = 600.0
"""How long a lesser source may raise the load but not lower it: longer than any source is late."""

_ROUNDING = 1 + 1e-9  # thirds of a deadline may add up to a little more than the deadline


@dataclass(frozen=True, slots=True)
class NamedSource:
    """One entry of the list."""

    name: str
    """What `Demand.source` shall say."""
    source: Source
    max_age_seconds: float
    """An older reading is none."""
    timeout_seconds: float
    """A source that has not answered by then has failed."""


class Fallback:
    """Asks the sources in order and takes the first credible reading.

    One after the other, not all at once: the first answers nearly always, and the others cost money or
    load.  So the timeouts must fit into the tick's reading deadline together, or a first source that
    hangs would eat the time of the others.

    Two sources never say quite the same, and the lesser may be minutes behind.  So a reading of any but
    the first is not `whole` (out goes on, nothing goes in) until every better source has been silent for
    `settle_seconds`: a fall that is only the step from one source to the next must not shrink the fleet,
    and an outage of a day must not keep it large for a day.
    """

    def __init__(
        self,
        sources: Sequence[NamedSource],
        *,
        deadline_seconds: float,
        settle_seconds: float = SETTLE_SECONDS,
        clock: Callable[[], float] = time,
    ) -> None:
        """`clock` is the daemon's wall clock, Unix seconds.

        Raises `ValueError` if there is no source or if the timeouts add up to more than the deadline.
        """
        total = sum(each.timeout_seconds for each in sources)
        if not sources:
            raise ValueError("a target needs at least one source")
        if total > deadline_seconds * _ROUNDING:
            raise ValueError(
                f"the sources may take {total:g} s together, the reading only {deadline_seconds:g} s: "
                "the last ones would never be asked"
            )
        self._sources = tuple(sources)
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._read_at = [clock()] * len(self._sources)
        self.failures: dict[str, str] = {}
        """Why the sources asked for the last reading failed, by name; those not in it did not."""

    async def demand(self) -> Demand:
        before, self.failures = self.failures, {}
        try:
            return await self._first_credible()
        finally:
            _log_changes(before, self.failures)

    async def _first_credible(self) -> Demand:
        for rank, each in enumerate(self._sources):
            reading = await self._asked(each)
            if isinstance(reading, str):
                self.failures[each.name] = reading
                continue
            now = self._read_at[rank] = self._clock()
            settled = all(now - at >= self._settle_seconds for at in self._read_at[:rank])
            return replace(reading, source=each.name, whole=reading.whole and settled)
        raise SourceError("; ".join(f"{name}: {why}" for name, why in self.failures.items()))

    async def _asked(self, each: NamedSource) -> Demand | str:
        """The reading, or why there is no credible one."""
        with anyio.move_on_after(each.timeout_seconds):
            try:
                demand = await each.source.demand()
            except SourceError as error:
                return str(error)
            except Exception as error:  # noqa: BLE001 - a defect of one source must not cost the others
                return f"unexpected {type(error).__name__}"  # not its text: it may hold a secret
            return _incredible(demand, each.max_age_seconds, self._clock()) or demand
        return f"no answer within {each.timeout_seconds:g} s"


def _log_changes(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Says once that a source failed, and once that it is back."""
    for name in now.keys() - before.keys():
        log.warning("source failed", source=name, why=now[name])
    for name in before.keys() - now.keys():
        log.info("source is back", source=name)


def _incredible(demand: Demand, max_age_seconds: float, now: float) -> str:
    """Why a reading is not to be believed; empty if it is."""
    for name in ("queued", "running", "scheduled", "oldest_wait_seconds"):
        value = getattr(demand, name)
        if not isfinite(value) or value < 0:
            return f"{name} is {value:g}, which cannot be"
    age_seconds = now - demand.measured_at
    if not isfinite(age_seconds):
        return f"measured at {demand.measured_at:g}, which cannot be"
    if age_seconds > max_age_seconds:
        return f"measured {age_seconds:.0f} s ago, allowed are {max_age_seconds:g} s"
    if age_seconds < -max_age_seconds:
        return f"measured {-age_seconds:.0f} s in the future: a clock is wrong"
    return ""
