"""A lease for the daemons of one host: the kernel's lock on a file, gone with the process that holds it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from autoscaler.ports import Leads, LeaseError, LeaseLostError, StandsBy

MAX_BYTES = 4096
"""What is read of the file; ours is shorter."""
LARGEST_EPOCH = 2**53
"""A larger number is not ours, and a metric could not show it."""


class FileLease:
    """A leader that hangs keeps it: only its end frees the lock.  Not for a network's file system."""

    def __init__(self, path: str, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._held: int | None = None
        self._epoch = 0

    async def acquire(self) -> Leads | StandsBy:
        await self.release()
        try:
            return self._acquired()
        except OSError as error:
            raise self._failed(error) from None

    async def confirm(self, epoch: int) -> None:
        if self._held is None or self._epoch != epoch or not self._is_still(self._held):
            raise LeaseLostError(f"the lease file {self._path} was removed or replaced")

    async def look(self) -> str:
        try:
            return self._holder()
        except OSError as error:
            raise self._failed(error) from None

    async def release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _acquired(self) -> Leads | StandsBy:
        opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _locked(opened):
                return StandsBy(_owner(opened))
            if not self._is_still(opened):
                return StandsBy("")  # replaced while it was locked: the next try looks at the new one
            self._epoch = _epoch(opened) + 1
            _write(opened, {"owner": self._owner, "epoch": self._epoch})
            self._held, opened = opened, -1
        finally:
            if opened != -1:
                os.close(opened)
        return Leads(self._epoch)

    def _holder(self) -> str:
        path = Path(self._path)
        if not path.exists() and os.access(path.absolute().parent, os.W_OK):
            return ""
        with path.open("r+b") as file:
            return "" if _locked(file.fileno()) else _owner(file.fileno())

    def _failed(self, error: OSError) -> LeaseError:
        remedy = "check that the folder exists and may be written to"
        return LeaseError(f"the lease file {self._path}: {error.strerror}; {remedy}")

    def _is_still(self, opened: int) -> bool:
        """Whether the path names the locked file: on another one somebody else may have a lock."""
        try:
            return os.path.samestat(Path(self._path).stat(), os.fstat(opened))
        except OSError:
            return False


def _locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(opened: int) -> dict[str, object]:
    try:
        document = json.loads(os.pread(opened, MAX_BYTES, 0))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _owner(opened: int) -> str:
    return str(_read(opened).get("owner", ""))


def _epoch(opened: int) -> int:
    value = _read(opened).get("epoch")
    return value if isinstance(value, int) and 0 <= value < LARGEST_EPOCH else 0


def _write(opened: int, document: dict[str, object]) -> None:
    os.ftruncate(opened, 0)
    os.pwrite(opened, json.dumps(document).encode(), 0)
