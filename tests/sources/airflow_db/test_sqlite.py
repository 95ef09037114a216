"""What may be wrong with a file."""

import anyio
import pytest
import sqlalchemy as sa

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db import Timeouts, diagnose
from tests.sources.airflow_db.world import AirflowWorld

pytestmark = pytest.mark.anyio


async def read_error(airflow):
    source = airflow.source()
    with pytest.raises(SourceError) as raised:
        await source.target().demand()
    return str(raised.value)


async def test_a_wrong_path_makes_no_new_database(tmp_path):
    """SQLite would create an empty one, which would look idle."""
    path = tmp_path / "airflow.db"
    said = await read_error(AirflowWorld(f"sqlite:///{path}", "3"))
    assert said.startswith(f"sqlite:///{path}: the file cannot be opened")
    assert not path.exists()


async def test_another_kind_of_file_is_refused(tmp_path):
    """With its name."""
    path = tmp_path / "airflow.db"
    path.write_bytes(b"no database at all" * 100)
    assert "the file is no SQLite database" in await read_error(AirflowWorld(f"sqlite:///{path}", "3"))


async def test_an_empty_file_is_not_an_idle_airflow(tmp_path):
    """No tables, no zero."""
    path = tmp_path / "airflow.db"
    path.touch()
    assert "there is no table job" in await read_error(AirflowWorld(f"sqlite:///{path}", "3"))


async def test_another_program_s_database_is_refused(tmp_path):
    """A table of the right name is not yet Airflow's."""
    path = tmp_path / "airflow.db"
    path.touch()
    airflow = AirflowWorld(f"sqlite:///{path}", "3")
    await airflow.execute("CREATE TABLE job (id INTEGER, job_type TEXT, state TEXT, latest_heartbeat TEXT)")
    await airflow.execute("CREATE TABLE task_instance (name TEXT)")
    await airflow.scheduler()
    assert "check that the URL names the database of an Airflow" in await read_error(airflow)
    source = airflow.source()
    wrong = [finding.what for finding in await diagnose(source) if not finding.ok]
    await source.aclose()
    assert len(wrong) == 1
    assert "task_instance has no column" in wrong[0]


async def test_an_upgrade_under_a_running_daemon_is_noticed(tmp_path):
    """The executor column arrives; Kubernetes' tasks are left out from then on."""
    path = tmp_path / "airflow.db"
    path.touch()
    airflow = AirflowWorld(f"sqlite:///{path}", "2.11")
    await airflow.create()
    await airflow.empty()
    await airflow.tasks(1, "queued", silent=None)
    await airflow.execute("ALTER TABLE task_instance RENAME COLUMN executor TO not_yet")
    source = airflow.source()
    assert str((await source.snapshot()).schema) == "Airflow 2.5 to 2.9"
    await airflow.execute("ALTER TABLE task_instance RENAME COLUMN not_yet TO executor")
    assert str((await source.snapshot()).schema) == "Airflow 2.10 or 2.11"
    await source.aclose()


async def test_the_source_cannot_write(tmp_path):
    """The file is opened for reading alone."""
    path = tmp_path / "airflow.db"
    path.touch()
    source = AirflowWorld(f"sqlite:///{path}", "3").source()

    async def write(session):
        await session.connection.execute(sa.text("CREATE TABLE mine (name TEXT)"))

    with pytest.raises(SourceError, match="readonly database"):
        await source.transaction(write)
    await source.aclose()


async def test_credentials_that_never_come_are_given_up(tmp_path):
    """Somebody's provider may hang too."""
    source = AirflowWorld(f"sqlite:///{tmp_path}/a.db", "3").source(
        credentials=anyio.sleep_forever, timeouts=Timeouts(connect_seconds=0.05)
    )
    with pytest.raises(SourceError, match=r"credentials could not be had within 0.05 s"):
        await source.snapshot()
