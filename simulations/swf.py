"""The Standard Workload Format of the Parallel Workloads Archive: one job a line, 18 numbers.

https://www.cs.huji.ac.il/labs/parallel/workload/swf.html; -1 stands for what is not known.
"""

from __future__ import annotations

import math
import re

from simulations.trace import TraceError

FIELDS = 18
MOST = 1e11
"""No number of a job is larger, be it Unix seconds or bytes of memory in kB."""
JOB, SUBMIT, WAIT, RUN, PROCESSORS, USER, QUEUE, PRECEDING = 0, 1, 2, 3, 4, 11, 14, 16


def swf_rows(source: str, text: str) -> tuple[list[dict[str, object]], int]:
    """(rows of a trace, number of jobs that never ran).  A job is one task of one slot.

    A user's jobs make a group, the preceding job is the parent; with `UnixStartTime` in the header
    instants are Unix seconds.  Raises `TraceError`.
    """
    found = re.search(r"^;\s*UnixStartTime:\s*(\d+)", text, re.MULTILINE)
    starts_at = float(found[1]) if found else 0.0
    if starts_at > MOST:
        raise TraceError(f"{source}: UnixStartTime: expected Unix seconds, got {found and found[1]}")
    jobs = [
        _job(source, number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith(";")
    ]
    ran = [job for job in jobs if job[RUN] >= 0]
    known = {job[JOB] for job in ran}
    rows: list[dict[str, object]] = [
        {
            "task_key": f"{job[JOB]:.0f}",
            "queued_at": starts_at + job[SUBMIT],
            "duration_s": job[RUN],
            "queue": f"{job[QUEUE]:.0f}" if job[QUEUE] >= 0 else None,
            "group": f"user-{job[USER]:.0f}" if job[USER] >= 0 else None,
            "parents": f"{job[PRECEDING]:.0f}" if job[PRECEDING] in known else None,
            "wait_s": job[WAIT] if job[WAIT] >= 0 else None,
        }
        for job in ran
    ]
    return rows, len(jobs) - len(ran)


def _job(source: str, number: int, line: str) -> list[float]:
    words = line.split()
    if len(words) != FIELDS:
        raise TraceError(f"{source}: line {number}: expected {FIELDS} numbers, got {len(words)} words")
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(abs(value) <= MOST for value in values):
        raise TraceError(f"{source}: line {number}: expected {FIELDS} numbers, got {line.strip()[:60]!r}")
    return values
