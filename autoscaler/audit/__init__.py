"""What an audit asks of the world beside Airflow's database: the worker service as it is.  Reads only."""

from autoscaler.audit.service import WorkerService, look_at

__all__ = ["WorkerService", "look_at"]
