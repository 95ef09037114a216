"""A policy whose memory cannot begin is refused with a line, at the start as at a reload."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from autoscaler.daemon import Daemon
from autoscaler.settings import Settings
from autoscaler.wiring import WiringError
from policies.model import Reason, Recommendation


@dataclass(frozen=True)
class Unready:
    """Fails before it saw anything."""

    monotone: ClassVar[bool] = True
    window_seconds: ClassVar[float] = 0.0
    memory_type: ClassVar[Any] = None

    def initial(self) -> Any:
        raise RuntimeError("no profile on file")

    def recommend(self, memory, history):
        return memory, Recommendation(1, Reason.NO_OPINION)


@dataclass(frozen=True)
class Unwritable(Unready):
    """Remembers what no record can hold."""

    def initial(self) -> Any:
        return object()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("policy", "why"),
    [("Unready", "RuntimeError: no profile on file"), ("Unwritable", "PydanticSerializationError: ")],
)
async def test_a_policy_whose_memory_cannot_begin_is_refused_by_name(policy, why):
    """Before anything is opened: neither a traceback, nor the end of the daemon at a reload."""
    target = {"cluster": "c", "service": "s", "policy": {"name": f"{__name__}:{policy}"}}
    settings = Settings.model_validate(
        {"targets": {"mine": target}, "airflow": {"database_url": "sqlite:///none.db"}}
    )
    with pytest.raises(WiringError, match=f"targets.mine.policy: its memory cannot begin: {why}"):
        await Daemon(settings, reload=lambda: settings).run()
