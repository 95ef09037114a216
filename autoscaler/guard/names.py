"""The names under which the worker beside the guard may be known: its own, and ECS's for the task."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

SHORT_CONTAINER_ID = 12
MOST_BYTES = 1024 * 1024
SECONDS = 3.0


def own_hosts(metadata_url: str | None) -> tuple[str, ...]:
    """Host names of this task, and what the container metadata (`ECS_CONTAINER_METADATA_URI_V4`) adds.

    The containers of a Fargate task share one network namespace, so the worker's names are ours.  Blocking.
    """
    names = [socket.gethostname(), socket.getfqdn()]
    if metadata_url:
        names += _described(_task(metadata_url))
    # Every machine calls itself localhost: as a worker's name that would be everybody's.
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("localhost")))


def _task(url: str) -> Mapping[str, Any]:
    parts = urlsplit(url)
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/task")
            answer = connection.getresponse()
            document = json.loads(answer.read(MOST_BYTES))
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _described(task: Mapping[str, Any]) -> list[str]:
    """Form: Amazon ECS task metadata endpoint version 4 for Fargate."""
    names = [_text(task, "TaskARN").rpartition("/")[2]]
    for container in _mappings(task.get("Containers")):
        identity = _text(container, "DockerId")
        names += [identity, identity[:SHORT_CONTAINER_ID]]
        for network in _mappings(container.get("Networks")):
            names.append(_text(network, "PrivateDNSName"))
            addresses = network.get("IPv4Addresses")
            names += (
                [each for each in addresses if isinstance(each, str)] if isinstance(addresses, list) else []
            )
    return names


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
