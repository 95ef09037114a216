"""HTML and SVG in which a name can do no harm: whatever is not markup already is escaped."""

from __future__ import annotations

import json
from html import escape
from typing import Any


class Markup(str):
    """Text that is markup; made by `tag` and `joined` alone."""

    __slots__ = ()


Child = str | int | float | None
"""None is left out; text and numbers are escaped unless they are `Markup`."""


def tag(name: str, /, *children: Child, **attributes: Child) -> Markup:
    """An element.  `class_` is `class`, and `stroke_width` is `stroke-width`; None leaves one out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def void(name: str, /, **attributes: Child) -> Markup:
    """An element that has no end tag in HTML, such as `meta`."""
    return Markup(tag(name, **attributes).removesuffix(f"</{name}>"))


def joined(*children: Child) -> Markup:
    """One after the other."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def _escaped(child: str | float) -> str:
    return child if isinstance(child, Markup) else escape(str(child))


def data_block(kind: str, value: Any) -> Markup:
    """JSON that a script finds by the class `kind`, and that cannot end its own element.

    Raises `ValueError` for NaN and infinities, which JSON has not.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":  # ASCII else: json escapes the rest
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" class="{escape(kind)}">{text}</script>')
