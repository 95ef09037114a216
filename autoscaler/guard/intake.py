"""The lease of a stopped intake, kept for one worker over its broker."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog

from autoscaler.guard.lease import Leases
from autoscaler.guard.overhear import Command, Overhearing
from autoscaler.intake import replies
from autoscaler.intake.broker import broker_of, url_from_file
from autoscaler.intake.nodes import names_of
from autoscaler.intake.remote import Answers, Question, Remote
from autoscaler.ports import IntakeError
from autoscaler.settings.intake import Celery

RETRY_SECONDS = 15.0
DEADLINE_SECONDS = 8.0

log = structlog.get_logger()


@dataclass(slots=True)
class LeasedIntake:
    """What the worker was told about its queues, and the end of what it was told to leave."""

    remote: Remote
    nodes: Collection[str]
    """The names under which our worker may be known."""
    queues: frozenset[str]
    """What it consumes when nobody stops it."""
    lease_seconds: float
    leases: Leases = field(default_factory=Leases)
    _overhearing: Overhearing = field(init=False)
    _to_find: bool = False
    _retry_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._overhearing = Overhearing(self.remote, self.nodes)

    async def listen(self) -> None:
        """Listens for ever, in a thread that ends a moment after this was cancelled."""
        stop = threading.Event()
        try:
            await anyio.to_thread.run_sync(self._overhearing.run, stop, abandon_on_cancel=True)
        finally:
            stop.set()
            self.remote.close()

    async def ended(self, at: float) -> tuple[str, ...]:
        """The queues whose lease is over, after all that was heard until now."""
        for heard in self._overhearing.take():
            match heard.command:
                case Command.CONNECTED:
                    self.leases, self._to_find = self.leases.renewed(at), True
                case Command.STOP:
                    if heard.queue not in self.leases.said_at:
                        log.info("intake stopped", queue=heard.queue, lease_seconds=self.lease_seconds)
                    self.leases = self.leases.stopped(heard.queue, at)
                case Command.RESUME:
                    self.leases = self.leases.resumed(heard.queue)
        if self._to_find and at >= self._retry_at:
            await self._find(at)
        return self.leases.ended(at, self.lease_seconds)

    async def resume(self, queues: Sequence[str], at: float) -> bool:
        """Tells the worker to consume these; whether it was told and will.  Tried every few seconds."""
        if at < self._retry_at:
            return False
        self._retry_at = at + RETRY_SECONDS
        orders = [self._question("add_consumer", replies.done, queue) for queue in queues]
        answers = await self._ask(orders)
        for queue, each in zip(queues, answers, strict=False):
            if each.by_node:
                self.leases = self.leases.resumed(queue)
                log.warning("intake resumed: nobody renewed the stop", queue=queue)
        return bool(answers) and all(each.by_node for each in answers)

    async def _find(self, at: float) -> None:
        """A worker that consumes less than it should was stopped while nobody listened."""
        answers = await self._ask([Question("active_queues", replies.queues, list(self.nodes), 1)])
        said = [queues for each in answers for queues in each.by_node.values()]
        self._to_find = not said  # the worker is not up yet
        if self._to_find:
            self._retry_at = at + RETRY_SECONDS
        for queues in said:
            assert isinstance(queues, frozenset)
            self.leases = self.leases.missing(sorted(self.queues - queues), at)

    def _question(self, method: str, reader: replies.Reader, queue: str) -> Question:
        return Question(method, reader, list(self.nodes), 1, {"queue": queue})

    async def _ask(self, questions: Sequence[Question]) -> list[Answers]:
        """The answers; none if the broker is out of reach, which is logged."""
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                return await anyio.to_thread.run_sync(self.remote.ask, questions, abandon_on_cancel=True)
        except TimeoutError:
            why = f"{self.remote.broker.place}: no answer within {DEADLINE_SECONDS:g} s"
        except IntakeError as error:
            why = str(error)
        log.warning("the worker cannot be asked", why=why)
        return []


def leased_intake(
    celery: Celery, hosts: Sequence[str], *, queues: Collection[str], lease_seconds: float
) -> LeasedIntake:
    """The lease of the worker with these host names, over the configured broker.  Raises `IntakeError`."""
    if celery.broker_url is not None:
        url = celery.broker_url.get_secret_value()
    else:
        assert celery.broker_url_file is not None, "asked only where there is a broker"
        url = url_from_file(celery.broker_url_file)
    broker = broker_of(url, celery.transport_options)
    remote = Remote(broker, exchange=celery.control_exchange, answer_seconds=celery.answer_seconds)
    return LeasedIntake(remote, names_of(hosts, celery.node_name), frozenset(queues), lease_seconds)
