"""What a check found: one line each, with a remedy where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    """What holds or what is wrong, in one line; never holds a secret."""
    remedy: str = ""
    """What to do about it; empty where there is nothing to do."""
