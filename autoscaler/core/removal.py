"""Scale-in that removes just the workers that were prepared for it.

ECS does not let us name who is stopped, so we leave it no choice.  A worker that is to leave goes through
these states, each told by what is seen and never by what was asked for:

    chosen -> intake stopped -> seen empty twice -> the others protected, and read back
           -> its own protection ended -> the desired count lowered by exactly those -> gone

Until the desired count is lowered all of it can be undone: the worker takes tasks again.  Afterwards a
worker that turns out to stay (its stop was refused, or somebody raised the count) is protected before it
takes tasks again, since a write may show late.  So a worker with stopped intake of which we know nothing,
left by a daemon that died, is protected too, and then takes tasks before anything else happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from autoscaler.core.drain import Caution, Drain
from autoscaler.core.listing import Listing
from autoscaler.core.proposal import Context, Proposal
from autoscaler.core.returning import deaf, returned
from autoscaler.core.state import Phase, Removal, Returning, State
from autoscaler.core.victims import (
    Patience,
    chosen,
    in_phase,
    least_advanced,
    let_go,
    undone,
    without,
)
from policies.model import NOBODY, Reason, Refused, Rollout, Workers


@dataclass(frozen=True, slots=True)
class SafeRemoval:
    """When a worker may leave, and how."""

    patience: Patience = Patience()
    consolidates: bool = False
    """Whether workers that hold work are chosen too: they run dry and leave."""
    stopped_share: float = 0.25
    """Of the workers, at most so many (at least one) have their intake stopped at a time."""
    pending_deadline_seconds: float = 600.0
    """A worker that has not started by then no longer holds a scale-in up: it is the first to leave."""
    evidence_max_age_seconds: float = 60.0
    protection_seconds: float = 3600.0
    """How long our protections last: what ends sooner at the first look is taken for an earlier daemon's."""

    @property
    def weighs_work(self) -> bool:
        """Whether it asks how much work a busy worker has left."""
        return self.consolidates

    def drain(self, proposal: Proposal, context: Context) -> Drain:
        """As much of the proposal as is safe now, and what brings the rest nearer."""
        if context.observing:
            caution = Caution(self.pending_deadline_seconds, self.evidence_max_age_seconds)
            return caution.drain(proposal, context)
        if context.capacity.workers is None:
            return self._unlisted(proposal, context)
        step = self._step(proposal, context.capacity.workers, context)
        return step.rolling() if step.rolls else step.lower()

    def given_up(self, proposal: Proposal, context: Context) -> Drain:
        """The size is not ours to set: whoever stays takes tasks again."""
        if context.capacity.workers is not None:
            return self._step(proposal, context.capacity.workers, context).undone()
        removal = self.patience.unseen(context.state.removal, context.at, undo=True)
        wants = bool(removal.victims or removal.returning)
        return Drain(proposal, context.state.protected, wants_workers=wants, removal=removal)

    def unseen(self, state: State, wish: float, at: float) -> Removal:
        """The removal while the fleet cannot be read: returning demand and deadlines count all the same."""
        undo = state.current is not None and wish > state.current - 1
        return self.patience.unseen(state.removal, at, undo=undo)

    def _step(self, proposal: Proposal, workers: Workers, context: Context) -> _Step:
        state = context.state
        seen = Listing(workers, context, self.evidence_max_age_seconds, self.pending_deadline_seconds)
        removal = self.patience.advanced(state.removal, seen, context)
        ours = state.protected & (seen.staying - seen.bare)
        if isinstance(context.observation.last_write, Refused):
            # Perhaps it was the end of these protections that was refused.
            ours |= (in_phase(removal, Phase.READY) | in_phase(removal, Phase.LEAVING)) - seen.bare
        if not removal.adopted:
            ours |= seen.protected_within(self.protection_seconds)
            removal = removal._replace(adopted=True)
        step = _Step(self, proposal, context, seen, removal, ours)
        return replace(step, removal=removal._replace(returning=step.returning(removal)))

    def _unlisted(self, proposal: Proposal, context: Context) -> Drain:
        undo = proposal.workers >= context.current
        removal = self.patience.unseen(context.state.removal, context.at, undo=undo)
        unfinished = removal.victims or removal.returning or not removal.adopted
        wants = not undo or bool(unfinished) or context.capacity.rollout is not Rollout.STEADY
        if not undo:
            why = Reason.WORKERS_UNLISTED, "who is busy is read next"
            proposal = proposal.to("drain", context.current, *why)
        return Drain(proposal, context.state.protected, wants_workers=wants, removal=removal)


