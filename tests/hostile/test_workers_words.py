"""What Celery workers, whoever speaks in their name, and the ECS agent may say."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.guard.agent import AgentError, _read
from autoscaler.guard.names import _described
from autoscaler.guard.overhear import understood
from autoscaler.intake import replies
from autoscaler.intake.replies import BadReplyError, opened
from tests.hostile.laws import SECRET, changed, must_be_told_well, nested, odd_json

TASK = {"id": "1", "args": [SECRET], "kwargs": {"token": SECRET}}
REPLIES = {
    "count": {"celery@a": [TASK, TASK]},
    "queues": {"celery@a": [{"name": "default", "exchange": {"name": "default"}}]},
    "done": {"celery@a": {"ok": "no longer consuming"}},
}
COMMAND = {
    "method": "cancel_consumer",
    "arguments": {"queue": "default"},
    "destination": ["celery@a"],
    "pattern": None,
    "matcher": None,
}
PROTECTION = {
    "protection": {"ProtectionEnabled": True, "ExpirationDate": "2027-01-15T09:00:00Z", "TaskArn": "arn"}
}
TASK_METADATA = {
    "TaskARN": "arn:aws:ecs:r:1:task/c/abc",
    "Containers": [{"DockerId": "d", "Networks": [{"PrivateDNSName": "ip", "IPv4Addresses": ["10.0.0.1"]}]}],
}
BODIES = [
    None,
    b"",
    b"null",
    b"\xff",
    nested(100_000).encode(),
    b"9" * 5000,
    b'{"a": 1, "b": 2}',
    b"{}",
    b" " * 3_000_000,
]


def message(body, **headers):
    """As kombu hands one over."""
    return SimpleNamespace(body=body, content_type="application/json", headers=headers)


def as_bytes(document):
    return json.dumps(document).encode(errors="surrogatepass")


def heard(body, reader):
    """What is kept of a reply; None: it was refused, without a word of its content."""
    try:
        node, payload = opened(message(body))
        assert isinstance(node, str)
        return getattr(replies, reader)(payload)
    except BadReplyError as error:
        must_be_told_well(error)
    return None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), reader=st.sampled_from(sorted(REPLIES)))
def test_replies_with_other_parts(data, reader):
    """A count, names, nothing, or a refusal that holds no task's argument."""
    kept = heard(as_bytes(data.draw(changed(REPLIES[reader]))), reader)
    assert kept is None or isinstance(kept, int | frozenset)
    assert SECRET not in repr(kept)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bodies_that_are_no_words(body):
    """Of a reply, of a command overheard, of the agent's answer."""
    with pytest.raises(BadReplyError) as refused:
        opened(message(body))
    must_be_told_well(refused.value)
    assert understood(message(body), frozenset({"celery@a"})) is None
    with pytest.raises(AgentError) as refused:
        _read(200, body or b"", "PUT http://agent")
    must_be_told_well(refused.value)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(COMMAND))
def test_commands_overheard_with_other_parts(document):
    """A stop or a resumption of a queue with a name, or nothing."""
    command = understood(message(as_bytes(document)), frozenset({"celery@a"}))
    assert command is None or 0 < len(command.queue) <= 255


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(PROTECTION), status=st.sampled_from([200, 200, 400, 500]))
def test_answers_of_the_agent_with_other_parts(document, status):
    """A protection with an end, or one line: nothing else lets a worker go."""
    try:
        protection = _read(status, as_bytes(document), "PUT http://agent")
    except AgentError as error:
        must_be_told_well(error)
    else:
        assert status == 200
        assert protection.until >= 0


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=st.one_of(changed(TASK_METADATA), st.dictionaries(st.text(max_size=4), odd_json)))
def test_metadata_of_any_content(document):
    """Names, or none."""
    if isinstance(document, dict):
        assert all(isinstance(name, str) for name in _described(document))
