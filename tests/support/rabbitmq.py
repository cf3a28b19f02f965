"""A private RabbitMQ: own node, own ports, own folders, own cookie; nothing of the machine's own.

One per test worker (the fixture ``broker`` starts it at its first use) and ended by its pid: the
virtual machine gives itself another parent, so the process that was started says nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from deploy.up.ports import free_ports
from tests.support.children import Output, runs

_DEBIAN = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_STARTED = b"completed with"  # What the server itself prints when it is ready for clients.
_LOCAL = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1"
_STARTED_SECONDS = 60.0
_GONE_SECONDS = 10.0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    (port,) = free_ports(1)
    return port


@dataclass
class Broker:
    """A broker in a folder. ``kill`` and ``start`` keep what is durable, and the port."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: str = ""  # In place of our own: a rabbitmq.conf, which names the port.
    _distribution: int = field(default_factory=free_port)
    _names: int = field(default_factory=free_port)
    _name_server: subprocess.Popen[bytes] | None = None
    _shell: subprocess.Popen[bytes] | None = None

    @functools.cached_property
    def _said(self) -> Output:
        return Output(self.folder / "said")

    @property
    def uri(self) -> str:
        """Where clients connect."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> Broker:
        """Starts it; returns when it has said that it is ready."""
        if self._name_server is None:
            self._prepare()
        assert self._shell is None, "it runs already"
        (self.folder / "pid").unlink(missing_ok=True)
        with self._said.opened() as log:
            self._shell = subprocess.Popen(
                [os.environ.get("PBXIM_TEST_RABBITMQ") or _DEBIAN],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._said.line_with(_STARTED, self._shell, _STARTED_SECONDS)
        except BaseException:
            self._give_up()
            raise
        return self

    @property
    def pid(self) -> int:
        """The virtual machine itself."""
        return int((self.folder / "pid").read_text())

    def kill(self) -> None:
        """Ends it without warning, as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it and what it stood on."""
        if self._shell is not None:
            self._end(signal.SIGKILL)
        if self._name_server is not None:
            self._name_server.kill()
            self._name_server.wait(_GONE_SECONDS)
            self._name_server = None

    def _end(self, by: signal.Signals) -> None:
        assert self._shell is not None
        pid = self.pid
        os.kill(pid, by)
        end = time.monotonic() + _GONE_SECONDS
        while runs(pid):
            assert time.monotonic() < end, f"{pid} does not end"
            time.sleep(0.01)  # It is not our child, so nobody tells us.
        # What it had started (a shell, a helper for the size of the disk) ends by itself.
        self._shell.wait(_GONE_SECONDS)
        self._shell = None

    def _give_up(self) -> None:
        assert self._shell is not None
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._shell.kill()
        self._shell.wait(_GONE_SECONDS)
        self._shell = None

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self.folder / "plugins").write_text("[].\n")
        ours = f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file.level = warning\n"
        (self.folder / "rabbitmq.conf").write_text(self.settings or ours)
        # Who resolves the node's name: as our own child, else it would stay behind for ever.
        self._name_server = subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(self._names)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _environment(self) -> dict[str, str]:
        place = str(self.folder)
        listening = {
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
        }
        return os.environ | {
            "HOME": place,
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"pbxim-{self.port}@localhost",
            **({} if self.settings else listening),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq",
            "RABBITMQ_CONF_ENV_FILE": f"{place}/no-environment",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{place}/mnesia",
            "RABBITMQ_LOG_BASE": f"{place}/log",
            "RABBITMQ_PID_FILE": f"{place}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOCAL,
        }
