"""The world and the API without server, processes or event loop: for whoever simulates a whole daemon."""

import json
import subprocess
import sys

import pytest

import autoscaler.demo.ecs
from autoscaler.demo.ecs import EcsApi, Fault, ServiceSpec
from tests.fleets.hand_clock import HandClock

ECS = "AmazonEC2ContainerServiceV20141113"
SERVICE = {"cluster": "demo", "service": "workers"}


@pytest.fixture
def api():
    clock = HandClock()
    api = EcsApi(clock, seed=3)
    api.world.add_service(ServiceSpec(desired=2))
    clock.after(minutes=5)
    return api


def asked(api, operation, **request):
    return api.answer(f"{ECS}.{operation}", json.dumps(request).encode())


def test_a_call_without_http(api):
    """A body in, a body out; and the world has moved on to the clock."""
    answer = asked(api, "DescribeServices", cluster="demo", services=["workers"])
    (service,) = json.loads(answer.body)["services"]
    assert (answer.status, service["runningCount"]) == (200, 2)
    assert asked(api, "UpdateService", **SERVICE, desiredCount=5).status == 200
    assert api.world.service().desired == 5
    assert [call.outcome for call in api.calls] == ["ok", "ok"]


def test_a_refusal_without_http(api):
    """Status and code as over the wire."""
    answer = asked(api, "UpdateService", **SERVICE, desiredCount=-1)
    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "InvalidParameterException")


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.HANG, Fault.APPLY_LATE])
def test_no_answer_without_http(api, fault):
    """The fault itself: whoever carries the call plays it to the client."""
    api.faults.inject("UpdateService", fault)
    assert asked(api, "UpdateService", **SERVICE, desiredCount=5) is fault
    assert (api.world.service().desired == 5) is (fault is Fault.RESET_AFTER)


def test_it_brings_no_event_loop():
    """Nor threads, subprocesses or a server: under a virtual clock each of them would jump."""
    script = (
        "import sys; from autoscaler.demo.ecs import EcsWorld, EcsApi, foreign; "
        "print(*({'asyncio', 'anyio', 'uvicorn', 'starlette', 'autoscaler.demo.ecs.processes'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_package_has_what_it_names():
    """Every public name, and no other."""
    for name in autoscaler.demo.ecs.__all__:
        assert getattr(autoscaler.demo.ecs, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        autoscaler.demo.ecs.Nobody  # noqa: B018
