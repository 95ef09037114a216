"""A lease that is an item of a DynamoDB table, taken and renewed by conditional writes.

The leader counts a beat at each confirmation.  Whoever has seen the same epoch and beat for the whole
expiry, by its own steady clock, may take the item, on condition that both are still the same.  No two
clocks are ever compared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from autoscaler.aws import BoundedSession
from autoscaler.fleets.ecs.calls import failure
from autoscaler.ports import Leads, LeaseError, LeaseLostError, StandsBy

RELEASE_SECONDS = 2.0
"""Longer than this a leader that stops waits for nobody; the lease then expires."""
_NAMES = {"#owner": "owner", "#epoch": "epoch", "#beat": "beat"}


@dataclass(frozen=True, slots=True)
class _Item:
    owner: str
    epoch: int
    beat: int


class DynamodbLease:
    """The item `lease/NAME` of a table whose partition key is the string `lease`."""

    def __init__(
        self,
        table: str,
        name: str,
        owner: str,
        expiry_seconds: float,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self._table = table
        self._key = {"lease": {"S": f"lease/{name}"}}
        self._owner = owner
        self._expiry_seconds = expiry_seconds
        self._region = region
        self._endpoint_url = endpoint_url
        self._open = AsyncExitStack()
        self._client: Any = None
        self._turn = anyio.Lock()
        self._seen: tuple[_Item | None, float] | None = None
        self._epoch: int | None = None

    async def acquire(self) -> Leads | StandsBy:
        async with self._turn:
            self._epoch = None
            item = await self._read()
            now = anyio.current_time()
            if self._seen is None or item != self._seen[0]:
                self._seen = item, now
            quiet_seconds = now - self._seen[1]
            # Nobody's; or this daemon's own, whose answer was lost or whose term is over.
            is_free = item is None or item.owner in {"", self._owner}
            if not is_free and quiet_seconds < self._expiry_seconds:
                return StandsBy(item.owner if item else "")
            if not await self._take(item):
                return StandsBy("")
            self._epoch = (item.epoch if item else 0) + 1
            return Leads(self._epoch, quiet_seconds)

    async def confirm(self, epoch: int) -> None:
        async with self._turn:
            if self._epoch != epoch:
                raise LeaseLostError("the lease's term is over")
            mine = "#owner = :me AND #epoch = :epoch"
            if not await self._update("ADD #beat :one", mine, {":one": 1, ":epoch": epoch}):
                self._epoch = None
                raise LeaseLostError("the lease was taken by another daemon")

    async def look(self) -> str:
        async with self._turn:
            item = await self._read()
            return item.owner if item else ""

    async def release(self) -> None:
        async with self._turn:
            epoch, self._epoch = self._epoch, None
            with anyio.move_on_after(RELEASE_SECONDS, shield=True):
                if epoch is not None:
                    with suppress(LeaseError):
                        await self._update(
                            "SET #owner = :nobody",
                            "#owner = :me AND #epoch = :epoch",
                            {":nobody": "", ":epoch": epoch},
                        )
                await self._open.aclose()
            self._client = None

    async def _take(self, item: _Item | None) -> bool:
        if item is None:
            return await self._update(
                "SET #owner = :me, #epoch = :epoch, #beat = :beat",
                "attribute_not_exists(#epoch)",
                {":epoch": 1, ":beat": 0},
            )
        return await self._update(
            "SET #owner = :me, #epoch = :next, #beat = :none",
            "#owner = :other AND #epoch = :epoch AND #beat = :beat",
            {
                ":other": item.owner, ":epoch": item.epoch, ":beat": item.beat,
                ":next": item.epoch + 1, ":none": 0,
            },
        )  # fmt: skip

    async def _read(self) -> _Item | None:
        client = await self._connected()
        call = client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        answer = await self._called("dynamodb:GetItem", call)
        document = (answer or {}).get("Item")
        if not document:
            return None
        try:
            numbers = (int(document[key]["N"]) for key in ("epoch", "beat"))
            return _Item(document["owner"]["S"], *numbers)
        except (KeyError, TypeError, ValueError):
            raise LeaseError(
                f"the lease table {self._table}: its item {self._key['lease']['S']} is no lease; delete it"
            ) from None

    async def _update(self, change: str, condition: str, values: Mapping[str, str | int]) -> bool:
        """Whether the condition held and the change was made."""
        client = await self._connected()
        typed = {
            name: {"S": value} if isinstance(value, str) else {"N": str(value)}
            for name, value in {":me": self._owner, **values}.items()
        }
        call = client.update_item(
            TableName=self._table,
            Key=self._key,
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames={
                name: word for name, word in _NAMES.items() if name in f"{change} {condition}"
            },
            ExpressionAttributeValues=typed,
        )
        return await self._called("dynamodb:UpdateItem", call) is not None

    async def _called(self, action: str, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The answer; None where the condition did not hold."""
        try:
            return await call
        except Exception as error:  # noqa: BLE001  # botocore's parsers raise anything on a broken body
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
            if code == "ConditionalCheckFailedException":
                return None
            remedy = "; create it with the string partition key `lease`"
            why = failure(action, error).why + (remedy if code == "ResourceNotFoundException" else "")
            raise LeaseError(f"the lease table {self._table}: {why}") from None

    async def _connected(self) -> Any:
        if self._client is None:
            # One attempt: repeated, a conditional write whose answer was lost would fail on its own work.
            config = AioConfig(
                http_session_cls=BoundedSession,
                connect_timeout=2,
                read_timeout=3,
                retries={"total_max_attempts": 1},
            )
            try:
                self._client = await self._open.enter_async_context(
                    get_session().create_client(
                        "dynamodb", region_name=self._region, endpoint_url=self._endpoint_url, config=config
                    )
                )
            except (BotoCoreError, ValueError) as error:
                remedy = "set aws.region (or AWS_REGION)"
                raise LeaseError(f"the DynamoDB client cannot be made: {error}; {remedy}") from None
        return self._client
