"""The decision record: lossless, valid JSON, and enough to decide everything again."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from autoscaler.core.codec import MisfitError, from_json, to_json, with_memory
from autoscaler.core.guards import Bounds, Rate, RateLimit, RateRule, Stabilization
from autoscaler.core.record import (
    DecisionRecord,
    Record,
    RecordError,
    StartRecord,
    decode,
    encode,
    encode_decision,
    encode_start,
    read,
    replay,
)
from autoscaler.core.state import State
from policies.combine import Hours
from policies.history import History
from policies.model import Applied, Observation, Refused, Unavailable, Unknown, Workers
from policies.mwaa import MwaaMemory
from policies.orders import Orders, Override, Pause, Way
from tests.core.clock import NOON, UNKNOWN, Clock, listing, told

GUARDS = {"stabilization": Stabilization(30.0, 60.0), "rate": RateLimit(Rate((RateRule(2, 60.0),)))}


def day() -> tuple[Clock, list[Record]]:
    """A target's life with everything a record can hold."""
    clock = told(**GUARDS)
    seen: list[Observation] = []
    step = clock.controller.step

    class Recording:
        def step(self, state, observation):
            seen.append(observation)
            return step(state, observation)

    real, clock.controller = clock.controller, Recording()
    records: list[Record] = [StartRecord(NOON, "etl", {"mode": "act"}, clock.state, "abc")]
    odd = listing([1.0, UNKNOWN], [UNKNOWN, 0.0], started_at=np.array([NOON, UNKNOWN]))
    for look in (
        {"queued": 80},
        {"queued": 80},
        {"queued": UNKNOWN},
        {"unreadable": "down"},
        {"running": 5, "fleet_unknown": "throttled"},
        {"queued": 200, "demand": {"whole": False}},
        {"running": 1},
        {"running": 1, "desired": 2, "workers": odd},
        {"running": 1, "workers": odd},
        *[{"running": 1, "workers": odd}] * 40,
    ):
        clock.ordered(Pause(Way.IN, NOON + 70, NOON)).after(10).sees(**look)
        records.append(DecisionRecord(clock.at, "etl", seen[-1], clock.decision, "abc"))
    clock.controller = real
    return clock, records


def test_every_record_comes_back_as_it_was():
    """Workers' columns, NaN and the state with its history included."""
    clock, records = day()
    records.append(StartRecord(clock.at, "etl", {}, clock.state, "abc"))
    lines = [encode(record, MwaaMemory) for record in records]
    again = list(read(["", *lines, " \n"], MwaaMemory))
    assert [encode(record, MwaaMemory) for record in again] == lines
    assert again[-1] == records[-1]
    assert again[8].observation.capacity.workers == records[8].observation.capacity.workers


