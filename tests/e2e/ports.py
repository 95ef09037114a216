"""Ports that nobody uses now."""

import socket


def free_tcp_port() -> int:
    """One that nobody listens on."""
    return _free(socket.SOCK_STREAM)


def free_udp_port() -> int:
    """One that nobody listens on."""
    return _free(socket.SOCK_DGRAM)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
