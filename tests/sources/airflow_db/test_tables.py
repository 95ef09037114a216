"""The restated tables are Airflow's own."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from autoscaler.demo.airflow_tables import AIRFLOW_2, AIRFLOW_3

DUMPS = Path(__file__).parents[3].parent / "shared" / "data" / "airflow"
NAMES = {"dag", "dag_run", "job", "serialized_dag", "slot_pool", "task_instance", "task_instance_history"}
TYPES = {
    "character varying": "varchar",
    "timestamp with time zone": "timestamp with time zone",
    "double precision": "float",
}


def ours(metadata):
    """(table, column) -> type, whether it must be given a value, whether it has a default."""
    return {
        (table.name, column.name): (
            column.type.compile(dialect=postgresql.dialect()).lower(),
            not column.nullable,
            column.server_default is not None,
        )
        for table in metadata.tables.values()
        for column in table.columns
    }


def indexes(metadata):
    return {index.name for table in metadata.tables.values() for index in table.indexes}


def dumped(text):
    columns = {}
    for table, body in re.findall(r"CREATE TABLE public\.(\w+) \((.*?)\n\);", text, re.DOTALL):
        for line in body.strip().splitlines():
            name, rest = line.strip().rstrip(",").split(" ", 1)
            kind = re.split(r" NOT NULL| DEFAULT", rest)[0]
            for theirs, mine in TYPES.items():
                kind = kind.replace(theirs, mine)
            columns[table, name] = (kind, "NOT NULL" in rest, "DEFAULT" in rest)
    return columns


@pytest.mark.parametrize(("file", "metadata"), [("schema-2x.sql", AIRFLOW_2), ("schema-3x.sql", AIRFLOW_3)])
def test_they_equal_a_dump_of_a_real_airflow(file, metadata):
    """Column by column, index by index, constraint by constraint."""
    if not (DUMPS / file).exists():
        pytest.skip(f"{DUMPS / file} is not here")
    text = (DUMPS / file).read_text(encoding="utf-8")
    assert ours(metadata) == dumped(text)
    assert indexes(metadata) == set(re.findall(r"CREATE INDEX (\w+)", text))
    constraints = {each.name for table in metadata.tables.values() for each in table.constraints if each.name}
    assert constraints <= set(re.findall(r"ADD CONSTRAINT (\w+)", text))


@pytest.mark.parametrize("metadata", [AIRFLOW_2, AIRFLOW_3])
def test_what_every_release_has_in_common(metadata):
    """The tables, and the indexes without which a poll would read all of Airflow's past."""
    assert set(metadata.tables) == NAMES
    assert {"ti_state", "idx_job_state_heartbeat", "job_type_heart", "ti_pool"} <= indexes(metadata)


def test_what_tells_the_generations_apart():
    """Keys, heartbeats, executors."""
    two, three = (metadata.tables["task_instance"] for metadata in (AIRFLOW_2, AIRFLOW_3))
    assert [column.name for column in two.primary_key] == ["dag_id", "task_id", "run_id", "map_index"]
    assert [column.name for column in three.primary_key] == ["id"]
    assert isinstance(three.c.id.type, sa.Uuid)
    assert set(two.c.keys()) - set(three.c.keys()) == {"job_id"}
    assert {"last_heartbeat_at", "scheduled_dttm"} <= set(three.c.keys()) - set(two.c.keys())
    assert "executor" in two.c
    assert (
        "execution_date" in AIRFLOW_2.tables["dag_run"].c,
        "run_after" in AIRFLOW_3.tables["dag_run"].c,
    ) == (
        True,
        True,
    )
