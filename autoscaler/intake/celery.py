"""The intake of one target's workers, over Celery's remote control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog

from autoscaler.core.agreement import Intakes, WorkerIntake
from autoscaler.intake import replies
from autoscaler.intake.nodes import DEFAULT_PATTERN, distinct, node_of
from autoscaler.intake.remote import Answers, Question, Remote
from autoscaler.ports import IntakeError, Told
from policies.model import Workers, WorkerState

MOST_NAMED = 5
"""Of the workers that did not answer, so many are named in the log."""

NONE: frozenset[str] = frozenset()

log = structlog.get_logger()


@dataclass(slots=True)
class CeleryIntake:
    """Asks and tells the workers of one target."""

    remote: Remote
    clock: Callable[[], float]
    """The daemon's wall clock, Unix seconds."""
    queues: frozenset[str] = NONE
    """What every worker should consume.  None given: what it consumed, or what most others do."""
    pattern: str = DEFAULT_PATTERN
    deadline_seconds: float = 6.0
    """For one look or one change, however many threads hang."""
    _nodes: dict[str, str] = field(default_factory=dict)
    """By worker, once it has answered: one name is asked instead of five."""
    _seen: dict[str, frozenset[str]] = field(default_factory=dict)
    """Queues consumed at the last look, by worker."""
    _had: dict[str, frozenset[str]] = field(default_factory=dict)
    """All queues that a worker was ever seen to consume: a stop may be seen when it is half done."""

    async def look(self, workers: Workers) -> Intakes:
        """As the port says.  Queues are asked for first and running tasks last.

        A task goes from reserved to active and never back, so in this order none slips through between two
        questions; and nothing new comes to a worker that consumes no queue.
        """
        names = self._names(workers)
        measured_at = self.clock()
        if not any(names.values()):
            return Intakes({}, measured_at, dict.fromkeys(names, "no name that is its alone"))
        nodes = [name for each in names.values() for name in each]
        questions = [
            Question("active_queues", replies.queues, nodes, len(names)),
            Question("reserved", replies.count, nodes, len(names)),
            Question("active", replies.count, nodes, len(names), {"safe": True}),
        ]
        answers = await self._ask(questions)
        said: dict[str, WorkerIntake] = {}
        missing: dict[str, str] = {}
        for worker, each in names.items():
            node = node_of(each, {node for given in answers for node in given.by_node})
            word = None if node is None else _said(node, answers)
            if node is None or word is None:
                missing[worker] = _why(each, answers)
            else:
                said[worker], self._nodes[worker] = word, node
        self._remember(said, workers)
        if missing:
            named = dict(list(missing.items())[:MOST_NAMED])
            place = self.remote.broker.place
            log.warning("workers did not answer", broker=place, count=len(missing), workers=named)
        return Intakes(said, measured_at, missing)

    async def apply(self, stopped: frozenset[str], workers: Workers) -> Told:
        """As the port says."""
        names = self._names(workers)
        cancel = {worker: self._to_cancel(worker) for worker in names if worker in stopped}
        add = {worker: self._to_add(worker) for worker in names if worker not in stopped}
        unknown = [worker for worker, queues in {**cancel, **add}.items() if queues is None]
        orders = [
            *_orders("cancel_consumer", cancel, names),
            *_orders("add_consumer", add, names),
        ]
        unconfirmed = dict.fromkeys(
            unknown, "nobody says which queues it should consume: set the target's queues"
        )
        if not orders:
            return Told(unconfirmed=unconfirmed)
        # What it was told to leave it may have left: it can be told to come back before the next look.
        self._seen |= {
            worker: self._seen[worker] - (queues or NONE)
            for worker, queues in cancel.items()
            if worker in self._seen
        }
        told: set[str] = set()
        for (order, concerned), answers in zip(orders, await self._ask([o for o, _ in orders]), strict=True):
            for worker in concerned:
                told.add(worker)
                if node_of(names[worker], answers.by_node) is None:
                    unconfirmed[worker] = f"{order.method}: {_why(names[worker], (answers,))}"
        return Told(frozenset(told - unconfirmed.keys()), unconfirmed)

    async def aclose(self) -> None:
        """Closes the connection."""
        with anyio.move_on_after(self.deadline_seconds, shield=True):
            await anyio.to_thread.run_sync(self.remote.close, abandon_on_cancel=True)

    def _names(self, workers: Workers) -> dict[str, tuple[str, ...]]:
        """The node names to ask for, by running worker."""
        running = (workers.state == WorkerState.RUNNING).tolist()
        hosts = {
            worker: each
            for worker, each, runs in zip(workers.ids, workers.hosts, running, strict=True)
            if runs
        }
        names = distinct(hosts, self.pattern)
        return {
            worker: (node,) if (node := self._nodes.get(worker)) in each else each
            for worker, each in names.items()
        }

    def _to_cancel(self, worker: str) -> frozenset[str] | None:
        """All that it may consume; told again, a worker that does not consume them does nothing."""
        return self.queues | self._had.get(worker, NONE) or self._common()

    def _to_add(self, worker: str) -> frozenset[str] | None:
        """What it was seen to lack.  Nothing, if it was not seen; None, if nobody knows."""
        seen = self._seen.get(worker)
        if seen is None:
            return NONE
        wanted = self.queues or self._had.get(worker) or self._common()
        return wanted - seen if wanted else None

    def _common(self) -> frozenset[str] | None:
        """The queues that most workers consume."""
        counted = Counter(queues for queues in self._had.values())
        return max(counted, key=lambda queues: (counted[queues], sorted(queues))) if counted else None

    def _remember(self, said: Mapping[str, WorkerIntake], workers: Workers) -> None:
        self._seen = {worker: each.queues for worker, each in said.items()}
        had = {worker: self._had.get(worker, NONE) | self._seen.get(worker, NONE) for worker in workers.ids}
        # Nobody consumes hundreds: who claims ever new ones is not believed, or the memory would fill.
        self._had = {worker: each for worker, each in had.items() if 0 < len(each) <= replies.MOST_QUEUES}
        self._nodes = {worker: self._nodes[worker] for worker in workers.ids if worker in self._nodes}

    async def _ask(self, questions: Sequence[Question]) -> list[Answers]:
        """In a thread that is left alone if it hangs; the broker's own time-outs end it."""
        try:
            with anyio.fail_after(self.deadline_seconds):
                return await anyio.to_thread.run_sync(self.remote.ask, questions, abandon_on_cancel=True)
        except TimeoutError:
            place = self.remote.broker.place
            raise IntakeError(f"{place}: no answer within {self.deadline_seconds:g} s") from None


