"""What the answers of workers come to: whoever is not clearly one worker, with all answers, is missing."""

import pytest

from autoscaler.core.agreement import WorkerIntake
from autoscaler.intake.broker import broker_of
from autoscaler.intake.celery import CeleryIntake
from autoscaler.intake.remote import Answers, Remote
from autoscaler.ports import IntakeError, Told
from tests.intake.celery_workers import listed

pytestmark = pytest.mark.anyio

DEFAULT, ETL = frozenset({"default"}), frozenset({"default", "etl"})


class Script:
    """Answers as told, in place of a broker; remembers what was asked."""

    broker = broker_of("redis://broker")

    def __init__(self) -> None:
        self.answers: list[Answers] = []
        self.asked: list[tuple] = []

    def ask(self, questions):
        self.asked += [
            (each.method, each.arguments.get("queue"), tuple(each.nodes), each.workers) for each in questions
        ]
        return self.answers or [Answers(dict.fromkeys(each.nodes)) for each in questions]

    def close(self) -> None: ...

    def say(self, **workers: tuple | None) -> None:
        """(queues, reserved, active) by node name without its `celery@`."""
        columns = zip(*workers.values(), strict=True)
        self.answers = [
            Answers({f"celery@{node}": value for node, value in zip(workers, column, strict=True)})
            for column in columns
        ]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def intake(script) -> CeleryIntake:
    return CeleryIntake(script, lambda: 50.0)


async def test_nobody_to_ask_is_no_question(intake, script):
    """No running worker, or none with a name that is its alone."""
    assert (await intake.look(listed())).missing == {}
    twins = listed(("a", "b"), ("b", "a"))
    assert set((await intake.look(twins)).missing.values()) == {"no name that is its alone"}
    assert script.asked == []


async def test_a_worker_without_a_name_of_its_own_is_missing_beside_others(intake, script):
    script.say(one=(DEFAULT, 0, 0))
    look = await intake.look(listed(("one",), ("two", "x"), ("three", "x")))
    assert len(look.workers) == 1
    assert sorted(look.missing.values()) == ["no answer from celery@three", "no answer from celery@two"]
    look = await intake.look(listed(("one",), ("x", "y"), ("y", "x")))
    assert list(look.missing.values()) == 2 * ["no name that is its alone"]


async def test_two_celery_workers_behind_one_task_are_a_doubt(intake, script):
    script.say(one=(DEFAULT, 0, 0), alias=(DEFAULT, 0, 0))
    look = await intake.look(listed(("one", "alias")))
    assert look.workers == {}
    (why,) = look.missing.values()
    assert why == "2 Celery workers answer for it: celery@alias, celery@one"


async def test_half_an_answer_is_none(intake, script):
    """It says that nothing runs, and not what it has reserved."""
    script.answers = [Answers({"celery@one": DEFAULT}), Answers(), Answers({"celery@one": 0})]
    look = await intake.look(listed(("one",)))
    assert look.workers == {}
    script.answers[1].bad["celery@one"] = "no list of tasks"
    assert list((await intake.look(listed(("one",)))).missing.values()) == ["no list of tasks"]
    script.answers[1] = Answers(unreadable="a reply that is no JSON")
    assert list((await intake.look(listed(("one",)))).missing.values()) == ["a reply that is no JSON"]


async def test_a_known_worker_is_asked_by_one_name(intake, script):
    """Until it is known, by all it may have."""
    script.say(one=(DEFAULT, 1, 2))
    workers = listed(("one", "10.0.0.1"))
    assert (await intake.look(workers)).workers == {workers.ids[0]: WorkerIntake(2, 1, DEFAULT)}
    assert script.asked[0][2] == ("celery@one", "celery@10.0.0.1")
    await intake.look(workers)
    assert script.asked[3][2] == ("celery@one",)


async def test_only_what_is_not_so_is_told_and_stops_are_told_anew(intake, script):
    """The decision names the stopped; what follows for each queue leaves no choice."""
    fleet = listed(("one",), ("two",), ("three",), ("four",))
    one, two, three, _ = fleet.ids
    script.say(one=(ETL, 0, 0), two=(ETL, 0, 0), three=(ETL, 0, 0))
    await intake.look(fleet)
    script.say(one=(ETL, 0, 0), two=(frozenset(), 0, 0), three=(DEFAULT, 0, 0))
    await intake.look(fleet)
    script.answers, script.asked = [], []
    assert await intake.apply(frozenset({one}), fleet) == Told(frozenset({one, two, three}), {})
    assert script.asked == [
        ("cancel_consumer", "default", ("celery@one",), 1),
        ("cancel_consumer", "etl", ("celery@one",), 1),
        ("add_consumer", "default", ("celery@two",), 1),
        ("add_consumer", "etl", ("celery@two", "celery@three"), 2),
    ]
    script.asked = []
    await intake.apply(frozenset({one, two}), fleet)
    assert [each[:3] for each in script.asked if each[0] == "cancel_consumer"] == [
        ("cancel_consumer", "default", ("celery@one", "celery@two")),
        ("cancel_consumer", "etl", ("celery@one", "celery@two")),
    ]


async def test_a_stop_that_was_seen_half_done_is_undone_whole(intake, script):
    """A look between the orders for two queues must not take the rest for all that there was."""
    fleet = listed(("one",))
    for queues in (ETL, DEFAULT, frozenset()):
        script.say(one=(queues, 0, 0))
        await intake.look(fleet)
    script.answers, script.asked = [], []
    await intake.apply(frozenset(), fleet)
    assert [each[:2] for each in script.asked] == [("add_consumer", "default"), ("add_consumer", "etl")]


async def test_what_is_as_it_should_be_is_not_touched(intake, script):
    fleet = listed(("one",))
    script.say(one=(DEFAULT, 0, 0))
    await intake.look(fleet)
    script.asked = []
    assert await intake.apply(frozenset(), fleet) == Told()
    assert script.asked == []


async def test_nobody_can_fill_the_memory_with_queues(intake, script):
    """A worker that claims ever new ones is not remembered with them."""
    fleet = listed(("one",))
    for start in range(0, 1000, 100):
        script.say(one=(frozenset(map(str, range(start, start + 100))), 0, 0))
        await intake.look(fleet)
    assert all(len(queues) <= 200 for queues in intake._had.values())


async def test_workers_that_are_gone_are_forgotten(intake, script):
    fleet = listed(("one",), ("two",))
    script.say(one=(DEFAULT, 0, 0), two=(DEFAULT, 0, 0))
    await intake.look(fleet)
    script.say(one=(DEFAULT, 0, 0))
    await intake.look(listed(("one",)))
    assert intake._nodes.keys() == intake._had.keys() == intake._seen.keys() == {fleet.ids[0]}


def test_a_question_behind_one_that_hangs_is_refused():
    """Threads do not pile up behind a broker that is silent."""
    remote = Remote(broker_of("redis://broker"), answer_seconds=0.05)
    with remote._lock, pytest.raises(IntakeError, match="an earlier question is still unanswered"):
        remote.ask([])
