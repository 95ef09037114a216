"""What AWS, or whoever answers for it, may say: a reading, or one line; a write is never taken for done."""

import tracemalloc
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.aws import MOST_BYTES
from autoscaler.fleets.ecs import EcsFleet, ecs_clients
from autoscaler.fleets.ecs.clients import EcsClients
from autoscaler.http_server import served
from autoscaler.ports import FleetError
from policies.model import Applied, Capacity, Decision, Reason, Refused, Stage, Unknown
from tests.hostile.aws_parrot import BODIES, WHEN, Parrot, as_bytes
from tests.hostile.laws import changed, must_be_told_well

ARNS = [f"arn:aws:ecs:us-east-1:1:task/demo/{number}" for number in range(3)]
SERVICE = {
    "serviceName": "workers",
    "status": "ACTIVE",
    "schedulingStrategy": "REPLICA",
    "deploymentController": {"type": "ECS"},
    "desiredCount": 3,
    "runningCount": 3,
    "pendingCount": 0,
    "deployments": [
        {"id": "d2", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"},
        {"id": "d1", "status": "ACTIVE", "rolloutState": "COMPLETED"},
    ],
}
DETAILS = [{"name": "privateDnsName", "value": "ip-10-0-0-1.internal"}]
TASK = {
    "lastStatus": "RUNNING",
    "desiredStatus": "RUNNING",
    "createdAt": WHEN,
    "startedAt": WHEN,
    "startedBy": "d1",
    "attachments": [{"details": DETAILS}],
    "containers": [{"runtimeId": "0123456789abcdef" * 4}],
}
PROTECTED = [{"taskArn": arn, "protectionEnabled": True, "expirationDate": WHEN + 600} for arn in ARNS]
ANSWERS = {
    "DescribeServices": {"services": [SERVICE], "failures": []},
    "ListTasks": {"taskArns": ARNS},
    "DescribeTasks": {"tasks": [{"taskArn": arn} | TASK for arn in ARNS], "failures": []},
    "GetTaskProtection": {"protectedTasks": PROTECTED, "failures": []},
    "UpdateTaskProtection": {"protectedTasks": PROTECTED, "failures": [{"arn": ARNS[0], "reason": "x"}]},
    "UpdateService": {"service": SERVICE | {"desiredCount": 5}},
    "DescribeScalableTargets": {
        "ScalableTargets": [
            {"ResourceId": "service/demo/workers", "MinCapacity": 1, "MaxCapacity": 9, "SuspendedState": {}}
        ]
    },
}
DECISION = Decision(5, (Stage("policy", 5, Reason.DEMAND),), protected=frozenset(ARNS[1:]))


@asynccontextmanager
async def parroted(**bodies):
    """A fleet whose AWS is a parrot, over real clients and a real socket."""
    parrot = Parrot()
    parrot.body = {name: as_bytes(answer) for name, answer in ANSWERS.items()} | bodies
    async with served(parrot, "127.0.0.1", 0) as url, ecs_clients("us-east-1", url) as clients:
        yield EcsFleet(clients, "demo", "workers", clock=lambda: WHEN), parrot


async def looked_and_written(fleet):
    """Every answer once; what comes of it must be among what the ports know."""
    try:
        capacity = await fleet.capacity(list_workers=True)
    except FleetError as error:
        must_be_told_well(error)
    else:
        assert isinstance(capacity, Capacity)
        assert capacity.contested_by.isprintable()
        assert min(capacity.desired, capacity.running, capacity.pending) >= 0
    outcome = await fleet.apply(DECISION)
    assert isinstance(outcome, Applied | Refused | Unknown)
    if not isinstance(outcome, Applied):
        must_be_told_well(outcome.why)
    return outcome


@pytest.mark.anyio
async def test_the_good_answers_are_understood():
    """What all others here are changes of."""
    async with parroted() as (fleet, _):
        capacity = await fleet.capacity(list_workers=True)
        assert capacity.workers.outdated == frozenset(ARNS)
        assert capacity.contested_by == "Application Auto Scaling (1 to 9 on service/demo/workers)"
        assert isinstance(await fleet.apply(DECISION), Applied)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "operation", ["DescribeServices", "ListTasks", "UpdateService", "UpdateTaskProtection"]
)
async def test_bodies_that_are_no_answer(operation):
    """Empty, cut short, nested, endless: a refusal in one line, and a write is in doubt."""
    async with parroted() as (fleet, parrot):
        for body in BODIES:
            parrot.body[operation] = body
            outcome = await looked_and_written(fleet)
            if operation == "UpdateService":
                assert isinstance(outcome, Unknown)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "document", "headers"),
    [
        (400, {"__type": "ThrottlingException\nx\x1b[2J", "message": "a\nb" * 9000}, {}),
        (400, {"__type": ["x"], "message": {"a": 1}}, {}),
        (400, {"__type": "X" * 100_000}, {}),
        (400, [], {"x-amzn-errortype": "E" * 5000}),
        (403, {"__type": "AccessDeniedException", "message": "\x00\x1b]0;x\x07"}, {}),
        (500, None, {}),
        (302, None, {"location": "http://127.0.0.1:1/elsewhere"}),
        (599, {}, {"content-type": "text/html"}),
    ],
    ids=range(8),
)
async def test_errors_that_are_odd(status, document, headers):
    """Their words are cut, and shown without what a terminal obeys."""
    async with parroted() as (fleet, parrot):
        parrot.body = dict.fromkeys(ANSWERS, as_bytes(document))
        parrot.status, parrot.headers = status, headers
        with pytest.raises(FleetError) as refused:
            await fleet.capacity(list_workers=True)
        must_be_told_well(refused.value)
        outcome = await fleet.apply(DECISION)
        assert isinstance(outcome, Refused | Unknown)
        must_be_told_well(outcome.why)


