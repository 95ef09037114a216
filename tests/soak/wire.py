"""The AWS client library's own clients, whose requests end in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import AioSession
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from autoscaler.demo.ecs import EcsApi, Fault
from autoscaler.demo.ecs.api import HANGING, Answer
from autoscaler.fleets.ecs import EcsClients, ecs_clients
from tests.soak.clients import READ_SECONDS
from tests.soak.life import Life


class Loopback(HttpxSession):
    """In the place of an HTTP session: the request's bytes in, the answer's bytes out.

    One of httpx's family, because the library then sleeps and locks with anyio, and so on a virtual clock.
    """

    api: EcsApi
    life: Life

    def __init__(self, **_: Any) -> None:
        """Nothing is opened."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is closed."""

    async def close(self) -> None:
        """Nothing is closed."""

    async def send(self, request: AWSPreparedRequest) -> AioAWSResponse:
        """The answer, or what its fault raises."""
        await self.life.breath()
        target, body = request.headers["X-Amz-Target"], request.body
        target = target.decode() if isinstance(target, bytes) else target
        self.life.about_to(target.partition(".")[2])
        answer = self.api.answer(target, body.encode() if isinstance(body, str) else body)
        self.life.must_live()
        if isinstance(answer, Answer):
            return _Response(request.url, answer)
        assert isinstance(answer, Fault)
        if answer in HANGING:
            await anyio.sleep(READ_SECONDS)
            raise ReadTimeoutError(endpoint_url=request.url)
        raise ConnectionClosedError(endpoint_url=request.url)


class _Response(AioAWSResponse):
    """A whole answer."""

    def __init__(self, url: str, answer: Answer) -> None:
        headers = {"content-type": answer.media_type, "content-length": str(len(answer.body))}
        super().__init__(url, answer.status, headers, None)
        self._content = answer.body


class Session(AioSession):
    """Makes clients that speak to one loopback ECS."""

    def __init__(self, api: EcsApi, life: Life) -> None:
        super().__init__()
        self._loopback = type("Here", (Loopback,), {"api": api, "life": life})
        self.set_credentials("AKIALOOPBACK", "a-secret-of-no-worth")

    def create_client(self, *args: Any, config: AioConfig, **options: Any) -> Any:
        """As ever, over the loopback: connections have no arguments there."""
        own = AioConfig(
            http_session_cls=self._loopback,
            read_timeout=config.read_timeout,
            retries=config.retries,
        )
        return super().create_client(*args, config=own, **options)


@asynccontextmanager
async def wired_clients(api: EcsApi, life: Life) -> AsyncIterator[EcsClients]:
    """The fleet's own clients, made as the daemon makes them."""
    async with ecs_clients("us-east-1", session=Session(api, life)) as clients:
        yield clients
