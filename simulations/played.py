"""What a simulation played, and what to mind of its answer: for every table and every document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from policies.model import FloatArray
from simulations.baked_in import baked_in
from simulations.trace import Trace
from simulations.world_file import Scene

QUEUED_TIMEOUT_SECONDS: Final = 600.0
"""Airflow's default of `[scheduler] task_queued_timeout`."""


def played_document(scene: Scene, trace: Trace) -> dict[str, Any]:
    """For JSON."""
    minded = baked_in(trace)
    return {"airflow": scene.version, "late_arrivals": None if minded is None else minded.as_dict()}


def notes_of(scene: Scene, trace: Trace, waits: Sequence[FloatArray] = ()) -> list[str]:
    """For a person; `waits`: what became of one run."""
    minded = baked_in(trace)
    overdue = sum(int(np.count_nonzero(each > QUEUED_TIMEOUT_SECONDS)) for each in waits)
    notes = [minded.text] if minded is not None else []
    if overdue and scene.version != "plain" and scene.airflow.queued_timeout_seconds is None:
        notes.append(
            f"{overdue:,} tasks waited longer than {QUEUED_TIMEOUT_SECONDS:g} s: by its default Airflow "
            "queues such a task anew, and fails it the third time; queued_timeout_seconds in a world file "
            "plays that."
        )
    return notes
