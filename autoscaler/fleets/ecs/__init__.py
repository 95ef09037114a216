"""Worker services on Amazon ECS."""

from autoscaler.fleets.ecs.clients import EcsClients, ecs_clients
from autoscaler.fleets.ecs.fleet import EcsFleet

__all__ = ["EcsClients", "EcsFleet", "ecs_clients"]
