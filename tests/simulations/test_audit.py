"""An audit's body: what would have been on a small history, and what is said of it."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.cli.audit_asked import Setting
from autoscaler.cli.audit_choices import choices_of
from autoscaler.settings import Settings
from simulations.audit import Choices, Kind, Present, audit
from simulations.audit_page import audit_page
from simulations.audit_tell import Subject, advised, configuration, notes, was
from simulations.observed import observed
from simulations.price import parse
from simulations.recommend import Question
from simulations.report.page import html
from simulations.slo import parse as promise
from simulations.trace import trace_of
from tests.simulations.planning import bursts, candidate, study

SLOTS = 4
SUBJECT = Subject(
    "postgresql://reader@db/airflow", 0.0, 21_600.0, 12, (), "given", parse("x86:1:2"),
    Present("c/s", 4, 3, 1),
)  # fmt: skip


def seen(trace):
    return observed(trace.queued_at, trace.duration_seconds, trace.slots, trace.observed_wait_seconds, SLOTS)


def setting(**table):
    return Setting({"slots_per_worker": SLOTS, **table}, price="x86:1:2")


@pytest.fixture(scope="module")
def found():
    """Bursts of 24 tasks: six workers of four slots at the peak."""
    history, wanted = study(runs=1), setting()
    wanted.present = SUBJECT.present
    choices = choices_of(wanted, history.trace, SLOTS)
    return audit(history, Question(promise("p95 wait < 200s")), seen(history.trace), choices)


def test_a_handful_of_ways_is_played(found):
    """The fleet as it is, the formula in its modes, a fleet for the peak, every class of MWAA."""
    labels = {kind: [row.candidate.label for row in found.rows if row.kind is kind] for kind in Kind}
    assert labels[Kind.PRESENT] == ["always 4 workers, as now"]
    assert labels[Kind.POLICY][:3] == [
        "mwaa, in when idle", "mwaa, continuous", "mwaa, continuous, in after 5 min",
    ]  # fmt: skip
    assert labels[Kind.POLICY][-1] == "always 6 workers, the peak"
    assert [label.partition(",")[0] for label in labels[Kind.MWAA]][:2] == ["mw1.micro", "mw1.small"]
    steady = next(row for row in found.rows if row.candidate.label.endswith("the peak"))
    assert (steady.wait_max_seconds, steady.kept, steady.peak_workers) == (0, True, 6)
    idle, continuous = found.rows[1:3]
    assert continuous.worker_hours < idle.worker_hours


def test_slots_that_only_the_configured_policy_says_hold_for_all():
    """Whatever replaces the policy sizes the same workers."""
    small = Setting({"policy": {"name": "mwaa", "environment_class": "mw1.small"}}, configured=True)
    choices = choices_of(small, bursts(), 5)
    ours = [each for kind, each in choices.candidates if kind is not Kind.MWAA]
    assert {each.slots for each in (*ours, *choices.search(bursts()))} == {5}
    assert ours[0].label == "target default as configured"


def test_the_recommendation_is_the_cheapest_that_kept_the_promise(found):
    """It is played on the whole history, too, beside the others."""
    advice = [row for row in found.rows if row.kind is Kind.ADVICE]
    assert found.sure
    assert [row.candidate for row in advice] == [found.recommended]
    assert advice[0].kept
    steady = next(row for row in found.rows if row.candidate.label.endswith("the peak"))
    assert advice[0].cost_usd < steady.cost_usd
    assert "sure to keep it" in advised(found, Question(promise("p95 wait < 200s")))


def test_its_block_is_a_configuration_of_the_daemon(found):
    """A whole one where there is none, with the service and the region if they are known."""
    table = tomllib.loads(configuration(found.recommended, SUBJECT))
    assert Settings(**table).targets["default"].slots == SLOTS
    assert table["targets"]["default"]["cluster"] == "CLUSTER"
    assert "PASSWORD" in table["airflow"]["database_url"]
    known = candidate("it", cluster="prod", service="workers")
    table = tomllib.loads(configuration(known, replace(SUBJECT, region="eu-west-1")))
    assert Settings(**table).aws.region == "eu-west-1"
    assert table["targets"]["default"]["service"] == "workers"
    part = tomllib.loads(configuration(known, replace(SUBJECT, target="my etl", whole_file=False)))
    assert list(part) == ["targets"]
    assert list(part["targets"]) == ["my etl"]


def test_a_promise_that_nothing_keeps_gets_the_closest_and_says_so():
    """One second of wait at most: launches take a minute, and two workers are all there may be."""
    history, question = study(runs=1), Question(promise("max wait < 1s"))
    some = [candidate("one", max_workers=1), candidate("two", max_workers=2)]
    found = audit(history, question, seen(history.trace), Choices([], lambda _: some))
    assert not found.sure
    assert found.recommended == some[1]
    assert "None of 2 settings is 95% sure to keep 'max wait < 1s'" in advised(found, question)


def test_too_short_a_history_gets_no_recommendation():
    """But the rest of the audit."""
    history, question = (
        study(trace_of([0.0, 60.0], [10.0, 10.0]), runs=1),
        Question(promise("p95 wait < 60s")),
    )
    found = audit(history, question, seen(history.trace), choices_of(setting(), history.trace, SLOTS))
    assert found.recommended is None
    assert len(found.rows) > 8
    assert "No recommendation: trace: the first part has 1 tasks" in advised(found, question)


def test_what_cannot_run_is_told_and_is_no_advice():
    history, question = study(runs=1), Question(promise("p95 wait < 60s"))
    none = candidate("none", min_workers=0, max_workers=0)
    found = audit(history, question, seen(history.trace), Choices([(Kind.POLICY, none)], lambda _: [none]))
    assert found.recommended is None
    assert found.rows[0].error.startswith("the maximum is 0 workers")
    assert any(note.startswith("none: the maximum is 0") for note in notes(found))
    assert advised(found, question) == "No recommendation: none of 1 settings can run."


def past(found, subject):
    return "".join(f"{what}\n" for _, what in was(found, subject))


def test_the_past_in_words(found):
    """Who waited how long, what was needed at least, and what the fleet is."""
    text = past(found, SUBJECT)
    assert "288 task tries of 12 DAG runs" in text
    assert "Airflow kept no instant of queueing" in text
    assert "at least 6 workers at the peak" in text
    assert "c/s: 4 desired, 3 running, 1 pending; always so many: 24 worker-hours" in text
    idle = replace(SUBJECT, present=Present("c/s", 0, 0, 0))
    assert "c/s: 0 desired, 0 running, 0 pending\n" in past(found, idle)


def test_several_queues_are_said_to_be_one_fleet(found):
    queues = trace_of(bursts().queued_at, 100.0 * np.ones(288), queue=[0, 1] * 144, queues=("", "gpu"))
    history, question = study(queues, runs=1), Question(promise("p95 wait < 60s"))
    other = audit(history, question, seen(queues), Choices([], lambda _: [candidate("one")]))
    assert "default 144, gpu 144: played as one fleet" in past(other, SUBJECT)
    assert "played as one fleet" not in past(found, SUBJECT)


def test_the_page_has_the_answer_and_no_name_can_harm_it(found):
    """Everything that a person reads in the terminal, and the recommended setting's run; one file."""
    hostile = replace(SUBJECT, place="<script>alert(1)</script>", notes=("<b>note</b>",))
    text = html(audit_page(found, study(runs=1), Question(promise("p95 wait < 200s")), hostile))
    assert "<script>alert" not in text
    assert "<b>note" not in text
    for part in (
        "can be kept for $",
        "What would have been",
        "always 6 workers, the peak",
        "[targets.default]",
        "Cost against wait",
        "Demand, workers and waits over time",
    ):
        assert part in text, part


def test_the_page_of_a_history_too_short_for_advice():
    """What was, and what would have been."""
    history, question = (
        study(trace_of([0.0, 60.0], [10.0, 10.0]), runs=1),
        Question(promise("p95 wait < 60s")),
    )
    short = audit(history, question, seen(history.trace), choices_of(setting(), history.trace, SLOTS))
    text = html(audit_page(short, history, question, SUBJECT))
    assert "What 2 tasks needed" in text
    assert "No recommendation" in text
    assert "Demand, workers" not in text


def test_the_page_of_a_promise_that_nothing_keeps():
    history, question = study(runs=1), Question(promise("max wait < 1s"))
    few = audit(
        history, question, seen(history.trace), Choices([], lambda _: [candidate("one", max_workers=1)])
    )
    assert "Nothing that was tried is sure to keep" in html(audit_page(few, history, question, SUBJECT))
