"""What a worker's reply comes to: counts and names.  Task arguments, which hold tokens, end here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kombu import Message

MOST_BYTES = 2 * 1024 * 1024
"""Of one reply.  Sixteen tasks of Airflow's come to some 50 kB."""
MOST_QUEUES = 200
MOST_NAME = 255


class BadReplyError(Exception):
    """A reply that makes no sense; the message names what was wrong and nothing of its content."""


Answer = int | frozenset[str] | None
"""What is kept of a reply: a count, queue names, or None: the worker does what it was told."""

Reader = Callable[[Any], Answer]
"""Reduces a payload to what is kept of it.  Raises `BadReplyError`."""


def count(payload: Any) -> int:
    """How many tasks a list holds (`active`, `reserved`)."""
    if not isinstance(payload, list):
        raise BadReplyError(_refusal(payload) or "no list of tasks")
    return len(payload)


def queues(payload: Any) -> frozenset[str]:
    """The names in a list of queues (`active_queues`)."""
    if not isinstance(payload, list):
        raise BadReplyError(_refusal(payload) or "no list of queues")
    if len(payload) > MOST_QUEUES:
        raise BadReplyError(f"{len(payload)} queues, expected at most {MOST_QUEUES}")
    return frozenset(map(_name, payload))


def done(payload: Any) -> None:
    """Nothing, if the worker says that it does what it was told."""
    if not isinstance(payload, Mapping) or "ok" not in payload:
        raise BadReplyError(_refusal(payload) or "neither ok nor an error")


def opened(message: Message) -> tuple[str, Any]:
    """The node and the payload of a reply, `{node: payload}` in JSON.  Raises `BadReplyError`."""
    if message.content_type != "application/json" or message.headers.get("compression"):
        raise BadReplyError("a reply that is not plain JSON (see Celery's result_serializer)")
    body = message.body
    if body is None or len(body) > MOST_BYTES:
        raise BadReplyError(f"a reply of {len(body or '')} bytes, expected at most {MOST_BYTES}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise BadReplyError("a reply that is no JSON") from None
    if not isinstance(document, dict) or len(document) != 1:
        raise BadReplyError("a reply that is not one worker's")
    [(node, payload)] = document.items()
    return node, payload


def _name(queue: Any) -> str:
    name = queue.get("name") if isinstance(queue, Mapping) else None
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise BadReplyError("a queue without a proper name")
    return name


def _refusal(payload: Any) -> str:
    # The error's own words may repeat an argument, so only that there is one is said.
    return "the worker answered with an error" if isinstance(payload, Mapping) and "error" in payload else ""
