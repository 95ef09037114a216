"""The names under which Airflow may know a worker (`task_instance.hostname`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
SHORT_CONTAINER_ID = 12


def hosts_of(task: Mapping[str, Any]) -> tuple[str, ...]:
    """Private DNS name, address, task id and container names, each once.

    What Airflow writes depends on `[core] hostname_callable`: its default gives the private DNS name
    (`ip-10-0-1-7.ec2.internal`), others the address or what the container calls itself.
    """
    return tuple(dict.fromkeys(_names(task)))


def _names(task: Mapping[str, Any]) -> Iterator[str]:
    for attachment in _documents(task, "attachments"):
        for detail in _documents(attachment, "details"):
            name, value = detail.get("name"), detail.get("value")
            if not isinstance(value, str):
                continue
            if name == "privateDnsName":
                yield value
                yield value.partition(".")[0]
            elif name == "privateIPv4Address":
                yield value
                yield f"ip-{value.replace('.', '-')}"  # a VPC without DNS host names
    arn = task.get("taskArn")
    if isinstance(arn, str):
        yield arn.rsplit("/", 1)[-1]
    for container in _documents(task, "containers"):
        runtime = container.get("runtimeId")
        if isinstance(runtime, str) and runtime:
            yield runtime
            if _CONTAINER_ID.fullmatch(runtime):
                yield runtime[:SHORT_CONTAINER_ID]


def _documents(document: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    value = document.get(name)
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))
