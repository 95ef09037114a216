"""What every place that keeps orders must do; the DynamoDB table is a moto server's."""

import itertools
from contextlib import AsyncExitStack

import anyio
import boto3
import pytest
import trio.testing

from autoscaler.orders.book import OrderBook, OrdersError, paused, resumed
from autoscaler.orders.file import OrdersFile
from autoscaler.orders_table import OrdersItem
from policies.orders import Orders, Pause, Way
from tests.lease.conftest import TABLE, dynamodb_url

__all__ = ["dynamodb_url"]
NOON = 1_800_000_000.0
PAUSE = Pause(Way.BOTH, float("inf"), NOON, "anna")
NUMBERS = itertools.count()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["file", "dynamodb"])
async def keeper(request, tmp_path):
    """Makes ways to the same orders, of this test's own."""
    name = f"test {next(NUMBERS)}"
    async with AsyncExitStack() as stack:

        async def make():
            if request.param == "file":
                file = OrdersFile(tmp_path / name)
                file.begin()
                return file
            url = request.getfixturevalue("dynamodb_url")
            return await OrdersItem.opened(stack, TABLE, name, "us-east-1", url)

        yield make


@pytest.mark.anyio
async def test_what_one_daemon_is_ordered_the_next_one_finds(keeper):
    """And what the next one is ordered, the first one, once it looks."""
    one, other = OrderBook(await keeper()), OrderBook(await keeper())
    assert one.of("etl", NOON).pauses(Way.BOTH, NOON)
    await one.read()
    assert one.of("etl", NOON) is None
    await one.change(["etl", "ml"], paused(PAUSE), NOON)
    await other.read()
    assert other.of("etl", NOON) == Orders(PAUSE)
    await other.change(["etl"], resumed, NOON)
    await one.change(["new"], paused(PAUSE), NOON)
    assert [one.of(name, NOON) for name in ("etl", "ml", "new")] == [None, Orders(PAUSE), Orders(PAUSE)]


@pytest.fixture
async def table(dynamodb_url):
    async with AsyncExitStack() as stack:
        yield await OrdersItem.opened(stack, TABLE, f"test {next(NUMBERS)}", "us-east-1", dynamodb_url)


@pytest.mark.anyio
async def test_an_order_that_overtakes_another_is_refused(table):
    """Neither is lost unseen."""
    await table.read()
    await table.keep({})
    table._version = 0
    with pytest.raises(OrdersError, match="somebody else gave an order at the same moment; try again"):
        await table.keep({"etl": Orders(PAUSE)})
    assert await table.read() == {}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "item",
    [{}, {"version": {"N": "1"}, "orders": {"S": "[" * 9999}}, {"version": {"N": "1"}, "orders": {"N": "1"}}],
)
async def test_an_item_that_holds_no_orders_is_not_taken_for_none(table, dynamodb_url, item):
    """A pause may have been in it."""
    client = boto3.client("dynamodb", endpoint_url=dynamodb_url)
    client.put_item(TableName=TABLE, Item={**table._key, "odd": {"S": "x"}, **item})
    with pytest.raises(OrdersError, match=r"its item orders/test .* holds no orders; mend it, or delete it"):
        await table.read()


@pytest.mark.anyio
async def test_a_table_that_is_missing_is_named_with_the_remedy(dynamodb_url):
    async with AsyncExitStack() as stack:
        table = await OrdersItem.opened(stack, "none", "x", "us-east-1", dynamodb_url)
        with pytest.raises(
            OrdersError, match=r"orders.table = none: .*create it with the string partition key"
        ):
            await table.read()


class Shelf:
    """A place of which a test says what it holds."""

    def __init__(self):
        self.holds = {}

    async def read(self):
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


def test_a_book_follows_what_is_kept_and_says_when_it_cannot():
    """While it cannot, what was known stays."""
    shelf, told = Shelf(), []
    book = OrderBook(shelf)

    async def story():
        async with anyio.create_task_group() as group:
            group.start_soon(book.follow, 2.0, told.append)
            for shelf.holds in ({"etl": Orders(PAUSE)}, OrdersError("the shelf is gone"), {}, OSError()):
                await anyio.sleep(2.2)
                told.append(book.of("etl", NOON))
            group.cancel_scope.cancel()

    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(story, backend="trio", backend_options={"clock": clock})
    assert told[:6] == ["", Orders(PAUSE), "the shelf is gone", Orders(PAUSE), "", None]
    assert told[6:] == ["unexpected OSError", None]


def test_a_book_without_a_keeper_follows_nobody():
    anyio.run(OrderBook().follow, 2.0, print)


def test_until_it_was_read_everything_is_paused():
    """The pause says why; what is given meanwhile is refused."""
    shelf = Shelf()
    shelf.holds = OrdersError("the shelf is gone")
    book = OrderBook(shelf)
    for ask in (book.read, lambda: book.change(["etl"], resumed, NOON)):
        with pytest.raises(OrdersError, match="the shelf is gone"):
            anyio.run(ask)
    pause = book.of("etl", NOON).pause
    assert (pause.way, pause.by, pause.why) == (Way.BOTH, "the daemon itself", "the shelf is gone")
    shelf.holds = {}
    anyio.run(book.read)
    assert book.of("etl", NOON) is None
