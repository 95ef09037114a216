"""What several schedulers' gauges add up to, while they live, fall silent, restart and go for good."""

import pytest

from autoscaler.ports import SourceError
from autoscaler.sources.statsd.packets import parsed
from autoscaler.sources.statsd.senders import MAX_SENDERS, Senders

A, B, C = ("10.0.0.1", 40001), ("10.0.0.2", 40001), ("10.0.0.3", 40001)
SETTLED = 15.0
FORGET = 600.0


class Story:
    """Moves the clock by hand; every scheduler in `alive` repeats its gauges each second."""

    def __init__(self, prefix="airflow"):
        self.now = 1000.0
        self.senders = Senders(prefix, SETTLED, FORGET, self.now)
        self.alive = {}

    def send(self, address, *lines):
        return [self.senders.heard(metric, address, self.now) for line in lines for metric in parsed(line)[0]]

    def speak(self):
        for address, running in self.alive.items():
            self.send(
                address,
                b"airflow.scheduler_heartbeat:1|c",
                b"airflow.executor.queued_tasks:0|g",
                b"airflow.executor.running_tasks:%d|g" % running,
            )

    def after(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 1.0, until)
            self.speak()
        return self

    def load(self, executor="CeleryExecutor"):
        return self.senders.load(executor, self.now)

    def sees(self, running, *, whole):
        load = self.load()
        assert (load.queued + load.running, load.whole) == (running, whole)
        return self


def settled(**running):
    """A story whose schedulers have been heard long enough."""
    story = Story()
    story.alive = {{"a": A, "b": B}[name]: count for name, count in running.items()}
    return story.after(SETTLED + 1)


def test_two_schedulers_add_up():
    """Each tells of its own tasks only; the heartbeat says how many live."""
    story = settled(a=30, b=12).sees(42, whole=True)
    assert story.load().schedulers == 2


def test_the_first_seconds_are_not_whole():
    """After a start of ours a scheduler may not have been heard yet: out is free, in waits."""
    story = Story()
    story.alive = {A: 30}
    story.after(2).sees(30, whole=False)
    story.after(SETTLED).sees(30, whole=True)


def test_a_vanished_scheduler_never_shrinks_the_sum():
    """Its tasks may run on: its last value counts, and nothing goes in."""
    story = settled(a=30, b=12)
    del story.alive[A]
    story.after(10).sees(42, whole=True)
    story.after(10).sees(42, whole=False)
    story.alive[B] = 13
    story.after(FORGET / 2).sees(43, whole=False)
    assert story.load().schedulers == 1


def test_a_scheduler_that_comes_back_makes_the_sum_whole():
    """A network that failed for a minute leaves no trace."""
    story = settled(a=30, b=12)
    del story.alive[A]
    story.after(60).sees(42, whole=False)
    story.alive[A] = 5
    story.after(1).sees(17, whole=True)


def test_a_scheduler_gone_for_good_is_forgotten():
    """Its tasks were adopted by the living long ago."""
    story = settled(a=30, b=12)
    del story.alive[A]
    story.alive[B] = 42
    story.after(FORGET).sees(72, whole=False)
    story.after(2).sees(42, whole=True)
    assert len(story.senders) == 1


def test_the_last_scheduler_is_never_forgotten_into_a_zero():
    """All silent is no reading, however long it lasts; the first to come back does not hide the rest."""
    story = settled(a=30, b=12)
    story.alive = {}
    with pytest.raises(SourceError, match="all 2 senders are silent, the last for 60 s"):
        story.after(60).load()
    story.alive = {B: 12}
    story.after(1).sees(42, whole=False)


def test_a_restarted_scheduler_is_not_counted_twice():
    """Its successor, from another port, adopts the tasks; until it has, the old value still counts."""
    story = settled(a=97)
    story.send(A, b"airflow.executor.queued_tasks:3|g")
    story.alive = {}
    story.after(20)
    story.alive = {(A[0], 50000): 0}
    story.after(5)
    story.send((A[0], 50000), b"airflow.executor.queued_tasks:2|g")
    story.sees(100, whole=False)
    story.alive[A[0], 50000] = 97
    story.after(5).sees(100, whole=False)
    story.alive[A[0], 50000] = 104
    story.after(5).sees(107, whole=False)
    story.after(FORGET).sees(104, whole=True)


def test_a_crash_loop_does_not_pile_up():
    """Five restarts of one scheduler are still one scheduler's load."""
    story = settled(a=100, b=10)
    for port in range(50000, 50005):
        story.alive = {(A[0], port): 100, B: 10}
        story.after(60)
    story.sees(110, whole=False)


