"""Where a target's world lies: which kernel plays its tasks, and what it shares with other targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulations.account import Account
from simulations.airflow import PLAIN, Airflow
from simulations.clock import Clock
from simulations.kernel import Kernel
from simulations.line import Line
from simulations.quantiles import constant
from simulations.service import ServiceModel
from simulations.trace import Trace

if TYPE_CHECKING:
    from simulations.airflow_kernel import AirflowKernel


@dataclass(frozen=True, slots=True)
class Place:
    """Alone, or beside others'."""

    clock: Clock
    kernel: Kernel | AirflowKernel
    line: Line
    """What of the kernel is the target's."""
    account: Account
    number: int = 0
    """Among the targets: each has luck of its own."""


def alone(trace: Trace, service: ServiceModel, airflow: Airflow | None, seed: int) -> Place:
    """All queues of the trace are the target's.  `airflow` None: see `airflow_beside`."""
    rules = airflow_beside(service, airflow)
    if not (rules.is_plain and trace.is_plain):
        return together(trace, [((), service)], rules, seed)[0]
    kernel = Kernel(
        trace,
        slots_per_worker=service.slots_per_worker,
        slot_tail_seconds=rules.slot_tail.seconds[0],
        retry_delay_seconds=rules.heartbeat_timeout_seconds + rules.retry_delay_seconds,
    )
    return Place(Clock(kernel), kernel, kernel, Account(service.account))


def together(
    trace: Trace, targets: Sequence[tuple[Sequence[str], ServiceModel]], airflow: Airflow, seed: int
) -> list[Place]:
    """One place for each target's (queues, service); no queues: those that no other target names.

    Raises `TraceError` for a task that can never run, and `ValueError` if two targets serve one queue or
    their services do not agree on the account.
    """
    from simulations.airflow_kernel import AirflowKernel, LineSpec  # noqa: PLC0415 - compiled, seldom wanted

    accounts = {service.account for _, service in targets}
    if len(accounts) > 1:
        raise ValueError("services of one world share one account: give all of them the same quota and pace")
    lines = [LineSpec(tuple(queues), service.slots_per_worker) for queues, service in targets]
    kernel, account = AirflowKernel(trace, airflow, lines, seed), Account(accounts.pop())
    clock = Clock(kernel)
    return [Place(clock, kernel, line, account, number) for number, line in enumerate(kernel.lines)]


def airflow_beside(service: ServiceModel, airflow: Airflow | None) -> Airflow:
    """The Airflow to be played; None: the plain one with the service's slot tail and retry delay."""
    if airflow is not None:
        return airflow
    tail, retry = service.slot_tail_seconds, service.retry_delay_seconds
    return replace(PLAIN, slot_tail=constant(tail), retry_delay_seconds=retry)
