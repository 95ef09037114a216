"""Orders in a file: what is written is whole and on the disk, or it is not written at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio import to_thread

from autoscaler.core.codec import MisfitError, from_json, to_json
from autoscaler.orders.book import OrdersError
from policies.orders import Orders

VERSION = 1
MOST_BYTES = 4 * 2**20
"""Twice what orders for as many targets as there may be can take."""


@dataclass(frozen=True, slots=True)
class OrdersFile:
    """One file for all targets of a daemon; its own user alone reads it."""

    path: Path

    def begin(self) -> None:
        """Makes the file where there is none: one that is missing later has gone.  Raises `OrdersError`."""
        if not self.path.exists():
            self.write({})

    def examine(self) -> None:
        """Whether it holds orders, or can be made, and can be written.  Raises `OrdersError`."""
        if self.path.exists():
            self.found()
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise OrdersError(f"orders.path = {self.path}: its folder is missing, or cannot be written to")

    async def read(self) -> dict[str, Orders]:
        """As `Keeper`."""
        return await to_thread.run_sync(self.found, abandon_on_cancel=True)

    def found(self) -> dict[str, Orders]:
        """What the file holds; one that has gone held who knows what.  Raises `OrdersError`."""
        remedy = "mend it, or, if nothing is ordered, remove it and restart"
        try:
            with self.path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise OrdersError(f"orders.path = {self.path}: cannot be read: {error.strerror}") from None
        if len(content) > MOST_BYTES:
            raise OrdersError(f"orders.path = {self.path}: longer than {MOST_BYTES} bytes; {remedy}")
        try:
            return parsed(json.loads(content))
        except MisfitError as error:
            raise OrdersError(f"orders.path = {self.path}: not orders: {error}; {remedy}") from None
        except (ValueError, RecursionError):
            raise OrdersError(f"orders.path = {self.path}: not JSON; {remedy}") from None

    async def keep(self, orders: Mapping[str, Orders]) -> None:
        """As `Keeper`."""
        await to_thread.run_sync(partial(self.write, orders))

    def write(self, orders: Mapping[str, Orders]) -> None:
        """Into a file beside it, to the disk, and then in its place.  Raises `OrdersError`."""
        folder, temporary = self.path.parent, None
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(written(orders).encode())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
            temporary = None
            _sync_folder(folder)
        except OSError as error:
            raise OrdersError(f"orders.path = {self.path}: cannot be written: {error.strerror}") from None
        finally:
            if temporary is not None:
                with suppress(OSError):
                    Path(temporary).unlink()


def written(orders: Mapping[str, Orders]) -> str:
    """As JSON text; `parsed` gives the same back."""
    targets = {name: to_json(each) for name, each in sorted(orders.items())}
    return json.dumps({"v": VERSION, "targets": targets}, allow_nan=False, indent=1) + "\n"


def parsed(document: object) -> dict[str, Orders]:
    """The orders by target.  Raises `MisfitError`."""
    if not isinstance(document, dict) or set(document) != {"v", "targets"}:
        raise MisfitError("", "an object of v and targets", document)
    if document["v"] != VERSION:
        raise MisfitError("v", str(VERSION), document["v"])
    targets = document["targets"]
    if not isinstance(targets, dict):
        raise MisfitError("targets", "an object", targets)
    return {name: from_json(each, Orders, place=f"targets.{name}") for name, each in targets.items()}


def _sync_folder(folder: Path) -> None:
    """So that the new name survives a power cut too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
