"""Decision logs from anywhere: replayed, explained, refused by line, and never a traceback."""

import contextlib
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.cli.replaying import _rebuilt
from autoscaler.core import record
from autoscaler.core.codec import MOST_BOUND
from autoscaler.core.record import DecisionRecord, RecordError
from autoscaler.explain import BadRecordError, print_decisions, read_records
from autoscaler.settings import Target
from simulations.replay import Replay, asked
from simulations.replay_command import Manner, run_replay
from simulations.replay_log import Bad, found_in
from tests.core.test_record import day
from tests.hostile.laws import changed, must_be_told_well, nested

OURS = Target(cluster="c", service="s").model_dump(mode="json") | {"mode": "act", "parallelism": None}
SIMULATED = {
    "trace": "t",
    "slots": 10,
    "policy": {"name": "mwaa"},
    "scale_in": None,
    "minimum": 1,
    "maximum": 20,
}


def recorded(config):
    """A life with all that a record can hold; it begins with this configuration."""
    _, records = day()
    lines = [json.loads(record.encode(each)) for each in (records[0], records[1], *records[6:11])]
    lines[0]["config"] = config
    return lines


LOGS = {"a daemon's": recorded(OURS), "a simulation's": recorded(SIMULATED)}


def log_of(documents):
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in documents)


def replayed(text):
    """What a replay finds; all of it must be fit to show."""
    found = list(Replay(_rebuilt).over(found_in(io.BytesIO(text.encode(errors="replace")))))
    for each in found:
        if isinstance(each, Bad):
            must_be_told_well(each)
        else:
            assert each.where
            assert asked(each.recorded) == asked(each.recorded)
    return found


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), log=st.sampled_from(sorted(LOGS)), number=st.integers(0, 6))
def test_a_record_with_other_parts_is_decoded_or_refused(data, log, number):
    """Left out, doubled, of another type, of any size: one line says which line and field."""
    documents = LOGS[log]
    other = data.draw(changed(documents[number]))
    try:
        decoded = record.decode(json.dumps(other))
    except RecordError as error:
        must_be_told_well(error)
    else:
        if isinstance(decoded, DecisionRecord):
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                print_decisions([decoded], as_json=False)
                print_decisions([decoded], as_json=True)
            assert "\x1b" not in shown.getvalue()
    replayed(log_of([*documents[:number], other, *documents[number + 1 :]]))


TRAIL = {"trail": [{"stage": "drain", "workers": 4, "reason": "demand", "note": ""}]}


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("kind",), {}, "expected a start or a decision of a target, got {}"),
        (("at",), 10**400, "at: expected a number that 64 bits hold, got 1000"),
        (("decision", "desired"), {"a": 1}, "decision.desired: expected a whole number, got {'a': 1}"),
        (("decision", "trail"), [], "decision.trail: expected at least one stage"),
        (("decision", "a\x1b[2J\n"), 1, r"decision.a?[2J?: expected no such field"),
        (("observation", "capacity", "workers", "state"), [10**30, 1], "a number that 64 bits hold"),
        (("observation", "demand"), {"queued": [[]] * 5}, "observation.demand"),
    ],
    ids=str,
)
def test_what_a_field_cannot_hold_is_refused(place, value, why):
    """By its name, with what was expected."""
    document = json.loads(json.dumps(LOGS["a daemon's"][5]))
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    [bad] = [each for each in replayed(log_of([*LOGS["a daemon's"][:5], document])) if isinstance(each, Bad)]
    assert why in str(bad)


@pytest.mark.parametrize(
    "trail", [TRAIL["trail"], [{**TRAIL["trail"][0], "workers": "inf"}]], ids=["drain", "inf"]
)
def test_a_trail_that_says_no_size_is_no_crash(trail):
    """Such as one of the cautious removal alone, or of infinitely many workers."""
    document = json.loads(json.dumps(LOGS["a daemon's"][5]))
    document["decision"]["trail"] = trail
    assert replayed(log_of([*LOGS["a daemon's"][:5], document]))


@pytest.mark.parametrize("bound", [0, -1, MOST_BOUND + 1, 10**12])
def test_a_history_makes_no_room_for_what_will_never_come(bound):
    """A line of five hundred bytes would else ask for terabytes."""
    document = json.loads(json.dumps(LOGS["a daemon's"][0]))
    document["state"]["history"]["bound"] = bound
    with pytest.raises(RecordError, match=r"state\.history\.bound: expected 1 to 1000000"):
        record.decode(json.dumps(document))


@pytest.mark.parametrize(
    ("name", "value"), [("slots", []), ("minimum", "1"), ("maximum", None), ("policy", 3)]
)
def test_a_simulation_configured_by_nonsense_is_refused(name, value):
    """The start record is refused by name, and its decisions are skipped."""
    documents = [
        {**LOGS["a simulation's"][0], "config": SIMULATED | {name: value}},
        *LOGS["a simulation's"][1:],
    ]
    [bad] = replayed(log_of(documents))
    assert f"its configuration cannot be used here: {name}: expected" in str(bad)


DEEP = nested(200_000)
TEXTS = [
    "",
    "\x00" * 1000,
    "{" * 100_000,
    DEEP,
    f'{{"v":1,"kind":"decision","target":"etl","at":{DEEP}}}',
    '{"v":1,"kind":"start","target":"etl","config":' + '{"a":' * 100_000,
    '{"v":1,"kind":"decision","target":"etl","at":' + "9" * 10_000 + "}",
    '{"v":1,"kind":"decision","target":"\ud800","at":1}',
    '{"record":' * 5000 + "1" + "}" * 5000,
    f'{{"v":1,"kind":"decision","target":"{"t" * 10_000}"}}',
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_lines_that_are_no_records(tmp_path, text):
    """For replay and for explain alike."""
    path = tmp_path / "log.jsonl"
    path.write_text(f"{text}\n" * 2, encoding="utf-8", errors="surrogatepass")
    replayed(f"{text}\n" * 2)
    with pytest.raises(BadRecordError) as refused:
        read_records(path, None, 5)
    must_be_told_well(str(refused.value).replace(str(tmp_path), ""))
    with pytest.raises(RecordError) as refused:
        record.decode(text)
    must_be_told_well(refused.value)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_log_with_bytes_of_chance_in_it_is_replayed_as_far_as_it_can_be(data):
    """Cut off, overwritten, written twice: an exit code of the three, and words that fit a terminal."""
    content = bytearray(log_of(LOGS["a daemon's"]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    printed, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        code = run_replay(Replay(_rebuilt), io.BytesIO(bytes(content)), Manner("log", ""))
    assert code in {0, 1, 2}
    assert all(line.isprintable() for line in (printed.getvalue() + complained.getvalue()).split("\n"))


def test_an_endless_line_is_refused_unread(tmp_path):
    """A log of one line of any length takes no more memory than the longest record may."""

    class Endless(io.RawIOBase):
        given = 0

        def readline(self, size=-1):
            self.given += 1
            return b"x" * size if self.given < 50 else b""

    assert [str(each) for each in found_in(Endless())] == ["line 1: longer than 16 MB: expected a record"]
    path = tmp_path / "log.jsonl"
    with path.open("wb") as file:
        file.truncate(20 * 2**20)
    with pytest.raises(BadRecordError, match="line 1: longer than 16 MB"):
        read_records(path, None, 5)
