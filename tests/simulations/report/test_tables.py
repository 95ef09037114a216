"""Who waited and when: the bars, the tables and the heat maps, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoscaler.core.guards import Rate, RateRule, RateUnit
from simulations import slo
from simulations.airflow import Airflow
from simulations.report.answer import Answer
from simulations.report.assumed import flattened
from simulations.report.heat_map import heat_maps
from simulations.report.spread import spread
from simulations.report.timeline import timeline
from simulations.run import simulate
from simulations.trace import MONDAY, trace_of
from tests.simulations.report.pages import Parsed, story
from tests.simulations.worlds import controller, service

HOUR = 3600.0


def waited(waits, **columns):
    """A run in which tasks waited so long, whatever it was."""
    trace = trace_of(np.zeros(len(waits)), np.ones(len(waits)), **columns)
    result = simulate(trace, controller(99, 1, 1), service(99), 1)
    return replace(result, waited_seconds=np.array(waits, dtype=float))


def test_each_queue_has_a_bar_of_its_own_waits():
    """Who waited longest together comes first; a limit itself belongs to the longer span."""
    result = waited([0, 0.5, 1, 9, 2000, 30], queue=[0, 0, 0, 0, 1, 1], queues=("short", "long"))
    parsed = Parsed(spread(result, "queue", slo.parse("p95 wait < 9s")))
    assert parsed.text("th")[-2:] == ["long", "short"]
    assert parsed.text("title") == [
        "to 1 min: 1 task, 50.0 %",
        "longer: 1 task, 50.0 %",
        "under 1 s: 2 tasks, 50.0 %",
        "to 10 s: 2 tasks, 50.0 %",
    ]
    assert "2 (100 %)" in parsed.text("td")
    assert "1 (25.0 %)" in parsed.text("td")
    widths = [float(value.rstrip("%")) for tag, name, value in parsed.attributes
              if (tag, name) == ("rect", "width") and value.endswith("%")]  # fmt: skip
    assert widths == [50.0] * 4


def test_the_week_s_cells_are_hours_of_the_weekday():
    """Three tasks on Monday at 01, one on Tuesday at 02: per hour, their waits, and the fleet's size."""
    trace = trace_of([HOUR, HOUR + 1, HOUR + 2, 26 * HOUR], [10.0] * 4, starts_at=MONDAY)
    result = simulate(trace, controller(1, 1, 1), service(1), 1)
    parsed = Parsed(heat_maps(result, timeline(result, [MONDAY], [1])))
    shown = parsed.text("title")
    rates, waits, fleet = (
        [each for each in shown if each.startswith(cell)]
        for cell in ("Mon 01:00-01:59 UTC: ", "Mon 01:00-01:59 UTC: ", "Tue 02:00-02:59 UTC: ")
    )
    assert rates[0].endswith(": 3")
    assert waits[1].endswith(": 17.1 s"), "0, 9 and 18 s: 95 % of the way"
    assert fleet[-1].endswith(": 1")
    assert "Mon 05:00-05:59 UTC: 0" in shown, "an hour without a task, but not without a fleet"
    assert not [each for each in shown if each.startswith("Wed")]


def test_what_was_assumed_is_written_as_a_person_would():
    """Nested values one row each, names that follow from others and values that are not set left out."""
    airflow = Airflow(loop_period_seconds=1.05, parallelism=32, pools={"<pool>": 4})
    rows = dict(flattened("Airflow", airflow))
    assert rows["Airflow, loop period seconds"] == "1.05"
    assert rows["Airflow, pools, <pool>"] == "4"
    assert rows["Airflow, by priority"] == "no"
    assert rows["Airflow, worker choice"] == airflow.worker_choice.value
    assert "Airflow, retries" not in rows
    guards = dict(flattened("guards", controller(2, 1, 7).guards))
    assert guards["guards, bounds, maximum"] == "7"
    assert not [name for name in guards if "after rounding" in name]
    steps = Rate((RateRule(4.0, 60.0, RateUnit.COUNT), RateRule(10.0, 300.0, RateUnit.PERCENT)))
    assert dict(flattened("rate", steps)) == {
        "rate, rules 1, value": "4",
        "rate, rules 1, period seconds": "60",
        "rate, rules 1, unit": "count",
        "rate, rules 2, value": "10",
        "rate, rules 2, period seconds": "300",
        "rate, rules 2, unit": "percent",
        "rate, select": "max",
    }


def test_what_went_wrong_is_said_in_a_sentence_each():
    """Tasks killed, failed and skipped, and a fleet that stayed out."""
    figures = replace(
        story().figures, killed_tasks=2, lost_slot_hours=1.5, failed_tasks=1, skipped_tasks=3, settled=False
    )
    said = list(Answer(figures).sentences())
    assert "2 tasks lost their worker and ran again; 1.5 slot-hours of work were lost." in said
    assert "1 task failed for good, and 3 never ran because of that." in said
    assert "The fleet did not come back to its minimum within a day of the last task." in said
    assert "(" not in next(iter(Answer(replace(figures, cost_memory_usd=0.0)).sentences()))
