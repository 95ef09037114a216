"""The StatsD server over real sockets: Airflow's packets in, demand out, every packet relayed."""

import errno
import re
import socket
from collections import defaultdict
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import groupby
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.ports import SourceError
from autoscaler.sources.statsd import StatsdServer, StatsdSource, host_and_port, statsd_server
from autoscaler.sources.statsd.packets import MAX_PARSED_BYTES
from autoscaler.sources.statsd.relay import Relay
from autoscaler.sources.statsd.senders import Senders

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "airflow"
SPEECH = (
    b"airflow.scheduler_heartbeat:1|c",
    b"airflow.executor.queued_tasks.CeleryExecutor:0|g",
    b"airflow.executor.queued_tasks:0|g",
    b"airflow.executor.running_tasks.CeleryExecutor:%d|g",
    b"airflow.executor.running_tasks:%d|g",
)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """The server is written on anyio alone."""
    return request.param


class Clock:
    """A monotonic clock moved by hand."""

    def __init__(self):
        self.now = 5000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextmanager
def udp(host="127.0.0.1"):
    """A socket of ours: a scheduler to send from, or another StatsD to receive."""
    with socket.socket(family(host), socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        sender.settimeout(60)
        yield sender


async def until(condition):
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - what is waited for passes through the kernel
            await anyio.sleep(0.001)


async def say(server, scheduler, *packets, host="127.0.0.1"):
    """Sends and waits until the server has taken everything in."""
    heard = server.packets + len(packets)
    for packet in packets:
        scheduler.sendto(packet, (host, server.address[1]))
    await until(lambda: server.packets >= heard)


def speech(running):
    return [packet % running if b"%d" in packet else packet for packet in SPEECH]


@asynccontextmanager
async def listening(clock, host="127.0.0.1", **options):
    async with statsd_server(host, 0, clock=clock, **options) as server:
        yield server, StatsdSource(server, clock=lambda: 1_700_000_000.0)


@pytest.mark.anyio
async def test_two_schedulers_one_vanishes_and_comes_back(clock):
    """The sum is kept when one falls silent, and only a fall is held back."""
    async with listening(clock) as (server, source):
        with udp() as first, udp() as second:
            for _ in range(4):
                await say(server, first, *speech(30))
                await say(server, second, *speech(12))
                clock.now += 5
            demand = await source.demand()
            assert (demand.queued, demand.running, demand.whole) == (0, 42, True)
            assert (demand.schedulers, demand.source) == (2, "statsd")
            assert demand.measured_at == 1_700_000_000.0 - 5
            for _ in range(4):
                await say(server, first, *speech(25))
                clock.now += 5
            demand = await source.demand()
            assert (demand.load, demand.whole, demand.schedulers) == (37, False, 1)
            await say(server, second, *speech(1))
            demand = await source.demand()
            assert (demand.load, demand.whole) == (26, True)
        assert (server.packets, server.malformed, server.sources) == (65, 0, 2)


@pytest.mark.anyio
async def test_after_a_restart_of_ours_the_first_reading_is_not_whole(clock):
    """The second scheduler has not been heard yet; its half must not go missing."""
    with udp() as first, udp() as second:
        for _ in range(2):
            async with listening(clock) as (server, source):
                with pytest.raises(SourceError, match=r"statsd on .* port .*no airflow\.executor gauge"):
                    await source.demand()
                await say(server, first, *speech(30))
                assert not (await source.demand()).whole
                clock.now += 15
                await say(server, first, *speech(30))
                await say(server, second, *speech(12))
                demand = await source.demand()
                assert (demand.load, demand.whole) == (42, True)


@pytest.mark.anyio
async def test_all_silent_is_no_reading(clock):
    """A dead scheduler's last word is not the load."""
    async with listening(clock) as (server, source):
        with udp() as scheduler:
            await say(server, scheduler, *speech(30))
        await source.demand()
        clock.now += 16
        with pytest.raises(SourceError, match="all 1 senders are silent, the last for 16 s"):
            await source.demand()


@pytest.mark.anyio
async def test_fewer_schedulers_than_expected_is_not_whole(clock):
    """One that stayed mute since before our start is known by nothing else."""
    async with listening(clock) as (server, source):
        careful = StatsdSource(server, expected_schedulers=2)
        clock.now += 20
        with udp() as scheduler:
            await say(server, scheduler, *speech(30))
        assert (await source.demand()).whole
        assert not (await careful.demand()).whole


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("listen", "send"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")]
)
async def test_ipv4_and_ipv6(clock, listen, send):
    """One socket on `::` hears both."""
    async with listening(clock, listen) as (server, source):
        with udp(send) as scheduler:
            await say(server, scheduler, *speech(30), host=send)
        assert (await source.demand()).load == 30


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_relay_gets_every_packet_unchanged(clock, host):
    """Good or bad, small or as large as a datagram can be, in order, byte for byte."""
    packets = [
        *speech(3),
        b"\x00\xff rubbish",
        b"a:1|g\n\nb:2|c",
        b"",
        b"airflow.x:1|g\n" * 4600,
        b"x" * 65_000,
    ]
    with udp(host) as other, udp() as scheduler:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        place = f"[{host}]" if ":" in host else host
        async with listening(clock, relay=f"{place}:{other.getsockname()[1]}") as (server, _):
            for packet in packets:
                await say(server, scheduler, packet)
            assert [other.recv(70_000) for _ in packets] == packets
            assert (server.relayed, server.relay_errors) == (len(packets), 0)
            assert server.malformed == 4


@pytest.mark.anyio
async def test_a_dead_relay_costs_nothing_and_is_counted(clock):
    """Nobody listens there; the load is read all the same, and it is found when it is back."""
    with udp() as gone:
        port = gone.getsockname()[1]
    async with listening(clock, relay=f"127.0.0.1:{port}") as (server, source):
        with udp() as scheduler:
            for _ in range(5):
                await say(server, scheduler, *speech(30))
            assert (await source.demand()).load == 30
            assert server.relay_errors > 0
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
                back.bind(("127.0.0.1", port))
                back.settimeout(60)
                await say(server, scheduler, b"found:1|c")
                assert back.recv(100) == b"found:1|c"


@pytest.mark.anyio
async def test_a_relay_without_an_address_costs_nothing(clock):
    """A name that does not resolve is an error a packet, no more."""
    async with listening(clock, relay="nowhere.invalid:8125") as (server, source):
        with udp() as scheduler:
            await say(server, scheduler, *speech(30))
        assert (await source.demand()).load == 30
        assert (server.relayed, server.relay_errors) == (0, 5)


@pytest.mark.anyio
@pytest.mark.parametrize("listen", ["127.0.0.1", "::"])
async def test_a_relay_to_ourselves_ends(clock, listen):
    """A mistake in the configuration must not become a storm."""
    with udp() as probe:
        port = probe.getsockname()[1]
    async with statsd_server(listen, port, relay=f"127.0.0.1:{port}", clock=clock) as server:
        with udp() as scheduler:
            await say(server, scheduler, b"once:1|c")
            await until(lambda: server.relay_errors == 1)
            await say(server, scheduler, b"twice:1|c")
        assert server.packets == 2


@pytest.mark.anyio
async def test_a_packet_that_cannot_be_sent_is_counted():
    """Too long for one datagram, or nowhere to send it: an error each, and the next one goes."""
    with udp() as other:
        relay = Relay(f"127.0.0.1:{other.getsockname()[1]}")
        relay.send(b"early:1|c")
        await relay.resolve()
        before = relay.local_address
        await relay.resolve()
        assert relay.local_address == before
        relay.send(b"x" * 70_000)
        relay.send(b"fits:1|c")
        assert other.recv(100) == b"fits:1|c"
        assert (relay.sent, relay.errors) == (1, 2)
        relay.close()
        relay.close()
        assert relay.local_address is None


class Flaky(socket.socket):
    """Its first read fails as the network goes down."""

    failed = False

    def recvfrom(self, size):
        if not self.failed:
            self.failed = True
            raise OSError(errno.ENETDOWN, "Network is down")
        return super().recvfrom(size)


@pytest.mark.anyio
async def test_a_failed_read_of_the_socket_is_not_the_end(clock):
    """It is counted, and listening goes on."""
    server = StatsdServer(Senders("airflow", 15.0, 600.0, clock()), ("127.0.0.1", 0), None, clock)
    with Flaky(socket.AF_INET, socket.SOCK_DGRAM) as bound, udp() as scheduler:
        bound.setblocking(False)
        bound.bind(("127.0.0.1", 0))
        async with anyio.create_task_group() as group:
            group.start_soon(server.listen, bound)
            scheduler.sendto(b"a:1|g", bound.getsockname())
            await until(lambda: server.packets == 1)
            group.cancel_scope.cancel()
    assert server.receive_errors == 1


@pytest.mark.anyio
async def test_the_port_is_given_back(clock):
    """A reload listens again on the same port; meanwhile nobody else can."""
    async with listening(clock) as (server, _):
        port = server.address[1]
        with pytest.raises(OSError, match="in use"):
            async with statsd_server("127.0.0.1", port):
                pass
    async with statsd_server("127.0.0.1", port) as again:
        assert again.address[1] == port


@pytest.mark.anyio
async def test_an_error_in_the_body_stays_what_it_is(clock):
    """Whoever wires the daemon catches errors by their kind, not wrapped in a group."""
    with pytest.raises(LookupError):
        async with listening(clock):
            raise LookupError


@pytest.mark.anyio
async def test_a_host_that_is_none_is_refused():
    """With the error of the system, for the wiring to name the setting."""
    with pytest.raises(OSError, match="not a host name"):
        async with statsd_server("ü..b", 0):
            pass


def test_queues_are_refused(clock):
    """Executor gauges know no queue: better no reading than the whole load for each queue."""
    with pytest.raises(ValueError, match=r"cannot tell the queues gpu, io apart.*airflow_db"):
        StatsdSource(None, queues={"io", "gpu"})


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":8125", "host:0", "host:65536", "host:x", "::1:8125", "host:²"]
)
def test_a_relay_that_is_no_address_is_refused(text):
    """The message shows what was given."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        host_and_port(text)


def test_a_relay_address_may_be_ipv6():
    """In brackets, as everywhere."""
    assert host_and_port("[fe80::1]:8125") == ("fe80::1", 8125)
    assert host_and_port("statsd.local:8125") == ("statsd.local", 8125)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    packets=st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.binary(min_size=1, max_size=40).map(lambda some: b"airflow.executor.running_tasks" + some),
            st.just(b"z" * (MAX_PARSED_BYTES + 1)),
        ),
        max_size=20,
    )
)
def test_hostile_packets_never_stop_the_server(packets):
    """Whatever a stranger sends from his own port, the next packet of the scheduler is heard."""

    async def story():
        async with listening(Clock()) as (server, source):
            with udp() as stranger, udp() as scheduler:
                await say(server, stranger, *packets)
                await say(server, scheduler, *speech(30))
            assert server.packets == len(packets) + len(SPEECH)
            try:
                load = (await source.demand()).load
            except SourceError as error:
                load = None
                why = str(error)
            assert "which cannot be" in why if load is None else load >= 30

    anyio.run(story)


def capture(seconds=60):
    """A capture of our own: two schedulers of Airflow 3.3 and a chatty worker; one falls silent half-way."""
    for second in range(seconds):
        at = float(second)
        for port in (40001, 40002):
            if port == 40002 and second >= seconds // 2:
                continue
            running = second * 3 + port % 10
            if second % 5 == 0:
                yield at, port, b"airflow.scheduler_heartbeat:1|c"
            for what, value in (("queued", second % 2), ("running", running)):
                yield at, port, b"airflow.executor.%s_tasks.CeleryExecutor:%d|g" % (what.encode(), value)
                yield at, port, b"airflow.executor.%s_tasks:%d|g" % (what.encode(), value)
        yield at, 40003, b"airflow.ti.running.default.d.t%d:1.0|g" % second
        yield at, 40003, b"airflow.serde.load_serializers:14.909460|ms"


def recorded(name):
    """A capture of a real Airflow: epoch, source port, bytes, packet a line."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    for line in path.read_bytes().splitlines():
        at, port, size, packet = line.split(b" ", 3)
        assert int(size) == len(packet)
        yield float(at), int(port), packet


