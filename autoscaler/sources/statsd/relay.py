"""Passes every packet on, unchanged, to another StatsD: fire and forget, never in the way."""

from __future__ import annotations

import socket
from contextlib import suppress

import anyio

from autoscaler.sources.statsd.senders import Address

RESOLVE_EVERY_SECONDS = 60.0
"""The other StatsD may move to another address behind its name."""
RESOLVE_SECONDS = 5.0
"""A name server that takes longer is not waited for."""


def host_and_port(text: str) -> Address:
    """`host:port` or `[IPv6]:port`, taken apart.  Raises `ValueError`."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{text!r} is not host:port, nor [IPv6 address]:port")
    if not 0 < int(port) < 65536:
        raise ValueError(f"{text!r}: the port must be from 1 to 65535")
    return bare, int(port)


def plain(address: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Host and port; an IPv4 address that reached an IPv6 socket reads as IPv4."""
    return address[0].removeprefix("::ffff:"), address[1]


class Relay:
    """Sends packets to `destination`; what cannot be sent at once is dropped and counted."""

    def __init__(self, destination: str) -> None:
        """Raises `ValueError` unless `destination` is `host:port`."""
        self._host, self._port = host_and_port(destination)
        self._socket: socket.socket | None = None
        self._peer: object = None
        self.sent = 0
        self.errors = 0

    @property
    def local_address(self) -> Address | None:
        """From where it sends; None while the destination's name is not resolved."""
        return plain(self._socket.getsockname()) if self._socket else None

    def send(self, packet: bytes) -> None:
        """Sends or drops; never waits, never raises."""
        if self._socket is None:
            self.errors += 1
            return
        # A refusal reported here is the one of an earlier packet, so this one still has to go.
        for _ in range(2):
            try:
                self._socket.send(packet)
            except ConnectionRefusedError:
                self.errors += 1
            except OSError:
                self.errors += 1
                return
            else:
                self.sent += 1
                return

    async def run(self) -> None:
        """Keeps the destination's address fresh, for ever."""
        while True:
            await anyio.sleep(RESOLVE_EVERY_SECONDS)
            await self.resolve()

    async def resolve(self) -> None:
        """Looks the destination up; a failure leaves everything as it was."""
        with anyio.move_on_after(RESOLVE_SECONDS), suppress(OSError, UnicodeError):
            family, _, _, _, peer = (await anyio.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM))[
                0
            ]
            if peer == self._peer:
                return
            connected = socket.socket(family, socket.SOCK_DGRAM)
            connected.setblocking(False)
            try:
                connected.connect(peer)
            except OSError:
                connected.close()
                raise
            self.close()
            self._socket, self._peer = connected, peer

    def close(self) -> None:
        """Gives the socket back."""
        if self._socket:
            self._socket.close()
        self._socket, self._peer = None, None
