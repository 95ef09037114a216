"""Reads a task trace from Parquet, CSV or gzipped CSV; bad rows are refused by name, never dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from policies.model import FloatArray, IntArray
from simulations.content import unpacked
from simulations.trace import DEFAULT_POOL, CodeArray, Trace, TraceError, refuse, trace_of
from simulations.trace_place import Opened, TracePlace, opened

if TYPE_CHECKING:
    import polars as pl

REQUIRED = ("task_key", "queued_at", "duration_s")
OPTIONAL = ("slots", "queue", "parents", "delay_s", "pool_slots", "priority")
LOOKED_AT = (*REQUIRED, *OPTIONAL, "group", "dag", "pool", "wait_s")
"""All columns that are read; of the last ones nobody is asked whether another name meant them."""
MANY_ROWS = 1_000_000
"""From here on the keys of a Parquet file stay in the file: in memory they take more than all else."""
MOST_TASKS = 200_000_000
"""In memory they take some ten gigabytes; a file of a few bytes may claim to hold any number."""
IN_ORDER = "no earlier time than in the row above (`autoscaler trace import` puts rows in order)"
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

    def __init__(self, file: Opened, rows: int) -> None:
        self._file, self._rows = file, rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # one key at a time
        place = range(self._rows)[int(row)]
        return str(_scanned(self._file).select("task_key").slice(place, 1).collect().item())


def read_trace(place: TracePlace, *, in_order: bool = True) -> Trace:
    """The trace of a `.parquet`, `.csv` or `.csv.gz` file, of this machine or in S3.

    Columns: `task_key`, `queued_at` (seconds from the trace's start, Unix seconds, or timestamps; UTC
    unless they say otherwise), `duration_s`, and optionally `slots`, `queue`, `parents` (`;`-joined
    keys), `delay_s` (from the last parent's end until the task is ready), `group` (its DAG run), `dag`,
    `pool`, `pool_slots`, `priority`, `wait_s` (the wait that was recorded); an empty cell of an optional
    column means its default.  Other columns are not used.
    Rows are counted from 1, the header not included; `in_order`: none may be queued before the one above
    it, since that is how a clock that was set back, or a file put together wrongly, looks.
    Raises `TraceError`.
    """
    if not place.name.lower().endswith((".parquet", ".csv", ".csv.gz")):
        raise TraceError(f"{place}: expected a file named .parquet, .csv or .csv.gz")
    file = opened(place)
    source, frame = file.name, _frame(file)
    if not frame.height:
        raise TraceError(f"{source}: holds no task; expected one row a task")
    keys = _keys(file, frame)
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
    trace = trace_of(queued, duration, keys=keys, source=source, **optional)
    if in_order:
        back = np.append(False, queued[1:] < queued[:-1])
        refuse(source, "queued_at", frame["queued_at"], back, IN_ORDER)
    return trace


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


def _frame(file: Opened) -> pl.DataFrame:
    """The used columns as they are in the file; text where it is CSV."""
    import polars as pl  # noqa: PLC0415 - heavy, and only needed where a file is read

    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            return _parquet(file)
        content = unpacked(file.name, file.content()) if name.endswith(".gz") else file.content()
        frame = pl.read_csv(content, infer_schema=False)
    # polars ends some broken files by a panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        kind = "Parquet" if name.endswith(".parquet") else "CSV"
        first_line = str(error).strip().partition("\n")[0]
        raise TraceError(f"{file.name}: not a whole {kind} file: {first_line}") from None
    except OSError as error:
        raise TraceError(f"{file.name}: cannot be read: {error.strerror or error}") from None
    _check_columns(file.name, frame.columns)
    return frame


def _scanned(file: Opened) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415

    return pl.scan_parquet(file.where, storage_options=file.options)


def _parquet(file: Opened) -> pl.DataFrame:
    """The used columns; without the keys where they stay in the file."""
    import polars as pl  # noqa: PLC0415

    types = _scanned(file).collect_schema()
    tasks: int = _scanned(file).select(pl.len()).collect().item()
    if tasks > MOST_TASKS:
        raise TraceError(f"{file.name}: holds {tasks:,} tasks; expected at most {MOST_TASKS:,}")
    there = [column for column in LOOKED_AT if column in types]
    if not set(REQUIRED) <= set(there):
        _check_columns(file.name, list(types))
    if types["task_key"] == pl.String and "parents" not in there and tasks >= MANY_ROWS:
        there.remove("task_key")
    return pl.read_parquet(file.where, columns=there, storage_options=file.options)


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


def _keys(file: Opened, frame: pl.DataFrame) -> Sequence[str]:
    """The keys, none empty and none twice."""
    import polars as pl  # noqa: PLC0415

    if "task_key" in frame.columns:
        keys = _text(file.name, frame["task_key"])
        _check_keys(file.name, keys)
        return _Texts(keys)
    key = pl.col("task_key")
    told = _scanned(file).select(hash=key.hash(), empty=key.fill_null("").str.len_bytes() == 0)
    seen = told.collect(engine="streaming")
    if seen["empty"].any() or not _all_differ(seen["hash"]):
        _check_keys(file.name, _scanned(file).select(key).collect()["task_key"])
    return _KeysInFile(file, frame.height)


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
