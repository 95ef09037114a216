"""The `autoscaler` command.  Each subcommand imports what it needs when it needs it."""

from __future__ import annotations

import gc
import os
import sys

from autoscaler.cli import (
    audit,
    bound,
    config,
    daemon,
    guard,
    ordering,
    planning,
    replaying,
    simulator,
    trace,
)
from autoscaler.cli.common import EXIT_FAILED, app

__all__ = [
    "app", "audit", "bound", "config", "daemon", "guard", "main", "ordering", "planning", "replaying",
    "simulator", "trace",
]  # fmt: skip

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's 700 would look for garbage hundreds of times while modules are loaded, all of which stay: a
sixth of the time that a short command takes.  Garbage may so grow to some 10 MB before it is found."""


def main() -> None:
    """Runs the command; a broken pipe (`| head`) is no error."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    finally:
        gc.freeze()  # else the interpreter's end looks through all that was loaded once more
