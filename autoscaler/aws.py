"""AWS's answers within bounds: botocore reads a body of any size into memory before anybody looks at it."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

MOST_BYTES = 4 * 2**20
"""Of one answer.  The largest we ask for describes a hundred tasks and has half a megabyte."""
PIECE_BYTES = 1 << 16


class BoundedSession(AIOHTTPSession):
    """For `AioConfig(http_session_cls=...)`: a longer answer is a broken one."""

    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)  # type: ignore[misc]
        session._response_class = _Bounded  # noqa: SLF001 - aiobotocore makes the session, and offers no choice
        return session


class _Bounded(aiohttp.ClientResponse):
    async def read(self) -> Any:
        try:
            return await self._whole()
        except BaseException:
            self.close()
            raise

    async def _whole(self) -> bytes:
        body = bytearray()
        async for piece in self.content.iter_chunked(PIECE_BYTES):
            body += piece
            if len(body) > MOST_BYTES:
                raise aiohttp.ClientPayloadError(f"longer than {MOST_BYTES // 2**20} MB")
        return bytes(body)