def test_the_lines_are_valid_json():
    """No NaN, no infinities: other readers know neither."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for record in day()[1]:
        json.loads(encode(record, MwaaMemory), parse_constant=refuse)


def test_a_target_that_json_cannot_say_is_refused_at_the_source():
    """Better no line than one that nobody else can read."""
    observation = replace(day()[1][1].observation, at=UNKNOWN)
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_decision("etl", observation, day()[1][1].decision, "abc")


def test_a_line_has_no_needless_blanks():
    """A busy daemon writes thousands of them."""
    assert ", " not in encode(day()[1][1]).replace("to go", "")


def test_a_decision_line_carries_all_that_a_reader_wants():
    _, records = day()
    record = records[1]
    document = json.loads(encode_decision("etl", record.observation, record.decision, "abc"))
    assert list(document) == ["v", "kind", "at", "target", "observation", "decision", "config_hash"]
    assert document["decision"]["trail"][0] == {
        "stage": "policy",
        "workers": 8.0,
        "reason": "demand",
        "note": "",
    }
    start = json.loads(encode_start(NOON, "etl", {"a": 1}, records[0].state, MwaaMemory, "abc"))
    assert list(start) == ["v", "kind", "at", "target", "config", "state", "config_hash"]


def test_replaying_a_log_reproduces_every_decision():
    clock, records = day()
    lines = [encode(record, MwaaMemory) for record in records]
    assert list(replay(clock.controller, read(lines, MwaaMemory))) == []


def test_a_replay_may_begin_in_the_middle():
    """At every start record: a reload, or another file."""
    clock, records = day()
    middle = StartRecord(NOON, "etl", {}, clock.state, "abc")
    clock.after(10).sees(queued=400)
    observed = clock.state.history.latest
    later = DecisionRecord(clock.at, "etl", replace(observed, last_write=None), clock.decision, "abc")
    assert list(replay(clock.controller, [*records, middle, later])) == []


def test_a_replay_under_another_configuration_shows_what_it_would_change():
    clock, records = day()
    clock.reloads(bounds=Bounds(1, 6))
    differences = list(replay(clock.controller, records))
    assert differences
    first = differences[0]
    recorded = next(record for record in records[1:] if record.at == first.at)
    assert (first.target, first.recorded) == (recorded.target, recorded.decision)
    assert first.replayed.workers == 6 < first.recorded.workers


def test_a_replay_needs_a_start_and_one_target():
    clock, records = day()
    with pytest.raises(RecordError, match="begins at a start record"):
        list(replay(clock.controller, records[1:]))
    with pytest.raises(RecordError, match="records of two targets, 'etl' and 'ml'"):
        list(replay(clock.controller, [*records, replace(records[0], target="ml")]))


@pytest.mark.parametrize(
    "write", [None, Applied(3), Applied(None), Refused(3, "throttled"), Unknown(None, "timeout")]
)
def test_every_outcome_of_a_write_is_told_apart(write: Any):
    observation = Observation(1.0, Unavailable("x"), Unavailable("y"), last_write=write)
    assert from_json(json.loads(json.dumps(to_json(observation))), Observation) == observation


def test_memory_of_any_type_passes():
    """Without the policy's type it stays as JSON has it."""
    clock, _ = day()
    for memory, kind in ((None, None), ((Hours(1.0, UNKNOWN), None), tuple[Hours, None])):
        line = encode(StartRecord(NOON, "t", {}, clock.state._replace(memory=memory), "h"), kind)
        assert repr(decode(line, kind).state.memory) == repr(memory)
    typed = encode(StartRecord(NOON, "t", {}, clock.state._replace(memory=date(2026, 11, 20)), "h"), date)
    assert decode(typed, date).state.memory == date(2026, 11, 20)
    assert decode(line).state.memory == [{"started_at": 1.0, "next_at": "nan"}, None]
    assert json.loads(encode(decode(line))) == json.loads(line)


def test_numbers_of_numpy_are_numbers():
    assert to_json({"a": np.float64(1.5), "b": np.int64(2), "c": np.array([1, 2])}) == {
        "a": 1.5,
        "b": 2,
        "c": [1, 2],
    }


def _broken(line: str, *path: Any, value: Any) -> str:
    document = json.loads(line)
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return json.dumps(document)


