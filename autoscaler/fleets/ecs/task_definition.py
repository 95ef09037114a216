"""What a task definition says of the workers: how many slots each has, how long it may take to stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STOP_SECONDS_DEFAULT = 30
STOP_SECONDS_MOST = 120
"""Fargate's limit."""

_CONCURRENCY = re.compile(r"(?:^|\s)(?:--concurrency|-c)[ =](\d+)(?=\s|$)")
_AUTOSCALE = re.compile(r"(?:^|\s)(?:--autoscale|-a)[ =](\d+),")


def worker_container(task_definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The container that runs the worker: the only one, or the only one with `celery worker` to run."""
    containers = task_definition.get("containerDefinitions") or []
    if len(containers) > 1:
        containers = [each for each in containers if {"celery", "worker"} <= set(_command(each).split())]
    return containers[0] if len(containers) == 1 else None


def slots_of(container: Mapping[str, Any]) -> tuple[int, str] | None:
    """(slots, where it says so) of a worker; None if the task definition leaves it open.

    The order is Airflow's: a range beats a number, the command line beats the environment.
    """
    command = _command(container)
    environment = {each.get("name"): each.get("value") for each in container.get("environment") or []}
    autoscale = str(environment.get("AIRFLOW__CELERY__WORKER_AUTOSCALE", ""))
    concurrency = str(environment.get("AIRFLOW__CELERY__WORKER_CONCURRENCY", ""))
    if found := _AUTOSCALE.search(command):
        return int(found[1]), "--autoscale of its command"
    if autoscale.partition(",")[0].isdecimal():
        return int(autoscale.partition(",")[0]), "AIRFLOW__CELERY__WORKER_AUTOSCALE"
    if found := _CONCURRENCY.search(command):
        return int(found[1]), "--concurrency of its command"
    if concurrency.isdecimal():
        return int(concurrency), "AIRFLOW__CELERY__WORKER_CONCURRENCY"
    return None


def stop_seconds(container: Mapping[str, Any]) -> int:
    """How long a worker has between SIGTERM and SIGKILL."""
    return int(container.get("stopTimeout") or STOP_SECONDS_DEFAULT)


def _command(container: Mapping[str, Any]) -> str:
    return " ".join((*(container.get("entryPoint") or ()), *(container.get("command") or ())))
