"""Real Celery workers on real brokers: what they say of themselves, and that they do as they are told."""

import logging
import os
import signal
from time import time

import anyio
import pytest
import structlog

from autoscaler.core.agreement import WorkerIntake
from autoscaler.intake.broker import broker_of
from autoscaler.intake.celery import CeleryIntake
from autoscaler.intake.remote import Remote
from autoscaler.ports import IntakeError
from tests.intake.brokers import PASSWORD, free_port, redis
from tests.intake.celery_workers import TOKEN, Tasks, celery_workers, listed, until

DEFAULT = frozenset({"default"})
IDLE, STOPPED = WorkerIntake(0, 0, DEFAULT), WorkerIntake(0, 0, frozenset())
NAMES = (("ip-10-0-0-1.ec2.internal", "10.0.0.1", "f3a1"), ("ip-10-0-0-2.ec2.internal", "10.0.0.2", "b7c2"))
HOSTS = ("ip-10-0-0-1.ec2.internal", "10.0.0.2")
"""What the Celery workers call themselves."""
WORKERS = listed(*NAMES)
ONE, TWO = WORKERS.ids

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def workers(broker, tmp_path_factory):
    with celery_workers(broker.url, HOSTS, tmp_path_factory.mktemp("workers"), PREFETCH="2") as workers:
        yield workers


@pytest.fixture
def tasks(broker, workers, tmp_path):
    tasks = Tasks(broker.url, tmp_path)
    yield tasks
    tasks.close()


@pytest.fixture
async def intake(broker, workers):
    """Both workers are idle and consume at the end, for the next test."""
    intake = intake_of(broker.url)
    yield intake
    await intake.look(WORKERS)
    await intake.apply(frozenset(), WORKERS)
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    await intake.aclose()


def intake_of(url: str, **options) -> CeleryIntake:
    return CeleryIntake(Remote(broker_of(url)), time, **options)


async def seen(intake: CeleryIntake, wanted: dict[str, WorkerIntake]) -> None:
    """Looks until the workers say this of themselves."""
    last = None
    with anyio.move_on_after(60):
        while last != wanted:
            last = dict((await intake.look(WORKERS)).workers)
    assert last == wanted


async def test_workers_say_what_they_hold_and_consume(intake, tasks):
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    before = time()
    task = tasks.send()
    task.wait_begun()
    look = await intake.look(WORKERS)
    assert sorted(each.active for each in look.workers.values()) == [0, 1]
    assert before <= look.measured_at <= time()
    assert not look.missing
    task.end()


async def test_a_worker_that_is_told_to_stop_takes_nothing_and_takes_again_when_told(intake, tasks):
    """Applied twice is applied once; what the stopped worker does not take, the other one does."""
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    told = await intake.apply(frozenset({ONE}), WORKERS)
    assert (told.confirmed, told.unconfirmed) == ({ONE}, {})
    await seen(intake, {ONE: STOPPED, TWO: IDLE})
    assert (await intake.apply(frozenset({ONE}), WORKERS)).confirmed == {ONE}
    held = [tasks.send() for _ in range(3)]
    # On Redis the stopped worker may pull one more, and puts it back: the order is nobody's promise.
    await seen(intake, {ONE: STOPPED, TWO: WorkerIntake(1, 1, DEFAULT)})
    assert sum(task.begun for task in held) <= 1
    told = await intake.apply(frozenset(), WORKERS)
    assert (told.confirmed, told.unconfirmed) == ({ONE}, {})
    await seen(intake, {ONE: WorkerIntake(1, 0, DEFAULT), TWO: WorkerIntake(1, 1, DEFAULT)})
    for task in held:
        task.may_end()
    for task in held:
        task.end()
        assert task.begun == 1


async def test_a_stop_is_taken_back_though_nobody_looked_meanwhile(intake):
    """As by a daemon that ends right after it."""
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    await intake.apply(frozenset({ONE}), WORKERS)
    assert (await intake.apply(frozenset(), WORKERS)).confirmed == {ONE}
    await seen(intake, {ONE: IDLE, TWO: IDLE})


async def test_all_that_a_stopped_worker_has_taken_is_done(intake, tasks):
    """One runs, one was taken and waits: both are held, and both are done after the stop."""
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    await intake.apply(frozenset({TWO}), WORKERS)
    await seen(intake, {ONE: IDLE, TWO: STOPPED})
    held = [tasks.send(), tasks.send()]
    await seen(intake, {ONE: WorkerIntake(1, 1, DEFAULT), TWO: STOPPED})
    await intake.apply(frozenset({ONE, TWO}), WORKERS)
    await seen(intake, {ONE: WorkerIntake(1, 1, frozenset()), TWO: STOPPED})
    until(lambda: any(task.begun for task in held), "one of the two to begin")
    running, waiting = sorted(held, key=lambda task: -task.begun)
    running.end()
    await seen(intake, {ONE: WorkerIntake(1, 0, frozenset()), TWO: STOPPED})
    waiting.end()
    await seen(intake, {ONE: STOPPED, TWO: STOPPED})
    assert (running.begun, waiting.begun) == (1, 1)


async def test_after_a_restart_of_ours_stopped_workers_consume_what_the_others_do(intake, broker):
    """An earlier daemon died: a stopped worker no longer says which queues were its own."""
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    await intake.apply(frozenset({ONE}), WORKERS)
    await seen(intake, {ONE: STOPPED, TWO: IDLE})
    later = intake_of(broker.url)
    await seen(later, {ONE: STOPPED, TWO: IDLE})
    assert (await later.apply(frozenset(), WORKERS)).confirmed == {ONE}
    await seen(later, {ONE: IDLE, TWO: IDLE})
    await later.aclose()


