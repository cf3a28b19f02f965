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

NAMEKO = Path(sys.executable).with_name("nameko")
_PATIENCE_SECONDS = 30.0


@dataclass
class NamekoProcess:
    """One process and what it says."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path(os.devnull)

    def start(self) -> NamekoProcess:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(NAMEKO), *self.arguments],
                cwd=self.folder,
                env=os.environ | {"PYTHONWARNINGS": "ignore"} | self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return self

    def says(self, word: str) -> None:
        """Waits for a word in its log."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while f'"{word}"' not in self.log.read_text():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)  # A process of its own says nothing else.

    def lines(self, count: int) -> list[bytes]:
        """The next lines it prints."""
        assert self.process is not None
        assert self.process.stdout is not None
        return [self.process.stdout.readline() for _ in range(count)]

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
        status = self.process.wait(_PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@dataclass
class Called:
    """Services that can be called, and the installation behind them."""

    client: RpcClient
    site: Site
    uri: str
    process: NamekoProcess


def services(data: Path, uri: str, **more: str) -> NamekoProcess:
    """All services of the product and the odd one, in one process."""
    named = ["deploy.nameko_services", "tests.integration.bus.odd_services"]
    ours = {"PBXIM_MODE": "sandbox", "PBXIM_DATA": str(data), "PBXIM_AMQP": uri}
    ours |= {"PBXIM_LOG_JSON": "1"}
    process = NamekoProcess(["run", "--config", "deploy/nameko.yaml", *named], ours | more)
    process.log = data.parent / "nameko.log"
    return process


def when_there(call: Callable[[], Any]) -> Any:
    """The first answer of a service that is being started, or started again."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return call()
        except Unavailable:
            assert time.monotonic() < end, "the service does not come"
            time.sleep(0.05)  # A process of its own says nothing else.
