"""What happens to the daemon, its broker and its plans while the fleet goes in."""

import time

import anyio

from tests.e2e.daemon import consumes
from tests.e2e.scene import Scene

OUTAGE_SECONDS = 10.0
ATTEMPTS = 3


async def broker_outage(scene: Scene) -> None:
    """The broker goes away for ten seconds while long tasks run, and comes back with what it held.

    Nothing is being sent meanwhile: that Airflow itself would fail, whoever sizes its workers.
    """
    before, stopped_at = scene.fleet.desired, time.time()
    scene.say(f"the broker stops for {OUTAGE_SECONDS:g} s while 2 long tasks run on {before} workers")
    await scene.airflow.broker.stop()
    await anyio.sleep(OUTAGE_SECONDS)
    after = scene.fleet.desired
    await scene.airflow.broker.start()
    blind = await scene.daemon.says(
        "that it does not know who takes tasks",
        lambda record: "unknown" in str(record.decision.trail),
        stopped_at,
    )
    scene.check(after == before, f"without the broker nobody leaves: {blind.decision.reason.value}")


async def returning_demand(scene: Scene, *dags: str) -> None:
    """A worker's intake has been stopped, and before it leaves there is work again."""
    for _ in range(ATTEMPTS):
        begun = time.time()
        record = await scene.daemon.says(
            "that it stops an intake", lambda record: bool(record.decision.intake_stopped), begun
        )
        victim = min(record.decision.intake_stopped)
        desired = scene.fleet.desired
        await scene.airflow.trigger(*dags)
        later = await scene.daemon.says(
            "that the removal is undone or done",
            lambda record, victim=victim: victim not in record.decision.intake_stopped,
            record.at,
        )
        if scene.fleet.desired >= desired:
            back = await scene.daemon.says(
                "that the worker takes tasks again",
                lambda record, victim=victim: consumes(record, victim) == 1,
                later.at,
            )
            scene.check(
                True, f"returning demand aborts a scale-in: undone within {back.at - record.at:.0f} s"
            )
            return
        scene.say("the worker had left before the demand was seen: another try")
    scene.check(False, f"returning demand aborts a scale-in: not in {ATTEMPTS} tries")


async def death_of_the_daemon(scene: Scene, source: str, removal: str) -> None:
    """The daemon is killed while a worker's intake is stopped; its successor finds that worker."""
    record = await scene.daemon.says(
        "that an intake is stopped",
        lambda record: any(consumes(record, each) == 0 for each in record.decision.intake_stopped),
        time.time(),
    )
    await scene.daemon.kill()
    killed_at = time.time()
    left = next(each for each in record.decision.intake_stopped if consumes(record, each) == 0)
    scene.say("the daemon is killed (SIGKILL) while a worker takes no tasks")
    await scene.daemon.start(source, removal)
    await scene.daemon.says(
        "that it found the worker without intake", lambda record: consumes(record, left) == 0, killed_at
    )
    back = await scene.daemon.says(
        "that the worker takes tasks again", lambda record: consumes(record, left) == 1, killed_at
    )
    scene.check(True, f"its successor put the worker back to work {back.at - killed_at:.0f} s after")
