"""The `autoscaler` command.  Each subcommand imports what it needs when it needs it."""

from __future__ import annotations

import os
import sys

from autoscaler.cli import bound, config, daemon, planning, simulator, trace
from autoscaler.cli.common import EXIT_FAILED, app

__all__ = ["app", "bound", "config", "daemon", "main", "planning", "simulator", "trace"]


def main() -> None:
    """Runs the command; a broken pipe (`| head`) is no error."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
