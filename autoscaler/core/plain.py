"""Text from elsewhere in a line of ours: what a terminal would obey, or what has no end, stays out of it."""

from __future__ import annotations

MOST_CHARACTERS = 1000
"""Of an error: our own are 300 at most; the rest is what somebody else said."""


def plain(text: str) -> str:
    """Without control characters: a text may come from anywhere, and a terminal obeys escapes."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters, in one line."""
    beginning = text[: 4 * most]  # whatever comes behind is not even looked at
    line = plain(" ".join(beginning.split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."


class OneLineError(Exception):
    """An error of the world: what is told is one line (or several, handed over one by one)."""

    def __init__(self, *told: str) -> None:
        super().__init__("\n".join(map(one_line, told)))
