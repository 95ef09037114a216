"""Who holds which slots at this moment: what a checker asks of any kernel."""

from __future__ import annotations

import numpy as np

from policies.model import IntArray
from simulations import airflow_state, events
from simulations.airflow_kernel import AirflowLine
from simulations.kernel import Kernel
from simulations.line import Line


def held_of(line: Line) -> tuple[IntArray, IntArray]:
    """The tasks that workers of the line run or are starting, and the worker of each.

    Raises `TypeError` for a line of an unknown kind.
    """
    if isinstance(line, Kernel):
        return _plain(line)
    if isinstance(line, AirflowLine):
        return _full(line)
    raise TypeError(f"a line of an unknown kind: {type(line).__name__}")


def _plain(kernel: Kernel) -> tuple[IntArray, IntArray]:
    leaves = kernel._arrays.leaves.astype(np.int64)  # noqa: SLF001 - nobody else needs to see it
    task, worker = leaves[events.HELD_BY], leaves[events.WORKER]
    mine = (worker != events.NOBODY) & (task >= 0)  # what is below 0 is a tail
    return task[mine], worker[mine]


def _full(line: AirflowLine) -> tuple[IntArray, IntArray]:
    kernel, arrays = line._kernel, line._arrays  # noqa: SLF001
    planned = arrays.agenda[: arrays.state[airflow_state.PLANNED], 1]
    kind, task = planned & -airflow_state.KIND, planned & (airflow_state.KIND - 1)
    task = task[kind == airflow_state.ENDS]
    task = task[(kernel.line[task] == line._number) & (arrays.slots[task] > 0)]  # noqa: SLF001
    return task, arrays.worker[task].astype(np.int64)
