"""Text from elsewhere on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Without control characters: names may come from anywhere, and a terminal obeys escapes."""
    return "".join(character if character.isprintable() else "?" for character in text)
