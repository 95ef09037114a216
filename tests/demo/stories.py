"""Made-up stories, and a play short enough for a test."""

from autoscaler.demo.load import Fate
from autoscaler.demo.play import Outcome
from autoscaler.demo.real_daemon import Choice
from autoscaler.demo.script import Script, Wave
from autoscaler.demo.story import Sample, Story, WorkerState, WorkerView

SHORT = Script(
    waves=(Wave(at_seconds=0.5, tasks=20, over_seconds=0.5, task_seconds=1.5),),
    max_workers=3,
    launch_seconds=1.0,
    warm_up_seconds=1.0,
    idle_seconds=2.0,
    quiet_seconds=0.5,
    limit_seconds=120.0,
)


def workers(running=0, pending=0, stopping=0, busy_slots=0) -> tuple[WorkerView, ...]:
    counts = {WorkerState.RUNNING: running, WorkerState.PENDING: pending, WorkerState.STOPPING: stopping}
    states = [state for state, count in counts.items() for _ in range(count)]
    return tuple(
        WorkerView(f"ip-10-0-0-{number}.ec2.internal", state, busy_slots)
        for number, state in enumerate(states, 1)
    )


def sample(seconds, tasks=(0, 0, 0), desired=1, fleet=None) -> Sample:
    """`tasks`: queued, running, finished."""
    return Sample(seconds, *tasks, desired, workers(1) if fleet is None else fleet)


def choice(seconds, current, desired, reason="demand") -> Choice:
    return Choice(seconds, current, desired, reason, f"policy 4.5 demand > bounds 3 {reason} (maximum 3)")


def out_and_back() -> Story:
    """20 tasks, 1 to 3 workers, as it should be; it starts at the instant 0."""
    story = Story(SHORT, tasks=20, started_at=0.0)
    story.add(sample(0), [choice(0, 1, None, "waiting_for_idle")])
    story.add(sample(1, (16, 4, 0), 3, workers(1, pending=2)), [choice(1, 1, 3, "at_maximum")])
    story.add(sample(2, (8, 12, 0), 3, workers(3, busy_slots=4)), [choice(2, 3, 3, "at_maximum")])
    story.add(sample(4, (0, 0, 20), 3, workers(3)), [choice(4, 3, None, "waiting_for_idle")])
    story.add(sample(7, (0, 0, 20), 1, workers(1, stopping=2)), [choice(7, 3, 1, "at_minimum")])
    story.add(sample(8, (0, 0, 20), 1, workers(1)), [])
    return story


def outcome(story: Story | None = None, lost: int = 0) -> Outcome:
    """Waits of 0.1 to 2.0 s."""
    fates = [Fate(number > lost, number / 10) for number in range(1, 21)]
    return Outcome(story or out_and_back(), fates, (1, 3, 1), worker_seconds=20.0)
