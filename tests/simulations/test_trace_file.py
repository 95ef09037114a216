"""Reading traces: the same tasks from every format, and one clear line for everything that is wrong."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simulations.trace import MONDAY, TraceError, is_constant, trace_of
from simulations.trace_file import read_trace

GOOD = """task_key,queued_at,duration_s,slots,queue,parents,dag
a,0,1.5,1,fast,,x
b,0.25,2,2,,a,x
c,3,0,,slow,a;b,y
"""


def written(tmp_path: Path, text: str, name: str = "trace.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def columns(trace):
    return {
        "keys": list(trace.keys),
        "queued_at": trace.queued_at.tolist(),
        "duration": trace.duration_seconds.tolist(),
        "slots": trace.slots.tolist(),
        "queue": [trace.queues[number] for number in trace.queue],
        "edges": sorted(zip(trace.edge_parent.tolist(), trace.edge_child.tolist(), strict=True)),
        "starts_at": trace.starts_at,
    }


def test_csv_gzip_and_parquet_hold_the_same_trace(tmp_path):
    """Empty cells of optional columns mean their defaults; other columns are not used."""
    path = written(tmp_path, GOOD)
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(GOOD.encode()))
    frame = pl.read_csv(path).with_columns(
        pl.col("queue").cast(pl.Categorical), pl.col("slots").cast(pl.Int32)
    )
    frame.write_parquet(tmp_path / "trace.parquet")
    expected = {
        "keys": ["a", "b", "c"],
        "queued_at": [0.0, 0.25, 3.0],
        "duration": [1.5, 2.0, 0.0],
        "slots": [1, 2, 1],
        "queue": ["fast", "", "slow"],
        "edges": [(0, 1), (0, 2), (1, 2)],
        "starts_at": MONDAY,
    }
    for each in (path, packed, tmp_path / "trace.parquet"):
        assert columns(read_trace(each)) == expected


def test_the_optional_columns_may_be_absent(tmp_path):
    """Three columns are a trace."""
    trace = read_trace(written(tmp_path, "duration_s,queued_at,task_key\n1,0,a\n"))
    assert (trace.slots.tolist(), trace.queues, len(trace.edge_child)) == ([1], ("",), 0)


AIRFLOW = """task_key,queued_at,duration_s,slots,parents,delay_s,group,dag,pool,pool_slots,priority,wait_s
a,0,1,,,,r1,x,,,,0.5
b,1,1,0,a,2.5,r1,x,db,2,-3,
c,2,1,1,,,r2,y,db,,10,0
"""


def test_what_only_airflows_rules_look_at(tmp_path):
    """Runs, pools, priorities, delays and recorded waits; empty cells are their defaults."""
    path = written(tmp_path, AIRFLOW)
    pl.read_csv(path).write_parquet(tmp_path / "trace.parquet")
    for each in (path, tmp_path / "trace.parquet"):
        trace = read_trace(each)
        assert trace.slots.tolist() == [1, 0, 1]
        assert trace.delay_seconds.tolist() == [0.0, 2.5, 0.0]
        assert [trace.runs[number] for number in trace.run] == ["r1", "r1", "r2"]
        assert [trace.dags[number] for number in trace.dag] == ["x", "x", "y"]
        assert [trace.pools[number] for number in trace.pool] == ["default_pool", "db", "db"]
        assert trace.pool_slots.tolist() == [1, 2, 1]
        assert trace.priority.tolist() == [1, -3, 10]
        assert str(trace.observed_wait_seconds.tolist()) == "[0.5, nan, 0.0]"


def test_columns_that_are_absent_cost_no_memory(tmp_path):
    """A constant is kept once, also in a part of the trace; a part of the other columns is a part."""
    plain = read_trace(written(tmp_path, GOOD.replace(",dag", ",dagger")))
    for trace in (plain, plain.at_rows(np.array([2, 0]))):
        for column in (trace.run, trace.pool, trace.pool_slots, trace.priority, trace.delay_seconds):
            assert is_constant(column)
            assert len(column) == len(trace)
    part = read_trace(written(tmp_path, AIRFLOW)).at_rows(np.array([1, 2]))
    assert (part.priority.tolist(), part.delay_seconds.tolist()) == ([-3, 10], [2.5, 0.0])
    assert [part.runs[number] for number in part.run] == ["r1", "r2"]
    assert (plain.is_plain, part.is_plain) == (True, False)
    with pytest.raises(ValueError, match="broadcast"):
        trace_of([0, 0], [1, 1], priority=[1, 2, 3])


@pytest.mark.parametrize(
    "stamps",
    [
        ("2026-03-01T06:00:00Z", "2026-03-01T06:00:01.5Z"),
        ("2026-03-01 06:00:00", "2026-03-01 06:00:01.500"),
        ("2026-03-01T08:00:00+02:00", "2026-03-01T01:00:01.5-0500"),
        ("1772344800", "1772344801.5"),
    ],
)
def test_timestamps_set_the_start_of_the_trace(tmp_path, stamps):
    """ISO 8601 with or without an offset, or Unix seconds; UTC unless they say otherwise."""
    text = f"task_key,queued_at,duration_s\na,{stamps[0]},1\nb,{stamps[1]},1\n"
    trace = read_trace(written(tmp_path, text))
    assert trace.starts_at == datetime(2026, 3, 1, 6, tzinfo=UTC).timestamp()
    assert trace.queued_at.tolist() == [0.0, 1.5]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_parquet_timestamps_of_any_zone(tmp_path, zone):
    """A column of instants, whatever its unit and zone."""
    stamps = pl.Series([datetime(2026, 3, 1, 6, tzinfo=UTC), datetime(2026, 3, 1, 6, 0, 2, tzinfo=UTC)])
    stamps = (
        stamps.dt.convert_time_zone(zone).dt.cast_time_unit("ns")
        if zone
        else stamps.dt.replace_time_zone(None)
    )
    pl.DataFrame({"task_key": [1, 2], "queued_at": stamps, "duration_s": [1, 1]}).write_parquet(
        tmp_path / "t.parquet"
    )
    trace = read_trace(tmp_path / "t.parquet")
    assert trace.starts_at == datetime(2026, 3, 1, 6, tzinfo=UTC).timestamp()
    assert trace.queued_at.tolist() == [0.0, 2.0]
    assert trace.keys[1] == "2"


HEAD = "task_key,queued_at,duration_s\n"
SLOTS = "task_key,queued_at,duration_s,slots\n"
PARENTS = "task_key,queued_at,duration_s,parents\n"
BAD = {
    "empty file": ("", "not a whole CSV file"),
    "times out of order": (
        HEAD + "a,10,1\nb,30,1\nc,20,1\nd,40,1\ne,39.5,1\n",
        "row 3, column queued_at: expected no earlier time than in the row above (`autoscaler trace import`",
    ),
    "only a header": (HEAD, "holds no task; expected one row a task"),
    "bad header": (
        "a;b;c\n1;2;3\n",
        "column 'task_key' is missing; expected task_key, queued_at, duration_s",
    ),
    "missing column": ("task_key,queued_at\na,1\n", "column 'duration_s' is missing"),
    "column misspelt": (
        "task_key,queued_at,duration\na,1,1\n",
        "'duration' is not known; did you mean 'duration_s'",
    ),
    "optional column misspelt": (HEAD.replace("\n", ",parent\n") + "a,1,1,\n", "did you mean 'parents'"),
    "no key": (HEAD + "a,1,1\n,1,1\n", "row 2, column task_key: expected a key, got nothing"),
    "duplicate key": (HEAD + "a,1,1\nb,1,1\na,2,1\n", "row 3, column task_key: expected a key of its own"),
    "negative duration": (HEAD + "a,1,-1\n", "row 1, column duration_s: expected seconds, 0 to 1e9, got -1"),
    "NaN duration": (HEAD + "a,1,nan\n", "row 1, column duration_s: expected seconds, 0 to 1e9, got nan"),
    "infinite duration": (
        HEAD + "a,1,inf\n",
        "row 1, column duration_s: expected seconds, 0 to 1e9, got inf",
    ),
    "empty duration": (
        HEAD + "a,1,\n",
        "row 1, column duration_s: expected a number of seconds, got nothing",
    ),
    "duration in words": (
        HEAD + "a,1,1\nb,1,long\n",
        "row 2, column duration_s: expected a number of seconds, got 'long'",
    ),
    "duration of centuries": (HEAD + "a,1,1e10\n", "expected seconds, 0 to 1e9, got 1e+10"),
    "negative time": (HEAD + "a,-1,1\n", "row 1, column queued_at: expected seconds, 0 to 1e9, got -1"),
    "NaN time": (HEAD + "a,0,1\nb,NaN,1\n", "row 2, column queued_at: expected seconds, 0 to 1e9, got nan"),
    "milliseconds": (HEAD + "a,1772344800000,1\n", "these look like milliseconds"),
    "no time": (HEAD + "a,1,1\nb,,1\n", "row 2, column queued_at: expected seconds, or a timestamp"),
    "half timestamps": (
        HEAD + "a,2026-03-01T06:00:00Z,1\nb,5,1\n",
        "row 2, column queued_at: expected seconds, or",
    ),
    "bad timestamp": (
        HEAD + "a,2026-03-01T06:00:00Z,1\nb,2026-13-01,1\n",
        "row 2, column queued_at: expected seconds, or",
    ),
    "less than no slots": (
        SLOTS + "a,1,1,-1\n",
        "row 1, column slots: expected a whole number, at least 0, got -1",
    ),
    "negative delay": (
        HEAD.replace("\n", ",delay_s\n") + "a,1,1,\nb,1,1,-2\n",
        "row 2, column delay_s: expected seconds, 0 to 1e9, got -2",
    ),
    "NaN delay": (
        HEAD.replace("\n", ",delay_s\n") + "a,1,1,nan\n",
        "row 1, column delay_s: expected seconds",
    ),
    "delay in words": (
        HEAD.replace("\n", ",delay_s\n") + "a,1,1,soon\n",
        "row 1, column delay_s: expected a number of seconds, got 'soon'",
    ),
    "delay misspelt": (HEAD.replace("\n", ",delay\n") + "a,1,1,1\n", "did you mean 'delay_s'"),
    "no pool slots": (
        HEAD.replace("\n", ",pool_slots\n") + "a,1,1,0\n",
        "row 1, column pool_slots: expected a whole number, at least 1, got 0",
    ),
    "half a priority": (
        HEAD.replace("\n", ",priority\n") + "a,1,1,0.5\n",
        "row 1, column priority: expected a whole number, got 0.5",
    ),
    "priority beyond 32 bits": (
        HEAD.replace("\n", ",priority\n") + "a,1,1,4294967296\n",
        "row 1, column priority: expected a whole number, got 4.29497e+09",
    ),
    "negative wait": (
        HEAD.replace("\n", ",wait_s\n") + "a,1,1,-0.5\n",
        "row 1, column wait_s: expected seconds, 0 to 1e9, got -0.5",
    ),
    "half a slot": (
        SLOTS + "a,1,1,1.5\n",
        "row 1, column slots: expected a whole number, at least 0, got 1.5",
    ),
    "slots in words": (
        SLOTS + "a,1,1,two\n",
        "row 1, column slots: expected a whole number, at least 0, got 'two'",
    ),
    "unknown parent": (
        PARENTS + "a,1,1,\nb,1,1,a;z\n",
        "row 2, column parents: 'z' is no task_key of this trace",
    ),
    "own parent": (PARENTS + "a,1,1,a\n", "row 1, column parents: a cycle, 'a' -> 'a'; expected none"),
    "cycle": (
        PARENTS + "r,1,1,\na,1,1,c;r\nb,1,1,a\nc,1,1,b\n",
        "row 2, column parents: a cycle, 'a' -> 'b' -> 'c' -> 'a'",
    ),
    "cycle and what hangs on it": (PARENTS + "d,1,1,a\na,1,1,b\nb,1,1,a\n", "a cycle, 'a' -> 'b' -> 'a'"),
    "too many cells": (HEAD + "a,1,1,4,5\n", "not a whole CSV file"),
    "too few cells": (
        HEAD + "a,1,1\nb,1\n",
        "row 2, column duration_s: expected a number of seconds, got nothing",
    ),
    "many bad rows": (HEAD + "a,1,-1\nb,1,-2\nc,1,-3\n", "got -1 (and 2 more rows)"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_trace_gets_one_clear_line(tmp_path, case):
    """File, row, column, what was expected, what came."""
    text, message = BAD[case]
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, text))
    assert message in str(caught.value)
    assert "trace.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_files_are_named(tmp_path):
    """Missing, of the wrong kind, cut short, or not what the name says."""
    frame = pl.DataFrame({"task_key": ["a"] * 50, "queued_at": [1] * 50, "duration_s": [1.0] * 50})
    frame.write_parquet(tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    packed = gzip.compress((HEAD + "".join(f"{n},1,1\n" for n in range(2000))).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "plain.csv.gz").write_text(HEAD + "a,1,1\n")
    (tmp_path / "binary.csv").write_bytes(whole)
    (tmp_path / "text.parquet").write_text(HEAD)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "trace.xlsx").write_text("")
    (tmp_path / "refused.csv").symlink_to("/proc/self/mem")
    pl.DataFrame({"task_key": ["a"]}).write_parquet(tmp_path / "columns.parquet")
    typed = pl.DataFrame({"task_key": ["a"], "queued_at": [1.0], "duration_s": [[1.0]]})
    typed.write_parquet(tmp_path / "typed.parquet")
    typed = pl.DataFrame({"task_key": ["a"], "queued_at": [1], "duration_s": [1], "parents": [["a"]]})
    typed.write_parquet(tmp_path / "lists.parquet")
    for name, message in {
        "lists.parquet": "column parents: expected text, got the type List",
        "cut.parquet": "not a whole Parquet file",
        "cut.csv.gz": "not a whole gzip file",
        "plain.csv.gz": "not a whole gzip file",
        "binary.csv": "binary.csv: ",
        "text.parquet": "not a whole Parquet file",
        "folder.csv": "expected a file, this is a folder",
        "absent.csv": "there is no such file",
        "refused.csv": "refused.csv: cannot be read: Input/output error",
        "trace.xlsx": "expected a file named .parquet, .csv or .csv.gz",
        "columns.parquet": "column 'queued_at' is missing",
        "typed.parquet": "column duration_s: expected a number of seconds, got the type List",
    }.items():
        with pytest.raises(TraceError) as caught:
            read_trace(tmp_path / name)
        assert message in str(caught.value)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_one_queue_of_a_trace(tmp_path):
    """Its tasks alone; a parent elsewhere counts as never having waited; its keys and edges stay right."""
    text = "task_key,queued_at,duration_s,queue,parents\na,0,1,x,\nb,1,1,y,a\nc,2,1,x,a;b\nd,3,1,x,c\n"
    whole = read_trace(written(tmp_path, text))
    part = whole.of_queue("x")
    assert len(part.keys) == 3
    assert [part.keys[row] for row in range(len(part))] == ["a", "c", "d"]
    assert part.queued_at.tolist() == [0.0, 2.0, 3.0]
    assert sorted(zip(part.edge_parent.tolist(), part.edge_child.tolist(), strict=True)) == [(0, 1), (1, 2)]
    with pytest.raises(TraceError, match="there is no queue 'z'; it has 'x', 'y'"):
        whole.of_queue("z")


def test_a_trace_by_hand_is_checked_too():
    """Columns from a generator get the same words."""
    with pytest.raises(TraceError, match="made: holds no task"):
        trace_of([], [], source="made")
    with pytest.raises(TraceError, match="made: row 2, column duration_s: expected seconds"):
        trace_of([0, 0], [1, -1], source="made")


def test_a_long_chain_in_any_order_is_no_cycle():
    """Depth is no problem, and neither are children that stand before their parents."""
    count = 3000
    trace = trace_of(np.zeros(count), np.ones(count), edges=(range(1, count), range(count - 1)))
    assert len(trace.edge_child) == count - 1
    with pytest.raises(TraceError, match="a cycle"):
        trace_of(
            np.zeros(count), np.ones(count), edges=([*range(1, count), 0], [*range(count - 1), count - 1])
        )


def test_a_hundred_thousand_rows_are_read_by_column(tmp_path):
    """A large file with parents comes back whole."""
    count = 100_000
    numbers = pl.Series(range(count))
    frame = pl.DataFrame(
        {
            "task_key": "k" + numbers.cast(pl.String),
            "queued_at": numbers.cast(pl.Float64),
            "duration_s": numbers % 7,
            "parents": pl.Series(["", *(f"k{row // 2}" for row in range(1, count))]).set(numbers == 1, "k0"),
        }
    )
    frame.write_parquet(tmp_path / "large.parquet")
    trace = read_trace(tmp_path / "large.parquet")
    assert len(trace) == count
    assert trace.edge_parent[-1] == (count - 1) // 2
    assert trace.keys[count - 1] == f"k{count - 1}"


def test_the_keys_of_a_large_parquet_file_stay_there(tmp_path, monkeypatch):
    """They are checked like any, and read when somebody asks for one."""
    monkeypatch.setattr("simulations.trace_file.MANY_ROWS", 3)
    path = tmp_path / "trace.parquet"

    def of_keys(*keys):
        rows = {"task_key": keys, "queued_at": [0.0] * len(keys), "duration_s": [1.0] * len(keys)}
        pl.DataFrame(rows).write_parquet(path)
        return read_trace(path)

    trace = of_keys("a", "b", "a#2")
    assert type(trace.keys).__name__ == "_KeysInFile"
    assert list(trace.keys) == ["a", "b", "a#2"]
    with pytest.raises(TraceError, match=r"row 3, column task_key: expected a key of its own .* got 'a'$"):
        of_keys("a", "b", "a", "c")
    with pytest.raises(TraceError, match="row 2, column task_key: expected a key, got ''"):
        of_keys("a", "", "c")
    with pytest.raises(TraceError, match="row 3, column task_key: expected a key, got nothing"):
        of_keys("a", "b", None)
