"""Traces of other formats: what they become, and a line for everything that is wrong with one."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from simulations.trace import TraceError
from simulations.trace_file import read_trace
from simulations.trace_write import writing

SWF = """; UnixStartTime: 1000000000
;  Queues: 2
1 0 5 100 4 -1 -1 4 -1 -1 1 7 1 -1 2 -1 -1 -1
2 10 -1 50 1 -1 -1 1 -1 -1 1 7 1 -1 -1 -1 1 30

3 20 -1 -1 1 -1 -1 1 -1 -1 5 8 1 -1 2 -1 -1 -1
4 30 0 0 1 -1 -1 1 -1 -1 1 -1 1 -1 2 -1 3 -1
"""
NEW = {
    "name": "flow",
    "workflow": {
        "specification": {
            "tasks": [
                {"id": "b", "name": "last", "parents": ["a", "c"]},
                {"id": "a", "name": "first", "parents": []},
                {"id": "c", "name": "first", "parents": []},
            ]
        },
        "execution": {
            "tasks": [
                {"id": "a", "runtimeInSeconds": 3.5},
                {"id": "b", "runtimeInSeconds": 1},
                {"id": "c", "runtimeInSeconds": 2},
            ]
        },
    },
}
OLD = {"workflow": {"jobs": [{"name": "a", "runtime": 4}, {"name": "b", "parents": ["a"], "runtime": 1}]}}


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Imports a text under a name, and gives (what was said, the frame)."""
    monkeypatch.chdir(tmp_path)

    def run(name, text, *options, out="out.parquet"):
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / name).write_bytes(content)
        result = CliRunner().invoke(app, ["trace", "import", name, out, *options])
        if result.exit_code:
            assert result.exit_code == 2, result.output
            assert [each.name for each in tmp_path.iterdir()] == [name]
            return result.stderr, None
        read_trace(tmp_path / out)
        return result.stdout, pl.read_parquet(tmp_path / out)

    return run


def test_the_standard_workload_format(imported):
    """Jobs with dates, waits, users and preceding jobs; what never ran is told."""
    said, frame = imported("log.swf.gz", gzip.compress(SWF.encode()))
    assert said == "out.parquet: 3 tasks\n  1 jobs never ran: left out\n"
    assert frame["task_key"].to_list() == ["1", "2", "4"]
    assert frame["queued_at"].dt.timestamp("us").to_list() == [10**15, 10**15 + 10**7, 10**15 + 3 * 10**7]
    assert frame["duration_s"].to_list() == [100, 50, 0]
    assert frame["wait_s"].to_list() == [5, None, 0]
    assert frame["queue"].to_list() == ["2", None, "2"]
    assert frame["group"].to_list() == ["user-7", "user-7", None]
    assert frame["parents"].to_list() == [None, "1", None]


def test_instants_without_a_date_count_from_the_start(imported):
    """A log without UnixStartTime stays as it is."""
    _, frame = imported("log.swf", SWF.partition("\n")[2])
    assert frame["queued_at"].to_list() == [0, 10, 30]


def test_workflows(imported):
    """Of today and of yesterday; each task at its earliest."""
    _, frame = imported("flow.json", json.dumps(NEW))
    assert dict(zip(frame["task_key"], frame["queued_at"], strict=True)) == {"b": 3.5, "a": 0, "c": 0}
    assert frame["parents"].to_list() == ["", "", "a;c"]
    assert frame["group"].to_list() == ["flow"] * 3
    _, frame = imported("old.json", json.dumps(OLD))
    assert frame["queued_at"].to_list() == [0, 4]


def test_any_csv(imported):
    """Columns by name, times by unit, keys by row where there are none; text waits stay empty."""
    text = "submitted,ms,q,who,waited\n1700000000000,1500,x,ann,\n1700000001500,20,y,bob,250\n"
    maps = ["queued_at=submitted", "duration_s=ms", "queue=q", "group=who", "wait_s=waited"]
    options = [word for each in maps for word in ("--map", each)]
    said, frame = imported("jobs.csv", text, *options, "--time-unit", "ms", "--duration-unit", "ms")
    assert said == "out.parquet: 2 tasks\n"
    assert frame["task_key"].to_list() == ["1", "2"]
    assert frame["duration_s"].to_list() == [1.5, 0.02]
    assert frame["wait_s"].to_list() == [None, 0.25]
    trace = read_trace(Path("out.parquet"))
    assert (trace.starts_at, trace.queued_at.tolist()) == (1_700_000_000, [0, 1.5])
    assert trace.queues == ("x", "y")


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_rows_are_put_in_order_of_time(tmp_path, monkeypatch, out):
    """As instants, not as text; rows of one instant stay as they were."""
    monkeypatch.chdir(tmp_path)
    Path("jobs.csv").write_text("task_key,queued_at,duration_s\nd,100,1\nb,20,1\na,20.0,1\nc,9,1\n")
    result = CliRunner().invoke(app, ["trace", "import", "jobs.csv", out])
    assert result.exit_code == 0, result.output
    trace = read_trace(Path(out))
    assert list(trace.keys) == ["c", "b", "a", "d"]
    assert trace.queued_at.tolist() == [9, 20, 20, 100]


