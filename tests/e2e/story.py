"""The story: what the fleet goes through, and what must hold at every turn."""

import math
import time

from tests.e2e.accidents import broker_outage, death_of_the_daemon, returning_demand
from tests.e2e.broker import PASSWORD
from tests.e2e.daemon import MAX_WORKERS, MIN_WORKERS, SLOTS
from tests.e2e.scene import Run, Scene
from tests.e2e.verdict import counted, interrupted, marked
from tests.e2e.waiting import until

FINISH_SECONDS = 240.0
GATHERED_SECONDS, KILLED_SECONDS = 20.0, 45.0
"""How long the long tasks of an uneven load are: in run 3 longer than a worker is given to stop."""

SECRETS = (PASSWORD, "eyJ")
"""The broker's password, and how the tokens begin that Airflow 3 sends its tasks."""


async def with_accidents(scene: Scene) -> None:
    """Out and in by the metadata database, where only idle workers leave; three accidents on the way in."""
    start, first = time.time(), len(scene.airflow.runs)
    scene.fleet.launches.clear()
    scene.say("run 1: demand from the metadata database, removal of idle workers, accidents")
    await scene.daemon.start("airflow_db", "idle")
    await scene.airflow.trigger("chain", "fan", "pooled", "mapped", "burst", "burst")
    await fully_out(scene)
    await until_only_running(scene, 2 * SLOTS)
    await scene.airflow.trigger("long")
    await until_only_running(scene, 2)
    await broker_outage(scene)
    await returning_demand(scene, "burst", "long")
    await death_of_the_daemon(scene, "airflow_db", "idle")
    await back_to_the_minimum(scene)
    await told(scene, "database", start, first)


async def without_accidents(scene: Scene) -> None:
    """Out and in by StatsD, where busy workers are gathered: they run dry and leave."""
    scene.say("run 2: demand from StatsD, work gathered on fewer workers")
    await scene.daemon.stop()
    start, first = time.time(), len(scene.airflow.runs)
    scene.fleet.launches.clear()
    await scene.daemon.start("statsd", "gather")
    await scene.airflow.trigger("burst", "burst")
    await fully_out(scene)
    await scene.airflow.trigger("uneven", long_seconds=GATHERED_SECONDS)
    await back_to_the_minimum(scene)
    drained = len(scene.daemon.drained(start))
    scene.check(drained, f"workers with work were gathered: {drained} took no more tasks and ran dry")
    await told(scene, "statsd", start, first)
    await scene.daemon.stop()
    scene.fleet.set_desired(MAX_WORKERS)  # for run 3: its workers start while the figures are made


async def without_the_protocol(scene: Scene) -> None:
    """The same uneven load under a writer who knows the formula and nothing else: tasks must die."""
    scene.say("run 3: no daemon; a writer sets the size to (queued + running) / slots, and that is all")
    before = len(scene.fleet.killed)
    await scene.fleet.until_ready(MAX_WORKERS)
    await scene.airflow.trigger("uneven", long_seconds=KILLED_SECONDS)
    run = scene.airflow.runs[-1]
    tasks = MAX_WORKERS * SLOTS

    async def all_run() -> bool:
        begun, _ = marked(scene.airflow.marks)
        return sum(key.split()[1] == run for key in begun) == tasks

    async def nothing_is_left() -> bool:
        states = await scene.airflow.states()
        load = states.get("queued", 0) + states.get("running", 0)
        scene.fleet.set_desired(min(scene.fleet.desired, max(MIN_WORKERS, math.ceil(load / SLOTS))))
        return not scene.fleet.alive(run, scene.airflow.marks)

    scene.check(await until(all_run, FINISH_SECONDS), f"{tasks} tasks have begun, on all slots")
    await until(nothing_is_left, FINISH_SECONDS)
    died = interrupted(scene.airflow.marks, run)
    killed = len(scene.fleet.killed) - before
    what = f"without the protocol tasks are killed: {len(died)} of {tasks}, with {killed} workers"
    scene.check(died and killed, what)


async def fully_out(scene: Scene) -> None:
    """The fleet has grown to its maximum."""
    begun = time.time()
    await scene.fleet.until_ready(MAX_WORKERS)
    scene.say(f"{MAX_WORKERS} workers of {SLOTS} slots take tasks, {time.time() - begun:.0f} s later")


async def until_only_running(scene: Scene, tasks: int) -> None:
    """At most so many tasks run, and none waits for anything: Airflow sends nothing to the broker."""

    async def quiet() -> bool:
        states = await scene.airflow.states()
        return states.keys() <= {"success", "running"} and states.get("running", 0) <= tasks

    if not await until(quiet, FINISH_SECONDS):
        scene.check(False, f"at most {tasks} tasks run and none waits: {await scene.airflow.states()}")


async def until_finished(scene: Scene) -> None:
    """All DAG runs have ended."""

    async def finished() -> bool:
        return not await scene.airflow.unfinished_runs()

    if not await until(finished, FINISH_SECONDS):
        scene.check(False, f"all DAG runs end within {FINISH_SECONDS:g} s: {await scene.airflow.states()}")


async def back_to_the_minimum(scene: Scene) -> None:
    """All runs have ended and all workers but the fewest have left."""
    await until_finished(scene)
    scene.say("all DAG runs have ended")

    async def lowered() -> bool:
        return scene.fleet.desired == MIN_WORKERS

    await until(lowered, FINISH_SECONDS)
    await scene.fleet.until_settled()


async def told(scene: Scene, name: str, start: float, first: int) -> None:
    """The verdict on a run."""
    end, counts = time.time(), await counted(scene.airflow, scene.airflow.runs[first:])
    scene.check(counts.perfect, f"every task ran exactly once to success: {counts}")
    for each in counts.odd:
        scene.say(f"      {each}")
    scene.check(not counts.interrupted, "no task was interrupted")
    killed = len(scene.fleet.killed)
    scene.check(not killed, f"every worker that left ended by itself ({killed} killed)")
    size = len(scene.fleet.staying)
    scene.check(size == scene.fleet.desired == MIN_WORKERS, f"the fleet is at its minimum: {size}")
    scene.check(not scene.daemon.leaked(SECRETS), "no password and no task's token is in the daemon's log")
    configuration = scene.daemon.configuration.read_text()
    used = scene.fleet.worker_seconds(start, end)
    launches = tuple(scene.fleet.launches)
    scene.runs.append(Run(name, start, end, configuration, counts, used, launches))
