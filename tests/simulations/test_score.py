"""A run in figures, worked out by hand; prices."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.mwaa import ENVIRONMENT_CLASSES
from simulations.price import PriceError, fargate, mwaa, parse
from simulations.run import simulate
from simulations.score import score
from simulations.service import fargate as fargate_service
from tests.simulations.worlds import controller, service, tasks


def test_the_figures_of_a_run_by_hand():
    """Two tasks of 30 min on one worker of one slot: the second waits for the first."""
    result = simulate(tasks((0, 1800), (0, 1800)), controller(1, 1, 1), service(1), 1, tick_seconds=60)
    figures = score(result, parse("2.0"))
    assert (figures.tasks, figures.makespan_seconds) == (2, 3600.0)
    assert (figures.wait_mean_seconds, figures.wait_p50_seconds, figures.wait_max_seconds) == (900, 900, 1800)
    assert figures.wait_p95_seconds == pytest.approx(1710.0)
    assert figures.worker_hours == figures.billed_worker_hours == figures.run_hours == 1.0
    assert figures.cost_usd == 2.0
    assert figures.utilisation == 1.0
    assert (figures.scale_outs, figures.scale_ins, figures.killed_tasks) == (0, 0, 0)
    assert (figures.peak_workers, figures.launched_workers, figures.settled) == (1, 1, True)
    assert json.loads(json.dumps(figures.as_dict())) == figures.as_dict()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 900)), min_size=1, max_size=40),
    st.sampled_from(["x86:2:4", "arm:1:8", "x86:0.5:1:spot", "mw1.medium", "mw1.micro", "0.3", "0"]),
    st.sampled_from([0.0, 20.0]),
    st.integers(0, 99),
)
def test_the_money_adds_up(rows, price, before_pull, seed):
    """The parts make up the cost, what is idle or unused is some of it, and every worker's bill is in it."""
    model = fargate_service(4)
    model = replace(model, before_pull_seconds=before_pull, reclaims_per_hour=2.0, never_start_share=0.1)
    result = simulate(tasks(*rows), controller(4, 1, 8), model, seed, tick_seconds=20)
    paid = parse(price)
    figures = score(result, paid)
    assert sum(figures.cost_parts.values()) == pytest.approx(figures.cost_usd)
    workers = figures.cost_usd - figures.cost_base_usd
    assert 0 <= figures.cost_minimum_usd <= workers + 1e-9
    assert 0 <= figures.idle_share <= 1
    assert figures.cost_idle_usd == pytest.approx(figures.idle_share * workers)
    if paid.included_workers:
        return
    one_by_one = 0.0
    for created, ready, stopped in zip(result.created_at, result.ready_at, result.stopped_at, strict=True):
        pulled = stopped - created - min(before_pull, ready - created)
        if pulled >= 0:
            one_by_one += max(pulled, paid.minimum_seconds) / 3600 * paid.usd_per_worker_hour
    assert workers == pytest.approx(one_by_one)


def test_spot_costs_less_and_is_taken_away():
    """The same load: dearer minutes do not outweigh the discount, and the reclaimed are counted."""
    rows = [(at, 60) for at in range(0, 20_000, 20)]
    steady = simulate(tasks(*rows), controller(4, 1, 8), fargate_service(4), 1, tick_seconds=20)
    spotty = simulate(
        tasks(*rows),
        controller(4, 1, 8),
        replace(fargate_service(4), reclaims_per_hour=3.0),
        1,
        tick_seconds=20,
    )
    whole, cheap = score(steady, parse("x86:2:4")), score(spotty, parse("x86:2:4:spot"))
    assert (whole.reclaimed_workers, whole.killed_tasks) == (0, 0)
    assert cheap.reclaimed_workers > 5
    assert cheap.killed_tasks > 0
    assert 0.3 * whole.cost_usd < cheap.cost_usd < 0.7 * whole.cost_usd
    assert cheap.price == "Fargate x86, 2 vCPU, 4 GB, Spot (60% less)"


