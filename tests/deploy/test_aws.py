"""The ECS and IAM documents are what AWS takes, what the code needs, and no more."""

import ast
import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator

from autoscaler.configuration import load
from autoscaler.guard.settings import AGENT_VARIABLE
from autoscaler.guard.settings import load as load_guard
from autoscaler.settings import LeaseKind, Mode
from tests.deploy.repository import ROOT, document

SESSION = botocore.session.get_session()
SERVICES = ("ecs", "application-autoscaling", "cloudwatch", "secretsmanager", "iam", "sts")
OF_NOBODY = {"sts:GetCallerIdentity"}
"""Needs no permission."""
READS = re.compile(r"[\w-]+:(Describe|Get|List|Simulate)\w+")


def task_definition():
    return document("ecs-task-definition.json")


def container():
    (only,) = task_definition()["containerDefinitions"]
    return only


def environment():
    return {each["name"]: each["value"] for each in container()["environment"]}


def statements(name="iam-policy.json"):
    return document(name)["Statement"]


def actions_of(statement):
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def granted(name="iam-policy.json"):
    return set().union(*(actions_of(statement) for statement in statements(name)))


def operations(services=SERVICES):
    """{python name: IAM action} of every operation of the services we talk to."""
    return {
        xform_name(operation): f"{service}:{operation}"
        for service in services
        for operation in SESSION.get_service_model(service).operation_names
    }


def called(*folders, without=(), services=SERVICES):
    """The IAM actions behind every AWS operation that the modules name."""
    known, found = operations(services), set()
    for folder in folders:
        for path in [ROOT / folder] if folder.endswith(".py") else (ROOT / folder).rglob("*.py"):
            if path.name in without:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Attribute(attr=name) | ast.Constant(value=str() as name) if name in known:
                        found.add(known[name])
    return found


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("ecs-task-definition.json", "RegisterTaskDefinition"),
        ("ecs-worker-task-definition.json", "RegisterTaskDefinition"),
        ("ecs-scheduler-task-definition.json", "RegisterTaskDefinition"),
        ("ecs-service.json", "CreateService"),
    ],
)
def test_aws_takes_the_document(name, operation):
    """Every key and type is one that ECS's own service model knows."""
    shape = SESSION.get_service_model("ecs").operation_model(operation).input_shape
    report = ParamValidator().validate(document(name), shape)
    assert not report.has_errors(), report.generate_report()
    assert not unknown_keys(document(name), shape)


def unknown_keys(value, shape, path=""):
    """What the validator lets through: keys and values that the shape does not have, at any depth."""
    match shape.type_name:
        case "structure":
            strangers = [f"{path}.{key}" for key in value if key not in shape.members]
            known = [key for key in value if key in shape.members]
            return strangers + [
                each
                for key in known
                for each in unknown_keys(value[key], shape.members[key], f"{path}.{key}")
            ]
        case "list":
            return [each for item in value for each in unknown_keys(item, shape.member, path)]
        case "string":
            return [f"{path} = {value}"] if shape.enum and value not in shape.enum else []
        case _:
            return []


def test_there_are_never_two_daemons():
    """A rollout stops the old one before it starts the new one, and no zone is balanced."""
    service = document("ecs-service.json")
    deployment = service["deploymentConfiguration"]
    assert service["desiredCount"] == 1
    assert (deployment["minimumHealthyPercent"], deployment["maximumPercent"]) == (0, 100)
    assert service["availabilityZoneRebalancing"] == "DISABLED"
    assert service["taskDefinition"] == task_definition()["family"]


