"""What a daemon tells of its lease: one line a change, two metrics, the status of whoever asks."""

import json

import pytest
from structlog.testing import capture_logs

from autoscaler.explain import print_status
from autoscaler.pages import status
from autoscaler.telemetry import Telemetry


@pytest.fixture
def telemetry():
    telemetry = Telemetry(clock=lambda: 0.0)
    telemetry.begin("act", "", ["default"], None)
    return telemetry


def heading(telemetry, capsys):
    """The first line of `autoscaler status`, by way of the page."""
    print_status(json.loads(json.dumps(status(telemetry))), as_json=False)
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("mode "))
    return said


def test_each_change_is_one_line_and_a_stay_is_none(telemetry):
    """A stand-by looks every two seconds; nobody wants to read that."""
    with capture_logs() as lines:
        for _ in range(3):
            telemetry.stands_by("host-a")
        telemetry.waits(7, 8.0)
        telemetry.leads(7)
        telemetry.leads(7)  # again, after a reload
        telemetry.lease_lost(7, "the session broke")
        for _ in range(3):
            telemetry.lease_unknown("nobody answers")
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("standing by", "info"),
        ("taking over", "info"),
        ("leading", "info"),
        ("lease lost", "warning"),
        ("no lease", "warning"),
    ]
    assert lines[0]["leader"] == "host-a"
    assert lines[2]["epoch"] == 7
    assert lines[3]["why"] == "the session broke"


def test_a_daemon_without_a_lease_says_nothing_of_it(telemetry, capsys):
    """It leads, and there is no line and no epoch."""
    with capture_logs() as lines:
        telemetry.leads(0)
    assert lines == []
    assert heading(telemetry, capsys) == "mode act"
    assert telemetry.registry.get_sample_value("autoscaler_leader") == 1


@pytest.mark.parametrize(
    ("tell", "said", "leader", "epoch"),
    [
        (lambda telemetry: telemetry.leads(7), "mode act, leads with epoch 7", 1, 7),
        (lambda telemetry: telemetry.stands_by("host-a"), "mode act, stands by: host-a leads", 0, 0),
        (lambda telemetry: telemetry.stands_by(""), "mode act, stands by: another daemon leads", 0, 0),
        (lambda telemetry: telemetry.lease_unknown("no answer"), "mode act, stands by: no answer", 0, 0),
        (
            lambda telemetry: telemetry.waits(7, 3.2),
            "mode act, stands by: the lease is taken; for 3.2 s a write of the former leader may live",
            0,
            7,
        ),
    ],
)
def test_status_and_metrics_say_who_leads(telemetry, capsys, tell, said, leader, epoch):
    tell(telemetry)
    assert heading(telemetry, capsys) == said
    assert telemetry.registry.get_sample_value("autoscaler_leader") == leader
    assert telemetry.registry.get_sample_value("autoscaler_lease_epoch") == epoch


def test_a_leader_that_calls_itself_anything_stays_one_line(telemetry, capsys):
    """The name comes from a file, a table or another session."""
    telemetry.stands_by("a\n\x1b[2Jb" + "c" * 10_000)
    said = heading(telemetry, capsys)
    assert said.startswith("mode act, stands by: a ?[2Jbccc")
    assert len(said) < 300
