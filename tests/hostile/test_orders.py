"""Whoever may reach the port and does not know the token changes nothing; whoever knows it breaks nothing."""

import json
import socket
import time

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.http_server import served
from autoscaler.orders.book import OrdersError
from autoscaler.orders.file import OrdersFile, written
from autoscaler.orders.given import KINDS, read
from autoscaler.orders.pages import MOST_BYTES
from autoscaler.pages import application
from policies.orders import Orders, Override, Pause, Way
from tests.hostile.laws import changed, must_be_told_well, nested
from tests.hostile.test_pages import PATIENCE_SECONDS, said
from tests.orders.test_desk import NOON, TOKEN, Daemon

KNOWN = TOKEN.encode()
ORDERS = {
    "pause": {"target": "etl", "way": "in", "seconds": 60, "by": "ann", "why": "load test"},
    "resume": {"target": "ml", "by": "ann"},
    "override": {"min_workers": 2, "max_workers": 5, "seconds": 60},
}
BODIES = [
    *(b"", b"null", b"[]", b"{", b"\xff", nested(2000).encode()),
    *(b'{"seconds": ' + b"9" * 4000 + b"}", b'{"a": 1, "a": 2}'),
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)))
def test_orders_with_other_parts_are_taken_or_refused(data, kind):
    """A line a mistake; what is taken is an order that the book can hold."""
    body = json.dumps(data.draw(changed(ORDERS[kind]))).encode(errors="surrogatepass")
    try:
        order = read(kind, body)
    except OrdersError as error:
        for line in str(error).split("\n"):
            must_be_told_well(line)
    else:
        assert written({"etl": order.change(NOON)(Orders())})


@pytest.fixture
def desk(tmp_path):
    """(where it is, the daemon behind it)."""
    daemon = Daemon(tmp_path / "orders.json")
    with start_blocking_portal("asyncio") as portal:
        pages = served(application(daemon.telemetry, daemon.desk), "127.0.0.1", 0)
        with portal.wrap_async_context_manager(pages) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            yield (host, int(port)), daemon


def posted(desk, body, token=KNOWN, more=b""):
    """The status that is answered."""
    head = b"POST /pause HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n"
    return int(said(desk[0], head % (token, len(body), more) + body).split(b" ", 2)[1])


def test_bodies_and_tokens_of_any_kind(desk):
    """401 or 400, never 500; and nothing is ordered by them."""
    for body in BODIES[1:]:
        assert posted(desk, body) in {200, 400}, body[:20]
    assert posted(desk, b" " * (MOST_BYTES + 1)) == 413
    ordered = desk[1].book.of("etl", NOON)
    for token in (
        b"",
        b"x",
        b"\xff\xfe" * 20,
        KNOWN + b"x",
        KNOWN[:-1],
        b"a" * 5000,
        b"\xc3\xa9" * 16,
    ):
        assert posted(desk, b'{"by": "nobody"}', token) == 401
    assert posted(desk, b"{}", b"x", b"Authorization: Bearer " + KNOWN + b"\r\n") in {400, 401}
    assert desk[1].book.of("etl", NOON) == ordered
    assert TOKEN not in desk[1].printed.getvalue()


def test_a_body_that_is_broken_off_orders_nothing(desk, caplog):
    """A connection that ends within the body leaves no order and no traceback."""
    head = b"POST /pause HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 99\r\n\r\n{}"
    with socket.create_connection(desk[0]) as connection:
        connection.sendall(head % KNOWN)
    assert posted(desk, b'{"way": "nowhere"}') == 400
    until = time.monotonic() + PATIENCE_SECONDS
    while desk[1].metrics()['autoscaler_orders_total{order="pause",result="refused"}'] != "2.0":
        assert time.monotonic() < until
    assert desk[1].book.of("etl", NOON) is None
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


KEPT = json.loads(
    written(
        {
            "etl": Orders(
                Pause(Way.IN, NOON + 60, NOON, "ann", "why"), Override(2, None, NOON + 60, NOON, "ann", "why")
            )
        }
    )
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(KEPT))
def test_a_file_of_orders_with_other_parts(tmp_path, document):
    """Read, or refused in a line that names it: nobody goes on as if nothing were ordered."""
    path = tmp_path / "orders.json"
    path.write_bytes(json.dumps(document).encode(errors="surrogatepass"))
    try:
        kept = anyio.run(OrdersFile(path).read)
    except OrdersError as error:
        must_be_told_well(str(error).replace(str(tmp_path), ""))
    else:
        assert written(kept)
