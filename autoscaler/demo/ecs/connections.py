"""Resets connections, which no web framework offers."""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_NOT = struct.pack("ii", 1, 0)
"""With it, closing a socket sends a reset."""


class Connections:
    """The open connections, by the client's address."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """An HTTP protocol that keeps note of its connections."""
        transports = self._transports

        class Noted(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    transports.pop(self.client, None)

        return Noted

    def abort_all(self) -> None:
        """Ends every connection at once."""
        for transport in list(self._transports.values()):
            transport.abort()

    def reset(self, request: Request) -> None:
        """Ends the request's connection the hard way."""
        assert request.client is not None
        transport = self._transports.get((request.client.host, request.client.port))
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _LINGER_NOT)
            transport.abort()
