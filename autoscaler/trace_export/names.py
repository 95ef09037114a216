"""The names in a trace: as they are, or hashed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

Names = Callable[[str, str], str]
"""What to write for a name of a kind (`dag`, `run`, `task`, `queue`, `pool`)."""

HASH_CHARACTERS = 16
"""64 bits: a collision among a million names has a chance of 3e-8."""


def plain(_kind: str, name: str) -> str:
    """The name, with the two characters escaped that separate keys and their parts."""
    return name.replace("%", "%25").replace(";", "%3B") if ";" in name or "%" in name else name


def anonymous(key: bytes) -> Names:
    """Keyed hashes: without the key nobody can try names out; with the same key two exports agree."""
    known: dict[tuple[str, str], str] = {}

    def hashed(kind: str, name: str) -> str:
        if (found := known.get((kind, name))) is None:
            digest = hmac.new(key, f"{kind}\0{name}".encode(), hashlib.sha256)
            found = digest.hexdigest()[:HASH_CHARACTERS]
            if kind != "run":  # of runs there is no end, and each is asked for once
                known[kind, name] = found
        return found

    return hashed
