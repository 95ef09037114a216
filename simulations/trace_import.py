"""Traces in other formats made ours: what was read is checked like any trace before it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from policies.model import IntArray
from simulations.content import content_of, unpacked
from simulations.swf import swf_rows
from simulations.trace import TraceError, refuse
from simulations.trace_file import OPTIONAL, REQUIRED, read_trace
from simulations.trace_write import INSTANTS, NUMBERS, TEXTS, WHOLE_NUMBERS, frame_of, write_trace
from simulations.wfcommons import workflow_rows

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    *REQUIRED,
    *OPTIONAL,
    *sorted({*TEXTS, *NUMBERS, *WHOLE_NUMBERS, *INSTANTS} - {*REQUIRED, *OPTIONAL}),
)
UNIX_SECONDS_FROM = 1e9


class Format(StrEnum):
    """What kind of file."""

    SWF = "swf"
    WFCOMMONS = "wfcommons"
    CSV = "csv"


class Unit(StrEnum):
    """Of times in a CSV."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    MINUTES = "min"

    @property
    def seconds(self) -> float:
        """One of it."""
        return {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}[self.value]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    tasks: int
    left_out: int
    """Jobs that never ran: cancelled, or without a run time."""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How to read somebody's CSV."""

    columns: Mapping[str, str]
    """Theirs by ours; a column of ours that is not here is taken by its own name, if it is there."""
    time_unit: Unit = Unit.SECONDS
    """Of numbers in `queued_at` and `announced_at`."""
    duration_unit: Unit = Unit.SECONDS
    """Of `duration_s` and `wait_s`."""


CSV_AS_OURS = CsvForm({})


def import_trace(source: Path, out: Path, kind: Format, form: CsvForm = CSV_AS_OURS) -> Imported:
    """Writes `source` as a trace of ours.  Raises `TraceError`, which names file, row and column."""
    match kind:
        case Format.CSV:
            frame, left_out = _csv(source, form), 0
        case Format.SWF:
            rows, left_out = swf_rows(source.name, text_of(source))
            frame = _frame(source.name, rows)
        case Format.WFCOMMONS:
            frame, left_out = _frame(source.name, workflow_rows(source.name, text_of(source))), 0
    if not frame.height:
        raise TraceError(f"{source.name}: holds no task that ran")
    write_trace(frame[_order(source.name, frame)], out)
    return Imported(frame.height, left_out)


def guessed(source: Path) -> Format:
    """The format that the name tells.  Raises `TraceError`."""
    name = source.name.lower().removesuffix(".gz")
    for suffix, kind in ((".swf", Format.SWF), (".json", Format.WFCOMMONS), (".csv", Format.CSV)):
        if name.endswith(suffix):
            return kind
    raise TraceError(f"{source}: the name does not tell the format; say --format swf, wfcommons or csv")


def text_of(path: Path) -> str:
    """The text of a file, unpacked if it is gzipped.  Raises `TraceError`."""
    try:
        content = content_of(path)
        return (unpacked(path.name, content) if path.name.lower().endswith(".gz") else content).decode()
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise TraceError(f"{path.name}: expected UTF-8 text") from None


def _frame(source: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    columns = [name for name in COLUMNS if rows and name in rows[0]]
    try:
        frame = frame_of([[row[name] for name in columns] for row in rows], columns)
    except UnicodeEncodeError:
        raise TraceError(f"{source}: a name in it is no text: half of a character") from None
    if rows and all(float(str(row["queued_at"])) < UNIX_SECONDS_FROM for row in rows):
        # Without a date it counts from the trace's start.
        return frame.with_columns(queued_at=frame["queued_at"].dt.timestamp("us") / 1e6)
    return frame


def _order(name: str, frame: pl.DataFrame) -> IntArray:
    """The rows in order of time; those of the same instant stay as they are.

    Raises the `TraceError` that reading the trace would raise, in the name of the file it came from.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        frame.write_parquet(path)
        try:
            return np.argsort(read_trace(path, in_order=False).queued_at, kind="stable")
        except TraceError as error:
            raise TraceError(str(error).replace(f"{name}.parquet", name, 1)) from None


def _csv(source: Path, form: CsvForm) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - heavy, and only needed where a file is read

    try:
        frame = pl.read_csv(text_of(source).encode(), infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise TraceError(f"{source.name}: not a whole CSV file: {first_line}") from None
    named = _renamed(source.name, frame, form)
    if "task_key" not in named.columns:
        named = named.insert_column(0, pl.Series("task_key", map(str, range(1, named.height + 1)), pl.String))
    for names, unit in ((INSTANTS, form.time_unit), (NUMBERS, form.duration_unit)):
        for name in names:
            if unit is not Unit.SECONDS and name in named.columns:
                named = named.with_columns(_scaled(source.name, named[name], unit))
    for name in (*WHOLE_NUMBERS, *NUMBERS):
        if name in named.columns and name != "duration_s":
            named = named.with_columns(_number(source.name, named[name]))
    return named


def _renamed(source: str, frame: pl.DataFrame, form: CsvForm) -> pl.DataFrame:
    """Our columns of it, under our names."""
    import polars as pl  # noqa: PLC0415

    has = ", ".join(frame.columns[:12])
    for ours, theirs in form.columns.items():
        if ours not in COLUMNS:
            raise TraceError(
                f"--map {ours}={theirs}: {ours!r} is no column of a trace; those are {', '.join(COLUMNS)}"
            )
        if theirs not in frame.columns:
            raise TraceError(f"{source}: there is no column {theirs!r} for {ours!r}; it has {has}")
    there = {name: name for name in COLUMNS if name in frame.columns} | dict(form.columns)
    for name in ("queued_at", "duration_s"):
        if name not in there:
            raise TraceError(f"{source}: column {name!r} is missing: say --map {name}=THEIRS; it has {has}")
    return frame.select(pl.col(theirs).alias(ours) for ours, theirs in there.items())


def _scaled(source: str, series: pl.Series, unit: Unit) -> pl.Series:
    return _number(source, series) * unit.seconds


def _number(source: str, series: pl.Series) -> pl.Series:
    import polars as pl  # noqa: PLC0415

    if series.dtype.is_numeric():
        return series
    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & series.is_not_null()).to_numpy()
    refuse(source, series.name, series, np.asarray(wrong, dtype=bool), "a number")
    return numbers
