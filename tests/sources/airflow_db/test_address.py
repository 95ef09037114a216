"""URLs as Airflow has them, the drivers' errors, the schema's columns: tables of what becomes of each."""

import ssl

import pytest
from sqlalchemy.exc import OperationalError

from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.address import parse
from autoscaler.sources.airflow_db.errors import is_broken_connection, translated
from autoscaler.sources.airflow_db.schema import Generation, Schema, recognised

GOOD = {
    "postgresql://u:p@h:5433/airflow": ("postgresql+asyncpg", "postgresql://u@h:5433/airflow"),
    "postgres://u:p@h/airflow": ("postgresql+asyncpg", "postgresql://u@h/airflow"),
    "postgresql+psycopg2://u:p@h/airflow": ("postgresql+asyncpg", "postgresql://u@h/airflow"),
    "postgresql+psycopg://u:p@h/airflow": ("postgresql+asyncpg", "postgresql://u@h/airflow"),
    "postgresql+asyncpg://u@h/airflow": ("postgresql+asyncpg", "postgresql://u@h/airflow"),
    "postgresql://u:p@/airflow?host=/run/pg": ("postgresql+asyncpg", "postgresql://u@/run/pg/airflow"),
    "mysql://u:p@h/airflow": ("mysql+asyncmy", "mysql://u@h/airflow"),
    "mysql+mysqldb://u:p@h:3307/airflow": ("mysql+asyncmy", "mysql://u@h:3307/airflow"),
    "mysql+pymysql://u:p@h/airflow": ("mysql+asyncmy", "mysql://u@h/airflow"),
    "mariadb+mariadbconnector://u:p@h/airflow": ("mysql+asyncmy", "mysql://u@h/airflow"),
    "sqlite:////var/airflow.db": ("sqlite+aiosqlite", "sqlite:////var/airflow.db"),
    "sqlite+aiosqlite:////var/air flow.db": ("sqlite+aiosqlite", "sqlite:////var/air flow.db"),
    " sqlite:///relative.db\n": ("sqlite+aiosqlite", "sqlite:///relative.db"),
}


@pytest.mark.parametrize("url", GOOD)
def test_airflow_s_urls_are_understood(url):
    """Whatever driver Airflow uses."""
    address = parse(url)
    assert (address.url.drivername, address.place) == GOOD[url]


BAD = {
    "": "cannot be parsed",
    "secret-word": "cannot be parsed",
    "postgresql://u:secret-word@h:port/airflow": "cannot be parsed",
    "postgresql://u:x@h:secret-word/airflow": "cannot be parsed",
    "postgresql://u:x@secret-word@h/airflow": "cannot be parsed",
    "mysql://u:x@y/secret-word@h/airflow": "cannot be parsed",
    "oracle://u:secret-word@h/airflow": "unknown kind of database",
    "mssql+pyodbc://u:secret-word@h/airflow": "unknown kind of database",
    "sqlite://": "in-memory",
    "sqlite:///:memory:": "in-memory",
    "mysql://u:secret-word@h/airflow?ssl_ca=/nowhere/ca.pem": "TLS file",
}


@pytest.mark.parametrize("url", BAD)
def test_bad_urls_are_refused_without_being_repeated(url):
    """They may hold a password anywhere."""
    with pytest.raises(SourceError, match=BAD[url]) as raised:
        parse(url)
    assert "secret-word" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


def test_libpq_s_parameters_reach_asyncpg():
    """But for those that only concern libpq, which the server would refuse."""
    address = parse(
        "postgresql://u:p@h/a?sslmode=require&connect_timeout=5&keepalives=1&options=-csearch_path%3Dx"
    )
    assert address.connect_args["dsn"] == "postgresql:///?sslmode=require&options=-csearch_path%3Dx"
    assert address.connect_args["statement_cache_size"] == 0
    assert not address.connect_args["prepared_statement_name_func"]()


@pytest.mark.parametrize(
    ("query", "verify", "hostname"),
    [
        ("ssl_mode=REQUIRED", ssl.CERT_NONE, False),
        ("ssl_mode=VERIFY_IDENTITY", ssl.CERT_REQUIRED, True),
        ("ssl_mode=VERIFY_CA", ssl.CERT_REQUIRED, False),
    ],
)
def test_mysql_s_tls_modes_mean_what_they_mean_there(query, verify, hostname):
    """Encrypted, vouched for, and by whom."""
    context = parse(f"mysql://u:p@h/a?{query}&read_timeout=3").connect_args["ssl"]
    assert (context.verify_mode, context.check_hostname) == (verify, hostname)