def _said(node: str, answers: Sequence[Answers]) -> WorkerIntake | None:
    """What a node said to the three questions of a look; None: not to all."""
    match [each.by_node.get(node) for each in answers]:
        case [frozenset() as queues, int(reserved), int(active)]:
            return WorkerIntake(active, reserved, queues)
    return None


def _orders(
    method: str, queues: Mapping[str, frozenset[str] | None], names: Mapping[str, tuple[str, ...]]
) -> Iterable[tuple[Question, list[str]]]:
    """One order a queue, to all whom it concerns."""
    for queue in sorted({queue for each in queues.values() for queue in each or ()}):
        concerned = [worker for worker, each in queues.items() if queue in (each or ())]
        nodes = [name for worker in concerned for name in names[worker]]
        yield Question(method, replies.done, nodes, len(concerned), {"queue": queue}), concerned


def _why(names: Sequence[str], answers: Collection[Answers]) -> str:
    """Why a worker's word is not known."""
    if not names:
        return "no name that is its alone"
    answering = {name for each in answers for name in each.by_node if name in names}
    if len(answering) > 1:
        return f"{len(answering)} Celery workers answer for it: {', '.join(sorted(answering)[:MOST_NAMED])}"
    bad = [each.bad[name] for each in answers for name in names if name in each.bad]
    unreadable = [each.unreadable for each in answers if each.unreadable]
    return (bad or unreadable or [f"no answer from {names[0]}"])[0]
