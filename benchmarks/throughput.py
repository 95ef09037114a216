"""Tasks a second: ours against SimPy, plain heapq and C++ -O3, on one model with the same start times.

The model: first in, first out; one slot a task, five slots a worker, the lowest worker first; a mean of
200 busy slots; ticks of 30 s; launches around 59 s.  Our run with the whole controller (`mwaa`, when idle)
makes the fleet's timetable; everybody else is given it.  Every figure is from loaded arrays to start
times, the best of three, each in a process of its own.

    python benchmarks/throughput.py [--ten-million] [--quick]

Exits 1 where start times differ.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from policies.mwaa import Mwaa, ScaleIn
from simulations.kernel import Kernel
from simulations.run import simulate
from simulations.service import ServiceModel
from simulations.trace import QUANTA_PER_SECOND, Trace, trace_of

SEED, SLOTS, TICK_SECONDS, BUSY_SLOTS, MEAN_SECONDS = 2026, 5, 30.0, 200, 30.0
BEST_OF = 3
SIMPY_TASKS_AT_MOST = 1_000_000
HERE = Path(__file__)


def plain(tasks: int) -> Trace:
    rng = np.random.default_rng(SEED)
    queued_at = np.cumsum(rng.exponential(MEAN_SECONDS / BUSY_SLOTS, tasks))
    return trace_of(queued_at, 1 + rng.exponential(MEAN_SECONDS - 1, tasks), starts_at=0.0, keys=range(tasks))


def dag(tasks: int) -> Trace:
    """Runs of ten: one, then eight side by side, then one that waits for them."""
    rng = np.random.default_rng(SEED)
    runs = tasks // 10
    starts = np.cumsum(rng.exponential(10 * MEAN_SECONDS / BUSY_SLOTS, runs))
    first = 10 * np.arange(runs)[:, None]
    middle = first + np.arange(1, 9)
    parents = np.concatenate([np.broadcast_to(first, middle.shape).ravel(), middle.ravel()])
    children = np.concatenate([middle.ravel(), np.broadcast_to(first + 9, middle.shape).ravel()])
    length = 1 + rng.exponential(MEAN_SECONDS - 1, 10 * runs)
    keys = range(10 * runs)
    return trace_of(np.repeat(starts, 10), length, edges=(parents, children), starts_at=0.0, keys=keys)


def month(tasks: int) -> Trace:
    """A fifth of the tasks, which is 6,700 a day where the others have a million."""
    rng, tasks = np.random.default_rng(SEED), tasks // 5
    queued_at = np.sort(rng.uniform(0, 30 * 86_400, tasks))
    return trace_of(queued_at, 1 + rng.exponential(300, tasks), starts_at=0.0, keys=range(tasks))


def controller(scale_in: ScaleIn) -> Controller:
    return Controller(Mwaa(SLOTS, scale_in), GuardChain(Bounds(1, 100)), Watch(SLOTS, 100))


def whole(
    trace: Trace, place: Path, scale_in: ScaleIn = ScaleIn.WHEN_IDLE, tick: float = TICK_SECONDS
) -> tuple[np.ndarray, int]:
    """Ours with the whole controller; leaves the fleet's timetable behind."""
    result = simulate(trace, controller(scale_in), ServiceModel(SLOTS), SEED, tick_seconds=tick)
    np.save(place / "fleet.npy", np.stack([result.created_at, result.ready_at, result.stopped_at], axis=1))
    return result.started_at, result.ticks


def kernel(trace: Trace, place: Path) -> tuple[np.ndarray, int]:
    """Ours without a controller: a look every tick, then workers come and go by the timetable."""
    fleet = np.load(place / "fleet.npy").tolist()
    world, at, ticks = Kernel(trace, slots_per_worker=SLOTS), 0.0, 0
    seen, coming, leaving = 0, deque(fleet), []
    while world.unfinished:
        world.advance(at)
        seen += world.queued_slots
        while coming and coming[0][0] <= at:
            _, ready_at, stopped_at = coming.popleft()
            heapq.heappush(leaving, (stopped_at, world.launch(ready_at)))
        while leaving and leaving[0][0] <= at:
            world.stop(heapq.heappop(leaving)[1])
        at, ticks = at + TICK_SECONDS, ticks + 1
    return world.started_at, ticks


