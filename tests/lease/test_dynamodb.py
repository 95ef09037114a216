"""A lease in DynamoDB, over HTTP: expiry by one's own clock, lost answers, and what AWS says no to."""

import anyio
import boto3
import pytest

from autoscaler.lease.dynamodb import DynamodbLease
from autoscaler.ports import LeaseError, LeaseLostError, StandsBy
from tests.lease.conftest import TABLE, leads_at_last

pytestmark = pytest.mark.anyio


@pytest.fixture
def table(dynamodb_url):
    """The table, as boto3 shows it."""
    return boto3.resource("dynamodb", endpoint_url=dynamodb_url).Table(TABLE)


@pytest.fixture
async def lease(request, dynamodb_url):
    """Makes leases of one name; released at the end."""
    made = []

    def make(owner, expiry_seconds=60.0, table=TABLE, url=dynamodb_url):
        name = request.node.name
        made.append(DynamodbLease(table, name, owner, expiry_seconds, region="us-east-1", endpoint_url=url))
        return made[-1]

    yield make
    for each in made:
        await each.release()


def item(table, request):
    return table.get_item(Key={"lease": f"lease/{request.node.name}"})["Item"]


async def test_a_silent_leader_is_followed_after_the_whole_expiry_and_not_before(lease):
    """Seen without a change for half a second; whoever confirms meanwhile keeps it."""
    first, second = lease("a"), lease("b", expiry_seconds=0.5)
    before = await first.acquire()
    for _ in range(4):
        assert await second.acquire() == StandsBy("a")
        await anyio.sleep(0.2)
        await first.confirm(before.epoch)
    seen_at = anyio.current_time()
    assert await second.acquire() == StandsBy("a")
    now = await leads_at_last(second)
    assert anyio.current_time() - seen_at >= now.quiet_seconds >= 0.5
    assert now.epoch == before.epoch + 1
    with pytest.raises(LeaseLostError, match="taken by another daemon"):
        await first.confirm(before.epoch)


async def test_a_beat_between_the_look_and_the_taking_wins(lease):
    """The condition fails, and the leader leads on."""
    first, second = lease("a"), lease("b", expiry_seconds=0.0)
    leads = await first.acquire()
    read = second._read

    async def read_then_beat():
        found = await read()
        await first.confirm(leads.epoch)
        return found

    second._read = read_then_beat
    assert isinstance(await second.acquire(), StandsBy)
    await first.confirm(leads.epoch)


async def test_a_taking_whose_answer_was_lost_is_taken_again_at_once(lease, table, request):
    """The item names this daemon, which knows nothing of it: another epoch."""
    first, *_ = lease("a"), lease("b")
    await first.acquire()
    again = lease("a")
    assert (await again.acquire()).epoch == 2
    assert item(table, request)["owner"] == "a"


async def test_who_released_is_not_waited_for(lease, table, request):
    """The item stays, for its epoch; only who leads has it as the owner."""
    first, second = lease("a"), lease("b")
    await first.acquire()
    await first.release()
    assert item(table, request)["owner"] == ""
    assert (await second.acquire()).epoch == 2
    await first.release()  # of nothing: the other's stays
    await second.confirm(2)


async def test_an_item_that_was_deleted_is_lost(lease, table, request):
    """By hand: nobody is confirmed, and whoever is next waits for a write of the former leader."""
    first, second = lease("a"), lease("b")
    await first.acquire()
    table.delete_item(Key={"lease": f"lease/{request.node.name}"})
    with pytest.raises(LeaseLostError):
        await first.confirm(1)
    leads = await second.acquire()
    assert leads.epoch == 1
    assert leads.quiet_seconds < 1


async def test_what_is_no_lease_is_left_alone(lease, table, request):
    """Somebody else's item under this key."""
    table.put_item(Item={"lease": f"lease/{request.node.name}", "epoch": "many"})
    with pytest.raises(LeaseError, match="is no lease; delete it"):
        await lease("a").acquire()


async def test_a_table_that_is_missing_and_a_service_that_is_away_are_named(lease):
    """Not known is not lost: a later answer may tell."""
    with pytest.raises(LeaseError, match=r"other: .*ResourceNotFoundException.* create it"):
        await lease("a", table="other").acquire()
    away = lease("a", url="http://127.0.0.1:9")
    with pytest.raises(LeaseError, match="GetItem: EndpointConnectionError"):
        await away.acquire()
    leader = lease("b")
    leads = await leader.acquire()
    leader._client = None
    leader._endpoint_url = "http://127.0.0.1:9"
    with pytest.raises(LeaseError) as caught:
        await leader.confirm(leads.epoch)
    assert not isinstance(caught.value, LeaseLostError)


async def test_without_a_region_there_is_no_client(monkeypatch):
    """The remedy names the setting."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(LeaseError, match=r"set aws.region"):
        await DynamodbLease("t", "n", "a", 6).acquire()
