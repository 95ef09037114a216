import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.leftovers import Mark


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that any user can enter: PostgreSQL may run as another."""
    path = Path(tempfile.mkdtemp(prefix="demo-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def mark(folder: Path) -> Mark:
    """How the processes of this test are told from all others."""
    return Mark(folder)