def test_a_second_scheduler_beside_a_living_one_is_no_successor():
    """Only who began after another had ended can have taken its place."""
    story = settled(a=100)
    story.alive[B] = 50
    story.after(5)
    del story.alive[A]
    story.after(30).sees(150, whole=False)


def test_a_stuck_scheduler_is_not_alive():
    """Gauges without the heartbeat it used to send are not to be trusted with a fall."""
    story = settled(a=30, b=12)
    for _ in range(20):
        story.now += 1
        story.alive = {B: 12}
        story.speak()
        story.send(A, b"airflow.executor.queued_tasks:0|g", b"airflow.executor.running_tasks:1|g")
    story.sees(13, whole=False)


def test_a_heartbeat_without_gauges_is_not_alive():
    """A stale value under a beating heart counts, and is not whole."""
    story = settled(a=30, b=12)
    del story.alive[A]
    for _ in range(20):
        story.after(1)
        story.send(A, b"airflow.scheduler_heartbeat:1|c")
    story.sees(42, whole=False)


def test_a_scheduler_known_by_its_heartbeat_alone_makes_the_sum_incomplete():
    """It runs something, and nobody has heard yet what."""
    story = settled(a=30)
    story.send(B, b"airflow.scheduler_heartbeat:1|c")
    story.sees(30, whole=False)


def test_a_backfill_has_no_heartbeat_and_counts():
    """In Airflow 2 it drives an executor of its own."""
    story = settled(a=30)
    for _ in range(2):
        story.after(1)
        story.send(C, b"airflow.executor.queued_tasks:1|g", b"airflow.executor.running_tasks:7|g")
    story.sees(38, whole=True)
    assert story.load().schedulers == 1


def test_without_any_heartbeat_there_is_no_reading():
    """Gauges alone could come from anything."""
    story = Story()
    story.send(A, b"airflow.executor.queued_tasks:1|g", b"airflow.executor.running_tasks:7|g")
    with pytest.raises(SourceError, match=r"no fresh airflow\.scheduler_heartbeat.*metrics_allow_list"):
        story.load()


def test_one_gauge_alone_is_not_whole():
    """The other packet was lost: what came counts as a beginning."""
    story = settled(b=12)
    story.send(A, b"airflow.scheduler_heartbeat:1|c", b"airflow.executor.running_tasks:7|g")
    story.sees(19, whole=False)


@pytest.mark.parametrize(
    "lines",
    [
        [b"airflow.executor.%s:%d|g", b"airflow.executor.%s.CeleryExecutor:%d|g"],
        [b"airflow.executor.%s.CeleryExecutor:%d|g", b"airflow.executor.%s:%d|g"],
        [b"airflow.executor.%s.CeleryExecutor:%d|g"],
        [b"airflow.executor.%s,status=queued,executor_class_name=CeleryExecutor:%d|g"],
        [b"airflow.executor.%s,status=queued,name=CeleryExecutor:%d|g"],
        [b"airflow.executor.%s:%d|g|#status:queued,executor_class_name:CeleryExecutor"],
        [b"airflow.executor.%s:%d|g|#status:queued,name:CeleryExecutor"],
        [b"airflow.executor.%s:%d|g"],
    ],
)
def test_every_form_counts_once(lines):
    """Airflow 3.3 sends the plain and the suffixed form of the same value."""
    story = Story()
    story.send(A, b"airflow.scheduler_heartbeat:1|c")
    for line in lines:
        story.send(A, line % (b"queued_tasks", 2), line % (b"running_tasks", 5))
    load = story.load()
    assert (load.queued, load.running) == (2, 5)


def test_of_several_executors_only_the_wanted_one_counts():
    """Kubernetes pods need no Celery worker."""
    story = Story()
    story.send(A, b"airflow.scheduler_heartbeat:1|c")
    for executor, running in ((b"KubernetesExecutor", 90), (b"CeleryExecutor", 5)):
        story.send(A, b"airflow.executor.queued_tasks.%s:0|g" % executor)
        story.send(A, b"airflow.executor.running_tasks.%s:%d|g" % (executor, running))
    assert story.load().running == 5
    assert story.load("KubernetesExecutor").running == 90


