"""Trace files from anywhere: read, or refused in one line; and none is unpacked without end."""

import gzip
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulations.content import content_of, unpacked
from simulations.launches_file import measured_launches
from simulations.trace import TraceError
from simulations.trace_file import MOST_TASKS, read_trace
from simulations.trace_import import CsvForm, Format, Unit, import_trace
from simulations.world_file import Wanted, WorldError, scene_of
from tests.hostile.laws import changed, must_be_told_well, nested, odd_json

TASKS = 12
FRAME = pl.DataFrame(
    {
        "task_key": [f"k{number}" for number in range(TASKS)],
        "queued_at": [float(number) for number in range(TASKS)],
        "duration_s": [3.0] * TASKS,
        "slots": [1] * TASKS,
        "queue": ["a", "b"] * (TASKS // 2),
        "parents": [None, *(f"k{number}" for number in range(TASKS - 1))],
        "priority": [1] * TASKS,
    }
)
CSV = FRAME.write_csv().encode()
SWF = b"; UnixStartTime: 1700000000\n" + b"\n".join(
    b" ".join([str(number).encode(), b"0", b"1", b"5", *[b"-1"] * 14]) for number in range(1, 6)
)
WORKFLOW = {
    "name": "w",
    "workflow": {
        "specification": {
            "tasks": [
                {"id": "a", "name": "a", "parents": []},
                {"id": "b", "name": "b", "parents": ["a"]},
            ]
        },
        "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 3}, {"id": "b", "runtimeInSeconds": 4.5}]},
    },
}


def parquet(compression):
    packed = io.BytesIO()
    FRAME.write_parquet(packed, compression=compression)
    return packed.getvalue()


PARQUET = {"zstd": parquet("zstd"), "uncompressed": parquet("uncompressed")}


def read_or_refused(path, *arguments, read=read_trace):
    """What is read; None: it was refused as it should be."""
    try:
        return read(path, *arguments)
    except TraceError as error:
        must_be_told_well(str(error).replace(str(path.parent), ""))
    return None


def damaged(content, luck):
    """A few bytes changed, left out, put in."""
    content = bytearray(content)
    for _ in range(luck.randint(1, 4)):
        place = luck.randrange(len(content))
        new = luck.choice([luck.randbytes(4), b"\xff" * 4, b"", b"\n,,", b'"', b"\x00" * 4, b"9" * 400, b"-"])
        content[place : place + luck.randrange(6)] = new
    return bytes(content)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(luck=st.randoms(use_true_random=False), kind=st.sampled_from(["csv", "csv.gz", "swf", "swf.gz"]))
def test_damaged_text_is_read_or_refused(tmp_path, luck, kind):
    """As a trace of ours, and as one to be imported."""
    content = CSV if kind.startswith("csv") else SWF
    path = tmp_path / f"t.{kind}"
    path.write_bytes(
        damaged(gzip.compress(content, mtime=0), luck) if kind.endswith("gz") else damaged(content, luck)
    )
    if content is CSV:
        trace = read_or_refused(path)
        assert trace is None or len(trace.queued_at) == len(trace.duration_seconds)
    form = Format.CSV if content is CSV else Format.SWF
    units = CsvForm({}, luck.choice(list(Unit)), luck.choice(list(Unit)))
    read_or_refused(path, tmp_path / "out.parquet", form, units, read=import_trace)


def test_damaged_parquet_is_read_or_refused(tmp_path):
    """polars panics at some of it, which is no Exception; its backtraces go to a process of their own."""
    play = Path(__file__).with_name("damaged_parquet.py")
    words = [sys.executable, "-P", str(play), str(tmp_path), "150"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, cwd=Path.cwd())
    assert (done.returncode, done.stdout.strip().endswith("150 done")) == (0, True), (
        done.stdout + done.stderr[-2000:]
    )


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=changed(WORKFLOW))
def test_workflows_with_other_parts(tmp_path, document):
    """Left out, of another type, of any size."""
    path = tmp_path / "w.json"
    path.write_bytes(json.dumps(document).encode(errors="surrogatepass"))
    read_or_refused(path, tmp_path / "out.parquet", Format.WFCOMMONS, read=import_trace)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.json", nested(100_000).encode()),
        ("w.json", b'{"workflow": {"tasks": [{"name": "a", "runtime": ' + b"9" * 400 + b"}]}}"),
        ("w.json", b'{"workflow": {"tasks": [{"name": "\\ud800", "runtime": 1}]}}'),
        ("j.swf", b"; UnixStartTime: " + b"9" * 5000 + b"\n" + SWF),
        ("j.swf", SWF.replace(b" 5 ", b" 1e308 ")),
        ("j.swf", SWF.replace(b" 5 ", b" \xd9\xa3 ")),
        ("t.csv", b"task_key,queued_at,duration_s\n" + b"a" * 10**6 + b",1,1\n" + b"a" * 10**6 + b",2,1\n"),
        ("t.csv", b"task_key,queued_at,duration_s\n" + b'"' * 100_001),
        ("t.csv", b"task_key,queued_at,duration_s,parents\na,1,1," + b";" * 100_000 + b"x\n"),
        ("t.csv", b",".join(b"c%d" % number for number in range(50_000))),
        ("t.csv", b"\x00" * 100),
        ("t.csv", b"task_key,queued_at,duration_s\na,99999-01-01T00:00:00Z,1\n"),
        ("t.csv", b"task_key,queued_at,duration_s\na\x1b[2J,x\x1b]0;t\x07,1\n"),
    ],
    ids=range(13),
)
def test_contents_that_ask_for_trouble(tmp_path, name, content):
    """Depth, length, numbers without end, lone surrogates, quotes that never close."""
    path = tmp_path / name
    path.write_bytes(content)
    kind = {"w.json": Format.WFCOMMONS, "j.swf": Format.SWF, "t.csv": Format.CSV}[name]
    read_or_refused(path, tmp_path / "out.parquet", kind, read=import_trace)
    if kind is Format.CSV:
        read_or_refused(path)


