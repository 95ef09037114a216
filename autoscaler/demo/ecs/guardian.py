"""Kills what the loopback ECS left behind, run as a script of its own.

Reads `+PID` and `-PID` lines; at the end of its input, which is the server's end however it came, it
kills the process groups that are left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


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
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    watch()