def by_heapq(trace: Trace, place: Path) -> tuple[np.ndarray, int]:
    """With one slot a task, who starts when depends on how many slots there are, not on where."""
    end, ready, stopped, look = range(4)
    queued, lengths = [*trace.queued_at.tolist(), float("inf")], trace.duration_seconds.tolist()
    starts, arrived, head, free, left = [0.0] * len(trace), 0, 0, 0, len(trace)
    events = [(0.0, look)]
    for _, ready_at, stopped_at in np.load(place / "fleet.npy").tolist():
        events += [(ready_at, ready), (stopped_at, stopped)]
    heapq.heapify(events)
    ticks = 0
    while left:
        at = queued[arrived]
        if at < events[0][0] or (at == events[0][0] and events[0][1] > ready):
            arrived += 1
        else:
            at, kind = heapq.heappop(events)
            if kind == end:
                free, left = free + 1, left - 1
            elif kind == look:
                ticks += 1
                heapq.heappush(events, (at + TICK_SECONDS, look))
            else:
                free += SLOTS if kind == ready else -SLOTS
        while head < arrived and free:
            starts[head] = at
            heapq.heappush(events, (at + lengths[head], end))
            free, head = free - 1, head + 1
    return np.array(starts), ticks


def by_simpy(trace: Trace, place: Path) -> tuple[np.ndarray, int]:
    """A process a task, as its documentation teaches; slots are a container."""
    import simpy  # noqa: PLC0415

    world = simpy.Environment()
    slots, starts, ticks = simpy.Container(world), [0.0] * len(trace), 0
    done, left = world.event(), len(trace)

    def task(row: int, length: float):  # noqa: ANN202
        nonlocal left
        yield slots.get(1)
        starts[row] = world.now
        yield world.timeout(length)
        slots.put(1)
        left -= 1
        if not left:
            done.succeed()

    def arrivals():  # noqa: ANN202
        columns = zip(trace.queued_at.tolist(), trace.duration_seconds.tolist(), strict=True)
        for row, (at, length) in enumerate(columns):
            yield world.timeout(at - world.now)
            world.process(task(row, length))

    def worker(ready_at: float, stopped_at: float):  # noqa: ANN202
        yield world.timeout(ready_at)
        yield slots.put(SLOTS)
        yield world.timeout(stopped_at - ready_at)
        yield slots.get(SLOTS)

    def looks():  # noqa: ANN202
        nonlocal ticks
        while True:
            ticks += 1
            yield world.timeout(TICK_SECONDS)

    for _, ready_at, stopped_at in np.load(place / "fleet.npy").tolist():
        world.process(worker(ready_at, stopped_at))
    world.process(arrivals())
    world.process(looks())
    world.run(done)
    return np.array(starts), ticks


def by_cpp(trace: Trace, place: Path) -> dict[str, object]:
    for name, column in (
        ("queued", trace.queued_at),
        ("duration", trace.duration_seconds),
        ("fleet", np.load(place / "fleet.npy")),
    ):
        (column * QUANTA_PER_SECOND).astype(np.int64).tofile(place / f"{name}.bin")
    tick = str(int(TICK_SECONDS * QUANTA_PER_SECOND))
    best, peak = float("inf"), 0.0
    for _ in range(BEST_OF):
        command = [str(place.parent / "near_limit"), str(place), str(SLOTS), tick]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        best, peak = min(best, float(printed[0])), int(printed[1]) / 1024
    starts = np.fromfile(place / "started.bin", dtype=np.int64) / QUANTA_PER_SECOND
    return {"seconds": best, "peak_mib": peak, "ticks": 0, "starts": fingerprint(starts)}


def fingerprint(starts: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(starts).tobytes()).hexdigest()[:12]


@dataclass(frozen=True)
class Row:
    name: str
    run: object
    trace: object = plain
    options: tuple = ()
    same_starts: bool = True


