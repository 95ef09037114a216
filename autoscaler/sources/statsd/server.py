"""Listens for Airflow's StatsD packets.

Whoever can send to the port can lie about the load: bind it to an address that only the schedulers
reach, or guard it with a security group.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from time import monotonic

import anyio
import anyio.abc

from autoscaler.sources.statsd.packets import parsed
from autoscaler.sources.statsd.relay import Relay, plain
from autoscaler.sources.statsd.senders import Address, Load, Senders

SILENT_AFTER_SECONDS = 15.0
"""Three missed heartbeats of a scheduler, which sends one every 5 s (`[scheduler] job_heartbeat_sec`)."""
FORGET_AFTER_SECONDS = 600.0
"""By then the tasks of a dead scheduler are another's, and in its gauges: a scheduler counts as dead
after 30 s (`scheduler_health_check_threshold`), and the living look for its tasks every 300 s
(`orphaned_tasks_check_interval`).  Longer to be sure, since forgetting a scheduler that lives shrinks
the sum."""
MAX_DATAGRAM_BYTES = 65_535
_RECEIVE_BUFFER_BYTES = 1 << 20  # rides out a stall of the process at thousands of packets a second
_BATCH = 100
_ERROR_PAUSE_SECONDS = 0.1


class StatsdServer:
    """What was heard.  The counters only grow and are for metrics."""

    def __init__(
        self, senders: Senders, address: Address, relay: Relay | None, clock: Callable[[], float]
    ) -> None:
        self.address = address
        """Where it listens."""
        self.packets = 0
        """Datagrams received."""
        self.malformed = 0
        """Metrics, or whole datagrams, that made no sense."""
        self.receive_errors = 0
        """Failed reads of the socket."""
        self._senders = senders
        self._relay = relay
        self._clock = clock

    @property
    def sources(self) -> int:
        """Addresses remembered, silent ones included."""
        return len(self._senders)

    @property
    def relayed(self) -> int:
        """Packets handed on."""
        return self._relay.sent if self._relay else 0

    @property
    def relay_errors(self) -> int:
        """Packets that could not be handed on, and refusals by the other side."""
        return self._relay.errors if self._relay else 0

    def load(self, executor: str) -> tuple[Load, float]:
        """The load on that executor, and its age in seconds.  Raises `SourceError`."""
        now = self._clock()
        load = self._senders.load(executor, now)
        return load, now - load.at

    def received(self, packet: bytes, address: Address) -> None:
        """Takes in one datagram.  Never raises."""
        if self._relay:
            if address == self._relay.local_address:
                self._relay.errors += 1  # the relay leads back to us: pass it on once more and it never ends
                return
            self._relay.send(packet)
        self.packets += 1
        now = self._clock()
        metrics, malformed = parsed(packet)
        self.malformed += malformed
        for metric in metrics:
            self.malformed += not self._senders.heard(metric, address, now)

    async def listen(self, bound: socket.socket) -> None:
        """Receives for ever."""
        while True:
            await anyio.wait_readable(bound)
            try:
                for _ in range(_BATCH):
                    packet, address = bound.recvfrom(MAX_DATAGRAM_BYTES)
                    self.received(packet, plain(address))
            except BlockingIOError:
                continue
            except OSError:
                self.receive_errors += 1
                await anyio.sleep(_ERROR_PAUSE_SECONDS)


@asynccontextmanager
async def statsd_server(
    host: str,
    port: int,
    *,
    prefix: str = "airflow",
    relay: str | None = None,
    silent_after_seconds: float = SILENT_AFTER_SECONDS,
    forget_after_seconds: float = FORGET_AFTER_SECONDS,
    clock: Callable[[], float] = monotonic,
) -> AsyncIterator[StatsdServer]:
    """Listens on UDP `host:port` (0: a free port) while the context is open; `::` hears IPv4 too.

    A scheduler silent for `silent_after_seconds` is gone; it is forgotten after `forget_after_seconds`.
    `relay` is the `host:port` that gets every packet.  `clock` is monotonic.
    Raises `OSError` if it cannot listen, `ValueError` for a relay that is no address.
    """
    onward = Relay(relay) if relay else None
    failure: Exception | None = None
    with ExitStack() as stack:
        bound = stack.enter_context(await _bound(host, port))
        senders = Senders(prefix, silent_after_seconds, forget_after_seconds, clock())
        server = StatsdServer(senders, plain(bound.getsockname()), onward, clock)
        async with anyio.create_task_group() as group:
            if onward:
                stack.callback(onward.close)
                await onward.resolve()
                group.start_soon(onward.run)
            group.start_soon(server.listen, bound)
            try:
                yield server
            except Exception as error:  # noqa: BLE001 - raised below, where the group does not wrap it
                failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _bound(host: str, port: int) -> socket.socket:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    family, _, _, _, address = found[0]
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
