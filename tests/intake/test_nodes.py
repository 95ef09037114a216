"""Worker name, host name and ECS task: every way in which Airflow's workers get their names."""

import pytest

from autoscaler.core.evidence import placed
from autoscaler.fleets.ecs.hosts import hosts_of
from autoscaler.intake.nodes import distinct, node_of
from policies.model import Busy, Capacity
from tests.intake.celery_workers import listed

TASK_ID, CONTAINER = "0123456789abcdef0123456789abcdef", "f" * 64


def ecs_task(number: int) -> dict:
    """As DescribeTasks shows it."""
    details = [
        {"name": "privateDnsName", "value": f"ip-10-0-1-{number}.eu-central-1.compute.internal"},
        {"name": "privateIPv4Address", "value": f"10.0.1.{number}"},
    ]
    return {
        "taskArn": f"arn:aws:ecs:eu-central-1:1:task/production/{TASK_ID[:-1]}{number}",
        "attachments": [{"type": "ElasticNetworkInterface", "details": details}],
        "containers": [{"runtimeId": f"{number}{CONTAINER[1:]}"}],
    }


HOSTS = {f"w{number}": hosts_of(ecs_task(number)) for number in (1, 2)}

NAMED = [
    ("ip-10-0-1-1.eu-central-1.compute.internal", "socket.getfqdn, Airflow's default; socket.gethostname"),
    ("ip-10-0-1-1", "socket.gethostname on a host without a domain"),
    ("10.0.1.1", "airflow.utils.net.get_host_ip_address"),
    (f"{TASK_ID[:-1]}1", "one's own: the task's id from the container metadata"),
    (f"1{CONTAINER[1:]}", "one's own: the container's id from the container metadata"),
    (f"1{CONTAINER[1:]}"[:12], "what a container calls itself"),
]


@pytest.mark.parametrize(("host", "how"), NAMED, ids=[how for _, how in NAMED])
def test_a_worker_is_found_by_its_name_in_celery_and_by_its_name_in_airflow(host, how):
    """The two need not be the same name: Celery's is `--celery-hostname`, Airflow's `hostname_callable`."""
    names = distinct(HOSTS)
    assert node_of(names["w1"], {f"celery@{host}", "celery@somebody.else"}) == f"celery@{host}"
    assert node_of(names["w2"], {f"celery@{host}"}) is None
    fleet = Capacity(2, 0, 2, workers=listed(*HOSTS.values()))
    capacity, evidence = placed(fleet, Busy({host: 3}, 50.0))
    assert capacity.workers.busy_slots.tolist() == [3, 0]
    assert evidence.unplaced_hosts == ()


def test_a_pattern_of_ones_own():
    """As with `airflow celery worker --celery-hostname etl-%h`."""
    names = distinct(HOSTS, "etl-{host}-blue")
    assert node_of(names["w2"], {"etl-10.0.1.2-blue"}) == "etl-10.0.1.2-blue"


def test_a_name_that_two_workers_have_is_neither_ones():
    """Such as an address that was given again: asked by it, either could answer."""
    names = distinct({"old": ("10.0.1.1", "old-id"), "new": ("10.0.1.1", "new-id")})
    assert names == {"old": ("celery@old-id",), "new": ("celery@new-id",)}
    assert distinct({"old": ("10.0.1.1", "10.0.1.1")}) == {"old": ("celery@10.0.1.1", "celery@10.0.1.1")}


def test_two_celery_workers_in_one_task_are_none():
    """What one of them holds is not what both hold."""
    assert node_of(("celery@a", "celery@b"), {"celery@a", "celery@b"}) is None
