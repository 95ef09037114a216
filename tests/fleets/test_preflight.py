"""What the preflight finds, over HTTP with boto3: everything that is wrong, each with its remedy."""

import anyio
import pytest

from autoscaler.demo.ecs import Fault, ServiceSpec, running_ecs
from autoscaler.fleets.ecs.permissions import policy_source
from autoscaler.fleets.ecs.preflight import preflight
from autoscaler.fleets.ecs.task_definition import slots_of, worker_container

pytestmark = pytest.mark.anyio


async def findings(ecs, service="workers", slots=16, cluster="demo"):
    def ask():
        return preflight(cluster, service, region="us-east-1", endpoint_url=ecs.url, slots_per_worker=slots)

    return await anyio.to_thread.run_sync(ask)


def wrong(found):
    return [(finding.what, finding.remedy) for finding in found if not finding.ok]


async def test_a_good_service_has_nothing_wrong(ecs):
    """Every line says what holds; the short stopTimeout is advice; nothing is written."""
    found = await findings(ecs)
    assert wrong(found) == []
    assert [finding.what for finding in found] == [
        "AWS knows us as arn:aws:sts::123456789012:assumed-role/autoscaler/loopback",
        "ECS service demo/workers can be read",
        "ecs:ListTasks is allowed",
        "ecs:DescribeTasks is allowed",
        "ecs:GetTaskProtection is allowed",
        "nobody else scales the service",
        "ECS service demo/workers is ACTIVE, REPLICA, with the ECS deployment controller",
        "availability zone rebalancing is off",
        "platform version 1.4.0 can protect tasks",
        "ecs:UpdateService is allowed",
        "ecs:UpdateTaskProtection is allowed",
        "a worker runs 16 tasks, by AIRFLOW__CELERY__WORKER_CONCURRENCY",
        "a worker that has to stop gets 30 s before it is killed",
    ]
    assert found[-1].remedy == "raise the container's stopTimeout, up to 120 s (advice)"
    assert ecs.writes == []


ACTIONS = [
    "ecs:DescribeServices",
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:GetTaskProtection",
    "ecs:UpdateService",
    "ecs:UpdateTaskProtection",
    "application-autoscaling:DescribeScalableTargets",
]


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_missing_grant_is_found(ecs, action):
    """One line that names the action, and the remedy is to grant it."""
    ecs.faults.denied.add(action)
    ((what, remedy),) = wrong(await findings(ecs))
    assert what.startswith(f"{action} is not allowed")
    assert remedy == f"grant {action}"


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("iam:SimulatePrincipalPolicy", "ecs:UpdateService is unverified, because IAM does not say"),
        ("ecs:DescribeTaskDefinition", "the task definition was not checked"),
    ],
)
async def test_what_may_not_be_asked_is_said_to_be_unverified(ecs, action, what):
    """No fault, but no silence either."""
    ecs.faults.denied.add(action)
    found = await findings(ecs)
    assert wrong(found) == []
    (line,) = [finding for finding in found if finding.what.startswith(what)]
    assert f"grant {action} to have" in line.remedy


SPECS = [
    (ServiceSpec(zone_rebalancing=True), "availability zone rebalancing is ENABLED: it stops workers"),
    (ServiceSpec(platform_version="1.3.0"), "platform version 1.3.0 cannot protect tasks"),
    (ServiceSpec(status="DRAINING"), "ECS service demo/workers is DRAINING, expected ACTIVE"),
    (ServiceSpec(strategy="DAEMON"), "ECS service demo/workers is scheduled as DAEMON, expected REPLICA"),
    (ServiceSpec(controller="CODE_DEPLOY"), "deployment controller CODE_DEPLOY, expected ECS"),
    (
        ServiceSpec(worker_environment={"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}),
        "slots_per_worker is 16, but a worker runs 4 tasks, by AIRFLOW__CELERY__WORKER_CONCURRENCY",
    ),
]


@pytest.mark.parametrize(("spec", "problem"), SPECS, ids=[problem for _, problem in SPECS])
async def test_an_unsuitable_service_is_found(clock, spec, problem):
    """One thing wrong, one line, with a remedy."""
    async with running_ecs(spec, clock=clock) as ecs:
        ((what, remedy),) = wrong(await findings(ecs))
    assert problem in what
    assert remedy


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (ServiceSpec(platform_version="LATEST"), "platform version LATEST can protect tasks"),
        (ServiceSpec(stop_timeout_seconds=120), "stopTimeout is 120 s"),
        (ServiceSpec(worker_environment={}), "does not say how many tasks a worker runs"),
    ],
)
async def test_what_holds_is_said(clock, spec, what):
    """Also without a worker running, and where the task definition leaves things open."""
    async with running_ecs(spec, clock=clock) as ecs:
        found = await findings(ecs)
    assert wrong(found) == []
    assert any(what in finding.what for finding in found)


