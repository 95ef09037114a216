"""A dry run reads for real and writes nothing."""

import pytest
from structlog.testing import capture_logs

from autoscaler.fleets.dry_run import DryRun
from tests.fleets.hand_clock import decision

pytestmark = pytest.mark.anyio


async def test_it_reads_and_never_writes(ecs, fleet):
    """Whatever is decided, no call asks for a change."""
    dry = DryRun(fleet, "etl")
    assert (await dry.capacity(list_workers=True)).desired == 3
    with capture_logs():
        assert await dry.apply(decision(9, protected=["a"], released=["b"])) is None
        assert await dry.apply(decision(None)) is None
    assert ecs.writes == []


async def test_it_says_once_what_it_would_have_done(fleet):
    """Repeated only when it changes."""
    dry = DryRun(fleet, "etl")
    with capture_logs() as lines:
        for each in (None, 9, 9, 8, None, 8):
            await dry.apply(decision(each))
    assert [(line["event"], line["target"], line["desired"]) for line in lines] == [
        ("would_write", "etl", 9),
        ("would_write", "etl", 8),
        ("would_write", "etl", 8),
    ]
