"""Sources in order: the first credible reading counts, and no step between them shrinks anything."""

import anyio
import pytest

from autoscaler.ports import SourceError
from autoscaler.sources.fallback import Fallback, NamedSource
from policies.model import Demand

START = 1_000_000.0


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": _virtual()})


def _virtual():
    """Time that jumps to the next thing to do: a timeout of minutes costs nothing."""
    import trio.testing  # noqa: PLC0415 - only these tests need it

    return trio.testing.MockClock(autojump_threshold=0)


class World:
    """A clock moved by hand and sources that say what the story tells them to."""

    def __init__(self, *names, **options):
        self.now = START
        self.says = dict.fromkeys(names)
        self.asked = []
        sources = [NamedSource(name, _Told(self, name), 30.0, 2.0) for name in names]
        self.fallback = Fallback(sources, deadline_seconds=8.0, clock=lambda: self.now, **options)

    async def reads(self, **says):
        self.says |= says
        return await self.fallback.demand()


class _Told:
    def __init__(self, world, name):
        self.world, self.name = world, name

    async def demand(self):
        self.world.asked.append(self.name)
        said = self.world.says[self.name]
        if said == "hangs":
            await anyio.sleep_forever()
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Demand) else Demand(0.0, said, self.world.now, source="itself")


DEAD = SourceError("nobody answers")


@pytest.mark.anyio
async def test_the_first_source_is_enough():
    """The others are not even asked, and its reading is as whole as it says."""
    world = World("airflow_db", "statsd")
    demand = await world.reads(airflow_db=40.0, statsd=38.0)
    assert (demand.load, demand.source, demand.whole) == (40.0, "airflow_db", True)
    assert world.asked == ["airflow_db"]
    assert world.fallback.failures == {}
    part = Demand(0.0, 7.0, START, whole=False)
    assert not (await world.reads(airflow_db=part)).whole


@pytest.mark.anyio
async def test_the_next_one_steps_in():
    """The reading says who it was, the failures why it was not another."""
    world = World("airflow_db", "statsd")
    demand = await world.reads(airflow_db=DEAD, statsd=38.0)
    assert (demand.load, demand.source) == (38.0, "statsd")
    assert world.fallback.failures == {"airflow_db": "nobody answers"}
    await world.reads(airflow_db=40.0)
    assert world.fallback.failures == {}


@pytest.mark.anyio
async def test_all_failed_is_no_reading():
    """Each with its reason, in order."""
    world = World("airflow_db", "statsd", "cloudwatch")
    with pytest.raises(
        SourceError,
        match="airflow_db: nobody answers; statsd: no answer within 2 s; cloudwatch: queued is -1",
    ):
        await world.reads(airflow_db=DEAD, statsd="hangs", cloudwatch=Demand(-1.0, 3.0, START))


@pytest.mark.anyio
async def test_a_hanging_source_costs_its_timeout_only():
    """Two seconds, then the next one is asked."""
    world = World("airflow_db", "statsd")
    started = anyio.current_time()
    assert (await world.reads(airflow_db="hangs", statsd=38.0)).source == "statsd"
    assert anyio.current_time() - started == 2.0


@pytest.mark.anyio
async def test_a_defect_of_one_source_does_not_cost_the_others():
    """Its text stays inside: nobody knows what it holds."""
    world = World("airflow_db", "statsd")
    demand = await world.reads(airflow_db=RuntimeError("postgresql://user:hunter2@db"), statsd=38.0)
    assert demand.source == "statsd"
    assert world.fallback.failures == {"airflow_db": "unexpected RuntimeError"}


