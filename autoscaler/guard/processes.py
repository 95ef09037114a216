"""What a Celery worker holds, seen from beside it in one process namespace (`pidMode: task`).

Celery keeps a pool of processes, each named `[celeryd: NODE:ForkPoolWorker-N]`; since Airflow 3.3 one that
has run a task stays named `airflow supervisor: ID`.  For every task Airflow starts a child of such a process
(2.x: `airflow task supervisor`, 3.x: `airflow worker -- ID`), so one without a child is idle.  A task that
began and ended between two looks leaves a trace too: the page faults of a process's children are added to its
own count when they are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from autoscaler.guard.keeper import Work
from policies.model import Unavailable

POOL = r"ForkPoolWorker-\d+\]|^airflow supervisor: "
MOST_TITLE = 4096

# Positions after the name in /proc/PID/stat (proc(5), there counted from 1 and with the name: 4, 11, 13).
_PARENT, _CHILD_FAULTS, _CHILD_MAJOR_FAULTS = 1, 8, 10


class _Process(NamedTuple):
    parent: int
    reaped: tuple[int, int]
    """Changes whenever a child is gone."""


@dataclass(slots=True)
class Processes:
    """Looks at the worker's processes."""

    pattern: str = POOL
    """A regular expression that finds the pool's processes by their title."""
    folder: Path = Path("/proc")
    _before: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    async def look(self) -> Work | Unavailable:
        """What is held; unknown as long as no pool process is seen."""
        found = dict(self._listed())
        pool = {pid: each.reaped for pid, each in found.items() if re.search(self.pattern, self._title(pid))}
        before, self._before = self._before, pool
        if not pool:
            return Unavailable(
                f"no process like {self.pattern} is seen: the worker is starting or gone, or the guard does "
                'not share its process namespace (expected "pidMode": "task")'
            )
        tasks = sum(each.parent in pool for each in found.values())
        return Work(tasks, ended=any(before.get(pid, reaped) != reaped for pid, reaped in pool.items()))

    def _listed(self) -> Iterator[tuple[int, _Process]]:
        for entry in self.folder.iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                # The name, in brackets, may hold anything, brackets too.
                words = stat[stat.rindex(")") + 1 :].split()
                reaped = int(words[_CHILD_FAULTS]), int(words[_CHILD_MAJOR_FAULTS])
                yield int(entry.name), _Process(int(words[_PARENT]), reaped)
            except (OSError, ValueError, IndexError):
                continue  # it ended while we looked

    def _title(self, pid: int) -> str:
        try:
            with (self.folder / str(pid) / "cmdline").open("rb") as title:
                return title.read(MOST_TITLE).replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
