"""The guard's judgement: what starts, works, worked a moment ago or cannot be seen into stays protected."""

from dataclasses import dataclass, field

import pytest

from autoscaler.guard.keeper import Memory, Order, Protection, Rules, Work, is_ours, protected, released, step
from autoscaler.guard.lease import MOST_QUEUES, Leases
from policies.model import Unavailable

IDLE, BUSY, DOUBT = Work(0), Work(2), Unavailable("nobody sees")
RULES = Rules(idle_seconds=60, expires_minutes=60, start_anyway_seconds=120)
T0 = 1_800_000_000.0


@dataclass
class Story:
    """Moves the clock by hand; the agent does what it is told unless `refuses`."""

    at: float = T0
    refuses: bool = False
    memory: Memory = field(default_factory=lambda: Memory(T0))

    def sees(self, work, after=0.0, **also):
        self.at += after
        self.memory, order = step(RULES, self.memory, self.at, work, **also)
        if not self.refuses:
            if order is Order.PROTECT:
                self.memory = protected(self.memory, self.at + RULES.expires_minutes * 60)
            elif order is Order.RELEASE:
                self.memory = released(self.memory)
        return order


def test_the_worker_is_protected_before_it_starts():
    """Nothing is known yet, and that is reason enough; only then the worker may start."""
    story = Story()
    assert not story.memory.ready
    assert story.sees(DOUBT) is Order.PROTECT
    assert story.memory.ready


def test_an_agent_that_refuses_does_not_hold_the_start_up_for_ever():
    """An unprotected worker beats no worker; and it is tried on."""
    story = Story(refuses=True)
    assert story.sees(DOUBT) is Order.PROTECT
    assert story.sees(DOUBT, after=119) is Order.PROTECT
    assert not story.memory.ready
    assert story.sees(DOUBT, after=1) is Order.PROTECT
    assert story.memory.ready
    assert story.sees(BUSY, after=1) is Order.PROTECT


def test_it_is_released_only_after_a_whole_idle_spell():
    story = Story()
    story.sees(BUSY)
    assert story.sees(IDLE, after=10) is Order.KEEP
    assert story.sees(IDLE, after=59) is Order.KEEP
    assert story.sees(IDLE, after=1) is Order.RELEASE
    assert story.sees(IDLE, after=1000) is Order.KEEP


@pytest.mark.parametrize(
    "interruption", [BUSY, DOUBT, Work(0, ended=True)], ids=["work", "doubt", "short task"]
)
def test_any_interruption_begins_the_spell_anew(interruption):
    """A doubtful reading is no idleness, and a task that came and went between two looks was work."""
    story = Story()
    story.sees(BUSY)
    story.sees(IDLE, after=10)
    assert story.sees(interruption, after=55) is Order.PROTECT
    assert story.sees(IDLE, after=1) is Order.KEEP
    assert story.sees(IDLE, after=59) is Order.KEEP
    assert story.sees(IDLE, after=1) is Order.RELEASE


def test_new_work_is_protected_anew_even_while_a_protection_lasts():
    """Somebody may have ended it meanwhile."""
    story = Story()
    story.sees(BUSY)
    assert story.sees(BUSY, after=1) is Order.KEEP
    story.sees(IDLE, after=1)
    assert story.sees(BUSY, after=1) is Order.PROTECT
    assert story.sees(BUSY, after=1) is Order.KEEP


def test_a_protection_is_renewed_when_half_of_it_is_over():
    story = Story()
    story.sees(BUSY)
    assert story.sees(BUSY, after=1799) is Order.KEEP
    assert story.sees(DOUBT, after=1) is Order.PROTECT
    assert story.memory.until == story.at + 3600


def test_a_refused_renewal_is_tried_again_and_what_stands_is_remembered():
    story = Story()
    story.sees(BUSY)
    until = story.memory.until
    story.refuses = True
    assert story.sees(BUSY, after=1800) is Order.PROTECT
    assert story.sees(BUSY, after=1) is Order.PROTECT
    assert story.memory.until == until
    story.refuses = False
    story.sees(IDLE, after=1)
    assert story.sees(IDLE, after=60) is Order.RELEASE


def test_a_refused_release_is_tried_again():
    story = Story()
    story.sees(BUSY)
    story.sees(IDLE, after=1)
    story.refuses = True
    assert story.sees(IDLE, after=60) is Order.RELEASE
    assert story.sees(IDLE, after=1) is Order.RELEASE


def test_a_guard_that_was_restarted_beside_an_idle_worker_protects_it_for_a_spell():
    story = Story()
    assert story.sees(IDLE) is Order.PROTECT
    assert story.sees(IDLE, after=30) is Order.KEEP
    assert story.sees(IDLE, after=30) is Order.RELEASE


def test_a_long_spell_outlasts_a_short_protection():
    """The protection is renewed within the spell."""
    story = Story()
    story.sees(BUSY)
    rules = Rules(idle_seconds=7200, expires_minutes=60)
    memory, _ = step(rules, story.memory, T0 + 1, IDLE)
    assert step(rules, memory, T0 + 1799, IDLE)[1] is Order.KEEP
    assert step(rules, memory, T0 + 1800, IDLE)[1] is Order.PROTECT


def test_before_an_intake_is_resumed_an_idle_worker_is_protected():
    story = Story()
    story.sees(BUSY)
    story.sees(IDLE, after=1)
    story.sees(IDLE, after=60)
    assert story.sees(IDLE, after=600, must_hold=True) is Order.PROTECT
    assert story.memory.covered
    assert story.sees(IDLE, after=1) is Order.KEEP
    assert story.sees(IDLE, after=60) is Order.RELEASE


def test_a_protection_of_somebody_else_is_not_ours_to_release():
    """It ends at another time than the one we set."""
    story = Story()
    story.sees(BUSY)
    assert is_ours(story.memory, Protection(story.memory.until + 1))
    assert not is_ours(story.memory, Protection(story.memory.until + 600))


def test_a_stopped_intake_is_a_lease():
    """Renewed by being said again; over when nobody says it any more; gone when it is resumed."""
    leases = Leases().stopped("default", 0.0).stopped("other", 0.0).stopped("default", 100.0)
    assert leases.ended(599.0, 600.0) == ()
    assert leases.ended(600.0, 600.0) == ("other",)
    assert leases.resumed("other").ended(699.0, 600.0) == ()
    assert leases.ended(700.0, 600.0) == ("default", "other")
    assert leases.resumed("never stopped") == leases


def test_what_was_said_while_nobody_listened_counts_as_said():
    leases = Leases().stopped("default", 0.0).renewed(500.0)
    assert leases.ended(1099.0, 600.0) == ()
    assert leases.ended(1100.0, 600.0) == ("default",)


def test_an_intake_that_is_found_stopped_has_a_whole_lease():
    """And what is known already is not prolonged by being found."""
    leases = Leases().stopped("default", 0.0).missing(["default", "other"], 300.0)
    assert leases.said_at == {"default": 0.0, "other": 300.0}


def test_nobody_can_fill_the_memory_with_queues():
    leases = Leases()
    for number in range(MOST_QUEUES + 10):
        leases = leases.stopped(f"queue-{number}", 0.0)
    assert len(leases.said_at) == MOST_QUEUES
    assert leases.stopped("queue-0", 5.0).said_at["queue-0"] == 5.0
