"""Whoever reaches the port: whatever is sent, however slowly, the pages go on answering."""

import gc
import io
import socket
import time
import tracemalloc
from contextlib import contextmanager, suppress

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.alarms import Watch
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.http_server import Limits, served
from autoscaler.pages import application
from autoscaler.ports import Tick
from autoscaler.telemetry import Telemetry, configure_logging
from policies.model import Capacity, Demand, Observation
from policies.mwaa import Mwaa

PATIENCE_SECONDS = 60.0
IMPATIENT = Limits(request_seconds=0.3, idle_seconds=1, connections=4, head_bytes=4096)
GOOD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def telemetry(notes=1):
    """A daemon of one target that has just decided."""
    told = Telemetry(lambda: 1000.0)
    told.begin("act", "c0ffee", ["etl"], None)
    controller = Controller(Mwaa(5), GuardChain(Bounds(1, 10)), Watch(5, 10))
    state = controller.initial()
    told.started("etl", {}, state, controller.policy.memory_type, late_seconds=20, kept=1000)
    for number in range(notes):
        observation = Observation(1000.0, Demand(30, 0, 1000.0, source=f"{number}" * 300), Capacity(2, 0, 2))
        state, decision = controller.step(state, observation)
        told.decided(Tick("etl", observation, decision, 0.02))
    return told


@contextmanager
def pages(limits=None, notes=1):
    """Host and port of a server in a thread of its own."""
    with start_blocking_portal("asyncio") as portal:
        context = served(
            application(telemetry(notes)), "127.0.0.1", 0, **({"limits": limits} if limits else {})
        )
        with portal.wrap_async_context_manager(context) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            yield host, int(port)


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    configure_logging("json", io.StringIO())


@pytest.fixture(scope="module")
def address():
    with pages() as where:
        yield where


def connected(address):
    return socket.create_connection(address, timeout=PATIENCE_SECONDS)


def all_of(connection):
    """Until the other side closes."""
    answer = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return answer


def said(address, request, answers=1):
    """The first answers to a request, as far as they come before the other side closes."""
    answer = b""
    with connected(address) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while answer.count(b"HTTP/1.1 ") < answers and (part := connection.recv(65536)):
            answer += part
    return answer


def is_well(address):
    return b" 200 " in said(address, GOOD)


HEADERS = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(300))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\xff\x16\x03\x01" * 20, b"400"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"404"),
        (b"BREW /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"DELETE /status HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /%00%ff%2e%2e HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET http://elsewhere/status HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + HEADERS, b"400"),
        (b"GET /decisions?target=" + b"a" * 400_000, b"400"),
        (b"GET /decisions?target=%f0%28%8c HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /decisions?limit=" + b"9" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /decisions?limit=-" + b"9" * 30 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
        (b"GET /decisions?" + b"limit=1&" * 1500 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
        (b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx", b"405"),
        (b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", b"400"),
        (
            b"GET /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            b"200",
        ),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"200"),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", b"200"),
    ],
    ids=map(str, range(19)),
)
def test_odd_requests_get_their_answer(address, request_bytes, status):
    """Never a 500, and the next request is answered as ever."""
    answer = said(address, request_bytes)
    assert answer.split(b" ", 2)[1] == status
    assert b"Traceback" not in answer
    assert is_well(address)


def test_requests_sent_in_one_go_are_answered_in_order(address):
    """Three hundred of them: all answers come, and the server reads on only as it answers."""
    answers = said(address, GOOD * 300, 300)
    assert answers.count(b"HTTP/1.1 200 OK") == 300


pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            GOOD,
            GOOD[:-4],
            b"GET /decisions?limit=2 HTTP/1.1\r\n",
            b"POST /metrics HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Content-Length: 5\r\n",
            b"Content-Length: 0005,6\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b" folded: yes\r\n",
            b"\r\n",
            b"\n\n",
            b"5\r\nhello\r\n0\r\n\r\n",
        ]
    ),
)


@pytest.fixture(scope="module")
def hasty():
    """It hangs up at once, so that every example has an end."""
    with pages(Limits(request_seconds=0.02)) as where:
        yield where


@settings(max_examples=60, deadline=None)
@given(request_bytes=st.lists(pieces, max_size=8).map(b"".join))
def test_whatever_is_sent_no_answer_is_an_error_of_ours(hasty, request_bytes):
    """And afterwards the server is well."""
    assert b"HTTP/1.1 5" not in said(hasty, request_bytes, 100)
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_well(hasty):
        assert time.monotonic() < until


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /healthz HT",
        GOOD[:-2],
        GOOD + b"GET ",
        b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["nothing", "a line's beginning", "no end", "a second one", "no body"],
)
def test_a_request_that_never_ends_is_cut_off(begun):
    """A client that says nothing, or begins and stops, is let go."""
    with pages(IMPATIENT) as address, connected(address) as connection:
        connection.sendall(begun)
        all_of(connection)


def test_a_drop_every_moment_wins_no_time():
    """The deadline is the whole request's, not that of its next byte."""
    with pages(IMPATIENT) as address, connected(address) as connection:
        connection.settimeout(0.05)
        until = time.monotonic() + PATIENCE_SECONDS
        with suppress(ConnectionError):
            while time.monotonic() < until:
                connection.sendall(b"G")
                with suppress(TimeoutError):
                    if not connection.recv(1):
                        break
        assert time.monotonic() < until


def test_who_does_not_read_the_answer_is_cut_off():
    """Nobody holds tens of megabytes of records in a connection that is never read."""
    with pages(IMPATIENT, notes=1000) as address, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(address)
        connection.sendall(b"GET /decisions?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
        until = time.monotonic() + PATIENCE_SECONDS
        with suppress(ConnectionError):
            while time.monotonic() < until:
                connection.sendall(b"GET /status HTTP/1.1\r\n")
        assert time.monotonic() < until
        assert is_well(address)


def test_idle_connections_do_not_lock_a_probe_out():
    """Of too many the one that has waited longest makes room."""
    patient = Limits(connections=4)
    with pages(patient) as address:
        idle = [connected(address) for _ in range(12)]
        assert is_well(address)
        assert all_of(idle[0]) == b""
        for each in idle:
            each.close()


def test_thousands_of_requests_leave_nothing_behind(address):
    """What the server keeps does not grow with what it was asked."""
    asked = b"GET /decisions?target=%d HTTP/1.1\r\nHost: a\r\n\r\n"

    def ask(numbers):
        said(address, b"".join(asked % number for number in numbers), len(numbers))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        ask(range(200))
        before = ask(range(200, 400))
        after = ask(range(1000, 3000))
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
