"""Reads a task trace from Parquet, CSV or gzipped CSV; bad rows are refused by name, never dropped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.trace import DEFAULT_POOL, CodeArray, Trace, TraceError, refuse, trace_of

if TYPE_CHECKING:
    import polars as pl

REQUIRED = ("task_key", "queued_at", "duration_s")
OPTIONAL = ("slots", "queue", "parents", "delay_s", "pool_slots", "priority")
LOOKED_AT = (*REQUIRED, *OPTIONAL, "group", "dag", "pool", "wait_s")
"""All columns that are read; of the last ones nobody is asked whether another name meant them."""
MANY_ROWS = 1_000_000
"""From here on the keys of a Parquet file stay in the file: in memory they take more than all else."""
UNIX_SECONDS_FROM = 1e9
"""Numbers from here on (2001) are Unix seconds; smaller ones count from the trace's start."""


class _Texts(Sequence[str]):
    """Texts in polars' compact form: a list of ten million strings would cost a gigabyte."""

    def __init__(self, texts: pl.Series) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # one text at a time
        return str(self._texts[int(row)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


class _KeysInFile(Sequence[str]):
    """Task keys that are read when asked for."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._rows = path, rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # one key at a time
        import polars as pl  # noqa: PLC0415

        place = range(self._rows)[int(row)]
        return str(pl.scan_parquet(self._path).select("task_key").slice(place, 1).collect().item())


def read_trace(path: Path) -> Trace:
    """The trace of a `.parquet`, `.csv` or `.csv.gz` file.

    Columns: `task_key`, `queued_at` (seconds from the trace's start, Unix seconds, or timestamps; UTC
    unless they say otherwise), `duration_s`, and optionally `slots`, `queue`, `parents` (`;`-joined
    keys), `delay_s` (from the last parent's end until the task is ready), `group` (its DAG run), `dag`,
    `pool`, `pool_slots`, `priority`, `wait_s` (the wait that was recorded); an empty cell of an optional
    column means its default.  Other columns are not used.
    Rows are counted from 1, the header not included.  Raises `TraceError`.
    """
    source = path.name
    frame = _frame(path)
    if not frame.height:
        raise TraceError(f"{source}: holds no task; expected one row a task")
    keys = _keys(path, frame)
    queued, starts_at = _instants(source, frame["queued_at"])
    optional: dict[str, Any] = {}
    if starts_at is not None:
        optional["starts_at"] = starts_at
    if "slots" in frame.columns:
        optional["slots"] = _numbers(source, frame["slots"], "a whole number, at least 0", 1)
    if "queue" in frame.columns:
        optional["queue"], names = _codes(source, frame["queue"])
        optional["queues"] = tuple(names)
    if "parents" in frame.columns:
        optional["edges"] = _edges(source, _text(source, frame["task_key"]), frame["parents"])
    optional |= _airflow_columns(source, frame)
    duration = _numbers(source, frame["duration_s"], "a number of seconds")
    return trace_of(queued, duration, keys=keys, source=source, **optional)


def _airflow_columns(source: str, frame: pl.DataFrame) -> dict[str, Any]:
    """What only Airflow's rules look at, as far as it is there."""
    numbers: dict[str, tuple[str, float, str]] = {
        "delay_s": ("delay_seconds", 0, "a number of seconds"),
        "pool_slots": ("pool_slots", 1, "a whole number, at least 1"),
        "priority": ("priority", 1, "a whole number"),
        "wait_s": ("observed_wait_seconds", float("nan"), "a number of seconds, or nothing"),
    }
    columns: dict[str, Any] = {}
    for name, (field, default, expected) in numbers.items():
        if name in frame.columns:
            columns[field] = _numbers(source, frame[name], expected, default)
    if "dag" in frame.columns:
        columns["dag"], columns["dags"] = _codes(source, frame["dag"])
    if "group" in frame.columns:
        columns["run"], columns["runs"] = _codes(source, frame["group"])
    if "pool" in frame.columns:
        columns["pool"], columns["pools"] = _codes(source, frame["pool"], DEFAULT_POOL)
    return columns


def _frame(path: Path) -> pl.DataFrame:
    """The used columns as they are in the file; text where it is CSV."""
    import polars as pl  # noqa: PLC0415 - heavy, and only needed where a file is read

    name = path.name.lower()
    if not name.endswith((".parquet", ".csv", ".csv.gz")):
        raise TraceError(f"{path}: expected a file named .parquet, .csv or .csv.gz")
    if not path.is_file():
        raise TraceError(f"{path}: there is no such file")
    try:
        if name.endswith(".parquet"):
            return _parquet(path)
        content = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
        frame = pl.read_csv(content, infer_schema=False)
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError) as error:
        kind = "Parquet" if name.endswith(".parquet") else "CSV"
        first_line = str(error).strip().partition("\n")[0]
        raise TraceError(f"{path.name}: not a whole {kind} file: {first_line}") from None
    _check_columns(path.name, frame.columns)
    return frame


def _parquet(path: Path) -> pl.DataFrame:
    """The used columns; without the keys where they stay in the file."""
    import polars as pl  # noqa: PLC0415

    types = pl.read_parquet_schema(path)
    there = [column for column in LOOKED_AT if column in types]
    if not set(REQUIRED) <= set(there):
        _check_columns(path.name, list(types))
    if types["task_key"] == pl.String and "parents" not in there:
        rows: int = pl.scan_parquet(path).select(pl.len()).collect().item()
        if rows >= MANY_ROWS:
            there.remove("task_key")
    return pl.read_parquet(path, columns=there)


def _check_columns(source: str, columns: Sequence[str]) -> None:
    strangers = [column for column in columns if column not in LOOKED_AT]
    for name in (*REQUIRED, *OPTIONAL):
        if name in columns:
            continue
        close = get_close_matches(name, strangers, n=1, cutoff=0.8)
        if close:
            raise TraceError(f"{source}: column {close[0]!r} is not known; did you mean {name!r}?")
        if name in REQUIRED:
            has = ", ".join(columns[:12])
            raise TraceError(
                f"{source}: column {name!r} is missing; expected {', '.join(REQUIRED)}, got {has}"
            )


def _text(source: str, series: pl.Series) -> pl.Series:
    import polars as pl  # noqa: PLC0415

    if series.dtype.is_nested() or series.dtype in {pl.Binary, pl.Object}:
        raise TraceError(f"{source}: column {series.name}: expected text, got the type {series.dtype}")
    return series.cast(pl.String)


def _keys(path: Path, frame: pl.DataFrame) -> Sequence[str]:
    """The keys, none empty and none twice."""
    import polars as pl  # noqa: PLC0415

    if "task_key" in frame.columns:
        keys = _text(path.name, frame["task_key"])
        _check_keys(path.name, keys)
        return _Texts(keys)
    key = pl.col("task_key")
    told = pl.scan_parquet(path).select(hash=key.hash(), empty=key.fill_null("").str.len_bytes() == 0)
    seen = told.collect(engine="streaming")
    if seen["empty"].any() or not _all_differ(seen["hash"]):
        _check_keys(path.name, pl.read_parquet(path, columns=["task_key"])["task_key"])
    return _KeysInFile(path, frame.height)


def _check_keys(source: str, keys: pl.Series) -> None:
    empty = (keys.fill_null("").str.len_bytes() == 0).to_numpy()
    refuse(source, "task_key", keys, empty, "a key")
    if not _all_differ(keys.hash()):
        again = (~keys.is_first_distinct()).to_numpy()
        refuse(source, "task_key", keys, again, "a key of its own (a retry is KEY#2)")


def _all_differ(hashes: pl.Series) -> bool:
    """Then the texts do, too.  Sorting numbers takes a twentieth of the time that comparing texts does."""
    ordered = np.sort(hashes.to_numpy())
    return not bool((ordered[1:] == ordered[:-1]).any())


def _numbers(source: str, series: pl.Series, expected: str, empty: float | None = None) -> FloatArray:
    """`empty` stands in for empty cells, where they are allowed."""
    import polars as pl  # noqa: PLC0415

    if not (series.dtype.is_numeric() or series.dtype in {pl.String, pl.Null}):
        raise TraceError(f"{source}: column {series.name}: expected {expected}, got the type {series.dtype}")
    plain = series.str.strip_chars() if series.dtype == pl.String else series
    numbers = plain.cast(pl.Float64, strict=False)
    if empty is not None and series.null_count():
        numbers = numbers.set(series.is_null(), empty)
    refuse(source, series.name, series, numbers.is_null().to_numpy(), expected)
    values: FloatArray = numbers.to_numpy()
    return values


def _instants(source: str, series: pl.Series) -> tuple[FloatArray, float | None]:
    """Seconds from the trace's start, and the start's Unix seconds where the column tells it."""
    import polars as pl  # noqa: PLC0415

    expected = "seconds, or a timestamp such as 2026-03-01T06:00:00Z"
    # What the first row is, all must be: a mixture is refused at the row that differs.
    if series.dtype == pl.String and series.head(1).cast(pl.Float64, strict=False).null_count():
        series = _timestamps(source, series, expected)
    if isinstance(series.dtype, pl.Datetime):
        refuse(source, "queued_at", series, series.is_null().to_numpy(), expected)
        seconds: FloatArray = series.dt.timestamp("us").cast(pl.Float64).to_numpy() / 1e6
        return _from_start(seconds)
    seconds = _numbers(source, series, expected)
    refuse(
        source,
        "queued_at",
        seconds,
        (seconds >= 1e11) & (seconds < np.inf),
        "seconds (these look like milliseconds)",
    )
    return _from_start(seconds) if seconds.min() >= UNIX_SECONDS_FROM else (seconds, None)


def _timestamps(source: str, series: pl.Series, expected: str) -> pl.Series:
    # One form for all: a T between date and time, an offset at the end, +00:00 where there is none.
    text = series.str.strip_chars().str.replace(" ", "T", literal=True).str.replace(r"[Zz]$", "+00:00")
    bare = ~text.str.contains(r"T.*[+-]\d\d:?\d\d$").fill_null(value=True)
    text = text.zip_with(~bare, text + "+00:00")
    parsed = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
    refuse(source, "queued_at", series, parsed.is_null().to_numpy(), expected)
    return parsed


def _from_start(seconds: FloatArray) -> tuple[FloatArray, float]:
    starts_at = float(np.floor(seconds.min()))
    return seconds - starts_at, starts_at


def _codes(source: str, series: pl.Series, empty: str = "") -> tuple[CodeArray, Sequence[str]]:
    """(number of the name by row, names in alphabetical order)."""
    import polars as pl  # noqa: PLC0415

    names = _text(source, series).fill_null("").replace("", empty)
    known = names.unique().sort()
    numbers = pl.Series(range(len(known)), dtype=pl.Int32)
    return names.replace_strict(known, numbers, return_dtype=pl.Int32).to_numpy(), _Texts(known)


def _edges(source: str, keys: pl.Series, series: pl.Series) -> tuple[IntArray, IntArray]:
    """(rows of the parents, rows of the children)."""
    import polars as pl  # noqa: PLC0415

    rows = pl.DataFrame({"key": keys, "parent_row": pl.Series(range(len(keys)), dtype=pl.Int64)})
    wanted = pl.DataFrame({"child_row": rows["parent_row"], "key": _text(source, series)})
    wanted = (
        wanted.filter(pl.col("key").fill_null("") != "")
        .with_columns(pl.col("key").str.split(";"))
        .explode("key")
        .with_columns(pl.col("key").str.strip_chars())
        .filter(pl.col("key") != "")
    )
    edges = wanted.join(rows, on="key", how="left", maintain_order="left")
    unknown = edges.filter(pl.col("parent_row").is_null())
    if unknown.height:
        row, key = unknown["child_row"][0], unknown["key"][0]
        raise TraceError(
            f"{source}: row {row + 1}, column parents: {key!r} is no task_key of this trace; "
            "expected keys joined by ';'"
        )
    return edges["parent_row"].to_numpy(), edges["child_row"].to_numpy()