def test_a_file_that_unpacks_without_end_is_given_up():
    """A thousand to one: it takes no more memory than may be unpacked."""
    bomb = gzip.compress(b"\x00" * (64 * 2**20), mtime=0)
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=r"t.csv.gz: unpacks to more than 1,048,576 bytes; .* Parquet"):
            unpacked("t.csv.gz", bomb, 2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
    assert unpacked("t.csv.gz", gzip.compress(CSV) * 2) == CSV * 2


def test_a_file_that_does_not_end_is_given_up(tmp_path):
    """A device, or one that is longer than text may be."""
    with pytest.raises(OSError, match="more than 1,000,000 bytes"):
        content_of(Path("/dev/zero"), 10**6)
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.truncate(10 * 2**40)
    with pytest.raises(TraceError, match=r"cannot be read: more than 2,147,483,648 bytes"):
        read_trace(path)
    with pytest.raises(ValueError, match="cannot be read: more than 67,108,864 bytes"):
        measured_launches(path)


def test_a_parquet_of_more_tasks_than_any_has_is_refused(tmp_path):
    """A column of one value takes no room in the file, and much in memory."""
    path = tmp_path / "t.parquet"
    rows = MOST_TASKS + 1
    column = pl.repeat(None, rows, dtype=pl.Null, eager=True)
    pl.DataFrame({"task_key": column, "queued_at": column, "duration_s": column}).write_parquet(path)
    with pytest.raises(TraceError, match=r"t.parquet: holds 200,000,001 tasks; expected at most 200,000,000"):
        read_trace(path)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.lists(st.one_of(st.text(max_size=8), odd_json.map(str)), max_size=3), max_size=4),
    luck=st.integers(0, 2),
)
def test_launches_of_any_content(tmp_path, rows, luck):
    """Measured or refused, by row."""
    header = ["", "seconds\n", "createdAt,startedAt\n0001-01-01,2\n"][luck]
    text = header + "\n".join(",".join(row) for row in rows)
    (tmp_path / "launches.csv").write_bytes(text.encode(errors="surrogatepass"))
    (tmp_path / "world.toml").write_text('[service]\nlaunch = "launches.csv"\n')
    try:
        assert scene_of(Wanted(world=tmp_path / "world.toml")).service
    except WorldError as error:
        must_be_told_well(str(error).replace(str(tmp_path), ""))
