"""Replies from whoever can reach the broker: read within limits, reduced, and never repeated."""

import json
from types import SimpleNamespace

import pytest

from autoscaler.intake.remote import FLOOD, Question, _Asked, _Inbox
from autoscaler.intake.replies import MOST_BYTES, BadReplyError, count, done, opened, queues

TOKEN = "eyJ-token"


def message(body, ticket="t", content_type="application/json", **headers):
    return SimpleNamespace(content_type=content_type, headers={"ticket": ticket, **headers}, body=body)


def reply(node, payload):
    return message(json.dumps({node: payload}))


def test_a_reply_is_reduced_to_counts_and_names():
    tasks = [{"id": "1", "args": [{"token": TOKEN}]}, {"id": "2"}]
    assert opened(reply("celery@a", tasks)) == ("celery@a", tasks)
    assert count(tasks) == 2
    assert queues([{"name": "default", "exchange": {}}, {"name": "other"}]) == {"default", "other"}
    assert done({"ok": "no longer consuming from default"}) is None


@pytest.mark.parametrize(
    "hostile",
    [
        message(f'{{"celery@a": "{TOKEN}"}}' + " " * MOST_BYTES),
        message("[" * 100_000),
        message(TOKEN),
        message(b"\xff\xfe" + TOKEN.encode()),
        message(None),
        message(json.dumps([TOKEN])),
        message(json.dumps({"celery@a": TOKEN, "celery@b": TOKEN})),
        message(f'{{"celery@a": {TOKEN}}}', content_type="application/x-python-serialize"),
        message(f'{{"celery@a": {TOKEN}}}', compression="application/x-gzip"),
    ],
    ids=["huge", "deep", "no JSON", "no text", "empty", "no object", "two workers", "pickle", "compressed"],
)
def test_a_message_that_is_no_reply_is_refused_without_its_words(hostile):
    with pytest.raises(BadReplyError) as raised:
        opened(hostile)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("reader", [count, queues, done])
@pytest.mark.parametrize(
    "payload",
    [{"error": TOKEN}, TOKEN, None, 7, {"no": TOKEN}, [{"name": 7}] * 201,
     [{"name": "\x1b[2J" + TOKEN}], [TOKEN]],
)  # fmt: skip
def test_a_payload_that_makes_no_sense_is_refused_without_its_words(reader, payload):
    if reader is count and isinstance(payload, list):
        assert count(payload) == len(payload)  # what a task looks like is not our affair
        return
    with pytest.raises(BadReplyError) as raised:
        reader(payload)
    assert TOKEN not in str(raised.value)


def inbox(*nodes):
    asked = _Asked(Question("active", count, nodes, len(nodes)))
    return _Inbox({"t": asked}), asked.answers


def test_only_those_who_were_asked_are_heard_and_only_once():
    """Nobody can speak for another question, for a worker that was not asked, or twice."""
    letters, answers = inbox("celery@a", "celery@b")
    letters.take(message('{"celery@a": [1, 2, 3]}', ticket="an earlier one"))
    letters.take(reply("celery@x", [1]))
    assert answers.by_node == {}
    letters.take(reply("celery@a", [1]))
    letters.take(reply("celery@a", []))
    assert (answers.by_node, letters.full) == ({"celery@a": 1}, False)
    letters.take(reply("celery@b", {"error": TOKEN}))
    assert letters.full
    assert answers.bad == {"celery@b": "the worker answered with an error"}


def test_a_flood_ends_the_wait():
    """Nothing of it is kept."""
    letters, answers = inbox("celery@a")
    for number in range(2 * FLOOD + 1):
        assert not letters.full or number >= FLOOD
        letters.take(reply(f"celery@{number}", [TOKEN]))
    assert letters.full
    letters.take(reply("celery@a", []))
    assert answers.by_node == {}


def test_an_unreadable_reply_is_told_although_nobody_knows_whose_it_is():
    letters, answers = inbox("celery@a")
    letters.take(message("x" * (MOST_BYTES + 1)))
    assert answers.unreadable == f"a reply of {MOST_BYTES + 1} bytes, expected at most {MOST_BYTES}"
