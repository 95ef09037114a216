"""Writes task traces: page by page, and never half a file."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulations.trace import TraceError

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".parquet", ".csv", ".csv.gz")
TEXTS = ("task_key", "queue", "pool", "group", "dag", "task", "run_type", "parents")
NUMBERS = ("duration_s", "delay_s", "wait_s")
WHOLE_NUMBERS = ("slots", "pool_slots", "priority")
INSTANTS = ("queued_at", "announced_at", "started_at")
CSV_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"
COMPRESSION_LEVEL = 6


class Pages:
    """A trace that is growing on disk; `add` what comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows = 0
        self._pages = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Appends rows; every frame has the same columns."""
        if frame.height:
            frame.write_parquet(self._folder / f"page-{self._pages:08d}.parquet")
            self._pages += 1
            self.rows += frame.height

    def in_order(self) -> pl.LazyFrame:
        """All of it by time, not loaded; instants that are still text must be in order already."""
        import polars as pl  # noqa: PLC0415 - heavy, and only needed where a file is written

        rows = pl.scan_parquet(sorted(self._folder.glob("page-*.parquet")))
        if rows.collect_schema()["queued_at"] == pl.String:
            return rows
        return rows.sort("queued_at", maintain_order=True)


@contextmanager
def writing(path: Path, kind: str = "the trace") -> Iterator[Pages]:
    """Pages that become the file when the block ends well, and leave nothing behind when it does not.

    A file that was there is replaced at once, by a rename.  Raises `TraceError` for a bad name or
    place, and if no row was added.
    """
    check_name(path)
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise TraceError(f"{path}: {kind} cannot be written: {error.strerror}") from None
    with folder as name:
        pages = Pages(Path(name))
        yield pages
        if not pages.rows:
            raise TraceError(f"{path}: not written, since there is no task")
        whole = Path(name) / "whole"
        try:
            _write(pages.in_order(), whole, path.name.lower())
            os.replace(whole, path)  # noqa: PTH105 - atomic, and says so
        except OSError as error:
            raise TraceError(f"{path}: {kind} cannot be written: {error.strerror or error}") from None


def check_name(path: Path) -> None:
    """Raises `TraceError` for a file name whose kind is not known."""
    if not path.name.lower().endswith(SUFFIXES):
        raise TraceError(f"{path}: expected a file named .parquet, .csv or .csv.gz")


def write_trace(frame: pl.DataFrame, path: Path) -> None:
    """Writes a whole trace.  Raises `TraceError`."""
    with writing(path) as pages:
        pages.add(frame)


def frame_of(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pl.DataFrame:
    """Rows of Python values as a frame of a trace's types; instants are Unix seconds."""
    import polars as pl  # noqa: PLC0415

    kinds: dict[str, Any] = dict.fromkeys(TEXTS, pl.String)
    kinds |= dict.fromkeys((*NUMBERS, *INSTANTS), pl.Float64) | dict.fromkeys(WHOLE_NUMBERS, pl.Int64)
    frame = pl.DataFrame(list(rows), schema={name: kinds[name] for name in columns}, orient="row")
    there = [name for name in INSTANTS if name in columns]
    return frame.with_columns(
        (pl.col(there) * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC")),
    )


def _write(frame: pl.LazyFrame, path: Path, name: str) -> None:
    if name.endswith(".parquet"):
        frame.sink_parquet(path, compression="zstd")
        return
    plain = path.with_suffix(".csv")
    frame.sink_csv(plain, datetime_format=CSV_INSTANT)
    if not name.endswith(".gz"):
        plain.replace(path)
        return
    # No name and no time in the header: the same trace is the same bytes.
    with (
        plain.open("rb") as source,
        path.open("wb") as sink,
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, sink, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)
