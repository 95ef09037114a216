"""The names under which the worker beside the guard may be known."""

import socket

import pytest

from autoscaler.guard.agent import Agent
from autoscaler.guard.names import own_hosts
from autoscaler.guard.settings import load
from autoscaler.guard.start import guard_of, steady_clock
from tests.guard.agent_server import TASK, agent_server

CONTAINER = "cd189a933e5849daa93386466019ab50-2495160603"
METADATA = {
    "Cluster": "production",
    "TaskARN": TASK,
    "Containers": [
        {
            "DockerId": CONTAINER,
            "Name": "worker",
            "Networks": [
                {
                    "NetworkMode": "awsvpc",
                    "IPv4Addresses": ["10.0.0.61"],
                    "PrivateDNSName": "ip-10-0-0-61.ec2.internal",
                }
            ],
        }
    ],
}
PATH = "/api/4f1c-container/task"


@pytest.fixture
def server():
    with agent_server() as server:
        yield server


def test_ecs_knows_more_names_than_the_machine(server):
    """Those by which the daemon finds the worker: address, private DNS name, task and container id."""
    server.pages[PATH] = METADATA
    hosts = own_hosts(server.url)
    task = TASK.rpartition("/")[2]
    assert {task, CONTAINER, CONTAINER[:12], "10.0.0.61", "ip-10-0-0-61.ec2.internal"} <= set(hosts)
    assert socket.gethostname() in hosts
    assert len(set(hosts)) == len(hosts)


@pytest.mark.parametrize(
    "document",
    [b"", b"[" * 100_000, [], {}, {"TaskARN": None, "Containers": 7},
     {"Containers": [7, {"DockerId": 7, "Networks": [7, {"IPv4Addresses": [None, {}]}]}]}],
)  # fmt: skip
def test_metadata_that_make_no_sense_add_no_name(server, document):
    server.pages[PATH] = document
    assert own_hosts(server.url) == own_hosts(None)


def test_without_metadata_there_are_the_machine_s_names():
    with agent_server() as gone:
        pass
    assert own_hosts(gone.url) == own_hosts(None)
    assert not any(host.startswith("localhost") for host in own_hosts(None))


def test_a_guard_as_configured(server):
    """With a broker it keeps the lease of its worker's intake; with SQS there is none."""
    environment = {"ECS_AGENT_URI": server.url, "AUTOSCALER_GUARD__IDLE_SECONDS": "90"}
    guard = guard_of(load(environment), ("10.0.0.61",), steady_clock())
    assert (guard.agent, guard.rules.idle_seconds, guard.intake) == (Agent(server.url), 90.0, None)
    broker = {
        "AUTOSCALER_GUARD__CELERY__BROKER_URL": "redis://broker/0",
        "AUTOSCALER_GUARD__QUEUES": '["etl"]',
    }
    leased = guard_of(load(environment | broker), ("10.0.0.61",), steady_clock()).intake
    assert (leased.nodes, leased.queues) == (("celery@10.0.0.61",), {"etl"})
