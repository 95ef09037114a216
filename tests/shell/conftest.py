"""What daemons run against: an Airflow's database on a real PostgreSQL, and a loopback ECS."""

import pytest

from autoscaler.demo.ecs import ServiceSpec, running_ecs
from tests.servers.postgres import postgres
from tests.sources.airflow_db.world import AirflowWorld


@pytest.fixture(scope="module")
def server():
    with postgres() as server:
        yield server


@pytest.fixture
async def airflow(server):
    """An empty Airflow with one living scheduler."""
    world = AirflowWorld(server.url(), "3")
    await world.create()
    await world.empty()
    return world


@pytest.fixture
async def ecs():
    async with running_ecs(ServiceSpec(desired=1, launch_seconds=0.1)) as ecs:
        yield ecs
