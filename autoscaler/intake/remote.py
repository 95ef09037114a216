"""Celery's remote control (its "pidbox"): one question to many workers, their replies within limits.

Blocking; whoever calls it does so in a thread.  Celery's own `inspect` keeps every reply whole, task
arguments included, and those that come late for ever; here each is reduced at the door.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from kombu import Connection, Consumer, Producer, Queue
from kombu.pidbox import Mailbox
from kombu.transport.base import StdChannel

from autoscaler.intake.broker import CONNECT_SECONDS, Broker
from autoscaler.intake.replies import Answer, BadReplyError, Reader, opened
from autoscaler.ports import IntakeError

IDLE_SECONDS = 60.0
"""An older connection is opened anew: something on the way may have forgotten it without a word."""
FLOOD = 4
"""So many times the replies that were asked for are read; then somebody sends too many."""


@dataclass(frozen=True, slots=True)
class Question:
    """One command to some workers."""

    method: str
    reader: Reader
    nodes: Sequence[str]
    """Names under which the workers may be known; more names than workers is no harm."""
    workers: int
    """How many replies are waited for."""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Answers:
    """The replies to one question."""

    by_node: dict[str, Answer] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    """What was wrong with other replies, by node."""
    unreadable: str = ""
    """What was wrong with a reply of nobody knows whom."""


class Remote:
    """Asks the workers of one broker, over one connection that stays open while it is used."""

    def __init__(self, broker: Broker, *, exchange: str = "celery", answer_seconds: float = 1.0) -> None:
        """`exchange`: Celery's `control_exchange`.  `answer_seconds`: how long answers are waited for."""
        self.broker = broker
        mailbox = Mailbox(exchange, type="fanout")
        assert mailbox.exchange is not None
        assert mailbox.reply_exchange is not None
        self.mailbox, self._replies = mailbox.exchange, mailbox.reply_exchange
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._address = str(uuid4())
        self._connection: Connection | None = None
        self._used_at = float("-inf")

    def connected(self) -> Connection:
        """A new connection, open; its owner closes it.  Raises what the transport raises."""
        connection = Connection(
            self.broker.url, connect_timeout=CONNECT_SECONDS, transport_options=dict(self.broker.options)
        )
        try:
            connection.connect()
        except BaseException:
            discard(connection)
            raise
        return connection

    def ask(self, questions: Sequence[Question]) -> list[Answers]:
        """Asks all at once, in this order at each worker; who has not answered in time is left out.

        Raises `IntakeError` if the broker cannot be reached, or another question is still unanswered.
        """
        if not self._lock.acquire(timeout=self._answer_seconds):
            raise IntakeError(f"{self.broker.place}: an earlier question is still unanswered")
        try:
            with self._translated():
                return self._asked(questions)
        except BaseException:
            self._disconnect()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Closes the connection, if there is one and nobody is using it."""
        if self._lock.acquire(timeout=self._answer_seconds):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - three libraries' errors have no common parent
            raise IntakeError(explained(error, self.broker)) from None

    def _asked(self, questions: Sequence[Question]) -> list[Answers]:
        now = time.monotonic()
        if now - self._used_at > IDLE_SECONDS:
            self._disconnect()
        connection = self._connection = self._connection or self.connected()
        self._used_at = now
        channel = connection.default_channel
        asked = {str(uuid4()): _Asked(question) for question in questions if question.nodes}
        inbox = _Inbox(asked)
        queue = Queue(
            f"{self._address}.{self._replies.name}",
            exchange=self._replies,
            routing_key=self._address,
            durable=False,
            exclusive=True,
            auto_delete=True,
            expires=10.0,
        )
        with Consumer(channel, [queue], on_message=inbox.take, no_ack=True):
            for ticket, each in asked.items():
                self._publish(channel, ticket, each.question)
            until = time.monotonic() + self._answer_seconds
            while not inbox.full and (left := until - time.monotonic()) > 0:
                try:
                    connection.drain_events(timeout=left)
                except TimeoutError:
                    break
        found = iter(asked.values())
        return [next(found).answers if question.nodes else Answers() for question in questions]

    def _publish(self, channel: StdChannel, ticket: str, question: Question) -> None:
        message = {
            "method": question.method,
            "arguments": dict(question.arguments),
            "destination": list(question.nodes),
            "pattern": None,
            "matcher": None,
            "ticket": ticket,
            "reply_to": {"exchange": self._replies.name, "routing_key": self._address},
        }
        Producer(channel, auto_declare=False).publish(
            message,
            exchange=self.mailbox.name,
            declare=[self.mailbox],
            headers={"clock": 0, "expires": time.time() + self._answer_seconds},
            serializer="json",
            retry=False,
        )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            discard(connection)


@dataclass(slots=True)
class _Asked:
    question: Question
    answers: Answers = field(default_factory=Answers)

    @property
    def complete(self) -> bool:
        return len(self.answers.by_node) + len(self.answers.bad) >= self.question.workers


class _Inbox:
    """Takes messages until every question is answered, or more came than can be right."""

    def __init__(self, asked: Mapping[str, _Asked]) -> None:
        self._asked = asked
        self._room = FLOOD * (1 + sum(each.question.workers for each in asked.values()))

    @property
    def full(self) -> bool:
        return self._room <= 0 or all(each.complete for each in self._asked.values())

    def take(self, message: Any) -> None:
        self._room -= 1
        asked = self._asked.get(str(message.headers.get("ticket")))
        if asked is None or self._room < 0:
            return  # an answer to an earlier question
        question, answers = asked.question, asked.answers
        try:
            node, payload = opened(message)
        except BadReplyError as error:
            answers.unreadable = str(error)
            return
        if node not in question.nodes or node in answers.by_node:
            return
        try:
            answers.by_node[node] = question.reader(payload)
        except BadReplyError as error:
            answers.bad[node] = str(error)


def discard(connection: Connection) -> None:
    """Closes a connection without a word to the broker, who may be gone."""
    with suppress(Exception):
        connection.collect()


def explained(error: Exception, broker: Broker) -> str:
    """One line without a secret: where, what, what to do."""
    names = {each.__name__ for each in type(error).__mro__}
    words = broker.scrubbed(str(error).strip().split("\n", maxsplit=1)[0])
    if names & {"AccessRefused", "AuthenticationError"} or "ACCESS_REFUSED" in words:
        return f"{broker.place}: the user or the password is refused; check the broker URL's credentials"
    if names & {"NotAllowed"}:
        return f"{broker.place}: there is no such virtual host, or no access to it; check the broker URL"
    if isinstance(error, OSError) or names & {"ConnectionError", "OperationalError", "TimeoutError"}:
        return f"{broker.place}: the broker does not answer; check host, port and security groups ({words})"
    # What else goes wrong may have the words of a message in it.
    return f"{broker.place}: {type(error).__name__}; see the broker's own log"
