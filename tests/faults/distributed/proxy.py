"""A TCP proxy between the product and a server: it can be slow, silent, or cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

_PIECE = 65_536
_LOOK_SECONDS = 0.02


class Proxy:
    """Listens on a port of its own and passes on to another one. ``delay`` is in seconds and each
    way; while ``silent`` nothing comes through and nothing is closed."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.silent = False
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._links: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = self._run(self._listen())

    def cut(self) -> int:
        """Ends all connections at once, without a word; says how many that were."""
        return self._run(self._cut())

    def close(self) -> None:
        """Ends it."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _cut(self) -> int:
        links, self._links = self._links, set()
        for link in links:
            link.transport.abort()
        return len(links)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.add(writer)
        try:
            await self._heard()
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._links.add(back)
        await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))
        self._links -= {writer, back}

    async def _heard(self) -> None:
        while self.silent:  # noqa: ASYNC110  # It is set by another thread.
            await asyncio.sleep(_LOOK_SECONDS)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._heard()
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
