"""The vocabulary in which Airflow's tables are restated, for PostgreSQL, MySQL and SQLite alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

Columns = Sequence[sa.Column[Any]]

WHEN = sa.DateTime(timezone=True).with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb")
# Airflow keeps identifiers in three-byte UTF-8 on MySQL, or its longest keys would not fit into an index.
IDENTIFIER = sa.String(250).with_variant(
    mysql.VARCHAR(250, charset="utf8mb3", collation="utf8mb3_bin"), "mysql", "mariadb"
)
JSONB = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def columns(kind: sa.types.TypeEngine[Any], *names: str, nullable: bool = True) -> Columns:
    """Columns of one type."""
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def identifiers(*names: str) -> Columns:
    """Ids of DAGs, tasks and runs."""
    return columns(IDENTIFIER, *names, nullable=False)


def times(*names: str, nullable: bool = True) -> Columns:
    """Instants."""
    return columns(WHEN, *names, nullable=nullable)


def integers(*names: str, nullable: bool = True) -> Columns:
    """Integers."""
    return columns(sa.Integer(), *names, nullable=nullable)


def texts(length: int, *names: str, nullable: bool = True) -> Columns:
    """Texts of at most this length."""
    return columns(sa.String(length), *names, nullable=nullable)


def flag(name: str) -> sa.Column[Any]:
    """A flag that is off unless said otherwise."""
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def number(name: str, default: str, *, nullable: bool = False) -> sa.Column[Any]:
    """An integer with a default."""
    return sa.Column(name, sa.Integer(), nullable=nullable, server_default=default)


def key(kind: sa.types.TypeEngine[Any], name: str = "id") -> sa.Column[Any]:
    """The primary key."""
    return sa.Column(name, kind, primary_key=True)


def tracing() -> Columns:
    """The columns of OpenTelemetry, in Airflow 3."""
    status = sa.Column("span_status", sa.String(250), nullable=False, server_default="not_started")
    return [sa.Column("context_carrier", JSONB), status]