HISTORY = ("state", "history")
DEMAND, CAPACITY = ("observation", "demand"), ("observation", "capacity")
WRITE = ("observation", "last_write")
BROKEN = [
    (1, ("v",), 2, "v: expected 1, got 2"),
    (1, ("kind",), "event", "kind: expected 'start' or 'decision', got 'event'"),
    (1, ("at",), ..., "at: expected a value, got 'nothing'"),
    (1, ("target",), 5, "target: expected a text, got 5"),
    (1, ("observation",), [], "observation: expected an object, got []"),
    (
        1,
        (*DEMAND, "queued"),
        "many",
        "observation.demand.queued: expected a number, got",
    ),
    (1, (*DEMAND, "whole"), 1, "observation.demand.whole: expected true or false, got 1"),
    (1, (*DEMAND, "que"), 1, "observation.demand.que: expected no such field, got 1"),
    (
        1,
        (*CAPACITY, "desired"),
        1.5,
        "observation.capacity.desired: expected a whole number",
    ),
    (
        1,
        (*CAPACITY, "rollout"),
        "x",
        "observation.capacity.rollout: expected a Rollout, got 'x'",
    ),
    (
        1,
        ("observation", "last_write"),
        {"outcome": "x"},
        "observation.last_write.outcome: expected 'applied' or 'refused' or 'unknown', got 'x'",
    ),
    (
        1,
        WRITE,
        {"outcome": "applied", "desired": "x"},
        "observation.last_write.desired: expected a whole number, got 'x'",
    ),
    (
        8,
        (*CAPACITY, "workers", "busy_slots", 1),
        "x",
        "observation.capacity.workers.busy_slots[1]: expected a number, got 'x'",
    ),
    (
        8,
        (*CAPACITY, "workers", "state", 0),
        1.0,
        "observation.capacity.workers.state[0]: expected a whole number, got 1.0",
    ),
    (1, ("decision", "trail"), {}, "decision.trail: expected a list, got {}"),
    (1, ("decision", "trail"), [], "decision.trail: expected at least one stage, got []"),
    (
        1,
        ("decision", "trail", 0, "reason"),
        "x" * 99,
        "decision.trail[0].reason: expected a Reason, got 'xxx",
    ),
    (1, ("decision", "protected"), [3], "decision.protected[0]: expected a text, got 3"),
    (
        0,
        ("state", "memory"),
        {"idle_since": [3]},
        "state.memory.idle_since: expected a policy's memory (Input should be a valid number), got [3]",
    ),
    (
        0,
        ("state", "lows", "entries"),
        [[1.0, "x"]],
        "state.lows.entries[0][1]: expected a whole number, got 'x'",
    ),
    (
        1,
        (*CAPACITY, "desired"),
        2**63,
        "observation.capacity.desired: expected a number that 64 bits hold, got 9223372036854775808",
    ),
    (0, ("state", "started_at"), {"a": 1}, "state.started_at: expected a number, got {'a': 1}"),
    (0, (*HISTORY, "bound"), 0, "state.history.bound: expected 1 to 1000000, got 0"),
    (0, (*HISTORY, "rows"), 3, "state.history.rows: expected a list, got 3"),
    (0, (*HISTORY, "rows"), [[1.0], ["x"]], "state.history.rows[1][0]: expected a number, got 'x'"),
    (0, (*HISTORY, "failures"), [3], "state.history.failures[0]: expected a text, got 3"),
    (0, (*HISTORY, "latest"), 3, "state.history.latest: expected an object, got 3"),
    (0, ("state", "lows", "entries"), [[1.0]], "state.lows.entries[0]: expected a list of 2, got [1.0]"),
    (0, HISTORY, 3, "state.history: expected an object of bound, rows, failures and latest, got 3"),
    (0, (*HISTORY, "failures"), ["x"], "state.history.rows: expected 1 rows of 8 numbers, got []"),
    (0, (*HISTORY, "bound"), "x", "state.history.bound: expected a whole number, got 'x'"),
]


@pytest.mark.parametrize(("number", "path", "value", "message"), BROKEN)
def test_a_broken_line_names_line_and_field(number: int, path: Any, value: Any, message: str):
    line = encode(day()[1][number], MwaaMemory)
    with pytest.raises(RecordError) as caught:
        decode(_broken(line, *path, value=value), MwaaMemory, 12)
    assert str(caught.value).startswith(f"line 12: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: expected an object$"),
        ("[" * 100_000, "line 2: nested deeper than any record is$"),
    ],
    ids=["no JSON", "a list", "deep"],
)
def test_a_line_that_is_no_record(line: str, message: str):
    with pytest.raises(RecordError, match=message):
        list(read(["", line]))
    with pytest.raises(RecordError, match=message.replace("2", "1")):
        decode(line)


@pytest.mark.parametrize("desired", [2**63 - 1, 1 - 2**63])
def test_what_64_bits_hold_is_a_number(desired: int):
    line = _broken(encode(day()[1][1]), *CAPACITY, "desired", value=desired)
    assert decode(line).observation.capacity.desired == desired


