"""The model of `throughput.py` by others: given the fleet's timetable, each gives the start times."""

from __future__ import annotations

import heapq
import subprocess
from pathlib import Path

import numpy as np
from throughput_traces import SLOTS, TICK_SECONDS, Started

from simulations.trace import QUANTA_PER_SECOND, Trace


def by_heapq(trace: Trace, place: Path) -> Started:
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


def by_simpy(trace: Trace, place: Path) -> Started:
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


def by_ciw(trace: Trace, place: Path) -> Started:
    """A node with as many servers as there are slots, all the time: its timetables replace busy servers."""
    import ciw  # noqa: PLC0415

    slots = SLOTS * len(np.load(place / "fleet.npy"))
    gaps = [*np.diff(trace.queued_at, prepend=0.0).tolist(), float("inf")]
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential(gaps)],
        service_distributions=[ciw.dists.Sequential(trace.duration_seconds.tolist())],
        number_of_servers=[slots],
    )
    world = ciw.Simulation(network)
    world.simulate_until_max_customers(len(trace), method="Finish")
    records = sorted(world.get_all_records(), key=lambda record: record.id_number)
    return np.array([record.service_start_date for record in records]), 0


def by_cpp(trace: Trace, place: Path) -> tuple[float, int, np.ndarray]:
    """(seconds, peak KiB, start times) of the program beside, which was built into `place.parent`."""
    for name, column in (
        ("queued", trace.queued_at),
        ("duration", trace.duration_seconds),
        ("fleet", np.load(place / "fleet.npy")),
    ):
        (column * QUANTA_PER_SECOND).astype(np.int64).tofile(place / f"{name}.bin")
    tick = str(int(TICK_SECONDS * QUANTA_PER_SECOND))
    command = [str(place.parent / "near_limit"), str(place), str(SLOTS), tick]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    starts = np.fromfile(place / "started.bin", dtype=np.int64) / QUANTA_PER_SECOND
    return float(printed[0]), int(printed[1]), starts
