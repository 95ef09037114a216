"""The broker's URL: what is taken, what is refused, and that no password is ever shown."""

import pytest

from autoscaler.intake.broker import broker_of, url_from_file
from autoscaler.ports import IntakeError


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:p%40ss@broker.internal:6379/0", "redis://broker.internal:6379/0"),
        ("rediss://airflow:p%40ss@broker.internal/0?ssl_cert_reqs=required", "rediss://airflow@broker.internal/0"),
        ("amqp://airflow:p%40ss@broker.internal:5672/airflow", "amqp://airflow@broker.internal:5672/airflow"),
        ("sentinel://:p%40ss@a:26379;sentinel://:p%40ss@b:26379", "sentinel://a:26379"),
    ],
)  # fmt: skip
def test_a_broker_is_spoken_of_without_its_password(url, place):
    broker = broker_of(url)
    assert broker.place == place
    assert broker.url == url
    assert "p%40ss" not in repr(broker)
    assert broker.scrubbed("p@ss or p%40ss") == "*** or ***"


@pytest.mark.parametrize(
    "url",
    ["", " ; ", "broker.internal:6379", "http://:p@ss@broker", "redis://:p@ss/word@broker/0",
     "redis://:pass@broker:port-ass/0", "amqp://airflow:p@ss@broker:5672@//"],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_never_repeated(url):
    with pytest.raises(IntakeError, match=r"expected redis://, rediss://, sentinel:// or amqp") as raised:
        broker_of(url)
    assert "ss" not in str(raised.value).replace("password", "").replace("rediss", "")


def test_sqs_has_no_remote_control():
    with pytest.raises(IntakeError, match="autoscaler guard"):
        broker_of("sqs://KEY:SECRET@")


def test_given_options_win_over_our_limits():
    """A silent socket is given up; who knows better may say so, and name a key prefix."""
    options = broker_of("redis://broker", {"global_keyprefix": "airflow", "socket_timeout": 1.5}).options
    assert options == {"global_keyprefix": "airflow", "socket_timeout": 1.5, "socket_connect_timeout": 2.0}
    assert broker_of("amqp://broker//").options == {"read_timeout": 4.0, "write_timeout": 4.0}


def test_a_url_may_stand_in_a_file(tmp_path):
    path = tmp_path / "url"
    path.write_text("redis://broker/0\n")
    assert url_from_file(str(path)) == "redis://broker/0"
    for content, why in ((b" \n", "is empty: expected redis://"), (b"\xff", "not UTF-8 text")):
        path.write_bytes(content)
        with pytest.raises(IntakeError, match=why):
            url_from_file(str(path))
    with pytest.raises(IntakeError, match="cannot be read: No such file"):
        url_from_file(str(tmp_path / "nothing"))
