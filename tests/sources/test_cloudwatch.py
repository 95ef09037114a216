"""CloudWatch through a real client over HTTP: moto for the API, a scripted server for its bad days."""

import json
import threading
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import boto3
import pytest
from moto.server import ThreadedMotoServer

from autoscaler.ports import SourceError
from autoscaler.sources.cloudwatch import (
    MAX_PAGES,
    CloudwatchSource,
    LoadMetrics,
    Metric,
    cloudwatch_client,
    executor_metrics,
    queue_metrics,
)

NOW = 1_800_000_000.0  # a whole minute
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True, scope="module")
def credentials():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
        environment.setenv("AWS_CONFIG_FILE", "/nonexistent")
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
            environment.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@asynccontextmanager
async def source(endpoint, metrics, **options):
    async with cloudwatch_client(REGION, endpoint) as client:
        yield CloudwatchSource(client, metrics, clock=lambda: NOW, **options)


def publish(endpoint, metric, *values_by_age):
    """One datapoint each, published that many seconds ago."""
    client = boto3.client("cloudwatch", region_name=REGION, endpoint_url=endpoint)
    dimensions = [{"Name": key, "Value": value} for key, value in metric.dimensions.items()]
    for age, value in values_by_age:
        point = {"MetricName": metric.name, "Dimensions": dimensions, "Timestamp": NOW - age, "Value": value}
        client.put_metric_data(Namespace=metric.namespace, MetricData=[point])
    client.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "metrics",
    [
        executor_metrics("first"),
        queue_metrics("first"),
        LoadMetrics(
            Metric("CWAgent", "airflow_executor_queued_tasks", {"host": "one"}, "Average"),
            Metric("CWAgent", "airflow_executor_running_tasks", {"host": "one"}, "Average"),
        ),
        LoadMetrics(Metric("Own", "Waiting"), Metric("Own", "Working")),
    ],
    ids=["AmazonMWAA", "AWS-MWAA", "own", "own without dimensions"],
)
async def test_the_load_is_read(moto, metrics):
    """Both namespaces of MWAA's, and metrics of one's own."""
    publish(moto, metrics.queued, (60, 7), (120, 5))
    publish(moto, metrics.running, (60, 30), (120, 20))
    if metrics.oldest_wait:
        publish(moto, metrics.oldest_wait, (60, 45))
    async with source(moto, metrics) as cloudwatch:
        demand = await cloudwatch.demand()
    assert (demand.queued, demand.running, demand.whole) == (7, 30, True)
    assert demand.oldest_wait_seconds == (45 if metrics.oldest_wait else 0)
    assert (demand.measured_at, demand.source) == (NOW - 60, "cloudwatch")


@pytest.mark.anyio
async def test_both_metrics_are_of_the_same_minute(moto):
    """A task that goes from queued to running must not fall between two minutes."""
    metrics = executor_metrics("lagging")
    publish(moto, metrics.queued, (60, 0), (120, 30))
    publish(moto, metrics.running, (120, 10))
    async with source(moto, metrics) as cloudwatch:
        demand = await cloudwatch.demand()
    assert (demand.load, demand.measured_at) == (40, NOW - 120)


@pytest.mark.anyio
async def test_no_datapoint_is_not_zero(moto):
    """A mistyped environment looks exactly like an idle one."""
    async with source(moto, executor_metrics("mistyped")) as cloudwatch:
        with pytest.raises(
            SourceError,
            match=r"no datapoint of AmazonMWAA QueuedTasks \(Function=Executor, Environment=mistyped\) "
            "in the last 1140 s; check the name of the environment",
        ):
            await cloudwatch.demand()


@pytest.mark.anyio
async def test_half_the_load_is_none(moto):
    """Queued alone says nothing of what runs."""
    metrics = executor_metrics("half")
    publish(moto, metrics.queued, (60, 7))
    async with source(moto, metrics) as cloudwatch:
        with pytest.raises(SourceError, match="no datapoint of AmazonMWAA RunningTasks"):
            await cloudwatch.demand()
        publish(moto, metrics.running, (120, 7))
        with pytest.raises(SourceError, match="no minute with both metrics"):
            await cloudwatch.demand()