@dataclass(frozen=True, slots=True)
class _Step:
    """One look's part of a removal."""

    settings: SafeRemoval
    proposal: Proposal
    context: Context
    seen: Listing
    removal: Removal
    ours: frozenset[str]

    @property
    def rolls(self) -> bool:
        return self.context.capacity.rollout is not Rollout.STEADY

    @property
    def wanted(self) -> int:
        """How many shall leave: also those who are there already without being desired."""
        staying = len(self.seen.staying) - len(in_phase(self.removal, Phase.LEAVING))
        return max(self.context.current, staying) - int(self.proposal.workers)

    @property
    def is_crowded(self) -> bool:
        """Whether the service will stop somebody as soon as a protection ends."""
        return len(self.seen.staying) > self.context.current

    @property
    def deaf(self) -> frozenset[str]:
        """Those that do not take tasks whatever they are told."""
        return deaf(self.removal.returning, self.context.at, 2 * self.settings.patience.deaf_seconds)

    def _said(self, reason: Reason, note: str) -> Proposal:
        """The way in waits, the way out is free."""
        if self.proposal.workers > self.context.current:
            return self.proposal
        return self.proposal.to("drain", self.context.current, reason, note)

    def _drain(
        self,
        proposal: Proposal,
        removal: Removal,
        *,
        protected: frozenset[str] = NOBODY,
        released: frozenset[str] = NOBODY,
        hands_off: bool = False,
    ) -> Drain:
        """With everybody protected who needs it, whatever else is decided."""
        seen, returning = self.seen, self.returning(removal)
        protected |= frozenset(each.worker for each in returning if each.bare_since is not None)
        leaving = in_phase(removal, Phase.LEAVING)
        if leaving or (self.is_crowded and not self.rolls):
            # Should one of them be kept from leaving, nobody else's protection may end before its own.
            exposed = seen.running - leaving - in_phase(removal, Phase.READY) - seen.safe
            protected |= exposed - seen.empty - seen.bare if hands_off and not leaving else exposed
        removal = removal._replace(returning=returning)
        busy = bool(removal.victims or returning or self.wanted > 0 or self.rolls)
        released &= self.ours & self.context.state.protected
        ours = (self.ours | (protected & seen.bare)) - released
        return Drain(proposal, ours, protected - released, released, busy, removal)

    def returning(self, removal: Removal) -> tuple[Returning, ...]:
        """Whoever has no intake and is no victim."""
        state, patience = self.context.state, self.settings.patience
        return returned(
            self.removal.returning,
            self.seen,
            state.removal.chosen,
            removal.chosen,
            self.context.at,
            patience.deaf_seconds,
            crowded=self.is_crowded,
        )

    def undone(self) -> Drain:
        """Nobody is prepared any more; the size stays."""
        return self._drain(self.proposal, undone(self.removal), hands_off=True)

    def lower(self) -> Drain:
        """The way in of a steady service."""
        removal, seen = self.removal, self.seen
        leaving = in_phase(removal, Phase.LEAVING)
        if endangered := self._endangered(removal):
            note = f"the protections of {len(endangered)} workers end soon, and more are listed than desired"
            held = self.proposal.to("drain", len(seen.staying), Reason.WORKERS_HELD, note)
            return self._drain(held, undone(removal))
        overdue = seen.overdue - leaving
        missing = max(0, self.wanted - len(overdue))
        # Whom somebody else protects shall stay.
        removal = without(removal, removal.chosen - leaving - seen.bare - self.ours)
        removal = without(removal, least_advanced(removal, len(removal.victims) - len(leaving) - missing))
        finished = leaving & seen.stopped & (seen.running if self.settings.patience.kills else seen.empty)
        if self.wanted <= 0:
            return self._drain(self.proposal, removal, released=finished)
        if leaving:
            held = self._said(Reason.LEAVING, f"{len(leaving)} workers are leaving")
            return self._drain(held, removal, released=finished)
        if self.context.at < removal.frozen_until:
            note = "another worker was stopped than those that were prepared"
            return self._drain(self._said(Reason.FROZEN, note), undone(removal))
        if (doubt := self._doubt(removal)) is not None:
            return self._drain(self._said(*doubt), removal)
        removal = chosen(
            removal,
            seen,
            seen.running & (seen.bare | self.ours),
            min(missing - len(removal.victims), self._room(removal)),
            self.context.at,
            deaf=self.deaf,
            only_empty=not self.settings.consolidates,
            budget_seconds=self.settings.patience.deadline_seconds,
        )
        return self._leave(removal, overdue)

    def _endangered(self, removal: Removal) -> frozenset[str]:
        """Protected ones that will be stopped: ECS renews nothing while fewer are desired than protected."""
        if not self.is_crowded or self.proposal.workers >= len(self.seen.staying):
            return NOBODY
        kept = self.seen.running - in_phase(removal, Phase.LEAVING) - in_phase(removal, Phase.READY)
        return kept - self.seen.bare - self.seen.lasting

    def _leave(self, removal: Removal, overdue: frozenset[str]) -> Drain:
        """The last steps of those that are ready."""
        seen, ready = self.seen, in_phase(removal, Phase.READY)
        if not ready and not overdue:
            soon = in_phase(removal, Phase.IDLE)
            note = f"{len(removal.victims)} of {self.wanted} chosen, {len(soon)} seen empty once"
            # Protecting while the second look is awaited costs nothing and saves a step.
            exposed = seen.running - soon - seen.safe if soon else NOBODY
            return self._drain(self._said(Reason.DRAINING, note), removal, protected=exposed)
        if pending := seen.staying - seen.running - seen.overdue:
            held = self._said(Reason.WORKERS_PENDING, f"{len(pending)} workers are on their way")
            return self._drain(held, removal)
        if exposed := seen.staying - ready - overdue - seen.safe:
            held = self._said(Reason.PROTECTING, f"{len(exposed)} workers that stay to protect first")
            return self._drain(held, removal, protected=exposed)
        if self.is_crowded:
            held = self._said(Reason.WORKERS_HELD, f"{len(seen.staying)} workers are listed, fewer desired")
            # From here on they may be stopped without a write of ours.
            return self._drain(held, let_go(removal, ready, self.context.at), released=ready - seen.bare)
        if covered := ready - seen.bare:
            held = self._said(Reason.DRAINING, f"the protection of {len(covered)} workers ends first")
            return self._drain(held, removal, released=covered)
        return self._write(removal, ready, len(ready) + len(overdue))

    def _write(self, removal: Removal, ready: frozenset[str], removable: int) -> Drain:
        current, listed = self.context.current, len(self.seen.staying)
        if listed != current:
            held = self._said(Reason.WORKERS_HELD, f"{listed} workers are listed, {current} are desired")
            return self._drain(held, removal)
        desired = current - min(removable, self.wanted)
        proposal = self.proposal
        if desired > proposal.workers:
            note = f"{current - desired} workers may leave now"
            proposal = proposal.to("drain", desired, Reason.DRAINING, note)
        return self._drain(proposal, let_go(removal, ready, self.context.at)._replace(lowered_to=desired))

    def rolling(self) -> Drain:
        """Workers of the old deployment run dry; the new one replaces them, the desired count unchanged.

        Whoever holds work is protected, of whichever deployment: another one may follow at any moment.
        """
        removal, seen, at = self.removal, self.seen, self.context.at
        old, patience = seen.outdated, self.settings.patience
        leaving = in_phase(removal, Phase.LEAVING)
        removal = without(removal, removal.chosen - leaving - old)
        removal = chosen(removal, seen, old, self._room(removal), at, deaf=self.deaf, only_empty=False)
        ready = in_phase(removal, Phase.READY)
        overdue = {
            each.worker
            for each in removal.victims
            if patience.kills and at - each.chosen_at >= patience.deadline_seconds
        }
        exposed = seen.running - ready - leaving - seen.safe - overdue - (seen.empty & seen.bare)
        return self._drain(self.proposal, removal, protected=exposed, released=ready - seen.bare)

    def _room(self, removal: Removal) -> int:
        """How many more workers may stop taking tasks: three quarters of the desired ones must go on."""
        share, running = self.settings.stopped_share, len(self.seen.running)
        back = frozenset(each.worker for each in self.returning(removal))
        idle_hands = len((self.seen.stopped | removal.chosen | back) - self.deaf)
        return max(1, running - ceil((1 - share) * self.context.current)) - idle_hands

    def _doubt(self, removal: Removal) -> tuple[Reason, str] | None:
        seen, evidence = self.seen, self.context.observation.evidence
        if back := frozenset(each.worker for each in self.returning(removal)) - self.deaf:
            return Reason.RESUMING, f"{len(back)} workers without intake go back to work first"
        if self.context.at < removal.unsure_until:
            return Reason.WRITE_UNCONFIRMED, "protections were set or ended without an answer"
        if evidence.unplaced_hosts:
            return Reason.BUSY_UNPLACED, f"busy, but no worker of ours: {evidence.unplaced_hosts[0]}"
        if not seen.busy_known:
            return Reason.BUSY_UNKNOWN, "who is busy is not known"
        if not seen.intake_known:
            return Reason.INTAKE_UNKNOWN, "who takes tasks is not known"
        return None