@pytest.mark.anyio
async def test_a_stop_is_not_a_failure_of_a_source():
    """Cancelling the tick ends it; the next source is not asked."""
    world = World("airflow_db", "statsd")
    with anyio.move_on_after(1) as scope:
        await world.reads(airflow_db="hangs", statsd=38.0)
    assert scope.cancelled_caught
    assert world.asked == ["airflow_db"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (Demand(float("nan"), 0.0, START), "queued is nan, which cannot be"),
        (Demand(0.0, float("inf"), START), "running is inf, which cannot be"),
        (Demand(-1.0, 0.0, START), "queued is -1, which cannot be"),
        (Demand(0.0, -2.5, START), "running is -2.5, which cannot be"),
        (Demand(1.0, 1.0, START, scheduled=float("nan")), "scheduled is nan, which cannot be"),
        (Demand(1.0, 1.0, START, oldest_wait_seconds=-9.0), "oldest_wait_seconds is -9, which cannot be"),
        (Demand(1.0, 1.0, START - 31), "measured 31 s ago, allowed are 30 s"),
        (Demand(1.0, 1.0, START + 31), "measured 31 s in the future: a clock is wrong"),
        (Demand(1.0, 1.0, float("nan")), "measured at nan, which cannot be"),
    ],
)
async def test_an_incredible_reading_is_none(reading, why):
    """Never zero, never passed on: the next source is asked."""
    world = World("airflow_db", "statsd")
    assert (await world.reads(airflow_db=reading, statsd=38.0)).load == 38.0
    assert world.fallback.failures == {"airflow_db": why}


@pytest.mark.anyio
async def test_a_reading_at_its_greatest_age_is_credible():
    """Thirty seconds are allowed, so thirty are."""
    world = World("airflow_db")
    assert (await world.reads(airflow_db=Demand(1.0, 1.0, START - 30))).load == 2.0


@pytest.mark.anyio
async def test_the_step_to_a_lesser_source_shrinks_nothing():
    """CloudWatch still shows the calm before the burst: out goes on, nothing goes in for ten minutes."""
    world = World("airflow_db", "cloudwatch")
    await world.reads(airflow_db=100.0)
    demand = await world.reads(airflow_db=DEAD, cloudwatch=20.0)
    assert (demand.load, demand.whole) == (20.0, False)
    world.now += 599
    assert not (await world.reads()).whole
    world.now += 1
    assert (await world.reads()).whole


@pytest.mark.anyio
async def test_a_first_source_that_never_worked_is_waited_for_too():
    """A start with the database down begins with caution."""
    world = World("airflow_db", "statsd", settle_seconds=60.0)
    assert not (await world.reads(airflow_db=DEAD, statsd=38.0)).whole
    world.now += 60
    assert (await world.reads()).whole


@pytest.mark.anyio
async def test_every_step_down_settles_anew():
    """From the second source to the third is a step as well; back up is none."""
    world = World("airflow_db", "statsd", "cloudwatch")
    await world.reads(airflow_db=DEAD, statsd=38.0, cloudwatch=20.0)
    world.now += 1000
    assert (await world.reads()).whole
    assert not (await world.reads(statsd=DEAD)).whole
    world.now += 600
    assert (await world.reads()).whole
    assert (await world.reads(statsd=38.0)).whole
    assert (await world.reads(airflow_db=40.0)).whole


def test_timeouts_must_fit_into_the_deadline():
    """Or a first source that hangs would eat the others' time, tick after tick."""
    sources = [NamedSource(name, None, 30.0, 5.0) for name in ("airflow_db", "statsd")]
    with pytest.raises(ValueError, match="may take 10 s together, the reading only 8 s"):
        Fallback(sources, deadline_seconds=8.0)


def test_equal_shares_of_a_deadline_fit_into_it():
    """Whatever the last bits of the floats add up to."""
    for tenths in range(1, 200):
        for count in range(1, 8):
            share = tenths / 10 / count
            sources = [NamedSource(str(number), None, 30.0, share) for number in range(count)]
            Fallback(sources, deadline_seconds=tenths / 10)


def test_a_list_of_nothing_is_refused():
    """There is nobody to ask."""
    with pytest.raises(ValueError, match="at least one source"):
        Fallback([], deadline_seconds=8.0)