ROWS = {
    "whole": Row("ours, whole controller, mwaa", whole),
    "kernel": Row("ours, kernel alone", kernel),
    "cpp": Row("C++ -O3, winner tree", by_cpp),
    "heapq": Row("plain heapq", by_heapq),
    "simpy": Row("SimPy, a process a task", by_simpy),
    "continuous": Row("ours, continuous scale-in", whole, plain, (ScaleIn.CONTINUOUS,), same_starts=False),
    "dag": Row("ours, DAG runs, mwaa", whole, dag, same_starts=False),
    "month": Row(
        "ours, 30 days at 10 s, a fifth", whole, month, (ScaleIn.WHEN_IDLE, 10.0), same_starts=False
    ),
}


def measure(what: str, tasks: int, place: Path) -> dict[str, object]:
    row = ROWS[what]
    trace = row.trace(tasks)
    if row.run is by_cpp:
        return by_cpp(trace, place)
    slow, scratch = what in {"simpy", "heapq"}, place / "warm-up"
    scratch.mkdir(exist_ok=True)
    if not slow:  # compiled code is loaded, not timed
        whole(plain(1000), scratch)
    gc.collect()
    gc.freeze()
    best = float("inf")
    for _ in range(1 if slow and tasks >= 1_000_000 else BEST_OF):
        before = perf_counter()
        starts, ticks = row.run(trace, place if row.same_starts else scratch, *row.options)
        best = min(best, perf_counter() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": best, "peak_mib": peak, "ticks": ticks, "starts": fingerprint(starts)}


def in_own_process(what: str, tasks: int, place: Path) -> dict[str, object]:
    command = [sys.executable, str(HERE), "--one", what, str(tasks), str(place)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(tasks: int, names: list[str], directory: Path) -> bool:
    """Prints one size; whether all start times are the same."""
    place = directory / str(tasks)
    place.mkdir()
    columns = f"{'seconds':>9}{'M tasks/s':>11}{'x SimPy':>9}{'x C++':>8}{'peak MiB':>10}  start times"
    print(f"\n{f'{tasks:,} tasks':34}{columns}")
    found = {name: in_own_process(name, tasks, place) for name in names}
    seconds = {name: float(each["seconds"]) for name, each in found.items()}
    for name, each in found.items():
        took = seconds[name]
        rate = len(ROWS[name].trace(10)) / 10 * tasks / took
        comparable = ROWS[name].trace is plain
        simpy = f"{seconds['simpy'] / took:.1f}" if comparable and "simpy" in seconds else "-"
        cpp = f"{took / seconds['cpp']:.2f}" if comparable and "cpp" in seconds else "-"
        print(
            f"{ROWS[name].name:34}{took:>9.3f}{rate / 1e6:>11.3f}{simpy:>9}{cpp:>8}"
            f"{each['peak_mib']:>10.0f}  {each['starts'] if ROWS[name].same_starts else '(own)'}"
            f"{'  ' + format(each['ticks'], ',') + ' ticks' if each['ticks'] else ''}"
        )
    return len({each["starts"] for name, each in found.items() if ROWS[name].same_starts}) == 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ten-million", action="store_true", help="the largest size too (without SimPy)")
    parser.add_argument("--quick", action="store_true", help="only the smallest size")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, tasks, place = options.one
        print(json.dumps(measure(what, int(tasks), Path(place))))
        return 0
    sizes = [10_000] if options.quick else [10_000, 100_000, 1_000_000]
    sizes += [10_000_000] if options.ten_million else []
    compiler, same = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"), True
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if compiler is None:
            print("no C++ compiler found: that row is left out")
        else:
            source = HERE.with_suffix(".cpp")
            command = [compiler, "-O3", "-march=native", "-std=c++17", "-o", directory / "near_limit", source]
            subprocess.run(command, check=True)
        for tasks in sizes:
            left_out = {"cpp"} if compiler is None else set()
            left_out |= {"simpy"} if tasks > SIMPY_TASKS_AT_MOST else set()
            left_out |= {"month"} if tasks != 1_000_000 else set()
            same &= compare(tasks, [name for name in ROWS if name not in left_out], directory)
    print("\nstart times are the same" if same else "\nSTART TIMES DIFFER")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
