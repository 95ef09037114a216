"""A Celery worker as Airflow configures its own; its tasks hold a slot until a file appears."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("worker", broker=os.environ["BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue="default",
    task_ignore_result=True,
    task_publish_retry=False,
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "1")),
)


@app.task(name="hold")
def hold(folder: str, token: str) -> None:
    """Runs in a process of its own, as Airflow's tasks do; `token` stands for the one that they carry."""
    assert token
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    place = Path(folder)
    with (place / "begun").open("a") as begun:
        begun.write("1\n")
    while not (place / "may end").exists():
        time.sleep(0.02)
    (place / "ended").touch()
    os._exit(0)
