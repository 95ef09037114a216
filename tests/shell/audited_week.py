"""A week of a small Airflow that ended just now: every hour a burst of tasks, and what they waited."""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

TASKS_A_RUN, SECONDS_A_TASK, WAIT_SECONDS = 12, 300, 20


async def busy_week(airflow, *, runs=160, queue="default"):
    """Each hour, the last two hours ago, a run of `TASKS_A_RUN` tasks side by side, and one that follows."""
    now = datetime.now(UTC)  # noqa: TID251 - an audit looks back from now
    first = now - timedelta(hours=runs + 1)
    rows, tasks = [], []
    for number in range(runs):
        begins = first + timedelta(hours=number)
        rows.append(_run(f"r{number}", begins))
        tasks += [_task(f"r{number}", f"t{each}", begins, queue) for each in range(TASKS_A_RUN)]
        later = begins + timedelta(seconds=WAIT_SECONDS + SECONDS_A_TASK + 2)
        tasks.append(_task(f"r{number}", "last", later, queue))
    for each in (*rows, *tasks):
        each["dag_id"] = f"hourly-{queue}"
    version = uuid.uuid5(uuid.NAMESPACE_DNS, queue)
    for each in tasks:
        each["dag_version_id"] = version
    edges = {f"t{each}": ["last"] for each in range(TASKS_A_RUN)} | {"last": []}
    wrapped = [
        {"__var": {"task_id": task, "downstream_task_ids": below}, "__type": "operator"}
        for task, below in edges.items()
    ]
    dag = {
        "id": uuid.uuid4(),
        "dag_id": f"hourly-{queue}",
        "data": {"__version": 3, "dag": {"tasks": wrapped, "task_group": {}}},
        "data_compressed": None,
        "dag_version_id": version,
        "created_at": first,
        "last_updated": first,
        "dag_hash": "hash",
    }
    async with airflow.engine.begin() as connection:
        for table, values in (("dag_run", rows), ("serialized_dag", [dag]), ("task_instance", tasks)):
            known = set(airflow.tables[table].c.keys())
            fit = [{name: value for name, value in row.items() if name in known} for row in values]
            await connection.execute(sa.insert(airflow.tables[table]), fit)


def _run(run, begins):
    return {
        "run_id": run,
        "run_type": "scheduled",
        "state": "success",
        "queued_at": begins,
        "start_date": begins,
        "end_date": begins + timedelta(minutes=30),
        "logical_date": begins,
        "run_after": begins,
        "data_interval_start": begins - timedelta(hours=1),
        "data_interval_end": begins,
    }


def _task(run, task, queued, queue):
    started = queued + timedelta(seconds=WAIT_SECONDS)
    return {
        "id": uuid.uuid4(),
        "run_id": run,
        "task_id": task,
        "map_index": -1,
        "try_number": 1,
        "state": "success",
        "queue": queue,
        "pool": "default_pool",
        "pool_slots": 1,
        "priority_weight": 1,
        "operator": "BashOperator",
        "scheduled_dttm": queued,
        "queued_dttm": queued,
        "start_date": started,
        "end_date": started + timedelta(seconds=SECONDS_A_TASK),
        "hostname": "",
    }
