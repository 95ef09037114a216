"""Whoever reaches the UDP port: no packet breaks, holds up or fills the server."""

import gc
import tracemalloc
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.ports import SourceError
from autoscaler.sources.statsd import StatsdServer
from autoscaler.sources.statsd.packets import MAX_NUMBER_LENGTH, parsed
from autoscaler.sources.statsd.senders import MAX_CLASS_LENGTH, MAX_GAUGES_PER_SENDER, MAX_SENDERS, Senders
from tests.hostile.laws import must_be_told_well


def server(clock=lambda: 1000.0):
    return StatsdServer(Senders("airflow", 15.0, 600.0, 0.0), ("127.0.0.1", 8125), None, clock)


names = st.sampled_from(
    [
        "airflow.executor.queued_tasks",
        "airflow.executor.running_tasks",
        "airflow.scheduler_heartbeat",
        "x",
        "",
    ]
)
suffixes = st.one_of(st.just(""), st.text(max_size=10).map(lambda text: f".{text}"), st.just("." + "C" * 300))
values = st.one_of(
    st.floats().map(repr), st.sampled_from(["1", "-1", "+1e308", "-1e308", "1" * 70, "", "1e-400"])
)
lines = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda name, suffix, value, kind, rest: f"{name}{suffix}:{value}|{kind}{rest}".encode(
            errors="replace"
        ),
        names,
        suffixes,
        values,
        st.sampled_from(["g", "c", "s", "zz"]),
        st.sampled_from(["", "|#name:\x1b[2J", "|@0.5", "|#executor_class_name:CeleryExecutor"]),
    ),
)
packets = st.lists(lines, max_size=4).map(b"\n".join)
addresses = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "fe80::1%eth0"]), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(packets, addresses), max_size=12))
def test_whatever_is_heard_the_load_is_a_load_or_unknown(heard):
    """And what is said of it is one line, whatever names the packets held."""
    clock = count(1000.0, 0.5)
    hears = server(lambda: next(clock))
    for packet, address in heard:
        hears.received(packet, address)
    for executor in ("CeleryExecutor", ""):
        try:
            load, age = hears.load(executor)
        except SourceError as error:
            must_be_told_well(error)
        else:
            assert 0 <= load.queued < float("inf")
            assert 0 <= load.running < float("inf")
            assert age >= 0


@pytest.mark.parametrize("place", [b"a:%s|g", b"a:1|c|@%s"])
@pytest.mark.parametrize("digits", [MAX_NUMBER_LENGTH + 1, 8000])
def test_a_number_of_thousands_of_digits_is_refused_unread(place, digits):
    """Looking for its end took two seconds a packet."""
    assert parsed(place % (b"1" * digits)) == ([], 1)
    assert parsed(place % (b"1" * digits + b"x")) == ([], 1)


@pytest.mark.parametrize("name", ["x" * (MAX_CLASS_LENGTH + 1), "Celery\x1b[2JExecutor", "a\rb"])
def test_a_class_whose_name_is_no_name_is_malformed(name):
    """It would stand in errors and be kept."""
    hears = server()
    hears.received(f"airflow.executor.queued_tasks.{name}:1|g".encode(), ("10.0.0.1", 1))
    assert (hears.malformed, hears.sources) == (1, 0)


def test_a_flood_of_packets_fills_nothing():
    """Thousands of senders, classes and names: what is kept has an end, what was known stays known."""
    hears = server()

    def flood(numbers):
        for number in numbers:
            address = (f"10.{number % 7}.{number // 250}.{number % 250}", 1024 + number)
            hears.received(b"airflow.scheduler_heartbeat:1|c", address)
            hears.received(b"airflow.executor.queued_tasks.C%d:1|g" % number, address)
            hears.received(
                b"airflow.executor.running_tasks.C%d:1|g|#t%d:%d" % (number, number, number), ("10.9.9.9", 1)
            )
            hears.received(b"airflow.ti.%d.whatever:1|c" % number, address)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    honest = ("10.8.8.8", 1)
    hears.received(b"airflow.scheduler_heartbeat:1|c", honest)
    hears.received(b"airflow.executor.queued_tasks.CeleryExecutor:0|g", honest)
    hears.received(b"airflow.executor.running_tasks.CeleryExecutor:7|g", honest)
    hears.received(b"airflow.scheduler_heartbeat:1|c", ("10.9.9.9", 1))
    tracemalloc.start()
    try:
        before = flood(range(500))
        after = flood(range(500, 2500))
    finally:
        tracemalloc.stop()
    assert hears.sources == MAX_SENDERS
    assert after - before < 20_000
    kept = hears._senders._senders[("10.9.9.9", 1)].gauges
    assert len(kept) == MAX_GAUGES_PER_SENDER
    load, _ = hears.load("CeleryExecutor")
    assert (load.running, load.whole) == (7.0, False)
