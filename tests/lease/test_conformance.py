"""What every lease must keep, wherever it is kept."""

import anyio
import pytest

from autoscaler.ports import Leads, LeaseLostError, StandsBy
from tests.lease.conftest import leads_at_last

pytestmark = pytest.mark.anyio


async def test_the_first_leads_and_the_second_learns_who(lease_of):
    """As often as they ask."""
    first, second = lease_of("host-a"), lease_of("host-b")
    leads = await first.acquire()
    assert isinstance(leads, Leads)
    for _ in range(3):
        standing = await second.acquire()
        assert isinstance(standing, StandsBy)
        await first.confirm(leads.epoch)
    # MariaDB tells the address of a session, and on a socket there is none.
    assert standing.leader == ("localhost" if lease_of.kind == "mariadb" else "host-a")


async def test_released_it_is_free_and_the_next_epoch_is_higher(lease_of):
    """Also when the same daemon takes it again."""
    first, second = lease_of("a"), lease_of("b")
    epochs = []
    for lease in (first, second, second, first):
        standing = await lease.acquire()
        assert isinstance(standing, Leads)
        await lease.confirm(standing.epoch)
        epochs.append(standing.epoch)
        await lease.release()
    assert epochs == sorted(set(epochs))


async def test_an_epoch_that_is_over_is_never_confirmed_again(lease_of):
    """Not even to the daemon that leads again."""
    lease = lease_of("a")
    before = await lease.acquire()
    await lease.release()
    with pytest.raises(LeaseLostError):
        await lease.confirm(before.epoch)
    now = await lease.acquire()
    with pytest.raises(LeaseLostError):
        await lease.confirm(before.epoch)
    await lease.confirm(now.epoch)


async def test_nobody_is_confirmed_who_never_led(lease_of):
    """A stand-by that asks all the same."""
    first, second = lease_of("a"), lease_of("b")
    leads = await first.acquire()
    await second.acquire()
    with pytest.raises(LeaseLostError):
        await second.confirm(leads.epoch)


async def test_other_names_do_not_disturb_each_other(lease_of):
    """Two installations beside one another."""
    first, second = lease_of("a", name="installation one"), lease_of("b", name="installation two")
    assert isinstance(await first.acquire(), Leads)
    assert isinstance(await second.acquire(), Leads)


async def test_of_many_that_ask_at_once_one_leads(lease_of):
    """Ten daemons started together, and their questions at the same time as the leader's."""
    leases = [lease_of(f"host-{number}") for number in range(10)]
    standings = {}

    async def ask(number):
        standings[number] = await leases[number].acquire()

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(ask, number)
    leaders = [number for number, standing in standings.items() if isinstance(standing, Leads)]
    assert len(leaders) == 1
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(leases[leaders[0]].confirm, standings[leaders[0]].epoch)


async def test_a_question_that_was_given_up_does_no_harm(lease_of):
    """Cancelled at any moment: later it is either confirmed or lost, and somebody can lead."""
    lease, other = lease_of("a"), lease_of("b")
    for seconds in (0.0, 0.001, 0.003, 0.01):
        with anyio.move_on_after(seconds):
            await lease.acquire()
        standing = await leads_at_last(lease)
        with anyio.move_on_after(seconds):
            await lease.confirm(standing.epoch)
        try:
            await lease.confirm(standing.epoch)
        except LeaseLostError:
            await leads_at_last(other)  # a server takes its time to notice a session's end
            await other.release()
        await lease.release()


async def test_whoever_only_looks_takes_nothing(lease_of):
    """As `autoscaler check` does."""
    leader, looks = lease_of("host-a"), lease_of("host-b")
    assert await looks.look() == ""
    leads = await leader.acquire()
    assert await looks.look() == ("localhost" if lease_of.kind == "mariadb" else "host-a")
    await leader.confirm(leads.epoch)
    await leader.release()
    assert await looks.look() == ""
    assert isinstance(await leader.acquire(), Leads)