def test_a_password_is_in_no_text():
    """However a driver spells it."""
    address = parse("postgresql://u:pa%40ss%2Fword@h/airflow")
    for text in ("x pa@ss/word y", "x pa%40ss%2Fword y"):
        assert address.scrubbed(text) == "x *** y"
    error = translated(RuntimeError("why pa@ss/word\nmore"), address, "job", 5.0)
    assert str(error) == "postgresql://u@h/airflow: why ***; see the database's own log"
    assert "pa@ss" not in repr(address)


def test_a_password_that_is_also_the_user_hides_neither_the_place_nor_the_remedy():
    """Airflow's own examples log in as airflow with the password airflow, to the database airflow."""
    address = parse("mysql://airflow:airflow@h/airflow")
    error = translated(RuntimeError(1142, "SELECT denied to airflow"), address, "job", 5.0)
    assert str(error) == (
        "mysql://airflow@h/airflow: a right is missing (SELECT denied to ***); "
        "GRANT SELECT ON airflow.job TO 'airflow'@'%'"
    )


class DriverError(Exception):
    def __init__(self, sqlstate, *arguments):
        super().__init__(*arguments)
        self.sqlstate = sqlstate


TROUBLE = [
    ("postgresql://u@h/a", DriverError("53300", "sorry"), "the server has no connection left (sorry)"),
    ("postgresql://u@h/a", DriverError("57P03", "starting"), "the server is starting up"),
    ("postgresql://u@h/a", DriverError("28000", "no entry"), "pg_hba.conf"),
    ("postgresql://u@h/a", DriverError("08P01", "password authentication failed"), "the password is refused"),
    ("postgresql://u@h/a", DriverError("42703", "no column"), "a column of job has gone"),
    ("postgresql://u@h/a", ConnectionRefusedError(111, "refused"), "nobody answers"),
    ("postgresql://u@h/a", EOFError(), "the connection broke"),
    ("mysql://u@h/a", DriverError("28000", 1045, "Access denied"), "the password is refused (Access denied)"),
    ("mysql://u@h/a", DriverError("HY000", 1040, "Too many"), "raise max_connections"),
    ("mysql://u@h/a", DriverError("HY000", 9999, "What"), "mysql://u@h/a: What; see the database's own log"),
    ("sqlite:////a.db", RuntimeError("file is not a database"), "the file is no SQLite database"),
]


@pytest.mark.parametrize(("url", "error", "said"), TROUBLE)
def test_drivers_errors_become_one_line_with_a_remedy(url, error, said):
    """Also when SQLAlchemy has wrapped them."""
    wrapped = OperationalError("SELECT 1", None, error)
    for each in (error, wrapped):
        line = str(translated(each, parse(url), "job", 5.0))
        assert said in line
        assert "; " in line
        assert "\n" not in line


def test_only_a_dead_connection_is_worth_another_try():
    """A refusal stays one."""
    assert is_broken_connection(ConnectionResetError())
    assert is_broken_connection(OperationalError("", None, Exception(), connection_invalidated=True))
    assert not is_broken_connection(OperationalError("", None, DriverError("28P01", "no")))


BASE = {"state", "queue", "hostname", "queued_dttm", "start_date", "updated_at"}


def test_releases_are_told_apart_by_their_columns():
    """Not by configuration."""
    assert recognised(BASE | {"job_id"}) == Schema(Generation.AIRFLOW_2, has_executor=False)
    assert recognised(BASE | {"job_id", "executor"}) == Schema(Generation.AIRFLOW_2, has_executor=True)
    assert recognised(BASE | {"last_heartbeat_at", "executor"}) == Schema(
        Generation.AIRFLOW_3, has_executor=True
    )
    assert [
        str(recognised(BASE | {"job_id"})),
        str(recognised(BASE | {"executor", "last_heartbeat_at"})),
    ] == [
        "Airflow 2.5 to 2.9",
        "Airflow 3",
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id", "name"}, "no column hostname, queue, queued_dttm, start_date, state"),
        ((BASE | {"job_id"}) - {"updated_at"}, "older than 2.5"),
        (BASE | {"job_id", "last_heartbeat_at"}, "no Airflow release known"),
        (BASE, "no Airflow release known"),
    ],
)
def test_unknown_schemas_are_refused(columns, said):
    """Guessing would be reading something else."""
    with pytest.raises(SourceError, match=said):
        recognised(columns)
