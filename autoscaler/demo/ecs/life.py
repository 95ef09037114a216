"""A task's life: it is launched, runs, and stops, each in its own time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

from autoscaler.demo.ecs.agenda import Agenda
from autoscaler.demo.ecs.limits import fargate_launches
from autoscaler.demo.ecs.model import Service, Status, Task
from autoscaler.demo.ecs.workload import PretendProcess, Process

STOPPED_TASKS_KEPT = 200
PENDING_AFTER_SHARE = 0.2
"""Of the launch delay: until then a task is PROVISIONING."""

BY_SCHEDULER = "ServiceSchedulerInitiated"
BY_USER = "UserInitiated"
BY_ITSELF = "EssentialContainerExited"
COULD_NOT_START = "TaskFailedToStart"
BY_SPOT = "SpotInterruption"
BY_RETIREMENT = "TerminationNotice"

StartProcess = Callable[[Task], Process]
"""Starts what runs inside a task.  Raises `OSError` if it cannot."""


def pretended(_: Task) -> Process:
    """Nothing real."""
    return PretendProcess()


class TaskLife:
    """Launches and stops tasks, and follows them until they are gone."""

    def __init__(self, agenda: Agenda, chance: Random, start_process: StartProcess) -> None:
        self._agenda = agenda
        self._chance = chance
        self._start_process = start_process
        self._numbers = itertools.count(1)
        self._launches = fargate_launches()
        self._next_launch_at = agenda.now

    def launch(self, service: Service, zone: str) -> Task | None:
        """A new task of the primary deployment; None: Fargate's launch rate does not allow it now."""
        now, chance, spec = self._agenda.now, self._chance, service.spec
        if not self._launches.take(now):
            self._await_launch()
            return None
        task = Task(
            id=f"{chance.getrandbits(128):032x}",
            number=next(self._numbers),
            spec=spec,
            deployment=service.primary,
            zone=zone,
            created_at=now,
        )
        service.tasks[task.id] = task
        delay = spec.launch_seconds * math.exp(chance.gauss(0, spec.launch_sigma))
        starts = chance.random() >= spec.never_starts_share
        self._agenda.at(now + delay * PENDING_AFTER_SHARE, lambda: _pending(task))
        if starts:
            self._agenda.at(now + delay, lambda: self._start(task))
        return task

    def stop(self, task: Task, code: str, reason: str, notice_seconds: float = 0.0) -> None:
        """Orders a task to stop; SIGTERM comes after the notice and what the service adds to it."""
        if not task.wanted:
            return
        now = self._agenda.now
        task.wanted = False
        task.stop_code, task.stopped_reason = code, reason
        task.stopping_at = now
        task.status = Status.DEACTIVATING
        delay = notice_seconds + task.spec.deactivating_seconds
        self._agenda.at(now + delay, lambda: self._terminate(task))

    def follow(self, service: Service) -> None:
        """Notices which processes have ended."""
        for task in list(service.tasks.values()):
            code = task.process.exit_code() if task.process is not None else None
            if code is not None:
                self._ended(task, code)
        stopped = [each.id for each in service.tasks.values() if each.status is Status.STOPPED]
        for old in stopped[:-STOPPED_TASKS_KEPT]:
            del service.tasks[old]

    def _await_launch(self) -> None:
        """Looks again when one more launch is allowed; one look is enough, whoever waits."""
        now = self._agenda.now
        if self._next_launch_at <= now:
            self._next_launch_at = now + self._launches.seconds_until_next(now) + 1e-6
            self._agenda.look_at(self._next_launch_at)

    def _start(self, task: Task) -> None:
        if not task.wanted:
            return
        if task.deployment.broken:
            self._failed(task, "CannotPullContainerError: no such image")
            return
        try:
            task.process = self._start_process(task)
        except OSError as error:
            self._failed(task, f"CannotStartContainerError: {error}")
            return
        task.status, task.started_at = Status.RUNNING, self._agenda.now
        task.deployment.has_run, task.deployment.failed_tasks = True, 0

    def _failed(self, task: Task, why: str) -> None:
        task.deployment.failed_tasks += not task.deployment.has_run
        self.stop(task, COULD_NOT_START, why)

    def _terminate(self, task: Task) -> None:
        if task.status is Status.STOPPED:
            return
        if task.process is None:
            self._stopped(task)
            return
        task.status = Status.STOPPING
        task.process.terminate()
        self._agenda.at(self._agenda.now + task.spec.stop_timeout_seconds, lambda: _kill(task))

    def _ended(self, task: Task, code: int) -> None:
        task.process, task.exit_code = None, code
        if task.wanted:
            task.stop_code, task.stopped_reason = BY_ITSELF, "Essential container in task exited"
            task.stopping_at = self._agenda.now
        self._stopped(task)

    def _stopped(self, task: Task) -> None:
        task.wanted = False
        task.status, task.stopped_at = Status.STOPPED, self._agenda.now


def _pending(task: Task) -> None:
    if task.wanted:
        task.status = Status.PENDING


def _kill(task: Task) -> None:
    if task.process is not None:
        task.process.kill()
