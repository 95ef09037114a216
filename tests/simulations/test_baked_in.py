"""Late arrivals of the recorded fleet: said where a trace cannot tell when work was ready."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulations.baked_in import baked_in
from simulations.played import notes_of, played_document
from simulations.world_file import Wanted, scene_of
from tests.simulations.worlds import tasks


def test_a_trace_without_parents_has_late_arrivals_baked_in():
    """And how large they were, if it says so."""
    said = baked_in(tasks((0, 1), (5, 1)))
    assert "has no parents" in said.text
    assert "no wait_s" in said.text
    known = baked_in(tasks((0, 1), (5, 1), (6, 1), observed_wait_seconds=[10.0, 30.0, float("nan")]))
    assert (known.known_waits, known.wait_mean_seconds, known.wait_max_seconds) == (2, 20.0, 30.0)
    assert known.wait_p95_seconds == pytest.approx(29.0)
    assert "20.0 s on average, 29.0 s at the 95th percentile, 30.0 s at most" in known.text
    assert known.as_dict()["known_waits"] == 2


def test_parents_without_runs_leave_a_doubt():
    """What stands in queued_at may be the start of a run, or not."""
    assert "names no runs" in baked_in(tasks((0, 1), (0, 1), edges=([0], [1]))).text


def test_waits_that_airflow_would_not_have_borne_are_said():
    """Unless its timeout is played, or no Airflow at all."""
    trace = tasks((0, 1), (0, 1), edges=([0], [1]), run=[0, 0], runs=("monday",))
    waits = np.array([700.0, 5.0, 900.0])
    (said,) = notes_of(scene_of(Wanted()), trace, [waits])
    assert said.startswith("2 tasks waited longer than 600 s")
    assert notes_of(scene_of(Wanted()), trace, [waits[1:2]]) == []
    assert notes_of(scene_of(Wanted(airflow="plain")), trace, [waits]) == []
    scene = scene_of(Wanted())
    played = replace(scene, airflow=replace(scene.airflow, queued_timeout_seconds=600.0))
    assert notes_of(played, trace, [waits]) == []
    assert played_document(scene, trace) == {"airflow": "3.3", "late_arrivals": None}


def test_with_parents_and_runs_nothing_is_baked_in():
    """When a task is ready is simulated."""
    trace = tasks((0, 1), (0, 1), edges=([0], [1]), run=[0, 0], runs=("monday",))
    assert baked_in(trace) is None
