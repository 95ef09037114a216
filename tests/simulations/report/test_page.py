"""The page as a file: complete without a network, harmless whatever the names, small however long the run."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from simulations.report import page
from simulations.report.answer import Answer
from simulations.report.markup import Markup, data_block, tag
from simulations.report.run_page import run_page
from simulations.score import total
from simulations.trace import trace_of
from tests.simulations.report.pages import HOSTILE, Parsed, hostile_trace, story

FETCHING = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "background"}


def told(one):
    return run_page([one], one.answer)


@pytest.fixture(scope="module")
def text():
    return page.html(told(story()))


def test_nothing_is_fetched(text):
    """No attribute that names a place, no address in style or script, and a policy that forbids it all."""
    parsed = Parsed(text)
    assert not [each for each in parsed.attributes if each[1] in FETCHING]
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(parsed.elements)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    addresses = set(re.findall(r"\w+://[^\s\"'<)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of SVG, which nothing fetches"


def test_the_policy_lets_this_style_and_this_script_run_and_nothing_else(text):
    """By their hashes; so a script that came in through a name would not run even if it came in."""
    parsed = Parsed(text)
    policy = next(value for _, name, value in parsed.attributes if name == "content" and "default" in value)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        (inside,) = parsed.text(kind)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [each for each in parsed.attributes if each[1].startswith("on") or each[1] == "style"]


def test_names_that_mean_harm_are_only_shown(text):
    """One script of ours, one block of data, no element that a name brought along; all names are there."""
    parsed = Parsed(text)
    assert parsed.elements.count("script") == 2
    assert parsed.elements.count("style") == 1
    assert not {"b", "img"} & set(parsed.elements)
    shown = parsed.text("th")
    for name in HOSTILE:
        assert shown.count(name) == 2, "by queue and by DAG"
    assert parsed.text("title")[0] == "Fleet report: <script>file</script>.csv"


def test_the_data_of_the_pictures_is_json(text):
    """Valid, as long as it says, without NaN."""
    (block,) = Parsed(text).text("script", "application/json")
    data = json.loads(block)
    assert len(data["load"]["mean"]) == data["bins"]
    assert len(data["waits"]["p95"]) * data["waitEvery"] == data["bins"]
    assert sum(data["waits"]["tasks"]) == 300
    for each in zip(*(data["load"][name] for name in ("lowest", "mean", "highest")), strict=True):
        assert list(each) == sorted(each)


def test_the_answer_comes_first(text):
    """Promise, cost, waits, in words; then figures, pictures, decisions and what was assumed."""
    parsed = Parsed(text)
    assert parsed.text("h1")[0].startswith("The promise “p95 wait < 60s” was ")
    headings = ["Demand, workers and waits over time", "By weekday and hour", "Who waited", "Decisions"]
    assert parsed.text("h2") == [*headings, "What was assumed"]
    assumed = " ".join(parsed.text("th") + parsed.text("td"))
    for word in ("seed", "Fargate x86", "launch", "slots per worker", "Python", "Numba", "maximum"):
        assert word in assumed
    assert "no parents: late arrivals" in " ".join(parsed.text("li"))


def test_the_same_run_gives_the_same_page():
    """To the byte: no date of making, no order by chance."""
    assert page.html(told(story())) == page.html(told(story()))


def test_without_a_promise_the_headline_names_cost_and_waits():
    parsed = Parsed(page.html(told(story(promise=None))))
    assert re.fullmatch(r"\$[\d.]+ for .*; 95 % of the tasks waited at most .*", parsed.text("h1")[0])
    assert "missed" not in parsed.text("th")


def test_a_broken_promise_says_by_how_many_tasks():
    parsed = Parsed(page.html(told(story(promise="max wait < 1s", maximum=1))))
    assert "was broken" in parsed.text("h1")[0]
    assert any("waited longer than the limit" in sentence for sentence in parsed.text("p"))


def test_one_task_of_no_length_has_a_page_too():
    """The smallest trace that there is."""
    text = page.html(told(story(trace_of([0.0], [0.0]))))
    assert "1 task ran" in text


@pytest.mark.parametrize("tasks", [200_000])
def test_a_long_run_stays_a_small_page(tasks):
    """Five weeks in thousands of DAGs: below two megabytes, and no more points than are to be seen."""
    numbers = np.arange(tasks)
    trace = trace_of(15.0 * numbers, 30.0 + numbers % 97, dag=numbers % 5_000,
                     dags=tuple(f"dag {number}" for number in range(5_000)))  # fmt: skip
    text = page.html(told(story(trace, slots=8, maximum=10)))
    assert len(text) < 2_000_000
    assert json.loads(Parsed(text).text("script", "application/json")[0])["bins"] <= 2_000
    assert "4,975 more that waited less" in text


def test_a_page_that_cannot_be_written_says_so_beforehand(tmp_path):
    """Ending and folder are looked at before the run, the rest shows when it is written."""
    with pytest.raises(ValueError, match=r"report: expected a file named \.html, got .*page\.pdf"):
        page.check(tmp_path / "page.pdf")
    with pytest.raises(ValueError, match=r"nowhere/page\.html cannot be written: there is no such folder"):
        page.check(tmp_path / "nowhere" / "page.html")
    page.check(tmp_path / "page.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ValueError, match=r"folder\.html cannot be written: Is a directory"):
        page.write(tmp_path / "folder.html", told(story(hostile_trace(3))))


def test_markup_escapes_all_that_is_not_markup():
    """Text, attributes and numbers; None is left out."""
    made = tag("p", "a<b", Markup("<i>c</i>"), 1.5, None, class_='x"y', data_name="<", hidden=None)
    assert made == '<p class="x&quot;y" data-name="&lt;">a&lt;b<i>c</i>1.5</p>'


def test_data_cannot_end_its_own_element():
    """Nor can NaN slip into what has to be JSON."""
    made = data_block("it", {"name": "</script><!--&\u2028"})
    inside = made.removeprefix('<script type="application/json" class="it">').removesuffix("</script>")
    assert not set("<>&\u2028") & set(inside)
    assert json.loads(inside) == {"name": "</script><!--&\u2028"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_block("it", [float("nan")])


def test_several_targets_share_a_page():
    """One answer above, a table of the targets, and each with its own pictures to zoom in."""
    etl = replace(story(hostile_trace(60)), name="etl")
    ml = replace(story(hostile_trace(30), promise="max wait < 1s", maximum=1), name="<ml>")
    whole = Answer(total([(each.result, each.price) for each in (etl, ml)]), None)
    parsed = Parsed(page.html(run_page([etl, ml], whole)))
    assert "90 tasks ran" in " ".join(parsed.text("p"))
    assert parsed.text("h2")[0] == "The targets"
    assert {"etl: Decisions", "<ml>: Decisions"} <= set(parsed.text("h2"))
    assert {"kept", "broken"} <= set(parsed.text("td"))
    assert [
        sum(json.loads(each)["waits"]["tasks"]) for each in parsed.text("script", "application/json")
    ] == [
        60,
        30,
    ]
