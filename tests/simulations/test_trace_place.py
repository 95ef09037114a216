"""Traces in S3: the same tasks as from a file, and a line for whatever is in the way."""

from __future__ import annotations

import gzip
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import numpy as np
import polars as pl
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations import trace_file
from simulations.trace import TraceError
from simulations.trace_file import read_trace
from simulations.trace_place import ObjectUrl, opened, place_of

CSV = "task_key,queued_at,duration_s,slots\na,0,5,1\nb,7.5,6,2\n"
BAD = CSV + "c,-1,6,2\n"
SECRET = "not-for-eyes"


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def login(monkeypatch, tmp_path):
    """An environment in which an operator has logged in, and nothing of this machine's."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return monkeypatch


@pytest.fixture
def bucket(moto, login, tmp_path):
    """A bucket with the trace in every form."""
    login.setenv("AWS_ENDPOINT_URL", moto)
    client = boto3.client("s3")
    client.create_bucket(Bucket="traces")
    file = tmp_path / "week.parquet"
    pl.read_csv(CSV.encode()).write_parquet(file)
    bodies = {
        "a/week.parquet": file.read_bytes(),
        "a/week.csv": CSV.encode(),
        "a/week.csv.gz": gzip.compress(CSV.encode()),
        "a/bad.csv": BAD.encode(),
        "a/cut.parquet": file.read_bytes()[:200],
    }
    for key, body in bodies.items():
        client.put_object(Bucket="traces", Key=key, Body=body)
    return file


@pytest.mark.parametrize("name", ["week.parquet", "week.csv", "week.csv.gz"])
def test_an_object_is_read_like_a_file(bucket, name):
    trace, same = read_trace(place_of(f"s3://traces/a/{name}")), read_trace(place_of(str(bucket)))
    assert trace.source == name
    assert list(trace.keys) == list(same.keys) == ["a", "b"]
    assert np.array_equal(trace.queued_at, same.queued_at)
    assert np.array_equal(trace.slots, same.slots)


def test_keys_that_stay_in_the_object_are_looked_up_there(bucket, monkeypatch):
    """As those of a very long trace do."""
    monkeypatch.setattr(trace_file, "MANY_ROWS", 2)
    assert list(read_trace(place_of("s3://traces/a/week.parquet")).keys) == ["a", "b"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://traces/a/none.parquet", "s3://traces/a/none.parquet: there is no such object"),
        ("s3://nosuch/a/week.csv", "s3://nosuch/a/week.csv: there is no such bucket"),
        ("s3://traces/a/bad.csv", "bad.csv: row 3, column queued_at: expected seconds"),
        ("s3://traces/a/cut.parquet", "cut.parquet: not a whole Parquet file"),
        ("s3://traces/a/week.orc", "expected a file named .parquet, .csv or .csv.gz"),
        ("s3://week.csv", "s3://week.csv: expected a file, or s3://BUCKET/KEY"),
        ("gs://traces/week.csv", "gs://traces/week.csv: expected a file, or s3://BUCKET/KEY"),
        ("s3://No_Such!/week.csv", "s3://No_Such!/week.csv: Parameter validation failed"),
    ],
)
def test_what_cannot_be_read_is_one_line(bucket, url, message):
    with pytest.raises(TraceError) as caught:
        read_trace(place_of(url))
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_secrets_are_not_shown(bucket):
    assert SECRET not in repr(opened(ObjectUrl("s3://traces/a/week.parquet")))


def test_without_credentials_it_says_how_to_log_in(bucket, login):
    login.delenv("AWS_ACCESS_KEY_ID")
    login.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(TraceError, match=r"week.csv: there are no AWS credentials; set AWS_PROFILE, or AWS_"):
        read_trace(place_of("s3://traces/a/week.csv"))
    login.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(TraceError, match=r"week.csv: The config profile \(nobody\) could not be found"):
        read_trace(place_of("s3://traces/a/week.csv"))


class _Refusing(BaseHTTPRequestHandler):
    """An S3 that answers everything with one status."""

    status = 500

    def do_HEAD(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "access denied; it needs s3:GetObject on the object and s3:ListBucket on the bucket"),
        (400, "S3 answers 400: the bucket may be in another region; set AWS_REGION"),
        (500, "S3 answers 500"),
    ],
)
def test_what_s3_refuses_is_said(login, status, message):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Refusing", (_Refusing,), {"status": status}))
    Thread(target=server.serve_forever, daemon=True).start()
    login.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    with pytest.raises(TraceError) as caught:
        read_trace(place_of("s3://traces/week.csv"))
    server.shutdown()
    server.server_close()
    assert str(caught.value) == f"s3://traces/week.csv: {message}"


def test_an_endpoint_that_is_not_there_is_named(login):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        login.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(TraceError, match=f"Could not connect to the endpoint URL: .{endpoint}"):
            read_trace(place_of("s3://traces/week.csv"))


def test_a_command_takes_an_object(bucket):
    """With both its slashes; what is not there ends it with one line and exit code 2."""
    done = CliRunner().invoke(app, ["trace", "describe", "s3://traces/a/week.parquet", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["tasks"]) == (0, 2)
    done = CliRunner().invoke(app, ["simulate", "s3://traces/a/week.parquet", "--seed", "1", "--slots", "2"])
    assert done.exit_code == 0
    done = CliRunner().invoke(app, ["bound", "s3://traces/none.parquet"])
    assert (done.exit_code, done.stderr) == (
        2,
        "autoscaler: s3://traces/none.parquet: there is no such object\n",
    )


def test_a_file_stays_a_path():
    assert place_of("a/week.csv") == Path("a/week.csv")
    assert str(place_of("s3://traces//week.csv")) == "s3://traces//week.csv"
