"""What a service and its task definition should be like for workers that come and go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autoscaler.findings import Finding
from autoscaler.fleets.ecs.answers import unsuitable
from autoscaler.fleets.ecs.task_definition import (
    STOP_SECONDS_MOST,
    slots_of,
    stop_seconds,
    worker_container,
)

OLDEST_PLATFORM = (1, 4, 0)
"""Fargate's first with task scale-in protection."""

Document = Mapping[str, Any]


def service_findings(document: Document, where: str) -> Iterator[Finding]:
    """Kind, zone rebalancing and platform of a service."""
    wrong = unsuitable(document)
    for why, remedy in wrong:
        yield Finding(False, f"ECS service {where} {why}", remedy)
    if not wrong:
        yield Finding(True, f"ECS service {where} is ACTIVE, REPLICA, with the ECS deployment controller")
    rebalancing = document.get("availabilityZoneRebalancing")
    if rebalancing == "DISABLED":
        yield Finding(True, "availability zone rebalancing is off")
    else:
        what = f"availability zone rebalancing is {rebalancing or 'not shown'}: it stops workers on its own"
        yield Finding(False, what, "set the service's availabilityZoneRebalancing to DISABLED")
    yield from _platform(document.get("platformVersion"))


def _platform(version: object) -> Iterator[Finding]:
    if not isinstance(version, str):  # not on Fargate
        return
    if version == "LATEST" or _numbers(version) >= OLDEST_PLATFORM:
        yield Finding(True, f"platform version {version} can protect tasks")
    else:
        what = f"platform version {version} cannot protect tasks from scale-in"
        yield Finding(False, what, "use platform version 1.4.0 or LATEST")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def task_definition_findings(task_definition: Document, slots_per_worker: int | None) -> Iterator[Finding]:
    """Slots and time to stop, as far as the task definition says."""
    container = worker_container(task_definition)
    if container is None:
        yield Finding(True, "which container runs the worker is unclear: its slots were not checked")
        return
    yield _slots(container, slots_per_worker)
    seconds = stop_seconds(container)
    if seconds < STOP_SECONDS_MOST:
        what = f"a worker that has to stop gets {seconds} s before it is killed"
        yield Finding(True, what, f"raise the container's stopTimeout, up to {STOP_SECONDS_MOST} s (advice)")
    else:
        yield Finding(True, f"stopTimeout is {seconds} s")


def _slots(container: Document, slots_per_worker: int | None) -> Finding:
    found = slots_of(container)
    if found is None:
        what = "the task definition does not say how many tasks a worker runs; Airflow's default is 16"
        return Finding(
            True, what, "set AIRFLOW__CELERY__WORKER_CONCURRENCY there to have it checked (advice)"
        )
    slots, where = found
    if slots_per_worker is None or slots == slots_per_worker:
        return Finding(True, f"a worker runs {slots} tasks, by {where}")
    what = f"slots_per_worker is {slots_per_worker}, but a worker runs {slots} tasks, by {where}"
    return Finding(False, what, f"set slots_per_worker = {slots}, or change the worker")
