"""Stories of removals beside another writer: a second daemon, an operator, a service that refuses."""

from autoscaler.core.guards import Bounds
from autoscaler.core.removal import SafeRemoval
from policies.model import Reason, Refused, Unknown
from tests.core.clock import NOON, told
from tests.core.test_removal import ROLLING, lowered, ready, rolling, seen, three


def left(busy=0, **columns):
    """Workers a and c, of which a holds work."""
    return seen([5, 0, busy], without="b", **columns)


def released(clock):
    """Up to where c, protected while b left, is the next that is ready, and its protection is ended."""
    lowered(clock).sees(5, workers=left(protected="ac")).expects(None, Reason.DRAINING, stopped="c")
    for _ in range(2):
        clock.after(10).sees(5, workers=left(stopped="c", protected="ac"))
    return clock.expects(None, Reason.DRAINING, stopped="c", released="c").after(10)


def test_whom_another_daemon_protects_goes_back_to_work():
    """It means to give work to the worker that we have prepared; the protection is not ours to end."""
    clock = ready(three())
    clock.sees(5, workers=seen([5, 0, 0], stopped="b", protected="abc")).expects(None, Reason.RESUMING)


def test_a_protection_that_returns_after_it_was_ended_is_somebody_elses():
    clock = released(three())
    clock.sees(5, workers=left(stopped="c", protected="ac")).expects(None, Reason.RESUMING)


def test_a_protection_whose_end_was_refused_is_ended_again():
    """A look later: until then it may be somebody else's after all."""
    clock = released(three()).wrote(Refused(None, "throttled"))
    for once in ("", "c"):
        clock.sees(5, workers=left(stopped="c", protected="ac"))
        clock.expects(None, Reason.DRAINING, stopped="c", released=once).after(10)


def test_nothing_is_lowered_while_a_protection_may_still_end():
    """Without an answer it may end late, and then of a worker that takes tasks again."""
    clock = released(three()).wrote(Unknown(None, "no answer"))
    bare = left(stopped="c", protected="a")
    clock.sees(5, workers=bare).expects(None, Reason.WRITE_UNCONFIRMED, stopped="c")
    clock.after(50).sees(5, workers=bare).expects(None, Reason.WRITE_UNCONFIRMED, stopped="c")
    clock.after(10).sees(5, workers=bare).expects(1, stopped="c")


def test_a_leaving_worker_that_another_daemon_gave_work_is_protected():
    """Another one leaves for it."""
    clock = lowered(three())
    clock.sees(15, workers=seen([5, 2, 0], protected="ac")).expects(None, stopped="c", protected="b")
    clock.after(10).sees(15, workers=seen([5, 2, 0], protected="abc"))
    clock.expects(None, Reason.DRAINING, stopped="c")


def test_of_more_workers_than_desired_only_an_empty_one_is_let_go():
    """Another daemon protected it and gave it work before the end of its protection was heard."""
    clock = told(desired=2, way_in=SafeRemoval())
    listed = {"protected": "abc", "protected_until": NOON + 3000}
    clock.sees(15, workers=seen([9, 6, 0], **listed)).expects(None, stopped="c")
    for _ in range(2):
        clock.after(10).sees(15, workers=seen([9, 6, 0], stopped="c", **listed))
    clock.expects(None, stopped="c", released="c").wrote(Refused(None, "throttled"))
    clock.after(10).sees(15, workers=seen([9, 6, 1], stopped="c", **listed)).expects(None, stopped="c")
    clock.after(10).sees(15, workers=seen([9, 6, 1], stopped="c", **listed)).expects(None, stopped="c")
    clock.after(10).sees(15, workers=seen([9, 6, 0], stopped="c", **listed))
    clock.expects(None, stopped="c", released="c")


def test_the_size_goes_back_before_a_protection_ends_that_is_not_renewed():
    """Fewer are desired than are protected, and so ECS renews nothing; it would stop whoever comes first."""
    clock = told(desired=2, way_in=SafeRemoval())
    held = {"protected": "abc", "protected_until": NOON + 900}
    clock.sees(25, desired=3, workers=seen([9, 6, 5], **held)).expects(None)
    clock.sees(15, desired=2, workers=seen([6, 5, 4], **held)).after(10)
    clock.sees(15, workers=seen([6, 5, 4], **held)).expects(None).after(minutes=5)
    clock.sees(15, workers=seen([6, 5, 4], **held)).expects(None, protected="abc").after(minutes=5)
    clock.sees(15, workers=seen([6, 5, 4], **held))
    clock.expects(3, Reason.WORKERS_HELD, protected="abc")


def test_hands_off_the_size_is_not_hands_off_whoever_holds_work():
    """Its protection is renewed while fewer are desired than listed; nobody is protected anew for that."""
    clock = told(desired=2, way_in=SafeRemoval())
    contested = {"contested_by": "Application Auto Scaling"}
    short = seen([6, 0, 4, 0], protected="abc", protected_until=NOON + 500)
    clock.sees(15, workers=short, capacity=contested).expects(None, Reason.CONTESTED, protected="ac")


def test_so_it_does_for_protections_that_another_daemon_has_set():
    clock = told(desired=2, way_in=SafeRemoval())
    held = {"protected": "abc", "protected_until": NOON + 4000}
    clock.sees(15, workers=seen([6, 5, 4], **held)).expects(None).after(minutes=60)
    clock.sees(15, workers=seen([6, 5, 4], **held)).expects(None, protected="abc").after(minutes=2)
    clock.sees(15, workers=seen([6, 5, 4], **held)).expects(3, Reason.WORKERS_HELD, protected="abc")


def test_the_size_never_goes_back_above_the_maximum():
    clock = told(desired=2, way_in=SafeRemoval(), bounds=Bounds(1, 2))
    for end in (NOON + 900, NOON + 200):
        clock.sees(15, workers=seen([6, 5, 4], protected="abc", protected_until=end)).after(10)
    clock.expects(None, Reason.AT_MAXIMUM, protected="abc")


def test_the_size_may_go_out_while_more_are_listed_than_desired():
    """Four are there, two are desired, and three are enough."""
    clock = told(desired=2, way_in=SafeRemoval())
    held = {"protected": "abcd", "protected_until": NOON + 3000}
    clock.sees(25, workers=seen([9, 9, 7, 0], **held)).expects(3, Reason.DEMAND, stopped="d")


def test_during_a_deployment_busy_workers_of_the_new_one_are_protected_too():
    """A second deployment may follow at any moment, and ECS stops whom it likes among the older ones."""
    clock = three()
    clock.sees(25, capacity=ROLLING, workers=rolling([9, 9, 9, 7, 0], "abc"))
    clock.expects(None, Reason.DEMAND, stopped="ab", protected="abcd")
