"""Orders as an item of a DynamoDB table, which all daemons of the same services read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from autoscaler.core.codec import MisfitError
from autoscaler.fleets.ecs.calls import failure
from autoscaler.orders.book import OrdersError
from autoscaler.orders.file import parsed, written
from policies.orders import Orders


class OrdersItem:
    """The item `orders/NAME` of a table whose partition key is the string `lease`."""

    def __init__(self, client: Any, table: str, name: str) -> None:
        self._client, self._table = client, table
        self._key = {"lease": {"S": f"orders/{name}"}}
        self._version = 0

    @classmethod
    async def opened(
        cls, stack: AsyncExitStack, table: str, name: str, region: str | None, endpoint_url: str | None
    ) -> Self:
        """With a client that is open until the stack ends.  Raises `OrdersError`."""
        # One attempt: repeated, a conditional write whose answer was lost would fail on its own work.
        config = AioConfig(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
        try:
            client = await stack.enter_async_context(
                get_session().create_client(
                    "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config
                )
            )
        except (BotoCoreError, ValueError) as error:
            raise OrdersError(
                f"the DynamoDB client cannot be made: {error}; set aws.region (or AWS_REGION)"
            ) from None
        return cls(client, table, name)

    async def read(self) -> dict[str, Orders]:
        """As `Keeper`."""
        call = self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        item = (await self._answer("dynamodb:GetItem", call)).get("Item")
        if not item:
            self._version = 0
            return {}
        try:
            self._version, text = int(item["version"]["N"]), item["orders"]["S"]
            return parsed(json.loads(text))
        except (MisfitError, KeyError, TypeError, ValueError, RecursionError):
            name = self._key["lease"]["S"]
            raise OrdersError(
                f"orders.table = {self._table}: its item {name} holds no orders; mend it, or delete it if "
                "nothing is ordered"
            ) from None

    async def keep(self, orders: Mapping[str, Orders]) -> None:
        """As `Keeper`, on condition that nothing was kept since the last read."""
        call = self._client.put_item(
            TableName=self._table,
            Item={
                **self._key,
                "orders": {"S": written(orders)},
                "version": {"N": str(self._version + 1)},
            },
            ConditionExpression="attribute_not_exists(version) OR version = :version",
            ExpressionAttributeValues={":version": {"N": str(self._version)}},
        )
        await self._answer("dynamodb:PutItem", call)
        self._version += 1

    async def _answer(self, action: str, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            return await call
        except Exception as error:  # noqa: BLE001  # botocore's parsers raise anything on a broken body
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
            if code == "ConditionalCheckFailedException":
                raise OrdersError("somebody else gave an order at the same moment; try again") from None
            remedy = "; create it with the string partition key `lease`"
            why = failure(action, error).why + (remedy if code == "ResourceNotFoundException" else "")
            raise OrdersError(f"orders.table = {self._table}: {why}") from None