CSV = "id,at,took\na,1,2\nb,3,x\n"
MAPS = ["--map", "task_key=id", "--map", "queued_at=at", "--map", "duration_s=took"]
BAD = [
    ("j.csv", CSV, MAPS, "j.csv: row 2, column duration_s: expected a number of seconds, got 'x'"),
    ("j.csv", CSV, [*MAPS, "--duration-unit", "ms"],
     "j.csv: row 2, column duration_s: expected a number, got 'x'"),
    ("j.csv", CSV, [],
     "j.csv: column 'queued_at' is missing: say --map queued_at=THEIRS; it has id, at, took"),
    ("j.csv", CSV, ["--map", "queued_at=when"],
     "j.csv: there is no column 'when' for 'queued_at'; it has id, at, took"),
    ("j.csv", CSV, ["--map", "queued_at"],
     "--map: expected ours=theirs, such as queued_at=submitted, got queued_at"),
    ("j.csv", CSV, ["--time-unit", "h"], "time-unit: expected one of s, ms, us, min, got h"),
    ("j.csv", CSV, ["--format", "xml"], "format: expected one of swf, wfcommons, csv, got xml"),
    ("j.dat", CSV, [], "j.dat: the name does not tell the format; say --format swf, wfcommons or csv"),
    ("j.csv", "task_key,queued_at,duration_s\na,1,2\na,2,2\n", [],
     "j.csv: row 2, column task_key: expected a key of its own (a retry is KEY#2), got 'a'"),
    ("j.csv", "task_key,queued_at,duration_s\n", [], "j.csv: holds no task that ran"),
    ("j.csv", b"\xff\xfe", [], "j.csv: expected UTF-8 text"),
    ("j.swf.gz", b"no", [], "j.swf.gz: not a whole gzip file: Not a gzipped file (b'no')"),
    ("j.swf.gz", gzip.compress(SWF.encode())[:-9], [], "j.swf.gz: not a whole gzip file"),
    ("j.swf", "1 2 3\n", [], "j.swf: line 1: expected 18 numbers, got 3 words"),
    ("j.swf", "; x\n" + "1 " * 17 + "nan\n", [], f"j.swf: line 2: expected 18 numbers, got '{'1 ' * 17}nan'"),
    ("j.swf", "one" + " -1" * 17, [], "j.swf: line 1: expected 18 numbers, got 'one -1"),
    ("j.csv", "a,b\n1,2,3\n", [], "j.csv: not a whole CSV file: "),
    ("j.swf", "1 0 0 -1" + " -1" * 14, [], "j.swf: holds no task that ran"),
    ("j.swf", "1 -5 0 3" + " -1" * 14, [],
     "j.swf: row 1, column queued_at: expected seconds, 0 to 1e9, got -5"),
    ("j.json", "{", [], "j.json: not JSON: Expecting property name enclosed in double quotes"),
    ("j.json", "{}", [], "j.json: expected a WfCommons workflow with tasks: KeyError 'workflow'"),
    ("j.json", json.dumps({"workflow": {"tasks": [{"name": "a"}]}}), [],
     "j.json: task 'a': has no runtimeInSeconds; expected a workflow that was run"),
    ("j.json", json.dumps({"workflow": {"tasks": [{"name": "a", "runtime": -1}]}}), [],
     "j.json: task 'a': expected runtime of 0 to 1e9, got -1"),
    ("j.json", json.dumps({"workflow": {"tasks": [{"name": "a", "runtime": 1, "parents": ["z"]}]}}), [],
     "j.json: task 'a': its parent 'z' is no task of this workflow"),
    ("j.json", json.dumps({"workflow": {"tasks": [{"name": "a", "runtime": 1, "parents": ["a"]}]}}), [],
     "j.json: tasks wait for each other in a ring, 'a' -> 'a'; expected none"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "options", "said"), BAD)
def test_what_is_wrong(imported, name, text, options, said):
    """One line that names file, place and what was expected; exit code 2; nothing written."""
    told, _ = imported(name, text, *options)
    assert told.startswith(f"autoscaler: {said}")
    assert told.count("\n") == 1


def test_an_unknown_column_of_ours(imported):
    """The line lists those that exist."""
    told, _ = imported("j.csv", CSV, "--map", "start=at")
    assert told.startswith(
        "autoscaler: --map start=at: 'start' is no column of a trace; those are task_key, "
    )


def test_a_missing_source(tmp_path, monkeypatch):
    """The file is named."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["trace", "import", "no.swf", "out.csv"])
    assert (result.exit_code, result.stderr) == (
        2,
        "autoscaler: no.swf: cannot be read: No such file or directory\n",
    )


def half_written(pages):
    pages.add(pl.DataFrame({"task_key": ["a"]}))
    raise ZeroDivisionError


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    """Neither half a trace nor a leftover."""
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(path) as pages:
        half_written(pages)
    with pytest.raises(TraceError, match="not written, since there is no task"), writing(path):
        pass
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
