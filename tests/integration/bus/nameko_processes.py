"""``nameko run``, as an operator starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.rpc_client import RpcClient
from shared.errors import Unavailable
from tests.integration.bus.listening import ROOT
from tests.integration.gateway.sites import Site
from tests.support.children import Output, status_of

NAMEKO = Path(sys.executable).with_name("nameko")
_PATIENCE_SECONDS = 30.0


@dataclass
class NamekoProcess:
    """One process and what it says."""

    arguments: list[str]
    output: Output
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> NamekoProcess:
        with self.output.opened() as log:
            self.process = subprocess.Popen(
                [str(NAMEKO), *self.arguments],
                cwd=self.folder,
                env=os.environ | {"PYTHONWARNINGS": "ignore"} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def says(self, word: str) -> None:
        """Waits for a word in its log."""
        assert self.process is not None
        self.output.line_with(f'"{word}"'.encode(), self.process)

    def lines_with(self, word: bytes, count: int) -> list[bytes]:
        """The next lines with a word in them."""
        assert self.process is not None
        return [self.output.line_with(word, self.process) for _ in range(count)]

    def stop(self) -> int:
        """Ends it as an operator does; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self._gone()

    def kill(self) -> None:
        """Ends it without waiting for its good manners (two seconds)."""
        assert self.process is not None
        self.process.kill()
        self._gone()

    def _gone(self) -> int:
        assert self.process is not None
        return status_of(self.process, self.output)


@dataclass
class Called:
    """Services that can be called, and the installation behind them."""

    client: RpcClient
    site: Site
    uri: str
    process: NamekoProcess
    health: int  # The port where it says how it is.


def services(data: Path, uri: str, **more: str) -> NamekoProcess:
    """All services of the product and the odd one, in one process."""
    named = ["deploy.nameko_services", "tests.integration.bus.odd_services"]
    ours = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(data), "PBXIM_AMQP": uri}
    ours |= {"PBXIM_LOG_JSON": "1"}
    output = Output(data.parent / "nameko.log")
    return NamekoProcess(["run", "--config", "deploy/nameko.yaml", *named], output, ours | more)


def when_there(call: Callable[[], Any]) -> Any:
    """The first answer of a service that is being started, or started again."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return call()
        except Unavailable:
            assert time.monotonic() < end, "the service does not come"
            time.sleep(0.05)  # A process of its own says nothing else.
