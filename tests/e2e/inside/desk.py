"""Run by Airflow 2.11's Python: carries out the orders that appear in a folder.

python desk.py FOLDER
"""

import json
import sys
import time
from pathlib import Path

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.pool import Pool

POLL_SECONDS = 0.05


def serve(folder: Path) -> None:
    """Until it is ended."""
    (folder / "open").touch()
    while True:
        for path in sorted(folder.glob("*.json")):
            carry_out(json.loads(path.read_text()))
            path.unlink()
        time.sleep(POLL_SECONDS)


def carry_out(order: dict) -> None:
    """Makes pools, or one run."""
    for name, slots in order.get("pools", {}).items():
        Pool.create_or_update_pool(name, slots, "", include_deferred=False)
    if "dag" in order:
        trigger_dag(order["dag"], run_id=order["run"], conf=order["conf"], replace_microseconds=False)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
