"""A setting as the lines of a configuration file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def block(name: str, table: Mapping[str, Any]) -> str:
    """`[name]` and its values, then a block for each table inside that is not a policy."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping) and key != "policy"}
    plain = [f"{key_text(key)} = {text(value)}" for key, value in table.items() if key not in inner]
    blocks = [block(f"{name}.{key_text(key)}", value) for key, value in inner.items()]
    return "\n".join([f"[{name}]", *plain, *(f"\n{each}" for each in blocks)])


def key_text(key: str) -> str:
    """The key, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def text(value: Any) -> str:
    """One value.  Raises `TypeError` for what TOML does not know."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)} = {text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(text(each) for each in value) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _quoted(value: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON lets pass.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
