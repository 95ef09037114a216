"""What a person should look at, told from the same observation as the decision."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.ownership import observes_only
from autoscaler.core.plain import one_line
from autoscaler.core.proposal import Context
from policies.model import Alarm, AlarmKind, Demand, Rollout

MOST_NAME = 255
"""Characters of a host's name; a longer one is no name."""


@dataclass(frozen=True, slots=True)
class Watch:
    """When something is worth a person's attention."""

    slots_per_worker: int
    maximum: int
    deaf_seconds: float = 300.0
    """Tasks queued beside free slots for longer mean workers that do not listen."""
    pending_deadline_seconds: float = 600.0
    """Workers should have started by then."""
    parallelism: int | None = None
    """Airflow's `core.parallelism`, a limit per scheduler; None: unknown."""

    def alarms(self, context: Context) -> tuple[Alarm, ...]:
        """All that is wrong now; usually nothing."""
        state, at, capacity = context.state, context.at, context.capacity
        found = []
        if state.deaf_since is not None and at - state.deaf_since >= self.deaf_seconds:
            minutes = (at - state.deaf_since) / 60
            note = f"tasks have been queued beside free slots for {minutes:.0f} min"
            found.append(Alarm(AlarmKind.DEAF_WORKERS, note))
        if state.short_since is not None and at - state.short_since >= self.pending_deadline_seconds:
            missing = max(context.current - capacity.running, capacity.pending)
            found.append(Alarm(AlarmKind.PENDING_TOO_LONG, f"{missing} workers have not started in time"))
        if capacity.contested_by:
            found.append(Alarm(AlarmKind.CONTESTED, f"{capacity.contested_by} sets this size too"))
        if capacity.rollout is Rollout.FAILED:
            found.append(Alarm(AlarmKind.DEPLOYMENT_FAILED, "the service's deployment failed"))
        if state.ownership.foreign_at and observes_only(state.ownership, at):
            note = "others set the desired count three times within an hour: observing only"
            found.append(Alarm(AlarmKind.FOREIGN_WRITES, note))
        if hosts := context.observation.evidence.unplaced_hosts:
            name = one_line(hosts[0], MOST_NAME)
            found.append(Alarm(AlarmKind.BUSY_UNPLACED, f"busy, but no worker of ours: {name}"))
        self._of_removal(context, found)
        if isinstance(context.demand, Demand):
            self._of_demand(context.demand, found)
        return tuple(found)

    def _of_removal(self, context: Context, found: list[Alarm]) -> None:
        removal = context.state.removal
        if removal.spared:
            note = f"{len(removal.spared)} workers did not run dry in time and take tasks again"
            found.append(Alarm(AlarmKind.DRAIN_OVERDUE, note))
        if context.at < removal.frozen_until:
            note = "another worker was stopped than those that were prepared: no removal for an hour"
            found.append(Alarm(AlarmKind.WRONG_WORKER_STOPPED, note))

    def _of_demand(self, demand: Demand, found: list[Alarm]) -> None:
        if demand.phantoms:
            note = f"{demand.phantoms} tasks have no living process and are left out of the load"
            found.append(Alarm(AlarmKind.PHANTOM_TASKS, note))
        if self.parallelism is not None and demand.schedulers:
            allowed, wanted = self.parallelism * demand.schedulers, self.maximum * self.slots_per_worker
            if allowed < wanted:
                note = (
                    f"Airflow may run {allowed} tasks at once, the workers {wanted}: raise core.parallelism"
                )
                found.append(Alarm(AlarmKind.PARALLELISM_TOO_LOW, note))
