"""The decisions of simulated controllers in a file, as a daemon writes them: so that they can be replayed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autoscaler.core.controller import Controller
from autoscaler.core.record import encode_decision, encode_start
from policies.model import Decision, Observation

OnStep = Callable[[str, Observation, Decision], None]
"""Target, what it saw, what it decided."""


@contextmanager
def decision_log(
    path: Path | None, starts_at: float, targets: Mapping[str, tuple[Controller, Mapping[str, Any]]]
) -> Iterator[OnStep | None]:
    """Writes every decision; the file also says with what each target began.

    `targets`: by name the controller and all that decides, in plain values.  Without a path there is nobody
    to tell.  Raises `ValueError` for a file that cannot be written.
    """
    if path is None:
        yield None
        return
    fingerprints = {name: _fingerprint(config) for name, (_, config) in targets.items()}
    with _told(path):
        file = path.open("w", encoding="utf-8")
    try:
        with _told(path):
            for name, (controller, config) in targets.items():
                memory_type, state = controller.policy.memory_type, controller.initial()
                start = encode_start(starts_at, name, dict(config), state, memory_type, fingerprints[name])
                file.write(f"{start}\n")

        def write(name: str, observation: Observation, decision: Decision) -> None:
            with _told(path):
                file.write(f"{encode_decision(name, observation, decision, fingerprints[name])}\n")

        yield write
    finally:
        with _told(path):  # the last lines are written here
            file.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"log: {path} cannot be written: {error.strerror}") from None


def _fingerprint(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
