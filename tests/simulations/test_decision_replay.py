"""A decision log through the code again: what is the same, what differs, what cannot be said."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace

import pytest

from autoscaler.core.guards import Bounds
from autoscaler.core.record import decode, encode_decision, encode_start
from policies.catalog import build
from policies.model import Demand
from simulations.command import Options, controller_of
from simulations.replay import Different, Replay, asked, with_policy
from simulations.replay_log import LONGEST_BYTES, Bad, Found, Other, found_in
from simulations.run import simulate
from simulations.service import ServiceModel
from tests.simulations.planning import bursts

SLOTS = 4


def controller(maximum=6, scale_in="when-idle"):
    return controller_of(Options(trace="", slots=SLOTS, maximum=maximum, scale_in=scale_in))


def rebuild(config, mode):
    """As a start record's configuration says."""
    if "broken" in config:
        raise ValueError("maximum: expected a number")
    return controller(**config)


def log(target="etl", hours=3, **config):
    """The lines of a simulated target's life."""
    deciding = controller(**config)
    kind = deciding.policy.memory_type
    lines = [encode_start(0.0, target, config, deciding.initial(), kind, "h")]
    simulate(
        bursts(hours),
        deciding,
        ServiceModel(SLOTS),
        1,
        on_step=lambda observation, decision: lines.append(
            encode_decision(target, observation, decision, "h")
        ),
    )
    return lines


def replayed(lines, change=None, target=None, *, end="\n"):
    """(what it gave, the replay)."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end
    replay = Replay(rebuild, change, target)
    return list(replay.over(found_in(io.BytesIO(text.encode())))), replay


def edited(line, *path, value):
    document = json.loads(line)
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return json.dumps(document)


def test_a_log_of_several_targets_decides_as_it_did():
    """Each goes on with its own state, however they mix."""
    one, other = log("etl"), log("ml", maximum=3, scale_in="continuous")
    mixed = [line for pair in zip(one, other, strict=False) for line in pair]
    found, replay = replayed(mixed)
    assert found == []
    assert {name: (each.decisions, each.different) for name, each in replay.targets.items()} == {
        "etl": (len(mixed) // 2 - 1, 0),
        "ml": (len(mixed) // 2 - 1, 0),
    }
    _, only = replayed(mixed, target="ml")
    assert list(only.targets) == ["ml"]


def test_a_decision_that_was_another_is_shown_with_its_first_differing_stage():
    """As if the version that wrote the log had known another maximum."""
    lines = log()
    number = next(n for n, line in enumerate(lines) if '"desired":6' in line and '"kind":"decision"' in line)
    lines[number] = edited(lines[number], "decision", "trail", 0, "workers", value=5.5)
    lines[number + 1] = edited(lines[number + 1], "decision", "wants_workers", value=True)
    found, replay = replayed(lines)
    assert [each.line for each in found] == [number + 1, number + 2]
    assert found[0].where.startswith("stage 1: recorded policy 5.5 demand; now policy ")
    assert found[1].where == "wants_workers: recorded True; now False"
    assert replay.targets["etl"].different == 2


def test_a_stage_more_or_less_is_told_as_such():
    """Nothing stands for the stage that is not there."""
    lines = log()
    shorter = json.loads(lines[2])["decision"]["trail"][:1]
    longer = [*shorter, {"stage": "bounds", "workers": 2, "reason": "at_maximum", "note": "maximum 2"}]
    lines[2] = edited(lines[2], "decision", "trail", value=longer)
    (different,) = replayed(lines)[0]
    assert different.where == "stage 2: recorded bounds 2 at_maximum (maximum 2); now nothing"


def test_records_are_found_inside_log_lines_and_beside_other_text():
    """A daemon's stdout as docker, CloudWatch or a terminal hand it on."""
    lines = log()
    inside = [json.dumps({"event": "decision", "mode": "act", "record": json.loads(line)}) for line in lines]
    noise = ["Traceback (most recent call last):", "  x = {}", '{"event": "running"}', "", "[1, 2]", "{} {"]
    text = [*noise[:5], *(f"2026-03-02T06:00:00Z worker-1 {line}" for line in inside)]
    found, replay = replayed(text)
    assert found == []
    assert replay.targets["etl"].decisions == len(lines) - 1
    assert replay.other_lines == 4


def test_a_log_cut_off_at_its_end_is_no_fault():
    """Its last line is being written."""
    lines = log()
    found, replay = replayed([*lines[:-1], lines[-1][:200]], end="")
    assert found == [Bad(len(lines), "the log ends within a record", "etl", cut_off=True)]
    assert replay.targets["etl"].decisions == len(lines) - 2


def test_behind_a_broken_line_nothing_is_claimed_until_the_next_start():
    """A decision may be missing, and with it the state that the later ones rest on."""
    lines = log()
    middle = len(lines) // 2
    broken = [*lines[:middle], lines[middle][:300], *lines[middle + 1 :]]
    found, replay = replayed(broken)
    assert [str(each)[: len("line 123: not JSON")] for each in found] == [f"line {middle + 1}: not JSON"]
    tally = replay.targets["etl"]
    assert (tally.decisions, tally.skipped) == (middle - 1, len(lines) - middle - 1)
    again, replay = replayed([*broken, *lines])
    assert len(again) == 1
    assert replay.targets["etl"].decisions == middle - 1 + len(lines) - 1


def test_a_broken_line_of_one_target_leaves_the_others_alone():
    one, other = log("etl"), log("ml")
    broken = [*one[:5], *other[:5], edited(one[5], "decision", "trail", value=3), *other[5:], *one[6:]]
    found, replay = replayed(broken)
    assert [str(each) for each in found] == ["line 11: decision.trail: expected a list, got 3"]
    assert replay.targets["ml"].decisions == len(other) - 1
    assert replay.targets["etl"].skipped == len(one) - 6