def test_what_is_before_the_image_pull_is_not_billed():
    """A worker launched in 60 s of which 15 s are free, kept for some minutes."""
    model = service(4, launch_seconds=60.0)
    rows = [(0, 300)] * 8
    dear = simulate(tasks(*rows), controller(4, 1, 2), model, 1, tick_seconds=10)
    cheap = replace(dear, service=replace(model, before_pull_seconds=15.0))
    one, other = score(dear, parse("1")), score(cheap, parse("1"))
    # The first worker was there from the start: all of it is billed.
    assert one.billed_worker_hours - other.billed_worker_hours == pytest.approx(15 / 3600)
    assert one.worker_hours == other.worker_hours


def test_a_worker_is_billed_for_a_minute_at_least():
    """A run of ten seconds costs a minute on Fargate."""
    result = simulate(tasks((0, 10)), controller(1, 1, 1), service(1), 1, tick_seconds=10)
    figures = score(result, fargate("x86", 1, 2))
    assert figures.worker_hours == 10 / 3600
    assert figures.billed_worker_hours == 60 / 3600
    assert figures.cost_usd == pytest.approx((0.04048 + 2 * 0.004445) / 60)


def test_utilisation_counts_ready_time_and_not_the_launch():
    """Eight tasks of 60 s on two workers of four slots, the second ready after 60 s."""
    result = simulate(
        tasks(*[(0, 60)] * 8), controller(4, 1, 2), service(4, launch_seconds=60), 1, tick_seconds=10
    )
    ready = (result.stopped_at - result.ready_at).sum()
    assert score(result, parse("1")).utilisation == pytest.approx(480 / (4 * ready))


@pytest.mark.parametrize(
    ("text", "hourly", "minimum"),
    [
        ("x86:1:2", 0.04937, 60.0),
        ("arm:4:8", 4 * 0.03238 + 8 * 0.00356, 60.0),
        ("0.055", 0.055, 0.0),
        ("mw1.small", 0.055, 0.0),
        ("mw1.micro", 0.0, 0.0),
        ("x86:1:2:spot", 0.4 * 0.04937, 60.0),
        ("arm:1:2:spot=0.7", 0.3 * (0.03238 + 2 * 0.00356), 60.0),
    ],
)
def test_prices_by_name(text, hourly, minimum):
    """Fargate by vCPU and GB, MWAA by class, or a plain number."""
    price = parse(text)
    assert price.usd_per_worker_hour == pytest.approx(hourly)
    assert price.minimum_seconds == minimum


def test_an_mwaa_environment_includes_one_worker():
    """The environment's hours, and only the workers beyond the first."""
    preset = ENVIRONMENT_CLASSES["mw1.small"]
    assert mwaa("mw1.small").usd(billed_worker_hours=30.0, run_hours=10.0) == pytest.approx(
        10 * preset.environment_usd_per_hour + 20 * 0.055
    )
    assert mwaa("mw1.small").usd(5.0, 10.0) == pytest.approx(10 * preset.environment_usd_per_hour)
    assert "unverified" in mwaa("mw1.2xlarge").label


@pytest.mark.parametrize(
    "text",
    [
        *("", "cheap", "-1", "nan", "x86", "x86:1", "x86:1:2:3", "x86:one:2", "riscv:1:2", "1:spot"),
        *("x86:0:0", "arm:0:4", "x86:2:0"),
        *("x86:1:2:spot=1", "x86:1:2:spot=0", "x86:1:2:spot=much", "x86:1:2:spat=0.5", "x86:1:2:spot=nan"),
    ],
)
def test_a_price_that_is_none_says_what_was_expected(text):
    """One line with all forms."""
    with pytest.raises(PriceError, match=r"price: expected x86:VCPU:GB, arm:VCPU:GB, an MWAA class"):
        parse(text)
