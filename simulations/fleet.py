"""One ECS service in virtual time: launches, protections, stops, accidents, replacements.

It does what ECS does: `desired` is absolute; missing workers are launched, as fast as service and account
allow, and take tasks a launch delay later; surplus ones get SIGTERM at once, by lot among the
unprotected, whether they hold work or not.  From then on a worker is none of the service's: it takes
nothing new, finishes what it can before its stop timeout, and is killed then.  Protected workers stay: a
surplus waits until a protection ends.  New protections are refused while fewer workers are desired than
protected (DEPLOYMENT_BLOCKED).  Whoever is reclaimed, retired or never starts is replaced.

At one instant: who is gone, who is given up, reclaimed, retired (by number), then launches and stops.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from typing import Protocol

from policies.model import Applied, Decision, LastWrite, Refused
from simulations.account import Account, Bucket
from simulations.line import Line
from simulations.luck import INFINITY, Fate, Luck
from simulations.service import SPOT_NOTICE_SECONDS, ServiceModel

NAN = float("nan")


class Turn(IntEnum):
    """What becomes of a worker; in the order of one instant."""

    GONE = 0
    GIVEN_UP = 1
    RECLAIMED = 2
    RETIRED = 3


class Losses(Protocol):
    """What a kernel counts for all of its lines."""

    @property
    def killed_tasks(self) -> int:
        """Task tries lost with their worker."""

    @property
    def lost_slot_seconds(self) -> float:
        """Slot time of these."""


class Fleet:
    """The workers of one line.  `due_at` is when something happens next that no decision asked for."""

    def __init__(
        self, line: Line, losses: Losses, service: ServiceModel, luck: Luck, account: Account, *, workers: int
    ) -> None:
        self._losses = losses
        self.killed_tasks, self.lost_slot_seconds = 0, 0.0
        """Of this service."""
        self.line, self._service, self._luck, self._account = line, service, luck, account
        self._bucket = Bucket(service.launches)
        self.desired = workers
        self.alive: dict[str, int] = {}
        """Number by name, in the order of launch; leaving ones are out."""
        self.leaving: set[int] = set()
        self.intake_stopped: frozenset[str] = frozenset()
        self.created_at: list[float] = []
        self.ready_at: list[float] = []
        self.stopped_at: list[float] = []
        """NaN: not stopped."""
        self.protected_until: list[float] = []
        self.given_up_workers = 0
        """That never started ..."""
        self.reclaimed_workers = 0
        """... that Spot took away ..."""
        self.retired_workers = 0
        """... and whose host was retired."""
        self.changes = 0
        """Rises whenever somebody comes or goes."""
        self._agenda: list[tuple[float, Turn, int]] = []
        self._look_again_at = self.due_at = INFINITY
        account.there_from_the_start(workers)
        for _ in range(workers):
            self._add(luck.there_from_the_start())
        self._set_due()

    @property
    def size(self) -> int:
        """Workers that exist: on their way, at work, leaving."""
        return len(self.alive) + len(self.leaving)

    @property
    def protected(self) -> int:
        """Workers whose protection has not ended."""
        now = self.line.now
        return sum(self.protected_until[worker] > now for worker in self.alive.values())

    def apply(self, decision: Decision) -> LastWrite:
        """Makes the decision so, now: protections first, then releases, then the desired count."""
        desired, now = decision.desired, self.line.now
        if desired is not None and desired < 0:
            return Refused(desired, f"desired must be at least 0, got {desired}")
        gone = (decision.protected | decision.released) - self.alive.keys()
        if gone:
            return Refused(desired, f"there is no worker {min(gone)}")
        if decision.protected and self.protected > self.desired:
            return Refused(desired, "DEPLOYMENT_BLOCKED: fewer workers are desired than protected")
        for name in decision.protected:
            self.protected_until[self.alive[name]] = now + self._service.protection_seconds
        for name in decision.released:
            self.protected_until[self.alive[name]] = 0.0
        moved = self._stop_intake(decision.intake_stopped & self.alive.keys())
        if desired is not None:
            self.desired = desired
        elif not (decision.protected or decision.released or moved):
            return None
        self._reconcile()
        return Applied(desired)

    def act(self) -> None:
        """Does what is due now."""
        now = self.line.now
        while self._agenda and self._agenda[0][0] <= now:
            _, turn, worker = heappop(self._agenda)
            self._befalls(turn, worker)
        self._reconcile()

    def look_again(self) -> None:
        """There may be room for a launch now."""
        self._look_again_at = self.line.now
        self._set_due()

    def _set_due(self) -> None:
        self.due_at = min(self._look_again_at, self._agenda[0][0] if self._agenda else INFINITY)

    def _stop_intake(self, stopped: frozenset[str]) -> bool:
        """Whether anything changed."""
        if stopped == self.intake_stopped:
            return False
        for name in sorted(stopped ^ self.intake_stopped):
            self.line.take_tasks(self.alive[name], consuming=name not in stopped)
        self.intake_stopped = stopped
        return True

    def _reconcile(self) -> None:
        """Launches what is missing, stops what is too much."""
        self._look_again_at = INFINITY
        missing = self.desired - len(self.alive)
        if missing > 0:
            self._launch_missing(missing)
        elif missing < 0:
            self._stop_surplus(-missing)
        self._set_due()

    def _launch_missing(self, missing: int) -> None:
        now, account = self.line.now, self._account
        for _ in range(missing):
            if not account.has_room(self):
                return
            allowed_at = max(self._bucket.next_at, account.next_at)
            if allowed_at > now:
                self._look_again_at = allowed_at
                return
            account.launched(now)
            self._bucket.take(now)
            self._add(self._luck.launched())

    def _add(self, fate: Fate) -> None:
        now, give_up_seconds = self.line.now, self._service.give_up_seconds
        ready_at = now + fate.launch_seconds
        turns = [
            (ready_at + fate.reclaimed_after_seconds, Turn.RECLAIMED),
            (ready_at + fate.retired_after_seconds, Turn.RETIRED),
        ]
        if ready_at == INFINITY:
            # It would be ready just after it is given up: until then it is pending like any other.
            ready_at = now + give_up_seconds + 1.0
            turns = [(now + give_up_seconds, Turn.GIVEN_UP)]
        worker = self.line.launch(ready_at)
        for at, turn in turns:
            if at < INFINITY:
                heappush(self._agenda, (at, turn, worker))
        self.alive[f"worker-{worker}"] = worker
        self.changes += 1
        self.created_at.append(now)
        self.ready_at.append(ready_at)
        self.stopped_at.append(NAN)
        self.protected_until.append(0.0)

    def _stop_surplus(self, surplus: int) -> None:
        now, running = self.line.now, self.line.running
        unprotected = [name for name, worker in self.alive.items() if self.protected_until[worker] <= now]
        drawn = [unprotected[place] for place in self._luck.lots(len(unprotected))]
        if self._service.pending_leave_first:
            drawn.sort(key=lambda name: running[self.alive[name]])
        for name in drawn[:surplus]:
            self._leaves(name, self._service.stop_timeout_seconds)
        self.intake_stopped &= self.alive.keys()
        if surplus > len(drawn):
            self._look_again_at = min(self.protected_until[worker] for worker in self.alive.values())

    def _befalls(self, turn: Turn, worker: int) -> None:
        """A worker's turn has come, if it is still there."""
        if turn is Turn.GONE:
            self.leaving.discard(worker)
            self._gone(worker)
            return
        name, timeout_seconds = f"worker-{worker}", self._service.stop_timeout_seconds
        if name not in self.alive:
            return
        self.given_up_workers += turn is Turn.GIVEN_UP
        self.reclaimed_workers += turn is Turn.RECLAIMED
        self.retired_workers += turn is Turn.RETIRED
        if turn is Turn.RECLAIMED:
            timeout_seconds = min(timeout_seconds, SPOT_NOTICE_SECONDS)
        self._leaves(name, timeout_seconds)
        self.intake_stopped &= self.alive.keys()

    def _leaves(self, name: str, timeout_seconds: float) -> None:
        """SIGTERM: it is none of the service's from now on."""
        worker, now = self.alive.pop(name), self.line.now
        self.changes += 1
        gone_at = now
        if timeout_seconds and self.line.running[worker]:
            self.line.take_tasks(worker, consuming=False)
            done_at = self.line.busy_until(worker) + self._service.exit_seconds
            gone_at = min(done_at, now + timeout_seconds)
        if gone_at <= now:
            self._gone(worker)
        else:
            self.leaving.add(worker)
            heappush(self._agenda, (gone_at, Turn.GONE, worker))

    def _gone(self, worker: int) -> None:
        losses = self._losses
        killed, lost = losses.killed_tasks, losses.lost_slot_seconds
        self.stopped_at[worker] = self.line.now
        self.line.stop(worker)
        if losses.killed_tasks > killed:
            self.killed_tasks += losses.killed_tasks - killed
            self.lost_slot_seconds += losses.lost_slot_seconds - lost
        self._account.left()
