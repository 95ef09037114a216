"""The decision record: one JSON line per decision, the same from the daemon and the simulator.

A `start` record carries configuration and state, a `decision` record what was seen and what was
decided.  From the last start record on, a log can be replayed: the step is pure, so the same
observations give the same decisions, to the last note.

Encoding is by the fields of the frozen values.  JSON has no NaN and no infinities: they are the
strings "nan", "inf" and "-inf".  Sets are sorted lists, numpy columns lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from autoscaler.core.codec import MisfitError, from_json, to_json, with_memory
from autoscaler.core.controller import Controller
from autoscaler.core.state import State
from policies.model import Decision, Observation

VERSION = 1


class RecordError(ValueError):
    """A line that is no decision record; names line, field and what was expected."""


@dataclass(frozen=True, slots=True)
class StartRecord:
    """A target starts, or goes on under another configuration or in another file."""

    at: float
    target: str
    config: Mapping[str, Any]
    """The configuration in force, secrets masked."""
    state: State
    config_hash: str


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One step: what was handed to the controller, and what it said."""

    at: float
    target: str
    observation: Observation
    decision: Decision
    config_hash: str


Record = StartRecord | DecisionRecord


def encode_start(
    at: float, target: str, config: Mapping[str, Any], state: State, memory_type: Any, config_hash: str
) -> str:
    """The line of a start record.  `memory_type` is the policy's; `config` holds plain JSON values."""
    document = {
        "config": dict(config),
        "state": to_json(state, memory_type),
        "config_hash": config_hash,
    }
    return _line("start", at, target, document)


def encode_decision(target: str, observation: Observation, decision: Decision, config_hash: str) -> str:
    """The line of a decision record."""
    document = {
        "observation": to_json(observation),
        "decision": to_json(decision),
        "config_hash": config_hash,
    }
    return _line("decision", observation.at, target, document)


def encode(record: Record, memory_type: Any = Any) -> str:
    """The line of a record; `decode` gives the same record back."""
    if isinstance(record, StartRecord):
        return encode_start(
            record.at, record.target, record.config, record.state, memory_type, record.config_hash
        )
    return encode_decision(record.target, record.observation, record.decision, record.config_hash)


def decode(line: str, memory_type: Any = Any, line_number: int = 1) -> Record:
    """The record of a line.

    `memory_type` is that of the policy whose memory a start record holds; without it the memory stays
    as JSON has it.  Raises `RecordError`.
    """
    try:
        return _record(json.loads(line), memory_type)
    except MisfitError as error:
        raise RecordError(f"line {line_number}: {error}") from None
    except ValueError as error:
        raise RecordError(f"line {line_number}: not JSON: {error}") from None
    except RecursionError:
        raise RecordError(f"line {line_number}: nested deeper than any record is") from None


def read(lines: Iterable[str], memory_type: Any = Any) -> Iterator[Record]:
    """The records of a log; empty lines are passed over.  Raises `RecordError`."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield decode(line, memory_type, number)


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that the controller would have taken otherwise."""

    at: float
    target: str
    recorded: Decision
    replayed: Decision


def replay(controller: Controller, records: Iterable[Record]) -> Iterator[Difference]:
    """Where `controller` decides otherwise than one target's records say.

    Each start record sets the state anew.  With the recorded configuration there is no difference;
    with another, the differences are what it would have changed, one step at a time (the world is
    not replayed: what was observed stays as it was).  Raises `RecordError` where the records begin
    with no start or belong to several targets.
    """
    state: State | None = None
    target: str | None = None
    for record in records:
        if target is not None and record.target != target:
            raise RecordError(f"records of two targets, {target!r} and {record.target!r}; replay one")
        target = record.target
        if isinstance(record, StartRecord):
            state = record.state
            continue
        if state is None:
            raise RecordError(f"a replay begins at a start record; the first is a decision at {record.at}")
        state, decision = controller.step(state, record.observation)
        # Compared as written: in memory NaN is unlike itself.
        if to_json(decision) != to_json(record.decision):
            yield Difference(record.at, record.target, record.decision, decision)


def _line(kind: Literal["start", "decision"], at: float, target: str, document: dict[str, Any]) -> str:
    head = {"v": VERSION, "kind": kind, "at": at, "target": target}
    return json.dumps(head | document, allow_nan=False, separators=(",", ":"))


def _record(document: Any, memory_type: Any) -> Record:
    if not isinstance(document, dict):
        raise MisfitError("", "an object", document)
    if (version := document.get("v")) != VERSION:
        raise MisfitError("v", str(VERSION), version)
    shape: type[Any]
    match document.get("kind"):
        case "start":
            shape = StartRecord
        case "decision":
            shape = DecisionRecord
        case kind:
            raise MisfitError("kind", "'start' or 'decision'", kind)
    # Whoever wraps a record may add keys of its own at the top.
    known = {name: value for name, value in document.items() if name in shape.__dataclass_fields__}
    record: Record = from_json(known, shape)
    if isinstance(record, StartRecord):
        return replace(record, state=with_memory(record.state, memory_type, "state"))
    if not record.decision.trail:
        raise MisfitError("decision.trail", "at least one stage", [])
    return record
