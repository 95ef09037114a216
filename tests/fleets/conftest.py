from collections.abc import AsyncIterator

import pytest
from aiobotocore.session import AioSession, get_session

from autoscaler.demo.ecs import Fault, LoopbackEcs, ServiceSpec, running_ecs
from autoscaler.fleets.ecs import EcsClients, EcsFleet, ecs_clients
from tests.fleets.hand_clock import HandClock

PATIENT_SECONDS = 30.0
"""A busy machine's slow answer is no fault, and must not be read twice."""
IMPATIENT_SECONDS = 0.3


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Nothing of the machine's own AWS configuration takes part."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALOOPBACK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-no-worth")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def ecs(clock) -> AsyncIterator[LoopbackEcs]:
    """Three workers of one service, running; time stands still unless moved."""
    async with running_ecs(ServiceSpec(desired=3, launch_sigma=0), clock=clock, seed=1) as ecs:
        clock.after(minutes=2)
        ecs.world.advance()
        yield ecs


@pytest.fixture(scope="session")
def aws_session() -> AioSession:
    """Reads the service models once."""
    return get_session()


@pytest.fixture
def answer_seconds(request) -> float:
    """A test whose `fault` gives no answer at all does not wait for one."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    hangs = parameters.get("fault") in {Fault.HANG, Fault.HANG_AFTER}
    return IMPATIENT_SECONDS if hangs else PATIENT_SECONDS


@pytest.fixture
async def clients(ecs, aws_session, answer_seconds) -> AsyncIterator[EcsClients]:
    async with ecs_clients("us-east-1", ecs.url, session=aws_session, read_seconds=answer_seconds) as clients:
        yield clients


@pytest.fixture
def fleet(clients, clock) -> EcsFleet:
    return EcsFleet(clients, "demo", "workers", clock=clock)
