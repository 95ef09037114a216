"""Listens to what anybody tells the worker: whoever stops its intake renews the lease by saying so again.

Celery's remote control is a broadcast: every worker gets every command and takes its own.  The guard binds a
queue of its own to the same exchange, so a stop needs no second message and no code in the worker.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import uuid4

import structlog
from kombu import Consumer, Message, Queue

from autoscaler.intake.remote import Remote, discard, explained

MOST_BYTES = 256 * 1024
"""Of one command: it may name thousands of workers."""
MOST_WAITING = 1000
SILENT_SECONDS = 300.0
"""A connection on which nobody says anything for so long is opened anew: it may have died unnoticed."""
RETRY_SECONDS = 5.0
LISTEN_SECONDS = 1.0

log = structlog.get_logger()


class Command(Enum):
    """What was heard."""

    CONNECTED = "connected"
    """The listening began; what was said before is not known."""
    STOP = "cancel_consumer"
    RESUME = "add_consumer"


@dataclass(frozen=True, slots=True)
class Heard:
    """One command to our worker."""

    command: Command
    queue: str = ""


class Overhearing:
    """Hears the commands to one worker, in a thread."""

    def __init__(self, remote: Remote, nodes: Collection[str]) -> None:
        """`nodes`: the names under which our worker may be known."""
        self._remote, self._nodes = remote, frozenset(nodes)
        self._heard: deque[Heard] = deque(maxlen=MOST_WAITING)
        self._silent_seconds = 0.0

    def take(self) -> list[Heard]:
        """What was heard since the last call, in order."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def run(self, stop: threading.Event) -> None:
        """Listens until told to stop; blocking.  What the broker does is logged and survived."""
        while not stop.is_set():
            try:
                self._listen(stop)
            except Exception as error:  # noqa: BLE001 - three libraries' errors have no common parent
                log.warning("not listening to the broker", why=explained(error, self._remote.broker))
                stop.wait(RETRY_SECONDS)

    def _listen(self, stop: threading.Event) -> None:
        connection = self._remote.connected()
        try:
            exchange = self._remote.mailbox
            queue = Queue(
                f"{uuid4()}.guard.{exchange.name}", exchange=exchange, durable=False, exclusive=True,
                auto_delete=True, expires=2 * SILENT_SECONDS,
            )  # fmt: skip
            with Consumer(connection.default_channel, [queue], on_message=self._take, no_ack=True):
                self._heard.append(Heard(Command.CONNECTED))
                self._silent_seconds = 0.0
                while not stop.is_set() and self._silent_seconds < SILENT_SECONDS:
                    try:
                        connection.drain_events(timeout=LISTEN_SECONDS)
                    except TimeoutError:
                        self._silent_seconds += LISTEN_SECONDS
        finally:
            discard(connection)

    def _take(self, message: Message) -> None:
        self._silent_seconds = 0.0
        heard = understood(message, self._nodes)
        if heard is not None:
            self._heard.append(heard)


def understood(message: Message, nodes: frozenset[str]) -> Heard | None:
    """The stop or resumption that a broadcast tells one of these nodes; None: it is something else."""
    body = message.body
    if message.content_type != "application/json" or body is None or len(body) > MOST_BYTES:
        return None
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, Mapping) or document.get("pattern"):
        return None
    arguments, destination = document.get("arguments"), document.get("destination")
    queue = arguments.get("queue") if isinstance(arguments, Mapping) else None
    if not isinstance(queue, str) or not 0 < len(queue) <= 255:
        return None
    if destination is not None and not (
        isinstance(destination, list) and any(each in nodes for each in destination if isinstance(each, str))
    ):
        return None
    method = document.get("method")
    for command in (Command.STOP, Command.RESUME):
        if method == command.value:
            return Heard(command, queue)
    return None