async def test_a_scaling_conflict_is_found(ecs):
    """Application Auto Scaling is registered for the same service."""
    ecs.scalable_targets.register()
    ((what, remedy),) = wrong(await findings(ecs))
    assert what == "Application Auto Scaling (1 to 10 on service/demo/workers) sets this size too"
    assert remedy.startswith("deregister the scalable target")


async def test_a_missing_service_is_found(ecs):
    """What follows from it is not repeated for every question."""
    problems = wrong(await findings(ecs, service="nobody"))
    assert problems[0][0].startswith("ECS service demo/nobody does not exist")
    assert [what.partition(" ")[0] for what, _ in problems[1:]] == ["ecs:ListTasks"]


async def test_answers_that_say_nothing_are_found(ecs):
    """Empty answers are no permission."""
    for operation in ("DescribeServices", "ListTasks", "DescribeScalableTargets"):
        ecs.faults.inject(operation, Fault.EMPTY)
    assert [what for what, _ in wrong(await findings(ecs))] == [
        "the answer of ECS has no usable services: cut short, or not from ECS",
        "ecs:ListTasks was answered without taskArns",
        f"{ACTIONS[-1]}: the answer of ECS has no usable ScalableTargets: cut short, or not from ECS",
    ]


async def test_an_ecs_that_cannot_be_reached_is_found(clock):
    """Every question fails with its own line; none of them raises."""
    async with running_ecs(clock=clock) as ecs:
        pass
    problems = wrong(await findings(ecs))
    assert problems[0][0].startswith(
        "AWS does not say who we are: GetCallerIdentity: EndpointConnectionError"
    )
    assert len(problems) == 6


async def test_no_credentials_is_the_only_finding(monkeypatch, ecs):
    """Nothing else is worth asking."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ((what, remedy),) = wrong(await findings(ecs))
    assert what == "there are no AWS credentials"
    assert "task role" in remedy


def test_no_region_is_the_only_finding(monkeypatch):
    """Said with the setting to mend."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    ((what, remedy),) = wrong(preflight("demo", "workers"))
    assert "You must specify a region" in what
    assert "aws.region" in remedy


@pytest.mark.parametrize(
    ("caller", "source"),
    [
        ("arn:aws:sts::1:assumed-role/worker/abc", "arn:aws:iam::1:role/worker"),
        ("arn:aws-cn:sts::1:assumed-role/worker/abc", "arn:aws-cn:iam::1:role/worker"),
        ("arn:aws:iam::1:user/ann", "arn:aws:iam::1:user/ann"),
    ],
)
def test_whose_policies_count(caller, source):
    """IAM knows a role, not the session that assumed it."""
    assert policy_source(caller) == source


@pytest.mark.parametrize(
    ("command", "environment", "slots"),
    [
        (["celery", "worker"], {}, None),
        (["celery", "worker", "--concurrency", "8"], {}, 8),
        (["bash", "-c", "exec airflow celery worker --concurrency=8 -q etl"], {}, 8),
        (["celery", "worker", "-c", "8"], {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}, 8),
        (["celery", "worker"], {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}, 4),
        (["celery", "worker", "--autoscale", "20,4"], {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}, 20),
        (["celery", "worker", "-c", "8"], {"AIRFLOW__CELERY__WORKER_AUTOSCALE": "12,2"}, 12),
        (["celery", "worker"], {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "many"}, None),
        (["celery", "worker", "--concurrency-of-others", "8"], {}, None),
    ],
)
def test_slots_of_a_worker(command, environment, slots):
    """By command line or environment; a range beats a number."""
    container = {
        "command": command,
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
    }
    found = slots_of(container)
    assert (found and found[0]) == slots


def test_which_container_is_the_worker():
    """The only one, or the only one that runs `celery worker`; otherwise nobody knows."""
    worker, sidecar = {"command": ["celery", "worker"]}, {"command": ["statsd"]}
    assert worker_container({"containerDefinitions": [sidecar]}) is sidecar
    assert worker_container({"containerDefinitions": [sidecar, worker]}) is worker
    assert worker_container({"containerDefinitions": [worker, worker]}) is None
    assert worker_container({}) is None


async def test_an_unclear_worker_is_said(ecs):
    """Then its slots are not checked."""
    ecs.faults.alter("DescribeTaskDefinition", lambda _: {"taskDefinition": {"containerDefinitions": []}})
    found = await findings(ecs)
    assert wrong(found) == []
    assert found[-1].what == "which container runs the worker is unclear: its slots were not checked"