def test_the_container_may_do_nothing():
    """No root, no writable file, no capability, no shell from outside; something reaps its children."""
    assert not container()["user"].startswith(("0", "root"))
    assert container()["readonlyRootFilesystem"] is True
    assert container()["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert not {"privileged", "mountPoints", "portMappings"} & set(container())
    assert "volumes" not in task_definition()
    assert document("ecs-service.json")["enableExecuteCommand"] is False


def test_its_environment_is_a_whole_configuration_that_only_observes():
    """What one copies and fills in starts without a file, and writes nothing until told to."""
    settings = load(None, environment())
    assert settings.mode is Mode.OBSERVE
    (target,) = settings.targets.values()
    service = f"service/{target.cluster}/{target.service}"
    assert statements()[0]["Resource"].endswith(f":{service}")


def test_no_secret_is_in_the_task_definition():
    """Only the name of the secret: the daemon reads it, again after a rotation."""
    settings = load(None, environment())
    assert settings.airflow.database_url is None
    assert settings.airflow.database_url_secret == environment()["AUTOSCALER__AIRFLOW__DATABASE_URL_SECRET"]
    (allowed,) = [
        each["Resource"] for each in statements() if "secretsmanager:GetSecretValue" in actions_of(each)
    ]
    assert settings.airflow.database_url_secret.startswith(allowed.removesuffix("??????"))


def test_a_stop_leaves_time_for_the_write_in_flight():
    """SIGTERM waits for one write at most, and for the pages to close."""
    (target,) = load(None, environment()).targets.values()
    assert container()["stopTimeout"] >= 2 * target.write_deadline_seconds


def test_a_log_that_is_away_does_not_stop_the_loop():
    """A blocking log driver would hold the daemon at its next line."""
    assert container()["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_the_role_may_do_exactly_what_the_daemon_does():
    """Every AWS operation that the daemon's modules name, and not one more."""
    calls = called("autoscaler/fleets", "autoscaler/sources", without={"preflight.py", "permissions.py"})
    assert granted() == calls


def test_a_check_needs_no_more_than_its_own_policy():
    """`autoscaler check` reads: with the daemon's role and, for its advice, two rights more."""
    calls = called("autoscaler/fleets", "autoscaler/sources") - OF_NOBODY
    assert granted() | granted("iam-policy-check.json") == calls
    assert not granted() & granted("iam-policy-check.json")
    assert all(READS.fullmatch(action) for action in granted("iam-policy-check.json"))


def test_lease_and_orders_in_dynamodb_need_their_own_policy_and_no_more():
    """Two operations each, on one table."""
    for statement, code in zip(
        statements("iam-policy-lease.json"), ("autoscaler/lease", "autoscaler/orders_table.py"), strict=True
    ):
        assert actions_of(statement) == called(code, services=("dynamodb",))
        assert re.fullmatch(r"arn:aws:dynamodb:[\w-]+:\d{12}:table/[\w-]+", statement["Resource"])


def test_beside_each_scheduler_stands_the_same_daemon_with_a_lease():
    """As in its own task, but that it may die alone, and takes turns with the others."""
    scheduler, sidecar = document("ecs-scheduler-task-definition.json")["containerDefinitions"]
    assert scheduler["essential"] is True
    assert sidecar.pop("restartPolicy")["enabled"] is True
    assert sidecar.pop("cpu") < 2048
    sidecar.pop("memory")
    settings = load(None, {each["name"]: each["value"] for each in sidecar["environment"]})
    assert settings.lease.kind is LeaseKind.DATABASE
    sidecar["environment"] = [each for each in sidecar["environment"] if "LEASE" not in each["name"]]
    assert sidecar == {**container(), "essential": False}


def test_what_writes_is_bound_to_the_one_service():
    """No write on a wildcard, except on the tasks of the one cluster."""
    for statement in statements():
        writes = {action for action in actions_of(statement) if not READS.fullmatch(action)}
        if writes == {"ecs:UpdateTaskProtection"}:
            assert re.fullmatch(r"arn:aws:ecs:[\w-]+:\d{12}:task/[\w-]+/\*", statement["Resource"])
        elif writes:
            assert writes == {"ecs:UpdateService"}
            assert "*" not in statement["Resource"]
        if statement["Resource"] == "*" and "ecs:ListTasks" in actions_of(statement):
            assert set(statement["Condition"]["ArnEquals"]) == {"ecs:cluster"}


@pytest.mark.parametrize(
    "name", ["iam-policy.json", "iam-policy-check.json", "iam-policy-guard.json", "iam-policy-lease.json"]
)
def test_every_action_exists_and_none_is_a_wildcard(name):
    """A misspelt action grants nothing, and nobody says so."""
    assert document(name)["Version"] == "2012-10-17"
    assert granted(name) <= set(operations((*SERVICES, "dynamodb")).values())
    assert all(statement["Effect"] == "Allow" for statement in statements(name))
    withheld = {"iam:PassRole", "ecs:StopTask", "ecs:RunTask", "ecs:RegisterTaskDefinition"}
    assert not granted(name) & withheld


def test_a_worker_starts_behind_its_guard_and_survives_it():
    """Seen in one process namespace, started once protected; a guard that dies comes back alone."""
    task = document("ecs-worker-task-definition.json")
    worker, guard = task["containerDefinitions"]
    assert task["pidMode"] == "task"
    assert worker["dependsOn"] == [{"containerName": guard["name"], "condition": "HEALTHY"}]
    assert (worker["essential"], guard["essential"]) == (True, False)
    assert guard["restartPolicy"]["enabled"] is True
    settings = load_guard({AGENT_VARIABLE: "http://169.254.170.2/api/x"})
    check = guard["healthCheck"]
    assert f"http://{settings.host}:{settings.port}/healthz" in check["command"][-1]
    # Checks that fail in the start period do not count: until then the guard has let the worker start.
    assert check["startPeriod"] > settings.start_anyway_seconds
    assert guard["stopTimeout"] >= worker["stopTimeout"]


def test_the_worker_s_role_may_protect_and_nothing_else():
    """The agent acts with the task's role."""
    assert granted("iam-policy-guard.json") == {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"}


def test_the_scan_sees_calls():
    """The policy is compared with something: the scan finds what is plainly there."""
    assert Path(ROOT / "autoscaler/fleets").is_dir()
    assert {"ecs:UpdateService", "secretsmanager:GetSecretValue"} <= called(
        "autoscaler/fleets", "autoscaler/sources"
    )
