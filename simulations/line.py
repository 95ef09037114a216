"""What a worker service sees of Airflow: one line of tasks, and the workers that serve it."""

from __future__ import annotations

from typing import Protocol

from policies.model import IntArray


class Line(Protocol):
    """The queues of one target and their workers, numbered from 0 in the order of their launch.

    Instants are Unix seconds.  What a caller changes counts from `now` on.
    """

    @property
    def now(self) -> float:
        """How far time has passed."""

    @property
    def queued_slots(self) -> int:
        """Slots that tasks wait for in the worker queues, those included that a worker is just starting."""

    @property
    def running_slots(self) -> int:
        """Slots of tasks that run, as far as Airflow knows."""

    @property
    def scheduled_slots(self) -> int:
        """Slots of tasks that are ready and that the scheduler has not queued yet."""

    @property
    def running_workers(self) -> int:
        """Workers that are ready and not stopped."""

    @property
    def oldest_wait_seconds(self) -> float:
        """How long the task that was queued first, and that no worker has taken, has been queued."""

    @property
    def busy_slots(self) -> IntArray:
        """Slots of running tasks, by worker: what Airflow's database tells by host."""

    @property
    def running(self) -> IntArray:
        """1 where a worker is ready and not stopped, by worker."""

    @property
    def consuming(self) -> IntArray:
        """1 where a worker's intake is open, by worker."""

    def running_tasks(self) -> tuple[IntArray, IntArray]:
        """The rows of the tasks that run, and the worker of each."""

    def launch(self, ready_at: float) -> int:
        """The number of a new worker that takes tasks from `ready_at` on."""

    def take_tasks(self, worker: int, *, consuming: bool) -> None:
        """Opens or closes a worker's intake."""

    def stop(self, worker: int) -> None:
        """Stops a worker now, running or not yet; what it runs is lost."""

    def busy_until(self, worker: int) -> float:
        """When its last slot is free again if it takes no more tasks; now if all are free."""
