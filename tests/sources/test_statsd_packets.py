"""Datagrams: every form Airflow sends is read, everything else is counted and harmless."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.sources.statsd.packets import MAX_NAME_LENGTH, MAX_PARSED_BYTES, Metric, parsed


def only(packet):
    metrics, malformed = parsed(packet)
    assert (len(metrics), malformed) == (1, 0)
    return metrics[0]


@pytest.mark.parametrize(
    ("packet", "metric"),
    [
        (b"airflow.executor.queued_tasks:7|g", Metric("airflow.executor.queued_tasks", 7.0, "g")),
        (
            b"airflow.executor.queued_tasks.CeleryExecutor:7|g",
            Metric("airflow.executor.queued_tasks.CeleryExecutor", 7.0, "g"),
        ),
        (
            b"airflow.executor.queued_tasks,status=queued,executor_class_name=CeleryExecutor:7|g",
            Metric(
                "airflow.executor.queued_tasks",
                7.0,
                "g",
                tags={"status": "queued", "executor_class_name": "CeleryExecutor"},
            ),
        ),
        (
            b"airflow.executor.queued_tasks:7|g|#status:queued,executor_class_name:CeleryExecutor",
            Metric(
                "airflow.executor.queued_tasks",
                7.0,
                "g",
                tags={"status": "queued", "executor_class_name": "CeleryExecutor"},
            ),
        ),
        (b"airflow.ti.queued.default.d1.g__t1:2.0|g", Metric("airflow.ti.queued.default.d1.g__t1", 2.0, "g")),
        (b"x:+3|g", Metric("x", 3.0, "g", relative=True)),
        (b"x:-2|g", Metric("x", -2.0, "g", relative=True)),
        (b"x:-2|c", Metric("x", -2.0, "c")),
        (b"x:1|c|@0.1", Metric("x", 1.0, "c")),
        (b"x:1.5e1|ms|@0.5|#a:b", Metric("x", 15.0, "ms", tags={"a": "b"})),
        (b"x:1|c|#lonely", Metric("x", 1.0, "c", tags={"lonely": ""})),
        (b"x:1|g|#a:b|c:in-container|T1700000000", Metric("x", 1.0, "g", tags={"a": "b"})),
        (b"x,at=10:30:7|g", Metric("x", 7.0, "g", tags={"at": "10:30"})),
        (b"x:.5|h\r\n", Metric("x", 0.5, "h")),
    ],
)
def test_every_form_is_read(packet, metric):
    """Plain, suffixed, InfluxDB's and Datadog's tags, relative gauges, sample rates."""
    assert only(packet) == metric


def test_a_member_of_a_set_need_not_be_a_number():
    """Sets are none of ours, and still no malformed packet."""
    assert math.isnan(only(b"visitors:somebody|s").value)


def test_several_metrics_share_a_datagram():
    """One bad line does not spoil its neighbours; empty lines are nothing."""
    metrics, malformed = parsed(b"a:1|g\nrubbish\n\nb:2|c\n")
    assert [metric.name for metric in metrics] == ["a", "b"]
    assert malformed == 1


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\n\n",
        b"a",
        b"a:1",
        b":1|g",
        b"a:|g",
        b"a:1|",
        b"a:1|x",
        b"a:1|gg",
        b"a:nan|g",
        b"a:inf|g",
        b"a:1e999|g",
        b"a:1_000|g",
        b"a:0x10|g",
        b"a: 1|g",
        b"a:--1|g",
        "a:\N{ARABIC-INDIC DIGIT ONE}|g".encode(),
        b"a:1|c|@0",
        b"a:1|c|@2",
        b"a:1|c|@often",
        b"a,tag:1|g",
        b",tag=1:1|g",
        b"\xff\xfe:1|g",
        b"a:1|g|#\xff:1",
        b"a" * (MAX_NAME_LENGTH + 1) + b":1|g",
        b"a:1|g\n" + b" " * MAX_PARSED_BYTES,
    ],
)
def test_what_makes_no_sense_is_counted(packet):
    """Nothing is guessed from a malformed line."""
    assert parsed(packet) == ([], 1)


lines = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda name, value, kind, rest: f"{name}:{value}|{kind}{rest}".encode(),
        st.text(max_size=20),
        st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=5)),
        st.sampled_from(["g", "c", "ms", "s", "h", "d", "", "q"]),
        st.sampled_from(["", "|@0.1", "|#a:b,c", "|", "||", "|@", "|#"]),
    ),
)


@settings(deadline=None)
@given(st.lists(lines, max_size=5).map(b"\n".join))
def test_no_packet_breaks_the_parser(packet):
    """Whatever arrives, each line is a finite metric or is counted."""
    metrics, malformed = parsed(packet)
    assert all(math.isfinite(metric.value) or metric.kind == "s" for metric in metrics)
    assert len(metrics) + malformed == max(1, sum(bool(line.strip()) for line in packet.split(b"\n")))
