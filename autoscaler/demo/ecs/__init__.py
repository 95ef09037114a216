"""An ECS API over HTTP whose tasks are real processes: for the demonstration and for tests.

The world behind it (`world.py`) and the API without HTTP (`api.py`) can be had alone: importing them
brings neither a web server nor an event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoscaler.demo.ecs.api import Call, EcsApi
    from autoscaler.demo.ecs.faults import Fault, Faults
    from autoscaler.demo.ecs.server import LoopbackEcs, running_ecs
    from autoscaler.demo.ecs.spec import ServiceSpec, Silence
    from autoscaler.demo.ecs.world import EcsWorld

__all__ = [
    "Call",
    "EcsApi",
    "EcsWorld",
    "Fault",
    "Faults",
    "LoopbackEcs",
    "ServiceSpec",
    "Silence",
    "running_ecs",
]

_HOMES = {
    "Call": "api",
    "EcsApi": "api",
    "EcsWorld": "world",
    "Fault": "faults",
    "Faults": "faults",
    "LoopbackEcs": "server",
    "ServiceSpec": "spec",
    "Silence": "spec",
    "running_ecs": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
