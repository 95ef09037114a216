"""Text from elsewhere in a line of ours."""

import pytest

from autoscaler.core.plain import MOST_CHARACTERS, OneLineError, one_line, plain


def test_what_a_terminal_obeys_is_a_question_mark():
    assert plain("worker\x1b[2J\r\na\u202eb") == "worker?[2J??a?b"
    assert plain("größer als 3 µs") == "größer als 3 µs"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" no \n\troute ", "no route"),
        ("x" * 10, "x" * 10),
        ("x" * 11, "xxxxxxx..."),
        ("a" + " " * 39 + "b", "a"),
        ("a" + " " * 38 + "b", "a b"),
        ("", ""),
    ],
)
def test_one_line_of_ten_characters(text: str, line: str):
    """Blanks are one; of a text that is too long the beginning is shown, and only four times ten are read."""
    assert one_line(text, 10) == line


def test_an_error_tells_a_line_each():
    told = OneLineError("first\nof all", "y" * (MOST_CHARACTERS + 1))
    assert str(told) == "first of all\n" + "y" * (MOST_CHARACTERS - 3) + "..."
