import pytest

from tests.intake.brokers import rabbitmq, redis


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session", params=[redis, rabbitmq], ids=["redis", "rabbitmq"])
def broker(request):
    with request.param() as broker:
        yield broker
