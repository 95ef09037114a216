"""The AWS clients that all ECS fleets of one daemon share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError

from autoscaler.aws import BoundedSession
from autoscaler.ports import FleetError

if TYPE_CHECKING:
    from types_aiobotocore_application_autoscaling import ApplicationAutoScalingClient
    from types_aiobotocore_ecs import ECSClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
CONNECTIONS = 50
"""Open at a time and client; more targets than that take turns."""


@dataclass(frozen=True, slots=True)
class EcsClients:
    """Reader and writer are apart because a write is never repeated."""

    reader: ECSClient
    writer: ECSClient
    scaling: ApplicationAutoScalingClient


@asynccontextmanager
async def ecs_clients(
    region: str | None,
    endpoint_url: str | None = None,
    *,
    session: AioSession | None = None,
    read_seconds: float = READ_SECONDS,
) -> AsyncIterator[EcsClients]:
    """The clients, open until the context ends.  Region None: the one of the environment.

    A read is tried twice.  A write is tried once: when its answer is lost it may have been applied, so
    the service is described again before anything else is written.  Each write has a connection of its
    own: one kept open since the last write may be closed by the other side at the very moment it is
    used, and then nobody knows what became of the write.  `session`: to share credentials
    with other clients; `read_seconds`: how long an answer may take, per attempt.  Raises `FleetError`
    if there is no region or no usable configuration.
    """
    session = session or get_session()

    def config(attempts: int) -> AioConfig:
        return AioConfig(
            http_session_cls=BoundedSession,
            connector_args={"force_close": True, "keepalive_timeout": None} if attempts == 1 else None,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=CONNECTIONS,
            # adaptive mode would slow reads for minutes after a throttled call
            retries={"total_max_attempts": attempts, "mode": "standard"},
        )

    async with AsyncExitStack() as stack:
        try:
            reader, writer, scaling = [
                await stack.enter_async_context(
                    session.create_client(
                        service, region_name=region, endpoint_url=endpoint_url, config=config(attempts)
                    )
                )
                for service, attempts in (("ecs", 2), ("ecs", 1), ("application-autoscaling", 2))
            ]
        except (BotoCoreError, ValueError) as error:
            remedy = "set aws.region (or AWS_REGION), and aws.endpoint_url only if you need one"
            raise FleetError(f"the AWS clients cannot be made: {error}; {remedy}") from None
        yield EcsClients(reader, writer, scaling)