def test_a_restart_glued_to_a_record_that_broke_off():
    """Killed while writing, and started again on the same file."""
    lines = log()
    found, replay = replayed([*lines[:9], lines[9][:150] + lines[0], *lines[1:]])
    assert found == [Bad(10, "a record breaks off and another follows", "etl")]
    assert replay.targets["etl"].decisions == 8 + len(lines) - 1
    assert replay.targets["etl"].skipped == 0


def test_braces_before_a_record_are_no_record():
    """Whatever a collector of logs writes in front."""
    lines = log()
    found, replay = replayed([f"app {{blue}} {line}" for line in lines])
    assert found == []
    assert replay.targets["etl"].decisions == len(lines) - 1


def test_rotation_and_reload_go_on_with_the_state_they_carry():
    """A start record in the middle; what another policy remembers by then is its own."""
    lines, deciding = log(), controller()
    state = deciding.initial()
    half = len(lines) // 2
    for line in lines[1:half]:
        state, _ = deciding.step(state, decode(line).observation)
    start = encode_start(0.0, "etl", {}, state, deciding.policy.memory_type, "h")
    assert replayed([*lines[:half], start, *lines[half:]])[0] == []
    assert replayed([start, *lines[half:]])[0] == []
    change = lambda recorded: with_policy(recorded, build({"name": "mwaa"}, SLOTS))  # noqa: E731
    whole, _ = replayed(lines, change)
    parts, _ = replayed([*lines[:half], start, *lines[half:]], change)
    assert [each.now for each in whole] == [each.now for each in parts]


def test_without_a_start_there_is_nothing_to_begin_with():
    lines = log()
    found, replay = replayed(lines[1:])
    assert found == []
    assert replay.targets["etl"].skipped == len(lines) - 1


def test_what_another_policy_would_have_asked_for():
    """On the same observations; sizes count, and the hours between two decisions."""
    lines = log()
    change = lambda recorded: with_policy(  # noqa: E731
        recorded, build({"name": "mwaa", "scale_in": "continuous"}, SLOTS)
    )
    found, replay = replayed(lines, change)
    tally = replay.targets["etl"]
    assert tally.different == len(found) > 10
    assert all(asked(each.now) < asked(each.recorded) for each in found)
    assert tally.now_worker_hours < tally.recorded_worker_hours
    by_hand = sum(asked(decode(line).decision) for line in lines[1:-1]) * 30 / 3600
    assert tally.recorded_worker_hours == pytest.approx(by_hand)


def test_another_policy_starts_afresh_where_the_daemon_did():
    """And the hours in which no daemon ran count for nobody."""
    lines = log()
    change = lambda recorded: replace(  # noqa: E731
        recorded, guards=replace(recorded.guards, bounds=Bounds(1, 2)), observing=True
    )
    once, first = replayed(lines, change)
    twice, both = replayed([*lines, *lines], change)
    assert len(twice) == 2 * len(once)
    assert both.targets["etl"].now_worker_hours == pytest.approx(2 * first.targets["etl"].now_worker_hours)
    assert both.targets["etl"].now_peak == 2


BAD = [
    ({"v": 1, "kind": "event", "target": "x"}, "expected a start or a decision of a target, got 'event'"),
    (
        {"v": 1, "kind": "start", "target": "x", "config": {"broken": 1}},
        "its configuration cannot be used here: maximum: expected a number",
    ),
    ({"v": 2, "kind": "decision", "target": "x"}, "v: expected 1, got 2"),
    ("{", "not JSON: expected a record, got '{\\n'"),
    ("[" * 5 + '"kind"' + "{" * 99, "not JSON: expected a record"),
    ("{" + '"a":[' * 100_000, "not JSON: expected a record"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_bad_lines_are_named(line, said):
    (bad,) = replayed([line])[0]
    assert str(bad).startswith(f"line 1: {said}")


def test_a_policy_that_fails_is_a_line_and_no_crash():
    """Somebody's own, which raises whatever it likes."""

    class Raising:
        memory_type = None
        window_seconds = 0.0

        def initial(self):
            return None

        def recommend(self, memory, history):
            raise KeyError("queue")

    found, replay = replayed(log(), lambda recorded: with_policy(recorded, Raising()))
    assert [str(each) for each in found] == ["line 2: the step fails: KeyError: 'queue'"]
    assert replay.targets["etl"].decisions == 0


def test_a_line_without_end_does_not_fill_the_memory():
    """Some other file: it is read in pieces and passed over."""

    class Endless(io.RawIOBase):
        given = 0

        def readline(self, size=-1):
            assert size == LONGEST_BYTES
            self.given += 1
            return b"x" * size if self.given < 4 else b""

    stream = Endless()
    assert [type(each) for each in found_in(stream)] == [Bad]
    assert stream.given == 5


def test_what_each_line_is():
    start = log()[0]
    packed = io.BytesIO(gzip.compress(f"hello\n\n{start}\n".encode()))
    with gzip.open(packed) as stream:
        assert [type(each) for each in found_in(stream)] == [Other, Found]


def test_an_observation_that_was_edited_changes_the_decision():
    """The check that the replay really steps."""
    lines = log()
    seen = json.loads(lines[1])["observation"]["demand"]
    assert Demand(**seen).load == 1
    lines[1] = edited(lines[1], "observation", "demand", "queued", value=40.0)
    found, _ = replayed(lines)
    assert isinstance(found[0], Different)
    assert found[0].line == 2
