"""Imported by Airflow: a worker's name as its container would have it."""

import os


def name() -> str:
    """Airflow's `[core] hostname_callable`."""
    return os.environ.get("HOSTNAME", "scheduler")