def test_another_executors_plain_form_is_not_ours():
    """With the class named beside it, the plain value is known to be the other's."""
    story = Story()
    story.send(A, b"airflow.scheduler_heartbeat:1|c")
    for what in (b"queued_tasks", b"running_tasks"):
        story.send(A, b"airflow.executor.%s:9|g" % what, b"airflow.executor.%s.LocalExecutor:9|g" % what)
    with pytest.raises(SourceError, match="gauges of LocalExecutor come, none of CeleryExecutor"):
        story.load()


def test_relative_gauges_move_the_last_value():
    """A client that sends a negative value sends 0 and then the difference."""
    story = Story()
    story.send(A, b"airflow.scheduler_heartbeat:1|c", b"airflow.executor.queued_tasks:4|g")
    story.send(A, b"airflow.executor.running_tasks:10|g\nairflow.executor.running_tasks:+3|g")
    story.send(A, b"airflow.executor.running_tasks:-5|g")
    assert story.load().running == 8


def test_a_change_of_an_unknown_value_is_no_value():
    """After a restart of ours +3 may mean 3 or 300."""
    story = Story()
    assert story.send(A, b"airflow.executor.running_tasks:+3|g") == [False]
    assert len(story.senders) == 0


def test_a_gauge_sent_as_a_counter_makes_no_sense():
    """Counters add up, gauges do not: a wrong kind is not guessed at."""
    story = Story()
    assert story.send(A, b"airflow.executor.running_tasks:3|c") == [False]


@pytest.mark.parametrize("lines", [[b"5|g", b"-8|g"], [b"1e308|g", b"+1e308|g"]])
def test_an_impossible_value_is_no_reading(lines):
    """Negative or infinite sums are never passed on."""
    story = settled(b=12)
    story.send(A, b"airflow.scheduler_heartbeat:1|c", b"airflow.executor.queued_tasks:0|g")
    for line in lines:
        story.send(A, b"airflow.executor.running_tasks:" + line)
    with pytest.raises(SourceError, match=r"10\.0\.0\.1 port 40001 says executor\.running_tasks = "):
        story.load()


def test_nothing_heard_is_no_reading():
    """Silence is not zero, and the message says what to set."""
    with pytest.raises(SourceError, match=r"no airflow\.executor gauge was heard in 30 s.*statsd_on"):
        Story().after(30).load()


@pytest.mark.parametrize(("prefix", "sent"), [("", b""), ("prod.airflow", b"prod.airflow.")])
def test_the_prefix_is_configurable(prefix, sent):
    """Airflow's own may be empty or dotted; other prefixes are other people's."""
    story = Story(prefix)
    story.send(B, b"other.executor.running_tasks:99|g")
    story.send(A, sent + b"scheduler_heartbeat:1|c", sent + b"executor.queued_tasks:1|g")
    story.send(A, sent + b"executor.running_tasks:2|g")
    load = story.load()
    assert load.queued + load.running == 3
    assert len(story.senders) == 1


def test_other_metrics_are_not_remembered():
    """Tasks and workers send from thousands of ports."""
    story = Story()
    for port in range(5000):
        story.send(("10.0.1.1", port), b"airflow.ti.start.d.t:1|c", b"airflow.pool.queued_slots:3|g")
    assert len(story.senders) == 0


def test_a_flood_of_senders_is_bounded_and_noticed():
    """Forged addresses cost no memory; a scheduler that found no room makes the sum incomplete."""
    story = settled(a=30)
    for port in range(MAX_SENDERS + 10):
        story.send(("10.9.9.9", port), b"airflow.scheduler_heartbeat:1|c")
    assert len(story.senders) == MAX_SENDERS
    story.sees(30, whole=False)
    story.after(100).sees(30, whole=False)
    story.after(FORGET).sees(30, whole=True)
    assert len(story.senders) == 1


def test_a_full_house_of_the_dead_makes_room():
    """Even with nobody alive to speak, newcomers are heard once the old ones are long silent."""
    story = Story()
    for port in range(MAX_SENDERS):
        story.send(("10.9.9.9", port), b"airflow.scheduler_heartbeat:1|c")
    story.after(FORGET + 1)
    story.alive = {A: 30}
    story.after(1).sees(30, whole=True)


def test_invented_executor_classes_are_bounded():
    """One sender cannot fill the memory with names."""
    story = settled(a=30)
    for number in range(100):
        story.send(A, b"airflow.executor.running_tasks.Executor%d:1|g" % number)
    assert len(story.senders._senders[A].gauges) == 32


def test_the_reading_is_as_old_as_its_oldest_living_part():
    """A sum is no fresher than what went into it."""
    story = settled(a=30, b=12)
    del story.alive[A]
    said_last = story.now
    story.after(9)
    assert story.load().at == said_last
