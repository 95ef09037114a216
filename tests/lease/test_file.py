"""A lock on a file: gone with its process, and never on a file that another one cannot see."""

import os
import sys

import anyio
import pytest

from autoscaler.lease.file import FileLease
from autoscaler.ports import Leads, LeaseError, LeaseLostError, StandsBy

pytestmark = pytest.mark.anyio
HOLDER = """
import anyio, sys
from autoscaler.lease.file import FileLease
print(anyio.run(FileLease(sys.argv[1], "the other").acquire), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lease"


async def test_a_process_that_is_killed_holds_nothing(path):
    """Whoever is next has the next epoch."""
    async with await anyio.open_process([sys.executable, "-c", HOLDER, path]) as other:
        assert b"epoch=1" in await other.stdout.receive()
        lease = FileLease(str(path), "this")
        assert await lease.acquire() == StandsBy("the other")
        other.kill()
        await other.wait()
    assert (await lease.acquire()).epoch == 2
    await lease.release()


@pytest.mark.parametrize("meddle", [os.remove, lambda path: path.replace(path.with_name("moved"))])
async def test_a_file_that_is_gone_is_lost(path, meddle):
    """A second daemon would lock another file under that name."""
    first, second = FileLease(str(path), "a"), FileLease(str(path), "b")
    leads = await first.acquire()
    meddle(path)
    assert isinstance(await second.acquire(), Leads)
    with pytest.raises(LeaseLostError, match="removed or replaced"):
        await first.confirm(leads.epoch)
    await first.release()
    await second.release()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"epoch": "x", "owner": 7}', b'{"epoch": 1e5}', b"[" * 9999, b"\xff"]
)
async def test_a_file_of_something_else_does_no_harm(path, content):
    """Epochs begin anew; the owner is unknown."""
    path.write_bytes(content)
    first, second = FileLease(str(path), "a"), FileLease(str(path), "b")
    assert (await first.acquire()).epoch == 1
    assert await second.acquire() == StandsBy("a")
    await first.release()


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """With the reason and a remedy."""
    with pytest.raises(LeaseError, match=r"none/lease: No such file or directory; check that the folder"):
        await FileLease(str(tmp_path / "none" / "lease"), "a").acquire()
    with pytest.raises(LeaseError, match=r"Is a directory"):
        await FileLease(str(tmp_path), "a").acquire()
    with pytest.raises(LeaseError, match=r"No such file or directory; check that the folder"):
        await FileLease(str(tmp_path / "none" / "lease"), "a").look()