@pytest.fixture
def open_fleet():
    """One for many examples: (fleet, parrot, how to run what is asynchronous)."""
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(parroted()) as opened:
        yield *opened, portal.call


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), operation=st.sampled_from(sorted(ANSWERS)))
def test_answers_with_other_parts_through_the_real_client(open_fleet, data, operation):
    """As botocore's own parser hands them over: wrong types, missing and doubled parts."""
    fleet, parrot, run = open_fleet
    usual = parrot.body[operation]
    parrot.body[operation] = as_bytes(data.draw(changed(ANSWERS[operation])))
    try:
        run(looked_and_written, fleet)
    finally:
        parrot.body[operation] = usual


class Stub:
    """A client whose every call answers what it was told."""

    def __init__(self, answers):
        self._answers = answers

    def __getattr__(self, name):
        return partial(self._answer, "".join(each.title() for each in name.split("_")))

    async def _answer(self, operation, **_):
        return self._answers[operation]


def with_dates(document):
    """As botocore hands instants over."""
    match document:
        case dict():
            return {key: with_dates(value) for key, value in document.items()}
        case list():
            return [with_dates(each) for each in document]
    return datetime.fromtimestamp(document, UTC) if document in (WHEN, WHEN + 600) else document


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), operation=st.sampled_from(sorted(ANSWERS)))
def test_answers_with_other_parts_as_they_are(data, operation):
    """Harder than any parser would let through: nothing but the ports' own errors comes out."""
    answers = ANSWERS | {operation: data.draw(changed(ANSWERS[operation]))}
    if not isinstance(answers[operation], dict):
        return
    stub = Stub({name: with_dates(answer) for name, answer in answers.items()})
    anyio.run(
        looked_and_written, EcsFleet(EcsClients(stub, stub, stub), "demo", "workers", clock=lambda: WHEN)
    )


@pytest.mark.anyio
async def test_an_endless_list_of_workers_ends():
    """Pages that go on for ever, and pages that are too full."""
    for page in ([ARNS[0]], [f"arn:task/{number}" for number in range(9000)]):
        async with parroted(ListTasks=as_bytes({"taskArns": page, "nextToken": "more"})) as (fleet, parrot):
            capacity = await fleet.capacity(list_workers=True)
            assert capacity.workers is None
            assert parrot.asked < 70


@pytest.mark.anyio
async def test_a_body_of_any_length_takes_no_more_than_its_limit():
    """It is given up as soon as it is too long, however it is sent."""
    piece = b" " * 2**20
    async with parroted(DescribeServices=[piece] * 200) as (fleet, _):
        tracemalloc.start()
        try:
            with pytest.raises(FleetError, match=r"longer than 4 MB|ConnectionClosedError"):
                await fleet.capacity(list_workers=False)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 5 * MOST_BYTES
