"""The summary, the pictures and the views, from made-up stories."""

import io
import json

import pytest
from rich.console import Console

from autoscaler.demo.command import told
from autoscaler.demo.plot import for_terminal, save_png
from autoscaler.demo.story import Story
from autoscaler.demo.summary import document, quantile, summarised
from autoscaler.demo.view import Lines, Page, page, sparkline, turning_points, viewing
from tests.demo.stories import SHORT, choice, out_and_back, outcome, sample


def _standing_still() -> Story:
    story = Story(SHORT, tasks=20, started_at=0.0)
    story.add(sample(120, (0, 0, 20)), [])
    return story


def test_the_summary_counts_tasks_waits_workers_and_moves():
    """20 waits of 0.1 to 2.0 s: p50 is the 10th, p95 the 19th."""
    summary = summarised(outcome())
    assert (summary.tasks, summary.tasks_run, summary.tasks_lost) == (20, 20, 0)
    waits = (summary.wait_p50_seconds, summary.wait_p95_seconds, summary.wait_max_seconds)
    assert waits == (1.0, 1.9, 2.0)
    assert (summary.workers_minimum, summary.workers_peak, summary.workers_at_end) == (1, 3, 1)
    assert (summary.scale_outs, summary.scale_ins, summary.worker_seconds) == (1, 1, 20.0)
    assert not summary.failure


@pytest.mark.parametrize(
    ("played", "failure"),
    [
        (outcome(lost=2), "2 of 20 tasks did not finish"),
        (outcome(_standing_still()), "the fleet never went out: at most 1 workers ran"),
    ],
)
def test_the_verdict_names_what_is_missing(played, failure):
    """One line, in figures."""
    assert summarised(played).failure == failure


def test_a_fleet_that_stays_out_is_a_failure():
    """All tasks done is not enough."""
    story = out_and_back()
    story.add(out_and_back().samples[3], [])
    assert summarised(outcome(story)).failure == (
        "the fleet did not come back: 3 workers at the end, expected 1"
    )


def test_quantiles_of_nothing_are_zero():
    """A play in which nothing started has no waits."""
    assert quantile([], 0.95) == 0.0
    assert quantile([3.0], 0.5) == 3.0


def test_json_is_one_document_on_standard_output_and_the_show_goes_elsewhere(tmp_path, capsys):
    """So that a script can read it."""
    show = io.StringIO()
    console = Console(file=show, width=90)
    assert told(outcome(), tmp_path / "demo.png", console, as_json=True) == 0
    parsed = json.loads(capsys.readouterr().out)
    assert parsed == document(outcome(), summarised(outcome()), tmp_path / "demo.png")
    assert parsed["ok"] is True
    assert parsed["failure"] is None
    assert parsed["summary"]["workers_peak"] == 3
    assert [each["desired"] for each in parsed["decisions"]] == [None, 3, 3, None, 1]
    assert parsed["samples"][1]["workers_pending"] == 2
    assert "worker-seconds" in show.getvalue()


def test_a_failed_play_ends_with_exit_code_1_and_one_line(tmp_path, capsys):
    """After all figures, on standard error."""
    console = Console(file=io.StringIO())
    assert told(outcome(lost=1), tmp_path / "demo.png", console, as_json=False) == 1
    assert capsys.readouterr().err == "autoscaler: 1 of 20 tasks did not finish\n"


def test_a_picture_that_cannot_be_written_says_where(tmp_path, capsys):
    """The figures would be lost in a traceback."""
    assert told(outcome(), tmp_path, Console(file=io.StringIO()), as_json=False) == 1
    assert f"{tmp_path}: cannot be written: Is a directory" in capsys.readouterr().err


def test_the_picture_is_a_png(tmp_path):
    """Of a size for a page."""
    path = tmp_path / "demo.png"
    save_png(out_and_back(), path)
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert int.from_bytes(head[16:20]) == 1200


def test_the_terminal_gets_the_picture_as_text():
    """Titles, units and legends; colors only where they are wanted; no line is wider than asked."""
    plain, colored = (for_terminal(out_and_back(), 70, color=color) for color in (False, True))
    for word in ("tasks", "workers", "seconds since the start", "queued + running", "desired"):
        assert word in plain
    assert "\x1b[" in colored
    assert "\x1b[" not in plain
    assert max(map(len, plain.splitlines())) <= 70


def test_lines_are_printed_at_changes_only():
    """A log, not a film."""
    shown = io.StringIO()
    lines, story = Lines(Console(file=shown, width=60)), Story(SHORT, tasks=20, started_at=0.0)
    for each in out_and_back().samples:
        story.add(each, [])
        lines.show(story)
        lines.show(story)
    printed = shown.getvalue().splitlines()
    assert len(printed) == 6
    assert printed[1] == (
        "   1.0 s  workers are being launched | 16 queued, 4 running, 0 finished"
        " | workers 1 of 3 run, 2 pending"
    )


def test_a_line_carries_the_reason_of_the_newest_decision():
    """With the whole trail."""
    shown = io.StringIO()
    Lines(Console(file=shown)).show(out_and_back())
    assert "| at_minimum: policy 4.5 demand > bounds 3 at_minimum (maximum 3)" in shown.getvalue()


def test_the_page_fits_the_smallest_usual_terminal():
    """80 columns, 24 rows, at every moment of the play."""
    story = Story(SHORT, tasks=20, started_at=0.0)
    for number, each in enumerate(out_and_back().samples * 5):
        story.add(each, [choice(number, number, number + 1)])
        console = Console(file=io.StringIO(), width=80, force_terminal=True)
        with console.capture() as captured:
            console.print(page(story, 80))
        assert len(captured.get().splitlines()) <= 23


def test_the_page_names_load_workers_and_reasons():
    """What somebody who looks once wants to know."""
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as captured:
        console.print(page(out_and_back(), 100))
    text = captured.get()
    for words in ("workers 1 of 1 run", "ip-10-0-0-1", "1 -> 3", "at_maximum", "finished   20"):
        assert words in text


def test_only_decisions_that_say_something_new_are_shown():
    """A new size or a new reason."""
    story = out_and_back()
    assert [each.at for each in turning_points(story.choices)] == [0, 1, 4, 7]


def test_a_sparkline_shows_every_peak_in_few_columns():
    """The highest value of each share of time."""
    assert sparkline([0, 0, 0, 8, 0, 4], 3) == " █▄"
    assert sparkline([0], 10) == " "
    assert len(sparkline(list(range(1000)), 50)) == 50


def test_a_pipe_gets_lines_and_a_terminal_a_page():
    """Nobody wants control characters in a log."""
    with viewing(Console(file=io.StringIO())) as view:
        assert isinstance(view, Lines)
    with viewing(Console(file=io.StringIO(), force_terminal=True)) as view:
        assert isinstance(view, Page)
        view.say("starting")
        view.show(out_and_back())
