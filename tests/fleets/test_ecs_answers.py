"""Whatever ECS answers: every used field is checked, and nonsense is never a size."""

from datetime import UTC, datetime

import pytest

from autoscaler.fleets.ecs import answers
from autoscaler.fleets.ecs.hosts import hosts_of
from autoscaler.ports import FleetError
from policies.model import Rollout

GOOD = {
    "serviceName": "workers",
    "status": "ACTIVE",
    "schedulingStrategy": "REPLICA",
    "deploymentController": {"type": "ECS"},
    "desiredCount": 3,
    "runningCount": 2,
    "pendingCount": 1,
    "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED"}],
}
MISSING = object()


def read(answer):
    service = answers.service_in(answer, "demo", "workers")
    return answers.capacity_of(answers.suitable(service, "demo", "workers"))


def good_but(**changes):
    merged = {**GOOD, **changes}
    return {name: value for name, value in merged.items() if value is not MISSING}


def test_the_good_answer():
    """The row that all others are a change of."""
    capacity = read({"services": [GOOD], "failures": []})
    assert (capacity.desired, capacity.running, capacity.pending) == (3, 2, 1)


def test_a_service_without_deployment_controller_has_the_default_one():
    """Older services show none; that is ECS's own."""
    assert read({"services": [good_but(deploymentController=MISSING)]}).desired == 3


BAD = [
    ({}, "no usable services"),
    ({"services": None}, "no usable services"),
    ({"services": "workers"}, "no usable services"),
    ({"services": [None]}, "no usable services"),
    ({"services": []}, "0 services, expected one"),
    ({"services": [GOOD, GOOD]}, "2 services, expected one"),
    ({"services": [], "failures": [{"reason": "MISSING"}]}, "does not exist"),
    ({"services": [], "failures": [{"reason": "OTHER", "detail": "so"}]}, "not described: OTHER so"),
    ({"services": [], "failures": "none"}, "no usable failures"),
    ({"services": [good_but(serviceName="other")]}, "returned 'other'"),
    ({"services": [good_but(serviceName=MISSING)]}, "returned None"),
    ({"services": [good_but(status="DRAINING")]}, "is DRAINING, expected ACTIVE"),
    ({"services": [good_but(status=MISSING)]}, "is None, expected ACTIVE"),
    ({"services": [good_but(schedulingStrategy="DAEMON")]}, "scheduled as DAEMON"),
    ({"services": [good_but(schedulingStrategy=MISSING)]}, "scheduled as None"),
    ({"services": [good_but(deploymentController={"type": "CODE_DEPLOY"})]}, "CODE_DEPLOY, expected ECS"),
    ({"services": [good_but(resourceManagementType="ECS")]}, "Express Mode"),
    ({"services": [good_but(desiredCount=MISSING)]}, "desiredCount = None, expected a count"),
    ({"services": [good_but(desiredCount=-1)]}, "desiredCount = -1"),
    ({"services": [good_but(desiredCount="3")]}, "desiredCount = '3'"),
    ({"services": [good_but(desiredCount=True)]}, "desiredCount = True"),
    ({"services": [good_but(desiredCount=2.5)]}, r"desiredCount = 2\.5"),
    ({"services": [good_but(runningCount=MISSING)]}, "runningCount = None"),
    ({"services": [good_but(pendingCount=float("nan"))]}, "pendingCount = nan"),
    ({"services": [good_but(deployments=MISSING)]}, "no usable deployments"),
    ({"services": [good_but(deployments=[])]}, "no deployment"),
]


@pytest.mark.parametrize(("answer", "why"), BAD, ids=[why for _, why in BAD])
def test_bad_answers(answer, why):
    """Each is refused in one line that says what was expected."""
    with pytest.raises(FleetError, match=why):
        read(answer)


@pytest.mark.parametrize(
    ("deployments", "rollout"),
    [
        ([("PRIMARY", "COMPLETED")], Rollout.STEADY),
        ([("PRIMARY", "IN_PROGRESS")], Rollout.IN_PROGRESS),
        ([("PRIMARY", "COMPLETED"), ("ACTIVE", "COMPLETED")], Rollout.IN_PROGRESS),
        ([("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "FAILED")], Rollout.IN_PROGRESS),
        ([("PRIMARY", "FAILED"), ("ACTIVE", "COMPLETED")], Rollout.FAILED),
        ([("PRIMARY", None)], Rollout.IN_PROGRESS),
    ],
)
def test_rollouts(deployments, rollout):
    """Steady is exactly one deployment, completed; all else is not."""
    shown = [{"status": status, "rolloutState": state} for status, state in deployments]
    assert read({"services": [good_but(deployments=shown)]}).rollout is rollout


@pytest.mark.parametrize(
    ("protection", "until"),
    [
        ({"protectionEnabled": False}, 0.0),
        ({"protectionEnabled": True, "expirationDate": datetime(2026, 1, 1, tzinfo=UTC)}, 1767225600.0),
        ({"protectionEnabled": True}, answers.NAN),
        ({"expirationDate": datetime(2026, 1, 1, tzinfo=UTC)}, answers.NAN),
        ({}, answers.NAN),
        (None, answers.NAN),
    ],
)
def test_protections(protection, until):
    """Off is zero; on has an end; anything else is unknown."""
    assert answers.protected_until(protection) == pytest.approx(until, nan_ok=True)


def test_hosts_by_all_names():
    """DNS name, its short form, address, task id, container id and its short form."""
    container = "0123456789abcdef" * 4
    details = [
        ("privateDnsName", "ip-10-1-2-3.eu-west-1.compute.internal"),
        ("privateIPv4Address", "10.1.2.3"),
    ]
    task = {
        "taskArn": "arn:aws:ecs:eu-west-1:1:task/demo/abc",
        "attachments": [{"details": [{"name": name, "value": value} for name, value in details]}],
        "containers": [{"runtimeId": container}],
    }
    assert hosts_of(task) == (
        "ip-10-1-2-3.eu-west-1.compute.internal",
        "ip-10-1-2-3",
        "10.1.2.3",
        "abc",
        container,
        container[:12],
    )


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"attachments": None, "containers": None},
        {"attachments": [None, {"details": [None, {"name": "privateDnsName"}]}], "containers": [{}]},
    ],
)
def test_hosts_of_nonsense_are_none(task):
    """A worker without a name is no error: nobody can be placed on it."""
    assert hosts_of(task) == ()