async def test_where_nobody_says_which_queues_the_settings_do(intake, broker):
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    await intake.apply(frozenset({ONE, TWO}), WORKERS)
    await seen(intake, {ONE: STOPPED, TWO: STOPPED})
    later = intake_of(broker.url)
    await seen(later, {ONE: STOPPED, TWO: STOPPED})
    told = await later.apply(frozenset(), WORKERS)
    assert not told.confirmed
    assert "set the target's queues" in told.unconfirmed[ONE]
    await later.aclose()
    configured = intake_of(broker.url, queues=frozenset({"default", "second"}))
    await seen(configured, {ONE: STOPPED, TWO: STOPPED})
    assert (await configured.apply(frozenset(), WORKERS)).confirmed == {ONE, TWO}
    both = WorkerIntake(0, 0, frozenset({"default", "second"}))
    await seen(configured, {ONE: both, TWO: both})
    await configured.apply(frozenset({ONE, TWO}), WORKERS)
    await seen(configured, {ONE: STOPPED, TWO: STOPPED})
    await configured.aclose()


async def test_workers_that_have_not_started_are_not_asked(intake):
    fleet = listed(*NAMES, ("10.0.0.9",), pending=frozenset({"10.0.0.9"}))
    look = await intake.look(fleet)
    assert (look.workers.keys(), look.missing) == ({ONE, TWO}, {})


async def test_nothing_that_a_task_was_given_is_kept_or_told(intake, tasks, caplog):
    """Airflow's tasks carry a token: no log, repr or record of ours may hold it."""
    caplog.set_level(logging.DEBUG)
    held = [tasks.send(), tasks.send(), tasks.send(), tasks.send()]
    with structlog.testing.capture_logs() as lines:
        await seen(intake, {ONE: WorkerIntake(1, 1, DEFAULT), TWO: WorkerIntake(1, 1, DEFAULT)})
        look = await intake.look(listed(*NAMES, ("10.0.0.9",)))
    assert look.missing
    told = f"{lines}{caplog.text}{look!r}{intake!r}{vars(intake.remote)!r}"
    assert "10.0.0.9" in told
    assert TOKEN not in told
    assert PASSWORD not in told
    for task in held:
        task.end()


async def test_a_broker_that_hangs_is_an_error_within_its_time_and_heals(intake, broker):
    """And while a thread still hangs, the next question says so instead of waiting with it."""
    hasty = intake_of(broker.url, deadline_seconds=3.0)
    await seen(hasty, {ONE: IDLE, TWO: IDLE})
    with broker.hanging():
        for _ in range(2):
            with anyio.fail_after(60), pytest.raises(IntakeError) as raised:
                await hasty.look(WORKERS)
            assert PASSWORD not in str(raised.value)
    await heals(hasty)
    await seen(hasty, {ONE: IDLE, TWO: IDLE})
    await hasty.aclose()


async def test_workers_that_are_silent_are_missing_and_the_others_are_not(broker, workers):
    """One hangs, then it is dead: silence is no idleness.  (It does not come back: the last tests.)"""
    intake = intake_of(broker.url)
    await seen(intake, {ONE: IDLE, TWO: IDLE})
    os.killpg(workers[1].process.pid, signal.SIGSTOP)
    try:
        hung = await intake.look(WORKERS)
    finally:
        os.killpg(workers[1].process.pid, signal.SIGCONT)
    workers[1].kill()
    dead = await intake.look(WORKERS)
    for look in (hung, dead):
        assert look.workers == {ONE: IDLE}
        assert look.missing == {TWO: "no answer from celery@10.0.0.2"}
    told = await intake.apply(frozenset({TWO}), WORKERS)
    assert told.unconfirmed == {TWO: "cancel_consumer: no answer from celery@10.0.0.2"}
    await intake.aclose()


async def test_a_broker_that_is_not_there_is_an_error():
    """Whether it is asked or told."""
    intake = intake_of(f"amqp://airflow:{PASSWORD}@127.0.0.1:{free_port()}//", queues=DEFAULT)
    for ask in (intake.look(WORKERS), intake.apply(frozenset({ONE}), WORKERS)):
        with pytest.raises(IntakeError, match="the broker does not answer") as raised:
            await ask
        assert PASSWORD not in str(raised.value)
    await intake.aclose()


async def test_a_broker_that_comes_back_is_asked_again():
    """Without a restart of ours."""
    with redis() as own:
        intake = intake_of(own.url)
        assert (await intake.look(WORKERS)).missing.keys() == {ONE, TWO}
        own.stop()
        with pytest.raises(IntakeError, match="the broker does not answer"):
            await intake.look(WORKERS)
        own.start()
        await heals(intake)
        await intake.aclose()


async def test_a_broker_that_refuses_the_password_is_named_without_it():
    with redis() as own:
        intake = intake_of(own.url.replace(PASSWORD, "wr0ng"))
        with pytest.raises(IntakeError, match="the user or the password is refused") as raised:
            await intake.look(WORKERS)
        assert "wr0ng" not in str(raised.value)


async def heals(intake: CeleryIntake) -> None:
    """The broker answers again; the workers find back to it in their own time."""
    with anyio.fail_after(30):
        while True:
            try:
                await intake.look(WORKERS)
            except IntakeError:
                continue
            return
