"""From settings to the lease, which outlives a reload and so is no part of what `wiring.py` opens."""

from __future__ import annotations

from secrets import token_hex
from socket import gethostname

from autoscaler.lease.alone import Alone
from autoscaler.lease.database import DatabaseLease
from autoscaler.lease.dynamodb import DynamodbLease
from autoscaler.lease.file import FileLease
from autoscaler.ports import Lease
from autoscaler.settings import LeaseKind, Mode, Settings
from autoscaler.wiring import credentials_of


def lease_of(settings: Settings) -> Lease:
    """What says whether this daemon acts; it connects when it is asked.  In observe mode nobody need say."""
    lease, owner = settings.lease, f"{gethostname()}/{token_hex(4)}"
    if lease_place(settings) is None:
        return Alone()
    name, expiry_seconds = settings.shared_name, lease.expiry_seconds
    if lease.kind is LeaseKind.FILE:
        return FileLease(str(lease.path), owner)
    if lease.kind is LeaseKind.DATABASE:
        credentials = credentials_of(settings, lease if lease.has_database else None)
        return DatabaseLease(credentials, name, owner, expiry_seconds)
    aws = settings.aws
    return DynamodbLease(
        str(lease.table), name, owner, expiry_seconds, region=aws.region, endpoint_url=aws.endpoint_url
    )


def lease_place(settings: Settings) -> object:
    """Equal for two configurations whose daemons share a lease; None where there is none to share."""
    lease, airflow = settings.lease, settings.airflow
    if settings.mode is Mode.OBSERVE or lease.kind is LeaseKind.NONE:
        return None
    urls = (airflow.database_url, airflow.database_url_file, airflow.database_url_secret)
    return lease, settings.shared_name, urls, settings.aws
