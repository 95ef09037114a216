"""Which of several daemons acts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from autoscaler.settings.section import Name, Section

CHECKS_BEFORE_EXPIRY = 3
"""So many may fail in a row before the leader gives the lease up."""


class LeaseKind(StrEnum):
    """Where the lease is kept."""

    NONE = "none"
    DATABASE = "database"
    DYNAMODB = "dynamodb"
    FILE = "file"


_OF_KIND = {
    "database_url": LeaseKind.DATABASE,
    "database_url_file": LeaseKind.DATABASE,
    "database_url_secret": LeaseKind.DATABASE,
    "table": LeaseKind.DYNAMODB,
    "path": LeaseKind.FILE,
}


class Lease(Section):
    """One daemon acts, others stand by.  In observe mode no daemon takes part."""

    kind: LeaseKind = LeaseKind.NONE
    """Where it is kept.  `none`: there is no other daemon.  `database`: a lock in PostgreSQL 14+, MySQL or
    MariaDB.  `dynamodb`: an item of a table.  `file`: a lock on a file of this host."""
    name: Name | None = None
    """Daemons with the same name take turns.  Default: one made of the services' names; give one of your own,
    if targets shall come and go while several daemons run."""
    check_seconds: Annotated[float, Field(ge=0.1)] = 2.0
    """How often a stand-by tries to lead, and the leader confirms that it does."""
    expiry_seconds: Annotated[float, Field(le=3600)] = 6.0
    """A leader that is silent for so long has lost the lease; a file has no such limit.
    The next one acts after at most this, one check and the longest write deadline."""
    database_url: SecretStr | None = None
    """Kind `database`: the URL, if not `airflow.database_url`, as where that leads to a pooler.  A secret."""
    database_url_file: str | None = None
    """A file that holds the URL."""
    database_url_secret: str | None = None
    """AWS Secrets Manager id or ARN whose value is the URL."""
    table: Name | None = None
    """Kind `dynamodb`: the table, whose partition key is the string `lease`."""
    path: str | None = None
    """Kind `file`: the file, made if it is missing."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, kind in _OF_KIND.items():
            if getattr(self, key) is not None and self.kind is not kind:
                raise ValueError(f"{key} is for kind {kind}, and kind is {self.kind}")
        for key, kind in (("table", LeaseKind.DYNAMODB), ("path", LeaseKind.FILE)):
            if self.kind is kind and getattr(self, key) is None:
                raise ValueError(f"kind {kind} needs {key}")
        if self.expiry_seconds < CHECKS_BEFORE_EXPIRY * self.check_seconds:
            needed = CHECKS_BEFORE_EXPIRY * self.check_seconds
            raise ValueError(
                f"expiry_seconds is {self.expiry_seconds:g}, expected at least {CHECKS_BEFORE_EXPIRY} "
                f"times check_seconds, which is {needed:g}"
            )
        if len([key for key in _URLS if getattr(self, key) is not None]) > 1:
            raise ValueError(f"give one of {', '.join(_URLS)}")
        return self

    @property
    def has_database(self) -> bool:
        """Whether it names a database of its own."""
        return any(getattr(self, key) for key in _URLS)


_URLS = tuple(key for key, kind in _OF_KIND.items() if kind is LeaseKind.DATABASE)
