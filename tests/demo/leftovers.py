"""Finds what a demonstration left behind: processes by their environment or folder, and files."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

NAME = "DEMO_TEST_MARK"


class Mark:
    """Every process of one demonstration inherits it, or works in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.value = uuid4().hex

    @property
    def environment(self) -> dict[str, str]:
        return {NAME: self.value, "TMPDIR": str(self.folder)}

    def processes(self) -> list[str]:
        """Their command lines; without /proc nothing can be told, and the test must be skipped."""
        return [found.command for found in map(_look, Path("/proc").glob("[0-9]*")) if self._is_ours(found)]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def _is_ours(self, found: "_Process") -> bool:
        return self.value in found.environment or found.folder.startswith(f"{self.folder}/")


@dataclass(frozen=True)
class _Process:
    command: str = ""
    environment: str = ""
    folder: str = ""


def _look(entry: Path) -> _Process:
    try:
        return _Process(
            (entry / "cmdline").read_text(errors="replace").replace("\0", " "),
            (entry / "environ").read_text(errors="replace"),
            str((entry / "cwd").readlink()),
        )
    except OSError:
        return _Process()  # it has ended, or is somebody else's
