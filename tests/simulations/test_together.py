"""Several targets in one world: one Airflow, one account, a service and a controller each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.mwaa import ScaleIn
from simulations.airflow import AIRFLOW_3, PLAIN, Airflow
from simulations.price import parse
from simulations.run import SimulationError, simulate
from simulations.score import score, total
from simulations.service import AccountModel, Pace, ServiceModel
from simulations.together import SimTarget, simulate_all, without_tasks
from simulations.trace import TraceError, trace_of
from tests.simulations.worlds import controller, service, tasks


def two_queues(seed=1, count=300):
    """Queue `a` bursts, queue `b` trickles; every fifth task of `b` follows one of `a`."""
    generator = np.random.default_rng(seed)
    queue = np.arange(count) % 2
    queued_at = np.where(queue == 0, generator.uniform(0, 120, count), generator.uniform(0, 3000, count))
    child = np.arange(1, count, 10)
    return trace_of(
        np.round(queued_at * 4) / 4,
        np.round(generator.exponential(60, count) * 4) / 4,
        queue=queue,
        queues=("a", "b"),
        edges=(child - 1, child),
        starts_at=0.0,
    )


def target(*queues, slots=2, maximum=20, tick=10.0, **model):
    return SimTarget(controller(slots, 1, maximum, ScaleIn.CONTINUOUS), service(slots, **model), queues, tick)


COLUMNS = ("queued_at", "started_at", "ended_at", "waited_seconds", "created_at", "ready_at", "stopped_at")


def columns(result):
    return [getattr(result, name).tobytes() for name in COLUMNS]


@pytest.mark.parametrize("airflow", [None, AIRFLOW_3])
def test_a_target_alone_is_what_simulate_makes_of_it(airflow):
    """To the last bit, decisions included."""
    trace, one, steps, others = two_queues(), target(), [], []
    (result,) = simulate_all(
        trace, {"x": one}, 4, airflow=airflow, on_step=lambda name, *step: steps.append((name, *step))
    ).values()
    same = simulate(
        trace,
        one.controller,
        one.service,
        4,
        tick_seconds=10.0,
        airflow=airflow,
        on_step=lambda *step: others.append(("x", *step)),
    )
    assert columns(result) == columns(same)
    assert steps == others


def test_targets_that_share_nothing_do_not_feel_each_other():
    """Without edges and limits each is as if it were alone, but for its luck."""
    whole = two_queues()
    trace = trace_of(
        whole.queued_at, whole.duration_seconds, queue=whole.queue, queues=("a", "b"), starts_at=0.0
    )
    both = simulate_all(trace, {"a": target("a"), "b": target("b", slots=3, tick=15.0)}, 4)
    for name, slots, tick in (("a", 2, 10.0), ("b", 3, 15.0)):
        alone = simulate(
            trace.of_queue(name), target(slots=slots).controller, service(slots), 4, tick_seconds=tick
        )
        tasks_of = [getattr(both[name], each).tobytes() for each in COLUMNS[:4]]
        assert tasks_of == [getattr(alone, each).tobytes() for each in COLUMNS[:4]]
        assert (both[name].scale_outs, both[name].scale_ins) == (alone.scale_outs, alone.scale_ins)


def test_a_child_in_another_queue_waits_for_its_parent():
    """The parent runs on one service, the child on the other, after it."""
    trace = trace_of([0, 0], [100, 5], queue=[0, 1], queues=("a", "b"), edges=([0], [1]), starts_at=0.0)
    both = simulate_all(trace, {"a": target("a"), "b": target("b")}, 1, airflow=PLAIN)
    assert (both["a"].ended_at[0], both["b"].started_at[0]) == (100.0, 100.0)
    assert (len(both["a"].trace), len(both["b"].trace)) == (1, 1)


def test_a_target_without_queues_serves_what_no_other_names():
    """Every task is somebody's, and only one's."""
    both = simulate_all(two_queues(), {"b": target("b"), "rest": target()}, 1)
    assert both["b"].trace.queues[both["b"].trace.queue[0]] == "b"
    assert len(both["b"].trace) + len(both["rest"].trace) == 300


def test_the_account_is_shared():
    """With a quota of four workers, one target's burst leaves the other's waiting for room."""
    account = AccountModel(most_workers=4, launches=Pace(100.0, 100))
    limited = {name: target(name, account=account) for name in "ab"}
    free = simulate_all(two_queues(), {name: target(name) for name in "ab"}, 1)
    tight = simulate_all(two_queues(), limited, 1)
    assert total([(result, parse("1")) for result in free.values()]).peak_workers > 4
    assert total([(result, parse("1")) for result in tight.values()]).peak_workers == 4
    waits = [float(result.waited_seconds.mean()) for result in (free["b"], tight["b"])]
    assert waits[0] < waits[1]


def test_a_pool_of_both_is_one_pool():
    """A task of one queue holds the slot that a task of the other wants."""
    trace = trace_of(
        [0, 1], [50, 50], queue=[0, 1], queues=("a", "b"), pool=[0, 0], pools=("shared",), starts_at=0.0
    )
    both = simulate_all(trace, {"a": target("a"), "b": target("b")}, 1, airflow=Airflow(pools={"shared": 1}))
    assert both["b"].started_at[0] == 50.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 3), st.sampled_from([PLAIN, AIRFLOW_3]))
def test_what_targets_do_together_adds_up(seed, slots, airflow):
    """Tasks, money, workers and kills of the parts are those of the whole."""
    trace = two_queues(seed, 120)
    targets = {"a": target("a", slots=slots), "b": target("b", slots=2, tick=25.0)}
    results = simulate_all(trace, targets, seed, airflow=airflow)
    prices = {"a": parse("x86:1:2"), "b": parse("arm:2:4:spot")}
    parts = {name: score(results[name], prices[name]) for name in results}
    whole = total([(results[name], prices[name]) for name in results])
    for name in ("tasks", "cost_usd", "worker_hours", "killed_tasks", "launched_workers", "scale_outs"):
        assert getattr(whole, name) == pytest.approx(sum(getattr(part, name) for part in parts.values()))
    assert whole.tasks == len(trace)
    assert sum(whole.cost_parts.values()) == pytest.approx(whole.cost_usd)
    ended = np.concatenate([result.ended_at - result.trace.duration_seconds for result in results.values()])
    assert not np.isnan(ended).any()
    assert max(part.peak_workers for part in parts.values()) <= whole.peak_workers
    assert whole.wait_max_seconds == max(part.wait_max_seconds for part in parts.values())


def test_the_same_seed_gives_the_same_world():
    """To the last bit; another seed another one; a third target changes nobody's luck."""
    three = trace_of(
        np.tile(two_queues().queued_at, 2),
        np.tile(two_queues().duration_seconds, 2),
        queue=np.concatenate([np.arange(300) % 2, np.full(300, 2)]),
        queues=("a", "b", "c"),
        starts_at=0.0,
    )

    def delays(targets, seed):
        results = simulate_all(three, targets, seed)
        return [(result.ready_at - result.created_at)[:8].tolist() for result in results.values()]

    def drawn(*names):
        return {
            name: SimTarget(controller(2, 1, 20), ServiceModel(2), queues, 10.0) for name, queues in names
        }

    two = drawn(("a", ("a",)), ("rest", ()))
    assert delays(two, 1) == delays(two, 1)
    assert delays(two, 1) != delays(two, 2)
    more = drawn(("a", ("a",)), ("rest", ("b",)), ("c", ("c",)))
    assert delays(more, 1)[0] == delays(two, 1)[0]
    assert delays(more, 1)[0] != delays(more, 1)[1]


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ({"a": target("a")}, TraceError, r"150 tasks are in the queue 'b', which no target serves"),
        ({"a": target("a"), "c": target("a", "b")}, ValueError, "the queue 'a' is served by two targets"),
        ({"a": target(), "c": target()}, ValueError, "no task is in the queues of target 'c'"),
        ({"a": target("a", "b"), "c": target("gpu")}, ValueError, "no task is in the queues of target 'c'"),
        ({"a": target("a", tick=0.0), "b": target("b")}, ValueError, "a tick must be longer than 0 s"),
        (
            {"a": target("a"), "b": target("b", account=AccountModel(most_workers=3))},
            ValueError,
            "share one account",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(targets, error, message):
    """One line each, before anything runs."""
    with pytest.raises(error, match=message):
        simulate_all(two_queues(), targets, 1)


def test_idle_targets_are_told():
    """So that a caller can leave them out."""
    targets = {"a": target("a"), "b": target("b"), "gpu": target("gpu")}
    assert without_tasks(two_queues(), targets) == ["gpu"]


def test_a_target_that_never_gets_workers_ends_the_run():
    """The other one does not hide it."""
    account = AccountModel(most_workers=1)
    idle = SimTarget(controller(2, 0, 20), service(2, account=account), ("a",))
    busy = SimTarget(controller(2, 1, 20), service(2, account=account), ("b",))
    trace = tasks((0, 5), (0, 5), queue=[0, 1], queues=("a", "b"))
    with pytest.raises(SimulationError, match="1 of 2 are left, 1 slots are wanted, 1 workers exist"):
        simulate_all(trace, {"a": idle, "b": busy}, 1)
