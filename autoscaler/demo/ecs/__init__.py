"""An ECS API over HTTP whose tasks are real processes: for the demonstration and for tests."""

from autoscaler.demo.ecs.faults import Fault, Faults
from autoscaler.demo.ecs.model import ServiceSpec
from autoscaler.demo.ecs.server import Call, LoopbackEcs, running_ecs

__all__ = ["Call", "Fault", "Faults", "LoopbackEcs", "ServiceSpec", "running_ecs"]