class Expected:
    """The load by another way: the last plain gauges and the last signs of life, by port."""

    def __init__(self):
        self.first, self.last, self.beat, self.values = {}, {}, {}, {}

    def hear(self, at, port, packet):
        if packet.startswith(b"airflow.scheduler_heartbeat:"):
            self.beat[port] = at
        elif match := re.match(rb"airflow\.executor\.(queued|running)_tasks:(\d+)\|g$", packet):
            self.values.setdefault(port, {})[match[1]] = (at, int(match[2]))
        else:
            return
        self.first.setdefault(port, at)
        self.last[port] = at

    def load(self, now):
        """The sum of the living, and whether any spoke in the last 15 s; None: no heartbeat did."""

        def living(port):
            times = [at for at, _ in self.values[port].values()]
            return len(times) == 2 and now - min(*times, self.beat.get(port, min(times))) <= 15

        ports = {port for port in self.values if living(port)}
        if not ports & set(self.beat):
            return None
        return sum(value for port in ports for _, value in self.values[port].values()), len(ports)


async def replay(packets, clock):
    """Sends a capture second by second, each port from a socket of its own; compares each second."""
    readings = whole = 0
    packets = list(packets)
    expected, sent, clock.now = Expected(), 0, packets[0][0]
    async with listening(clock) as (server, source):
        with ExitStack() as sockets:
            ports = defaultdict(lambda: sockets.enter_context(udp()))
            for _, group in groupby(packets, key=lambda packet: int(packet[0])):
                second = list(group)
                now = second[-1][0]
                clock.now = now
                await _play(server, ports, second, expected)
                sent += len(second)
                demand, seen = await _read(source), expected.load(now)
                assert (demand is None) == (seen is None)
                if demand:
                    readings += 1
                    whole += demand.whole
                    assert demand.load >= seen[0]
                    assert not demand.whole or (demand.load, server.sources) == seen
        assert (server.packets, server.malformed) == (sent, 0)
    return readings, whole


async def _play(server, ports, second, expected):
    heard = server.packets + len(second)
    for at, port, packet in second:
        ports[port].sendto(packet, ("127.0.0.1", server.address[1]))
        expected.hear(at, port, packet)
    await until(lambda: server.packets >= heard)


async def _read(source):
    try:
        return await source.demand()
    except SourceError:
        return None


@pytest.mark.anyio
async def test_a_capture_is_replayed(clock):
    """Second by second the demand is the sum of the living, and never less once one is gone."""
    readings, whole = await replay(capture(), clock)
    assert readings == 60
    assert 20 <= whole <= 40


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["statsd-2x.log", "statsd-3x.log"])
async def test_recorded_captures_are_replayed(clock, name):
    """Real Airflow 2.11 and 3.3, to the last packet: no malformed one, and the load as recorded."""
    readings, whole = await replay(recorded(name), clock)
    assert readings > 150
    assert whole > 100
