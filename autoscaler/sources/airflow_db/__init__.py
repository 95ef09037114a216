"""Airflow's metadata database (2.5 to 3.x; PostgreSQL, MySQL or MariaDB, SQLite)."""

from autoscaler.sources.airflow_db.connection import Timeouts
from autoscaler.sources.airflow_db.credentials import Credentials, fixed, from_file, from_secrets_manager
from autoscaler.sources.airflow_db.database import AirflowDatabase, AirflowTarget
from autoscaler.sources.airflow_db.diagnosis import Expectation, diagnose
from autoscaler.sources.airflow_db.reading import Limits
from autoscaler.sources.airflow_db.snapshot import Snapshot

__all__ = [
    "AirflowDatabase",
    "AirflowTarget",
    "Credentials",
    "Expectation",
    "Limits",
    "Snapshot",
    "Timeouts",
    "diagnose",
    "fixed",
    "from_file",
    "from_secrets_manager",
]
