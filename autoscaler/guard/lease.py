"""A stopped intake is a lease: whoever stopped it says so again, or the worker takes tasks again.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MOST_QUEUES = 200


@dataclass(frozen=True, slots=True)
class Leases:
    """The queues whose intake is stopped, with the instant at which that was last said."""

    said_at: Mapping[str, float] = field(default_factory=dict)

    def stopped(self, queue: str, at: float) -> Leases:
        """Somebody told the worker to leave the queue, or told it again."""
        if queue not in self.said_at and len(self.said_at) >= MOST_QUEUES:
            return self
        return Leases({**self.said_at, queue: at})

    def resumed(self, queue: str) -> Leases:
        """Somebody told the worker to consume the queue."""
        return Leases({name: at for name, at in self.said_at.items() if name != queue})

    def renewed(self, at: float) -> Leases:
        """All begin anew: what was said while nobody listened is not known."""
        return Leases(dict.fromkeys(self.said_at, at))

    def missing(self, queues: Iterable[str], at: float) -> Leases:
        """The worker was found not to consume these: who stopped them has a whole lease from now."""
        found = self
        for queue in queues:
            if queue not in found.said_at:
                found = found.stopped(queue, at)
        return found

    def ended(self, at: float, lease_seconds: float) -> tuple[str, ...]:
        """The queues that the worker shall consume again."""
        return tuple(sorted(queue for queue, said in self.said_at.items() if at - said >= lease_seconds))
