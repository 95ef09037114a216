"""A run in figures, worked out by hand; prices."""

from __future__ import annotations

import json

import pytest

from policies.mwaa import ENVIRONMENT_CLASSES
from simulations.price import PriceError, fargate, mwaa, parse
from simulations.run import simulate
from simulations.score import score
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
    "text", ["", "cheap", "-1", "nan", "x86", "x86:1", "x86:1:2:3", "x86:one:2", "riscv:1:2"]
)
def test_a_price_that_is_none_says_what_was_expected(text):
    """One line with all forms."""
    with pytest.raises(PriceError, match=r"price: expected x86:VCPU:GB, arm:VCPU:GB, an MWAA class"):
        parse(text)
