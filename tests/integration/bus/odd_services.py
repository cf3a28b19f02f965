"""A service for tests of the calls themselves: it echoes, dawdles and explodes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from eventlet import patcher

from deploy.nameko_links import Links
from deploy.nameko_services import nameko_class
from shared.rpc import CallContext, rpc
from shared.runtime import Runtime


class Odd:
    """Not of the product."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._severed: set[str] = set()

    @rpc
    def echo(self, ctx: CallContext, thing: Any) -> dict[str, Any]:
        """What was said, and by whom."""
        return {"thing": thing, "account_id": ctx.account_id, "traceparent": ctx.traceparent}

    @rpc
    def dawdle(self, ctx: CallContext, seconds: float) -> float:
        """Takes its time."""
        time.sleep(seconds)
        return seconds

    @rpc
    def sever(self, ctx: CallContext, name: str, seconds: float) -> None:
        """Cuts the link that calls come by while nothing of the process runs for so long, and is
        the first to find that out, as a worker may be that acknowledges. Once: it comes again."""
        link = Links.linked["odd"]
        if link is None or name in self._severed:
            return
        self._severed.add(name)
        _come_back_by_a_socket()
        link.connection.transport.sock.shutdown(socket.SHUT_WR)
        patcher.original("time").sleep(seconds)
        with contextlib.suppress(OSError):
            link.connection.send_heartbeat()

    @rpc
    def explode(self, ctx: CallContext) -> None:
        """Does what no service should."""
        raise ZeroDivisionError("the password is hush")


def _come_back_by_a_socket() -> None:
    # As after a question to the database: the hub then looks at its timers first, and only after
    # that at the sockets.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.05, theirs.send, [b"!"]).start()
        ours.recv(1)


OddService = nameko_class("odd", Odd)
