"""The lease's settings: what is refused, with which words, and who shares what."""

import pytest

from autoscaler.configuration import ConfigurationError, load
from autoscaler.lease.alone import Alone
from autoscaler.lease.database import DatabaseLease
from autoscaler.lease.dynamodb import DynamodbLease
from autoscaler.lease.file import FileLease
from autoscaler.leases import lease_of, lease_place

BASE = """mode = "{mode}"
[airflow]
database_url = "postgresql://reader:hunter2@db/airflow"
[targets.default]
cluster = "c"
service = "{service}"
[lease]
"""


@pytest.fixture
def settings(tmp_path):
    def read(lease="", mode="act", service="s"):
        path = tmp_path / "autoscaler.toml"
        path.write_text(BASE.format(mode=mode, service=service) + lease)
        return load(path, {})

    return read


@pytest.mark.parametrize(
    ("lease", "message"),
    [
        ('kind = "redis"', "lease.kind = 'redis': input should be 'none', 'database', 'dynamodb' or 'file'"),
        ('kind = "file"', "lease: kind file needs path"),
        ('kind = "dynamodb"', "lease: kind dynamodb needs table"),
        ('table = "t"', "lease: table is for kind dynamodb, and kind is none"),
        ('kind = "file"\npath = "p"\ntable = "t"', "lease: table is for kind dynamodb, and kind is file"),
        (
            'kind = "database"\nexpiry_seconds = 5',
            "lease: expiry_seconds is 5, expected at least 3 times check_seconds, which is 6",
        ),
        (
            'kind = "database"\ndatabase_url = "x"\ndatabase_url_file = "y"',
            "lease: give one of database_url, database_url_file, database_url_secret",
        ),
        ('kind = "database"\ntabel = "t"', "lease.tabel is not a setting; did you mean table?"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, lease, message):
    """One line, which names the key and what was expected."""
    with pytest.raises(ConfigurationError) as caught:
        settings(lease)
    assert str(caught.value).endswith(message)


def test_a_lease_in_a_database_needs_one(tmp_path):
    """Neither Airflow's nor one of its own is named."""
    path = tmp_path / "autoscaler.toml"
    target = '[targets.default]\ncluster = "c"\nservice = "s"\nsources = ["statsd"]\n'
    path.write_text(target + '[lease]\nkind = "database"\n')
    with pytest.raises(ConfigurationError, match=r"needs airflow.database_url or lease.database_url"):
        load(path, {})
    path.write_text(target + '[lease]\nkind = "database"\ndatabase_url = "mysql://a:b@c/d"\n')
    assert isinstance(lease_of(load(path, {})), Alone)  # mode observe is the default


@pytest.mark.parametrize(
    ("lease", "mode", "kind"),
    [
        ("", "act", Alone),
        ('kind = "database"', "observe", Alone),
        ('kind = "database"', "act", DatabaseLease),
        ('kind = "database"\ndatabase_url_file = "/url"', "act", DatabaseLease),
        ('kind = "dynamodb"\ntable = "t"', "act", DynamodbLease),
        ('kind = "file"\npath = "p"', "act", FileLease),
    ],
)
def test_who_only_observes_takes_no_lease(settings, lease, mode, kind):
    """Else an observer could keep all others from acting."""
    assert type(lease_of(settings(lease, mode))) is kind


def test_daemons_share_a_lease_if_they_size_the_same_services(settings):
    """Or have the same name for it."""
    kind = 'kind = "database"\n'
    assert lease_place(settings(kind)) == lease_place(settings(kind))
    assert lease_place(settings(kind, service="other")) != lease_place(settings(kind))
    named = kind + 'name = "production"'
    assert lease_place(settings(named, service="other")) == lease_place(settings(named))
    assert lease_place(settings(kind, mode="observe")) is lease_place(settings()) is None
