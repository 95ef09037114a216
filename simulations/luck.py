"""What chance has in store for each worker of a service, whatever else is drawn meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from policies.model import IntArray
from simulations.service import ServiceModel
from simulations.trace import quantised

HOUR = 3600.0
INFINITY = float("inf")


class Fate(NamedTuple):
    """One worker's."""

    launch_seconds: float
    """From order to ready; infinity: it never starts."""
    reclaimed_after_seconds: float
    """Of being ready; infinity: never."""
    retired_after_seconds: float


class Luck:
    """A stream each, so that neither how often lots are drawn nor one more kind of accident changes another.

    The n-th launch of two runs with the same seed and service has the same fate.
    """

    STREAMS: ClassVar[int] = 5
    """Of chance, that it wants."""

    def __init__(self, service: ServiceModel, streams: Sequence[np.random.SeedSequence]) -> None:
        self._service = service
        generators = map(np.random.default_rng, streams)
        self._launches, self._lots, self._failures, self._reclaims, self._retirements = generators

    def launched(self) -> Fate:
        """The next launch's."""
        service = self._service
        seconds = service.launch.seconds(self._launches)
        if self._failures.random() < service.never_start_share:
            seconds = INFINITY
        return Fate(seconds, *self._accidents())

    def there_from_the_start(self) -> Fate:
        """That of a worker which nobody had to launch."""
        return Fate(0.0, *self._accidents())

    def lots(self, count: int) -> IntArray:
        """An order of so many by lot."""
        return self._lots.permutation(count)

    def _accidents(self) -> tuple[float, float]:
        service = self._service
        return (
            _lifetime(self._reclaims, service.reclaims_per_hour),
            _lifetime(self._retirements, service.retirements_per_hour),
        )


def _lifetime(generator: np.random.Generator, per_hour: float) -> float:
    """Seconds until something that comes at a rate.  Always draws: rates can be compared, too."""
    drawn = float(generator.standard_exponential())
    return quantised(drawn / per_hour * HOUR) if per_hour else INFINITY
