"""Kills what the loopback ECS left behind, run as a script of its own.

Reads `+PID` and `-PID` lines; at the end of its input, which is the server's end however it came, it
kills the sessions that are left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path


def watch() -> None:
    """Keeps the list until the input ends, then kills."""
    left: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            left.add(pid)
        else:
            left.discard(pid)
    for pid in left:
        end_session(pid)


def end_session(pid: int) -> None:
    """Kills a session by its leader's id: its process group, and the groups that others in it have made.

    A container's end takes them all.  Without /proc (not on Linux) only the leader's group is found.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    killed: set[int] = set()
    while left := _members(pid) - killed:  # again, for what was forked meanwhile
        for member in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
        killed |= left


def _members(session: int) -> set[int]:
    """The living processes of a session."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # After the name, which may hold anything: state, parent, group, session.
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state not in "ZX":
                found.add(int(folder.name))
    return found


if __name__ == "__main__":
    watch()
