"""Rows of Airflow's database that no Airflow wrote: a load, or one line."""

import contextlib
import sqlite3
import time
from datetime import UTC, datetime

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import AirflowDatabase
from autoscaler.sources.airflow_db.credentials import fixed
from autoscaler.sources.airflow_db.reading import MOST_ROWS, MOST_TEXT
from policies.model import Busy, Demand
from tests.hostile.laws import must_be_told_well

COLUMNS = {
    "job": ("id", "state", "job_type", "latest_heartbeat"),
    "task_instance": (
        *("task_id", "dag_id", "run_id", "map_index", "try_number", "state", "queue", "executor", "hostname"),
        *("queued_dttm", "start_date", "last_heartbeat_at", "dag_version_id"),
    ),
}


def now(seconds=0.0):
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def task(**values):
    return {"state": "running", "queue": "default", "hostname": "a", "last_heartbeat_at": now()} | values


def database(path, jobs, tasks):
    """A SQLite file with such rows; its columns have no type."""
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as made, made:
        for table, rows in (("job", jobs), ("task_instance", tasks)):
            made.execute(f"CREATE TABLE {table} ({', '.join(COLUMNS[table])})")
            for row in rows:
                marks = ", ".join("?" * len(row))
                made.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def scheduler(**values):
    return {"state": "running", "job_type": "SchedulerJob", "latest_heartbeat": now()} | values


async def seen(path):
    """(demand, who is busy)."""
    source = AirflowDatabase(fixed(f"sqlite:///{path}"), lambda: 1000.0)
    try:
        target = source.target()
        return await target.demand(), await target.busy()
    finally:
        await source.aclose()


def test_the_good_rows_are_understood(tmp_path):
    """What all others here are changes of."""
    database(tmp_path / "a.db", [scheduler()], [task(), task(state="queued", queued_dttm=now(-60))])
    demand, busy = anyio.run(seen, tmp_path / "a.db")
    assert (demand.queued, demand.running, busy.slots_by_host) == (1.0, 1.0, {"a": 1})


odd = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        [
            "",
            "running",
            "queued",
            "x" * (MOST_TEXT + 1),
            "\x1b[2J",
            "a\nb",
            "9999-12-31 23:59:59",
            "0000-00-00",
            "-5000-01-01",
        ]
    ),
    st.floats(-4000, 4000).map(now),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    jobs=st.lists(
        st.builds(scheduler, latest_heartbeat=odd, state=st.sampled_from(["running", "failed"])), max_size=2
    ),
    tasks=st.lists(
        st.dictionaries(st.sampled_from(COLUMNS["task_instance"]), odd, max_size=3).map(
            lambda odd: task(**odd)
        ),
        max_size=4,
    ),
)
def test_rows_of_any_content(tmp_path, jobs, tasks):
    """NULL, other types, other encodings, clocks that jump: a credible load or none."""
    database(tmp_path / "a.db", [*jobs, scheduler()], tasks)
    try:
        demand, busy = anyio.run(seen, tmp_path / "a.db")
    except SourceError as error:
        must_be_told_well(str(error).replace(str(tmp_path), ""))
    else:
        assert isinstance(demand, Demand)
        assert isinstance(busy, Busy)
        assert demand.queued >= 0
        assert demand.running >= 0
        assert demand.oldest_wait_seconds >= 0
        assert sum(busy.slots_by_host.values()) <= len(tasks)


def test_a_heartbeat_from_another_time_is_no_heartbeat(tmp_path):
    """A clock that was set ahead or back, an instant that is none."""
    for beat in (now(3600), now(-3600), "soon", b"\xff", None, 10**18):
        database(tmp_path / "a.db", [scheduler(latest_heartbeat=beat)], [task()])
        with pytest.raises(SourceError) as refused:
            anyio.run(seen, tmp_path / "a.db")
        must_be_told_well(str(refused.value).replace(str(tmp_path), ""))


def test_more_hosts_than_there_are_is_no_load(tmp_path):
    """What is kept of a reading has an end."""
    database(
        tmp_path / "a.db", [scheduler()], [task(hostname=f"h{number}") for number in range(MOST_ROWS + 1)]
    )
    with pytest.raises(SourceError, match="tasks of more than 20,000 hosts"):
        anyio.run(seen, tmp_path / "a.db")


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\x00" + b"\xff" * 5000, b"x" * 100_000], ids=range(3)
)
def test_a_file_that_is_no_database(tmp_path, content):
    """Empty, broken, something else."""
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(SourceError) as refused:
        anyio.run(seen, tmp_path / "a.db")
    must_be_told_well(str(refused.value).replace(str(tmp_path), ""))
