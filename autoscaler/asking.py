"""Asks a running daemon's pages, for a person: an answer within bounds, or one line that says why not."""

from __future__ import annotations

import json
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from autoscaler.core.plain import OneLineError, one_line

TIMEOUT_SECONDS = 5.0
"""Between two pieces of an answer."""
ANSWER_SECONDS = 60.0
"""For the whole of it."""
MOST_BYTES = 128 * 2**20
"""Twice what a daemon keeps of decision records."""
COMPLAINT_BYTES = 300


class _Stays(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


OPENER = build_opener(ProxyHandler({}), _Stays)
"""A daemon is asked directly: no proxy reaches a loopback address, and nobody else gets a token."""


class UnreachableError(OneLineError):
    """No daemon answered there."""


def text_at(url: str, order: bytes | None = None, token: str = "") -> str:
    """What is there, or what it says to an order.  Raises `UnreachableError`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if not url.startswith(("http://", "https://")):
        raise UnreachableError(f"{url}: expected http://HOST:PORT")
    if not (token.isascii() and token.isprintable()):
        raise UnreachableError("the token cannot be sent: expected printable ASCII in one line")
    try:
        request = Request(url, order, headers)  # noqa: S310 - its scheme was looked at
        with OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return _body(answer).decode()
    except HTTPError as error:
        with error:
            words = error.read(COMPLAINT_BYTES).decode(errors="replace").strip()
        raise UnreachableError(f"{url}: {error.code}: {words}") from None
    except (OSError, ValueError, HTTPException) as error:
        reason = one_line(str(getattr(error, "reason", error)) or type(error).__name__, COMPLAINT_BYTES)
        raise UnreachableError(f"no daemon answers at {url}: {reason}; start one, or give --url") from None


def document_at(url: str, order: bytes | None = None, token: str = "") -> dict[str, Any]:
    """The JSON object that is there, or the answer to an order.  Raises `UnreachableError`."""
    try:
        document = json.loads(text_at(url, order, token))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UnreachableError(f"{url}: the answer is no JSON object; is it an autoscaler's address?")
    return document


def _body(answer: HTTPResponse) -> bytes:
    until, parts, size = monotonic() + ANSWER_SECONDS, [], 0
    while part := answer.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES or monotonic() > until:
            raise ValueError(f"an answer of more than {MOST_BYTES // 2**20} MB or {ANSWER_SECONDS:.0f} s")
    return b"".join(parts)
