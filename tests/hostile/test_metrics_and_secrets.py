"""What CloudWatch and Secrets Manager may say: a load, a URL, or one line."""

from datetime import UTC, datetime

import anyio
import pytest
from hypothesis import HealthCheck, given, settings

from autoscaler.http_server import served
from autoscaler.ports import SourceError
from autoscaler.sources.airflow_db.credentials import from_secrets_manager, url_of_secret
from autoscaler.sources.cloudwatch import CloudwatchSource, cloudwatch_client, executor_metrics
from tests.hostile.aws_parrot import BODIES, WHEN, Parrot, as_bytes
from tests.hostile.laws import SECRET, changed, must_be_told_well, nested

RESULTS = {
    "MetricDataResults": [
        {"Id": name, "Timestamps": [WHEN - 60], "Values": [3.0], "StatusCode": "Complete"}
        for name in ("queued", "running")
    ]
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(RESULTS))
def test_metrics_with_other_parts(document):
    """CloudWatch's answer: a load, or one line."""

    class Client:
        async def get_metric_data(self, **_):
            if not isinstance(document, dict):
                raise TypeError(document)
            return {
                "MetricDataResults": [
                    {
                        **each,
                        "Timestamps": [datetime.fromtimestamp(WHEN - 60, UTC) for _ in each["Timestamps"]],
                    }
                    if isinstance(each, dict) and isinstance(each.get("Timestamps"), list)
                    else each
                    for each in document["MetricDataResults"]
                ]
            }

    source = CloudwatchSource(Client(), executor_metrics("e"), clock=lambda: WHEN)
    try:
        demand = anyio.run(source.demand)
    except SourceError as error:
        must_be_told_well(error)
    else:
        assert demand.queued >= 0


@pytest.mark.anyio
async def test_bodies_that_are_no_metrics():
    """Through the real client, whose protocol is another one."""
    parrot = Parrot()
    async with served(parrot, "127.0.0.1", 0) as url, cloudwatch_client("us-east-1", url) as client:
        source = CloudwatchSource(client, executor_metrics("e"), clock=lambda: WHEN)
        for body in BODIES:
            parrot.body = {"": body, "GetMetricData": body}
            with pytest.raises(SourceError) as refused:
                await source.demand()
            must_be_told_well(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "{",
        f'{{"engine": "postgres", "password": "{SECRET}"}}',
        f'{{"engine": "e", "username": 1, "password": "{SECRET}", "host": "h", "port": "p", "dbname": 1}}',
        f'{{"password": "{SECRET}", "engine": {nested(50_000)}}}',
        f'{{"password": "{SECRET}", "engine": {"9" * 5000}}}',
    ],
    ids=range(8),
)
def test_secrets_that_are_none(text):
    """The complaint names the secret and never its value."""
    with pytest.raises(SourceError, match="airflow/db") as refused:
        url_of_secret("airflow/db", text)
    must_be_told_well(refused.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body", [b"[]", nested(100_000).encode(), as_bytes({"SecretString": 7})], ids=range(3)
)
async def test_bodies_that_are_no_secret(body):
    """Through the real client."""
    parrot = Parrot()
    parrot.body = {"GetSecretValue": body}
    async with served(parrot, "127.0.0.1", 0) as url:
        with pytest.raises(SourceError, match="airflow/db"):
            await from_secrets_manager("airflow/db", "us-east-1", url)()
