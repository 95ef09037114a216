"""The ECS clients in the same process: values in, values out, with every fault but the wire's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from autoscaler.demo.ecs import EcsApi, Fault
from autoscaler.demo.ecs.api import HANGING
from autoscaler.demo.ecs.model import ApiError
from autoscaler.fleets.ecs import EcsClients
from tests.soak.life import Life

READ_SECONDS = 5.0
URL = "https://ecs.us-east-1.amazonaws.com"


def raised(operation: str, error: ApiError) -> ClientError:
    """What botocore makes of an error answer."""
    said: Any = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status},
    }
    return ClientError(said, operation)


class InProcess:
    """One client: `attempts` tries a call, as botocore's own would."""

    def __init__(self, api: EcsApi, service: str, attempts: int, life: Life) -> None:
        self._api, self._service, self._attempts, self._life = api, service, attempts, life

    async def _call(self, operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
        for left in reversed(range(self._attempts)):
            try:
                return await self._tried(operation, request)
            except ClientError as error:
                final = error.response["ResponseMetadata"]["HTTPStatusCode"] < 500  # type: ignore[typeddict-item]
                if not left or (final and error.response["Error"]["Code"] != "ThrottlingException"):
                    raise
            except (ConnectionClosedError, ReadTimeoutError):
                if not left:
                    raise
            await anyio.sleep(0.5)
        raise AssertionError("unreachable")

    async def _tried(self, operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
        await self._life.breath()
        self._life.about_to(operation)
        try:
            answer = self._api.perform(f"{self._service}:{operation}", request)
        except ApiError as error:
            raise raised(operation, error) from None
        self._life.must_live()
        if not isinstance(answer, Fault):
            return answer
        if answer in HANGING:
            await anyio.sleep(READ_SECONDS)
            raise ReadTimeoutError(endpoint_url=URL)
        raise ConnectionClosedError(endpoint_url=URL)

    async def describe_services(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("DescribeServices", request)

    async def list_tasks(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("ListTasks", request)

    async def describe_tasks(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("DescribeTasks", request)

    async def get_task_protection(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("GetTaskProtection", request)

    async def update_task_protection(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("UpdateTaskProtection", request)

    async def update_service(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("UpdateService", request)

    async def describe_scalable_targets(self, **request: Any) -> Mapping[str, Any]:
        return await self._call("DescribeScalableTargets", request)


@asynccontextmanager
async def in_process(api: EcsApi, life: Life) -> AsyncIterator[EcsClients]:
    """Clients for one daemon."""
    parts = [InProcess(api, "ecs", 2, life), InProcess(api, "ecs", 1, life)]
    scaling = InProcess(api, "application-autoscaling", 2, life)
    yield EcsClients(*(cast("Any", each) for each in (*parts, scaling)))