@pytest.mark.anyio
async def test_an_old_datapoint_is_none(moto):
    """The message says how old, and what is allowed."""
    metrics = executor_metrics("old")
    publish(moto, metrics.queued, (300, 7))
    publish(moto, metrics.running, (300, 7))
    async with source(moto, metrics) as cloudwatch:
        with pytest.raises(SourceError, match="is 300 s old, allowed are 240 s"):
            await cloudwatch.demand()
    async with source(moto, metrics, max_age_seconds=300) as cloudwatch:
        assert (await cloudwatch.demand()).load == 14


@pytest.mark.anyio
async def test_a_negative_load_is_none(moto):
    """Somebody publishes differences, or nonsense."""
    metrics = executor_metrics("negative")
    publish(moto, metrics.queued, (60, -7))
    publish(moto, metrics.running, (60, 7))
    async with source(moto, metrics) as cloudwatch:
        with pytest.raises(SourceError, match="say -7, which cannot be"):
            await cloudwatch.demand()


CUT_OFF = b'{"MetricDataResults": ['  # the connection ends here, though the header promised more


class Script:
    """What the server answers, one entry a request: a status and a body, or a way to misbehave."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.hang = threading.Event()


@contextmanager
def scripted(*answers):
    script = Script(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.requests.append(json.loads(body))
            answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            if answer == "hang":
                script.hang.wait(10)
                self.close_connection = True
                return
            status, body = answer
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(text) + (100 if text == CUT_OFF else 0)))
            self.end_headers()
            self.wfile.write(text)
            self.close_connection = text == CUT_OFF

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", script
    finally:
        script.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()


def result(name, *points, status="Complete"):
    ages, values = zip(*points, strict=True) if points else ((), ())
    return {
        "Id": name,
        "StatusCode": status,
        "Timestamps": [NOW - age for age in ages],
        "Values": list(values),
    }


GOOD = {"MetricDataResults": [result("queued", (60, 7.0)), result("running", (60, 30.0))]}


@pytest.mark.anyio
async def test_what_is_asked():
    """Both metrics in one call, newest first, as far back as to tell late from never."""
    with scripted((200, GOOD)) as (endpoint, script):
        async with source(endpoint, executor_metrics("asked")) as cloudwatch:
            assert (await cloudwatch.demand()).load == 37
    (request,) = script.requests
    assert [query["Id"] for query in request["MetricDataQueries"]] == ["queued", "running"]
    assert request["MetricDataQueries"][0]["MetricStat"] == {
        "Metric": {
            "Namespace": "AmazonMWAA",
            "MetricName": "QueuedTasks",
            "Dimensions": [
                {"Name": "Function", "Value": "Executor"},
                {"Name": "Environment", "Value": "asked"},
            ],
        },
        "Period": 60,
        "Stat": "Maximum",
    }
    assert (request["StartTime"], request["EndTime"]) == (NOW - 1140, NOW + 60)
    assert request["ScanBy"] == "TimestampDescending"


@pytest.mark.anyio
async def test_parts_over_pages_are_put_together():
    """PartialData on one page is made whole by the next."""
    first = {
        "MetricDataResults": [
            result("queued", (60, 7.0)),
            result("running", (60, 30.0), status="PartialData"),
        ],
        "NextToken": "more",
    }
    second = {"MetricDataResults": [result("running", (120, 20.0))]}
    with scripted((200, first), (200, second)) as (endpoint, script):
        async with source(endpoint, executor_metrics("paged")) as cloudwatch:
            demand = await cloudwatch.demand()
    assert (demand.load, demand.measured_at) == (37, NOW - 60)
    assert [request.get("NextToken") for request in script.requests] == [None, "more"]


@pytest.mark.anyio
async def test_pages_without_end_are_given_up():
    """A server that always has more must not hold the tick for ever."""
    with scripted((200, GOOD | {"NextToken": "again"})) as (endpoint, script):
        async with source(endpoint, executor_metrics("endless")) as cloudwatch:
            with pytest.raises(SourceError, match="did not end after 10 pages"):
                await cloudwatch.demand()
    assert len(script.requests) == MAX_PAGES


@pytest.fixture(scope="module")
async def bad_days(credentials):
    """One client and one server for all of them: making a client takes longer than any answer."""
    with scripted((200, GOOD)) as (endpoint, script):
        async with source(endpoint, executor_metrics("bad")) as cloudwatch:
            yield cloudwatch, script


def lacking(key):
    return {"MetricDataResults": [{k: v for k, v in result("queued", (60, 7.0)).items() if k != key}]}


def status(code):
    return {"MetricDataResults": [result("queued", (60, 7.0)), result("running", (60, 30.0), status=code)]}


def failing(code):
    return {"__type__": code, "__type": code, "message": "the key AKIAEXAMPLE with hunter2 may not"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, status("PartialData")), "says PartialData for running, not Complete"),
        ((200, status("InternalError")), "says InternalError for running"),
        ((200, status("Forbidden")), "Forbidden.*cloudwatch:GetMetricData"),
        ((200, {"MetricDataResults": []}), "no datapoint of AmazonMWAA QueuedTasks"),
        ((200, {}), "no usable answer"),
        ((200, b""), "no usable answer"),
        ((200, b'{"MetricDataRes'), "no usable answer"),
        ((200, b"<html>Sign in</html>"), "no usable answer"),
        ((200, CUT_OFF), "no usable answer"),
        ((200, lacking("Id")), "no usable answer"),
        ((200, lacking("StatusCode")), "no usable answer"),
        ((200, lacking("Timestamps")), "no usable answer"),
        ((200, lacking("Values")), "no usable answer"),
        ((200, {"MetricDataResults": [result("queued", (60, "many"))]}), "no usable answer"),
        ((200, {"MetricDataResults": [result("queued", (60, 7.0)) | {"Values": []}]}), "no usable answer"),
        (
            (200, {"MetricDataResults": [result("queued", (60, "NaN")), result("running", (60, 1.0))]}),
            "say nan, which cannot be",
        ),
        ((400, failing("AccessDeniedException")), "AccessDeniedException; allow.*cloudwatch:GetMetricData"),
        ((400, failing("ThrottlingException")), "failed: ThrottlingException"),
        ((400, failing("ExpiredTokenException")), "failed: ExpiredTokenException"),
        ((500, failing("InternalServiceError")), "failed: InternalServiceError"),
        ((503, b""), "failed: 503"),
    ],
)
async def test_a_bad_answer_is_no_reading(bad_days, answer, why):
    """One line that says what came, and nothing of what was sent."""
    cloudwatch, script = bad_days
    script.answers = [answer]
    with pytest.raises(SourceError, match=why) as caught:
        await cloudwatch.demand()
    message = str(caught.value)
    assert message.startswith("cloudwatch: ")
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.anyio
async def test_nobody_there_is_no_reading():
    """The endpoint is closed; the next reading may well succeed."""
    with scripted((200, GOOD)) as (endpoint, _):
        pass
    async with source(endpoint, executor_metrics("closed")) as cloudwatch:
        with pytest.raises(
            SourceError, match=r"no usable answer.*EndpointConnectionError.*check the network"
        ):
            await cloudwatch.demand()


@pytest.mark.anyio
async def test_one_failure_is_tried_again():
    """A read costs nothing when it is done twice."""
    with scripted((500, failing("InternalServiceError")), (200, GOOD)) as (endpoint, _):
        async with source(endpoint, executor_metrics("twice")) as cloudwatch:
            assert (await cloudwatch.demand()).load == 37


@pytest.mark.anyio
async def test_a_server_that_hangs_is_left_and_the_client_goes_on():
    """The tick's own deadline cancels the call; the next one works."""
    with scripted("hang", (200, GOOD)) as (endpoint, script):
        async with source(endpoint, executor_metrics("hangs")) as cloudwatch:
            with anyio.move_on_after(0.2) as scope:
                await cloudwatch.demand()
            assert scope.cancelled_caught
            script.hang.set()
            assert (await cloudwatch.demand()).load == 37


@pytest.mark.anyio
async def test_without_credentials_there_is_no_reading(monkeypatch):
    """The chain finds none: said in one line."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with scripted((200, GOOD)) as (endpoint, _):
        async with source(endpoint, executor_metrics("nobody")) as cloudwatch:
            with pytest.raises(SourceError, match=r"NoCredentialsError.*credentials"):
                await cloudwatch.demand()


@pytest.mark.anyio
@pytest.mark.parametrize(("region", "endpoint"), [(None, None), (REGION, "not a url")])
async def test_a_client_that_cannot_be_made_says_what_to_set(region, endpoint):
    """At the start, not at the first reading."""
    with pytest.raises(SourceError, match=r"set aws\.region"):
        async with cloudwatch_client(region, endpoint):
            pass
