"""The picture of a run, in every format, and where it cannot be written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulations.report.figure import save_figure
from tests.simulations.report.pages import story


@pytest.fixture(scope="module")
def told():
    return story()


@pytest.mark.parametrize(
    ("name", "begins"), [("it.png", b"\x89PNG"), ("it.pdf", b"%PDF"), ("it.svg", b"<?xml")]
)
def test_a_picture_in_each_format(told, tmp_path, name, begins):
    save_figure([told], told.answer, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_the_same_run_draws_the_same_picture(told, tmp_path):
    """Without a date, and names that mean harm stay text."""
    for name in ("one.svg", "two.svg"):
        save_figure([told], told.answer, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert "<script" not in drawn
    assert drawn == (tmp_path / "two.svg").read_text()


def test_a_place_that_cannot_be_written_is_named(told, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=r"plot: .*folder\.png cannot be written: Is a directory"):
        save_figure([told], told.answer, tmp_path / "folder.png")


def test_several_targets_are_drawn_below_each_other(told, tmp_path):
    """Each with its name, which is no formula."""
    named = [replace(told, name=name) for name in ("etl", "$x^2$ <script>")]
    save_figure(named, told.answer, tmp_path / "both.svg")
    drawn = (tmp_path / "both.svg").read_text()
    assert drawn.count("<!-- Load and slots -->") == 2
    assert "<script" not in drawn