def test_whole_numbers_in_a_column_of_numbers_are_numbers():
    """As somebody writes them by hand."""
    column = (*CAPACITY, "workers", "busy_slots")
    decoded = decode(_broken(encode(day()[1][8]), *column, value=[1, 0])).observation
    assert decoded.capacity.workers.busy_slots.dtype == np.float64


def test_a_history_of_one_look_comes_back():
    state = told().sees(10).state
    document = to_json(state._replace(history=History(1).append(state.history.latest)))
    assert from_json(document, State).history.bound == 1


def test_a_wrapper_may_add_keys_at_the_top():
    """One decision is one log line; the logger adds its own."""
    line = encode(day()[1][1])
    assert encode(decode(_broken(line, "level", value="info"))) == line


def test_a_misfit_names_what_it_found():
    with pytest.raises(MisfitError, match="expected a list"):
        from_json(3, tuple[str, ...], place="x")


def test_workers_are_compared_by_value():
    one, other = listing([1.0, UNKNOWN]), listing([1.0, UNKNOWN])
    assert one == other
    assert one != listing([1.0, 2.0])
    assert one != "workers"
    left = [np.array([30.0, seconds]) for seconds in (60.0, 60.0, 90.0)]
    first, second, third = (replace(one, work_left_seconds=seconds) for seconds in left)
    assert first == second
    assert third != first
    assert one != first
    assert len(one) == 2
    assert isinstance(one, Workers)


def test_an_operators_orders_come_back_as_they_were():
    """Also one without an end; an observation of an older version had none."""
    pause = Pause(Way.IN, float("inf"), 1e9, "anna", "database upgrade")
    orders = Orders(pause, Override(None, 8, 2e9, 1e9))
    observation = Observation(1.8e9, Unavailable("down"), Unavailable("down"), orders=orders)
    document = to_json(observation)
    assert from_json(json.loads(json.dumps(document)), Observation) == observation
    del document["orders"]
    assert from_json(document, Observation) == replace(observation, orders=None)


def test_a_field_that_an_older_version_did_not_know_is_as_at_the_start():
    """So that the logs of last month replay."""
    state = told().sees(10).state
    document = to_json(state)
    del document["removal"], document["deaf_since"], document["ownership"]["confirmed"]
    assert with_memory(from_json(document, State), MwaaMemory, "state") == state
    del document["history"]
    with pytest.raises(MisfitError, match="history: expected a value, got 'nothing'"):
        from_json(document, State)


def test_a_field_that_is_missing_in_the_middle_loses_none_after_it():
    document = to_json(told().sees(unreadable="down").state)
    del document["started_at"]
    assert from_json(document, State).current == 5


@pytest.mark.parametrize("value", ["x" * 58, "x" * 59, "x" * 500])
def test_a_long_value_is_shown_by_its_ends(value: Any):
    """In sixty characters at most."""
    shown = str(MisfitError("here", "a number", value)).removeprefix("here: expected a number, got ")
    start, gap, end = shown.partition("...")
    assert repr(value).startswith(start)
    assert repr(value).endswith(end)
    assert bool(gap) == (len(repr(value)) > 60)
    assert len(shown) == 60


def test_a_long_place_is_cut_and_no_terminal_obeys_it():
    """Two hundred characters are shown as they are."""
    for length, shown in ((200, "p" * 200), (201, "p" * 197 + "...")):
        assert str(MisfitError("p" * length, "a text", 3)) == f"{shown}: expected a text, got 3"
    assert str(MisfitError("a\x1b[2J\nb", "a text", 3)) == "a?[2J?b: expected a text, got 3"


@pytest.mark.parametrize("left", [None, np.array([1.5, UNKNOWN])])
def test_work_left_is_written_where_it_is_known_and_read_where_it_is_not(left):
    """A log of before there was such a column says of nobody what he has left."""
    workers = listing([1.0, 2.0], work_left_seconds=left)
    document = json.loads(json.dumps(to_json(workers)))
    assert from_json(document, Workers) == workers
    del document["work_left_seconds"]
    assert from_json(document, Workers) == listing([1.0, 2.0])
    assert (workers == listing([1.0, 2.0])) == (left is None)
