"""What an audit learns of a worker service: by two describe calls, and nothing it cannot know."""

from __future__ import annotations

import pytest

from autoscaler.audit import look_at
from autoscaler.demo.ecs import Fault
from autoscaler.ports import FleetError

pytestmark = pytest.mark.anyio


def defined(ecs, **more):
    """The task definition says more."""
    ecs.faults.alter(
        "DescribeTaskDefinition", lambda answer: {"taskDefinition": answer["taskDefinition"] | more}
    )


async def looked(ecs, service="workers"):
    return await look_at("demo", service, region="us-east-1", endpoint_url=ecs.url)


async def test_counts_slots_and_size(ecs):
    """Three workers of 16 slots, on ARM, 2 vCPU and 4 GB; asked for with describe calls alone."""
    defined(ecs, cpu="2048", memory="4096", runtimePlatform={"cpuArchitecture": "ARM64"})
    service = await looked(ecs)
    assert (service.name, service.desired, service.running, service.pending) == ("demo/workers", 3, 3, 0)
    assert (service.slots, service.slots_by) == (16, "AIRFLOW__CELERY__WORKER_CONCURRENCY")
    assert (service.architecture, service.vcpu, service.memory_gb) == ("arm", 2, 4)
    assert (service.spot, service.unknown) == (False, "")
    assert {call.operation for call in ecs.calls} == {"DescribeServices", "DescribeTaskDefinition"}


@pytest.mark.parametrize(
    ("cpu", "memory", "vcpu", "memory_gb"),
    [("256", "512", 0.25, 0.5), ("1 vCPU", "3 GB", 1, 3), (".5 vcpu", "1GB", 0.5, 1)],
)
async def test_sizes_in_either_spelling(ecs, cpu, memory, vcpu, memory_gb):
    defined(ecs, cpu=cpu, memory=memory)
    service = await looked(ecs)
    assert (service.vcpu, service.memory_gb, service.architecture) == (vcpu, memory_gb, "x86")


@pytest.mark.parametrize(("cpu", "memory"), [("2048", ""), ("much", "4096"), ("0", "4096"), ("1e9999", "1")])
async def test_a_size_that_is_not_said_is_not_known(ecs, cpu, memory):
    """As on EC2, where a worker takes what is there."""
    defined(ecs, cpu=cpu, memory=memory)
    service = await looked(ecs)
    assert (service.vcpu, service.memory_gb) == (None, None)
    assert service.unknown == "its task definition names no cpu and memory"
    assert service.slots == 16


async def test_a_missing_grant_for_the_task_definition_leaves_the_size_open(ecs):
    ecs.faults.denied.add("ecs:DescribeTaskDefinition")
    service = await looked(ecs)
    assert (service.desired, service.slots) == (3, None)
    assert service.unknown.endswith("grant ecs:DescribeTaskDefinition")


async def test_two_containers_of_which_none_is_the_worker(ecs):
    defined(ecs, containerDefinitions=[{"name": "a"}, {"name": "b"}])
    assert (await looked(ecs)).slots is None


async def test_spot_is_noticed(ecs):
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    ecs.faults.alter(
        "DescribeServices",
        lambda answer: {"services": [answer["services"][0] | {"capacityProviderStrategy": strategy}]},
    )
    assert (await looked(ecs)).spot


async def test_a_service_that_cannot_be_described_is_one_line(ecs):
    """Missing, not allowed, no answer that makes sense."""
    with pytest.raises(FleetError, match="ECS service demo/other does not exist; check"):
        await looked(ecs, "other")
    ecs.faults.inject("DescribeServices", Fault.EMPTY)
    with pytest.raises(FleetError, match="no usable services"):
        await looked(ecs)
    ecs.faults.denied.add("ecs:DescribeServices")
    with pytest.raises(FleetError, match="grant ecs:DescribeServices"):
        await looked(ecs)
