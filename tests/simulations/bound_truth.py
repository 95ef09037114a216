"""The truth about tiny worlds by trying everything, and a check of schedules, both from the rules alone."""

from __future__ import annotations

from itertools import product


def waits(queued_at, duration, edges, starts):
    """How long each task waited in the queue; None if one starts too early."""
    waited = []
    for task, start in enumerate(starts):
        ends = [starts[parent] + duration[parent] for parent, child in edges if child == task]
        waited.append(start - max([queued_at[task], *ends]))
    return None if min(waited) < 0 else waited


def fits(shift, slots_per_worker):
    """Whether a worker can hold (from, to, slots) at once; `to` is free again."""
    return all(
        sum(slots for begin, end, slots in shift if begin <= at < end) <= slots_per_worker
        for at, _, _ in shift
    )


def divisions(things):
    """All ways to divide things into groups."""
    if not things:
        yield []
        return
    first, *rest = things
    for groups in divisions(rest):
        yield [[first], *groups]
        for place, group in enumerate(groups):
            yield [*groups[:place], [first, *group], *groups[place + 1 :]]


def least_worker_seconds(
    queued_at,
    duration,
    slots_per_worker,
    max_wait,
    *,
    launch,
    slots=None,
    edges=(),
    tail=0,
    minimum=0,
    excused=0,
    excused_wait=0,
):
    """The cheapest fleet over all starts at whole seconds and all divisions of tasks among workers.

    At most `excused` tasks wait longer than `max_wait`, up to `excused_wait`.
    """
    tasks = range(len(queued_at))
    slots = slots or [1] * len(queued_at)
    longest = excused_wait if excused else max_wait
    best = float("inf")
    horizon = [
        range(queued_at[task], 1 + queued_at[task] + depth(task, edges, duration, queued_at, longest))
        for task in tasks
    ]
    for starts in product(*horizon):
        waited = waits(queued_at, duration, edges, starts)
        if waited is None or max(waited) > longest or sum(wait > max_wait for wait in waited) > excused:
            continue
        for groups in divisions(list(tasks)):
            cost = 0
            for group in groups:
                shift = [(starts[task], starts[task] + duration[task] + tail, slots[task]) for task in group]
                if not fits(shift, slots_per_worker):
                    break
                ready = min(starts[task] for task in group)
                stop = max(starts[task] + duration[task] for task in group)
                cost += max(minimum, launch + stop - ready)
            else:
                best = min(best, cost)
    return best


def depth(task, edges, duration, queued_at, longest):
    """How far after its `queued_at` a task may start at most."""
    parents = [parent for parent, child in edges if child == task]
    if not parents:
        return longest
    ends = [
        queued_at[parent] + depth(parent, edges, duration, queued_at, longest) + duration[parent]
        for parent in parents
    ]
    return max(queued_at[task], *ends) + longest - queued_at[task]


def broken_rule(trace, service, max_wait, schedule):
    """The first rule that a schedule breaks, in words; None if it keeps all."""
    tail, limit = service.slot_tail_seconds, service.slots_per_worker
    start = schedule.started_at.tolist()
    end = (schedule.started_at + trace.duration_seconds).tolist()
    queued = trace.queued_at.tolist()
    for parent, child in zip(trace.edge_parent.tolist(), trace.edge_child.tolist(), strict=True):
        queued[child] = max(queued[child], end[parent] + float(trace.delay_seconds[child]))
    events = []
    for task, worker in enumerate(schedule.worker.tolist()):
        if not trace.slots[task]:
            if (start[task], worker) != (queued[task], -1):
                return f"task {task} needs no worker, is queued at {queued[task]} and starts at {start[task]}"
            continue
        if not queued[task] <= start[task] <= queued[task] + max_wait:
            return f"task {task} is queued at {queued[task]} and starts at {start[task]}"
        if not schedule.ready_at[worker] <= start[task] <= end[task] <= schedule.stopped_at[worker]:
            return f"task {task} runs on worker {worker} while that is not there"
        slots = int(trace.slots[task])
        # A task of no length and no tail takes a slot at an instant, of which many make no more than one.
        if end[task] + tail > start[task]:
            events += [(start[task], slots, worker), (end[task] + tail, -slots, worker)]
    taken = [0] * len(schedule.ready_at)
    for _, slots, worker in sorted(events):
        taken[worker] += slots
        if taken[worker] > limit:
            return f"worker {worker} holds {taken[worker]} slots"
    return None
