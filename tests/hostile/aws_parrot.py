"""Whoever answers in AWS's place, and bodies that are no answer."""

import json

from tests.hostile.laws import nested

WHEN = 1_800_000_000.0


class Parrot:
    """Answers every AWS call with what it was told to; an ASGI application."""

    def __init__(self):
        self.body, self.status, self.headers = {}, 200, {}
        self.asked = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        self.asked += 1
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        body = self.body.get(headers.get("x-amz-target", "").rpartition(".")[2], b"")
        pieces = body if isinstance(body, list) else [body]
        said = {"content-type": "application/x-amz-json-1.1"} | self.headers
        start = [(key.encode(), value.encode("latin-1", "replace")) for key, value in said.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": start})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})


def as_bytes(document):
    return json.dumps(document).encode(errors="surrogatepass")


HUGE = b'{"services": [' + b"{}," * 3_000_000 + b"{}]}"
BODIES = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe\x00",
    b'"text"',
    b"<html>a proxy's page</html>",
    nested(100_000).encode(),
    b'{"services": ' + nested(100_000).encode() + b"}",
    b'{"services": [{"desiredCount": ' + b"9" * 5000 + b"}]}",
    HUGE,
    [HUGE[:100_000]] * 60,
]
