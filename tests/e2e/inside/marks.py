"""Imported by Airflow's tasks: what each does is written where no Airflow needs to be believed.

A line when a task begins and a line when it ends, each written at once: a task that was killed has
no second line.
"""

import json
import os
import time
from pathlib import Path

FOLDER = Path(os.environ.get("E2E_MARKS", "."))


def hold(seconds: float, key: str) -> None:
    """Holds a slot for so long."""
    host = os.environ["HOSTNAME"]
    _write("begin", key, host)
    time.sleep(seconds)
    _write("end", key, host)


def hold_unevenly(long_seconds: str, short_seconds: float, key: str, spread: str) -> None:
    """Holds a slot for long if it is the run's first on its worker, and else not for long.

    So soon every worker holds just one task, wherever the broker sent them.
    """
    try:
        (FOLDER / f"{spread} {os.environ['HOSTNAME']}").touch(exist_ok=False)
    except FileExistsError:
        hold(short_seconds, key)
    else:
        hold(float(long_seconds), key)


def _write(what: str, key: str, host: str) -> None:
    line = json.dumps({"what": what, "task": key, "host": host, "pid": os.getpid(), "at": time.time()})
    with (FOLDER / "marks").open("ab", buffering=0) as marks:
        marks.write(f"{line}\n".encode())
