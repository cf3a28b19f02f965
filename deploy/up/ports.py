"""Ports of this machine that servers of our own can have for good."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Collection
from pathlib import Path

_FIRST, _LAST = 10_240, 65_535
_FOR_CONNECTIONS = 32_768  # From here on, where the system does not say (Linux).
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return True
    return False


def free_ports(count: int, but: Collection[int] = ()) -> list[int]:
    """So many ports that nobody listens on, and none of ``but``.

    They lie below those that the system gives to connections: such a port may be in use when it is
    wanted, and asked for twice it may be the same.
    """
    last = _below_connections()
    chosen: list[int] = []
    while len(chosen) < count:
        port = _FIRST + secrets.randbelow(last - _FIRST)
        if port not in but and port not in chosen and not is_taken("127.0.0.1", port):
            chosen.append(port)
    return chosen


def _below_connections() -> int:
    lowest = _FOR_CONNECTIONS
    with contextlib.suppress(OSError):
        lowest = int(_RANGE.read_text().split()[0])
    return lowest if lowest > 2 * _FIRST else _LAST
