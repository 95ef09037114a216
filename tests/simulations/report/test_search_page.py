"""The pages of a sweep and of a recommendation."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from simulations import slo
from simulations.price import Price
from simulations.recommend import Question, recommend
from simulations.report import page
from simulations.report.assumed import of_prices
from simulations.report.front_chart import MOST_POINTS, Setting, front_chart
from simulations.report.search_page import recommend_page, sweep_page
from simulations.space import Found
from simulations.sweep import sweep
from tests.simulations.planning import candidate, study
from tests.simulations.report.pages import Parsed

HOSTILE = "<script>alert(1)</script>"
TOML = '[targets.default]\nmax_workers = 9\nname = "<b>"\n'


def swept(*some):
    played = study(runs=1)
    points = [(("it", ("it",), each.label),) for each in some]
    return played, sweep(played, Found(list(some), points, 0))


def test_a_sweep_s_page_names_the_ends_and_shows_the_front():
    """Both ends in words, every setting as a point, what could not run; names are only text."""
    settings = (candidate(HOSTILE, max_workers=3), candidate("more", max_workers=9),
                candidate("none", min_workers=0, max_workers=0))  # fmt: skip
    text = page.html(sweep_page(*swept(*settings)))
    parsed = Parsed(text)
    assert parsed.text("h1")[0].startswith("2 settings, from $")
    assert any(HOSTILE in each and "cheapest" in each for each in parsed.text("p"))
    assert any("could not run, such as none" in each for each in parsed.text("p"))
    assert parsed.elements.count("script") == 1, "no time to zoom in"
    assert [each for each in parsed.text("title") if each.startswith("more: $")]
    assumed = parsed.text("th")
    assert "seed" in assumed
    assert "workers, slots per worker" not in assumed, "each setting has its own"


def recommended(promise, *, less_of=lambda _: [], rivals=()):
    played, question = study(runs=1), Question(slo.parse(promise), split=0.5)
    some = [candidate(f"max={most}", max_workers=most) for most in (2, 4, 9)]
    advice = recommend(played, question, some, less_of=less_of, rivals=rivals)
    return advice, Parsed(page.html(recommend_page(played, question, advice, TOML)))


def test_a_recommendation_s_page_has_the_answer_the_block_and_the_run_of_the_chosen():
    """First words, then the configuration as it is, then the picture with the chosen one marked."""
    rival = candidate("MWAA", max_workers=9, price="mw1.small")
    advice, parsed = recommended(
        "p95 wait < 300s", less_of=lambda _: [candidate("less", max_workers=1)], rivals=[rival]
    )
    assert advice.chosen is not None
    label = advice.chosen.candidate.label
    assert parsed.text("h1")[0].startswith("“p95 wait < 300s” is kept for $")
    assert parsed.text("h1")[0].endswith(label)
    assert tomllib.loads(parsed.text("pre")[0]) == tomllib.loads(TOML)
    assert parsed.text("h2")[:4] == [
        "Configuration",
        "Cost against wait",
        "Beside it",
        "The recommended setting over the whole history",
    ]
    chosen = [value for tag, name, value in parsed.attributes if (tag, name) == ("circle", "class")]
    assert chosen.count("chosen") == 2, "one in the picture, one in its legend"
    assert f"{label} (chosen)" in parsed.text("th")
    assert {"with a little less", "Amazon MWAA"} <= set(parsed.text("th"))
    data = json.loads(parsed.text("script", "application/json")[0])
    assert sum(data["waits"]["tasks"]) == len(study().trace), "the whole history, not a part"


def test_a_promise_that_nothing_keeps_is_said_first():
    """With the closest; there is no block, and no run to show."""
    advice, parsed = recommended("max wait < 1s")
    assert advice.chosen is None
    assert parsed.text("h1") == ["None of 3 settings keeps “max wait < 1s”"]
    assert any("The closest, max=" in each for each in parsed.text("p"))
    assert not parsed.text("pre")
    assert parsed.text("h2")[-1] == "What was assumed"


def test_very_many_settings_are_thinned_but_for_the_front():
    """The front and the chosen one stay, whatever else is left out."""
    front = [Setting(f"front {number}", 100.0 + number, 300.0 - number, 1.0) for number in range(200)]
    beaten = [Setting(f"beaten {number}", 500.0 + number % 97, 400.0, 1.0) for number in range(20_000)]
    chosen = Setting("the one", 700.0, 500.0, 1.0, chosen=True)
    text = front_chart([*beaten, *front, chosen])
    points = text.count("<title>")
    assert 200 < points <= MOST_POINTS + 202
    assert text.count("<title>front") == 200
    assert "<title>the one: $700.00" in text
    assert "the one (chosen)" in text
    assert "160 more are on the front" in text
    assert len(text) < 500_000


@pytest.mark.parametrize("cost", [0.0, 7.0])
def test_a_single_setting_has_a_picture_too(cost):
    """Even if it costs nothing."""
    assert "nan" not in front_chart([Setting("only", cost, 0.0, 0.0)])


def test_a_price_is_told_with_all_its_parts():
    """By the hour, the minimum, the environment."""
    price = Price("it", 0.5, minimum_seconds=60.0, base_usd_per_hour=0.49)
    dated, (name, text) = dict(of_prices([price, price])), next(of_prices([price]))
    assert name == "price"
    assert text == (
        "it: 0.5 US$ per worker-hour, at least 60.0 s a worker, and 0.49 US$ per hour of the environment"
    )
    assert re.match(r"[A-Z][a-z]+ \d{4}: list prices", dated["prices of"])
