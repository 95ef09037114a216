"""Orders survive a restart: whole, on the disk, and never mistaken for none."""

import json

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.orders.book import OrderBook, OrdersError, overridden, paused, resumed
from autoscaler.orders.file import MOST_BYTES, OrdersFile, parsed, written
from policies.orders import Orders, Override, Pause, Way
from simulations.inputs import orders

NOON = 1_800_000_000.0
PAUSE = Pause(Way.IN, float("inf"), NOON, "anna", "database upgrade")
OVERRIDE = Override(None, 8, NOON + 600, NOON, "ben")


def opened(keeper):
    book = OrderBook(keeper)
    anyio.run(book.read)
    return book


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_what_is_kept_comes_back_in_the_next_life(tmp_path):
    """Two targets, one order of each kind; only its owner may read the file."""
    file = OrdersFile(tmp_path / "orders.json")
    file.begin()
    file.begin()
    assert file.found() == {}
    book = opened(file)
    anyio.run(book.change, ["etl", "ml"], paused(PAUSE), NOON)
    anyio.run(book.change, ["ml"], overridden(OVERRIDE), NOON)
    again = opened(file)
    assert again.of("etl", NOON) == Orders(PAUSE)
    assert again.of("ml", NOON) == Orders(PAUSE, OVERRIDE)
    assert again.of("other", NOON) is None
    assert (file.path.stat().st_mode & 0o777, names(tmp_path)) == (0o600, ["orders.json"])


def test_a_new_order_takes_the_place_of_the_old_one_and_leaves_the_other_kind(tmp_path):
    """A resume ends the pause, and nothing else; what has expired is not kept."""
    file = OrdersFile(tmp_path / "orders.json")
    file.write({"etl": Orders(PAUSE, OVERRIDE), "old": Orders(override=OVERRIDE)})
    book = opened(file)
    longer = Pause(Way.BOTH, NOON + 9000, NOON)
    anyio.run(book.change, ["etl"], paused(longer), NOON + 5)
    assert book.of("etl", NOON + 5) == Orders(longer, OVERRIDE)
    anyio.run(book.change, ["etl"], resumed, NOON + 6)
    assert file.found() == {"etl": Orders(None, OVERRIDE), "old": Orders(override=OVERRIDE)}
    anyio.run(book.change, ["etl"], overridden(None), NOON + 6)
    assert list(file.found()) == ["old"]
    anyio.run(book.change, ["etl"], resumed, NOON + 600)
    assert file.found() == {}


def test_what_cannot_be_kept_is_not_ordered(tmp_path):
    """A full or missing disk: the order is refused and nothing has changed, in memory or beside the file."""
    folder = tmp_path / "gone"
    folder.mkdir()
    file = OrdersFile(folder / "orders.json")
    file.begin()
    book = opened(file)
    anyio.run(book.change, ["etl"], paused(PAUSE), NOON)
    file.path.unlink()
    with pytest.raises(OrdersError, match=r"orders.path = .*orders.json: cannot be read: No such file"):
        anyio.run(book.change, ["etl"], resumed, NOON)
    assert book.of("etl", NOON) == Orders(PAUSE)
    file.path.mkdir()
    with pytest.raises(OrdersError, match="cannot be written: Is a directory"):
        file.write({})
    assert names(folder) == ["orders.json"]


def test_without_a_place_to_keep_them_there_are_no_orders():
    with pytest.raises(OrdersError, match=r"orders\.path \(or table\) is not set"):
        anyio.run(OrderBook().change, ["etl"], resumed, NOON)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not orders: expected an object of v and targets"),
        (b'{"v":2,"targets":{}}', "not orders: v: expected 1, got 2"),
        (b'{"v":1,"targets":[]}', r"not orders: targets: expected an object, got \[\]"),
        (b'{"v":1,"targets":{"etl":{"pause":{"way":"up"}}}}', "targets.etl.pause.way: expected a Way"),
        (b'{"v":1,"targets":{"etl":{"halt":1}}}', "targets.etl.halt: expected no such field"),
        (b" " * (MOST_BYTES + 1), "longer than"),
    ],
)
def test_a_file_that_is_no_orders_is_not_taken_for_none(tmp_path, content, why):
    """A pause may have been in it."""
    file = OrdersFile(tmp_path / "orders.json")
    file.path.write_bytes(content)
    with pytest.raises(OrdersError, match=why) as caught:
        file.found()
    assert "mend it, or, if nothing is ordered" in str(caught.value)


@given(st.dictionaries(st.text(), orders))
def test_any_orders_come_back_as_they_were(some):
    assert parsed(json.loads(written(some))) == some


def test_an_examination_writes_nothing(tmp_path):
    """A missing file can be made; a broken one, or a folder that is missing, is said."""
    file = OrdersFile(tmp_path / "orders.json")
    file.examine()
    assert names(tmp_path) == []
    file.path.write_text("{")
    with pytest.raises(OrdersError, match="not JSON"):
        file.examine()
    with pytest.raises(OrdersError, match="its folder is missing, or cannot be written to"):
        OrdersFile(tmp_path / "none" / "orders.json").examine()
